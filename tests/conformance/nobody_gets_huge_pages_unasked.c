// Conformance 5: where malloc asks for no huge pages it asks for none, so that small
// programs stay small, and sparse blocks sparse, where the system gives them to everybody.
// run: pool=no confs=default
#include "check.h"

#define HUGE_PAGE (2 * MIB)

static void expect_plain(const void *block, const char *what) {
    CHECK(block != NULL);
    CHECK(mapping_has("nh", block) && !mapping_has("hg", block), "%s may be in a huge page", what);
}

// Also the library's own data: all that can be written and holds a whole huge page.
static void expect_all_plain(void) {
    static char text[1 << 16];
    read_whole("/proc/self/maps", text, sizeof text);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char *rest;
        uintptr_t first = strtoul(line, &rest, 16), behind = strtoul(rest + 1, &rest, 16);
        if (strncmp(rest, " rw", 3) == 0 && (first + HUGE_PAGE - 1) / HUGE_PAGE < behind / HUGE_PAGE)
            expect_plain((void *)first, "what can be written");
    }
}

int main(void) {
    if (getenv("MEMMAN") == NULL)
        skip("the policy is memman's");
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0)
        skip("the kernel has no huge pages");
    expect_plain(malloc(100), "a small block");
    expect_plain(malloc(MIB), "a block of 1 MiB");
    expect_plain(malloc(16 * MIB), "the only large block");
    expect_plain(calloc(1, 64 * MIB), "a large block that calloc gave");
    expect_all_plain();
    return 0;
}
