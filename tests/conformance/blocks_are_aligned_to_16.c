// Conformance 3: every block starts on a multiple of 16, whatever its size and
// whichever function gave it.
#include "check.h"

static void *kept[5000];

int main(void) {
    size_t at = 0;
    for (size_t n = 0; n < 300000; n += n < 2100 ? 1 : n / 7) {
        void *blocks[] = {malloc(n), calloc(1, n), realloc(malloc(8), n + 1), aligned_alloc(1, n),
                          memalign(2, n)};
        for (size_t i = 0; i < LENGTH(blocks); i++) {
            CHECK(blocks[i] != NULL);
            CHECK(i > 2 || (uintptr_t)blocks[i] % 16 == 0, "form %zu, size %zu: %p", i, n, blocks[i]);
            memset(blocks[i], 1, n);
            // keep a changing few, so that blocks are not all at the start of something
            if ((n + i) % 3 != 0) {
                free(blocks[i]);
            } else {
                free(kept[at]);
                kept[at] = blocks[i];
                at = (at + 1) % LENGTH(kept);
            }
        }
    }
    return 0;
}
