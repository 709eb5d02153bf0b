// Conformance 3, POSIX 2024: free keeps errno, whatever it does inside.
// run: pool=no
#include "check.h"

static void *blocks[20000];

int main(void) {
    for (size_t n = 0; n <= 64 * MIB; n = n * 2 + 8) {
        size_t count = n < 10000 ? LENGTH(blocks) : n < MIB ? 100 : 3;
        if (n * count > 128 * MIB)
            count = 1;
        for (size_t i = 0; i < count; i++) {
            CHECK((blocks[i] = i % 2 ? malloc(n) : aligned_alloc(4096, n)) != NULL);
            if (n > 0)
                *(char *)blocks[i] = 1;
            if (n * count > 16 * MIB && i > 1000)
                count = i;
        }
        for (size_t i = 0; i < count; i++) {
            errno = 4711;
            free(blocks[i]);
            CHECK(errno == 4711, "free of %zu bytes", n);
        }
    }
    errno = 4711;
    free(NULL);
    CHECK(errno == 4711);
    return 0;
}
