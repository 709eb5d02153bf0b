// Conformance 5: where malloc asks for no huge pages it asks for none, so that small
// programs stay small, and sparse blocks sparse, where the system gives them to everybody.
// run: pool=no confs=default
#include "check.h"

static void expect_plain(const void *block, const char *what) {
    CHECK(block != NULL);
    CHECK(mapping_has("nh", block) && !mapping_has("hg", block), "%s may be in a huge page", what);
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
    return 0;
}
