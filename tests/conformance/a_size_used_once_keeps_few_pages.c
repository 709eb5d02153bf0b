// Conformance 5: a block of a size that nothing else has takes few pages, also
// where larger blocks left some: what it does not need of them goes back.
// run: confs=default
#include "check.h"

enum { LARGE = 64, SIZES = 40 };

int main(void) {
    char *large[LARGE], *small[SIZES];
    for (int i = 0; i < LARGE; i++) {
        CHECK((large[i] = (char *)malloc(128 * KIB)) != NULL);
        memset(large[i], 1, 128 * KIB);
    }
    for (int i = 0; i < LARGE; i++)
        free(large[i]);
    size_t before = resident();
    for (int i = 0; i < SIZES; i++) {
        size_t size = 200 * (size_t)(i + 1);
        CHECK((small[i] = (char *)malloc(size)) != NULL);
        memset(small[i], 1, size);
    }
    size_t after = resident();
    CHECK(after + MIB < before, "%zu KiB resident before, %zu with the small ones", before / KIB, after / KIB);
    for (int i = 0; i < SIZES; i++)
        free(small[i]);
    return 0;
}
