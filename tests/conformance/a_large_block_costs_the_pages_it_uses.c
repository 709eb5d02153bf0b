// Conformance 5: of one large block only the pages count that the program writes,
// as there are to be no huge pages until there are more such blocks.
// run: pool=no
#include "check.h"

// Whether the system gives huge pages to who does not ask.
static bool huge_pages_come_unasked(void) {
    char text[64] = "";
    int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        CHECK(read(fd, text, sizeof text - 1) > 0);
        close(fd);
    }
    return strstr(text, "[always]") != NULL;
}

int main(void) {
    free(malloc(100));
    size_t before = resident(), size = 16 * MIB;
    char *block = (char *)malloc(size);
    CHECK(block != NULL);
    for (size_t i = 0; i < size; i += MIB)
        block[i] = 1;
    size_t more = resident() - before;
    bool asked = getenv("MEMMAN") != NULL; // which asks for none where it wants none
    CHECK(more < MIB || (!asked && huge_pages_come_unasked()), "%zu KiB more are resident", more / KIB);
    free(block);
    return 0;
}
