// Conformance 3: malloc_usable_size is 0 for NULL and at least the request;
// every byte of it belongs to the block; a realloc within it does not move.
#include "check.h"

enum { MOST = 4000 };
static struct { unsigned char *p; size_t usable; } block[MOST];

int main(void) {
    CHECK(malloc_usable_size(NULL) == 0);
    int count = 0;
    for (size_t n = 0; n < 7 * MIB && count < MOST - 3; n += n < 1100 ? 1 : n < 100000 ? n / 30 : n / 3) {
        void *made[3] = {malloc(n), calloc(n, 1), aligned_alloc(256, n)};
        for (int i = 0; i < 3; i++, count++) {
            CHECK(made[i] != NULL);
            block[count].p = (unsigned char *)made[i];
            block[count].usable = malloc_usable_size(made[i]);
            CHECK(block[count].usable >= n, "%zu of %zu", block[count].usable, n);
            memset(launder(made[i]), count & 255, block[count].usable);
        }
    }
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < block[i].usable; j++)
            CHECK(block[i].p[j] == (unsigned char)i, "block %d of %zu bytes was overwritten", i,
                  block[i].usable);
        CHECK(malloc_usable_size(block[i].p) == block[i].usable);
    }
    for (int i = 0; i < count; i++) {
        if (block[i].usable == 0)
            continue;
        void *same = realloc(block[i].p, opaque(block[i].usable));
        CHECK(same == block[i].p, "realloc to the usable size %zu moved the block", block[i].usable);
        free(same);
    }
    return 0;
}
