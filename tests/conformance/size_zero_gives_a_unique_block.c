// Conformance 3: malloc(0), calloc(0, n), realloc(NULL, 0) and the aligned
// forms give distinct blocks that can be freed; realloc(p, 0) frees p and says
// NULL.
#include "check.h"

int main(void) {
    void *blocks[9];
    for (int round = 0; round < 1000; round++) {
        blocks[0] = malloc(opaque(0));
        blocks[1] = calloc(opaque(0), 8);
        blocks[2] = calloc(8, opaque(0));
        blocks[3] = realloc(NULL, opaque(0));
        blocks[4] = aligned_alloc(64, opaque(0));
        blocks[5] = memalign(32, opaque(0));
        CHECK(posix_memalign(&blocks[6], 4096, opaque(0)) == 0);
        blocks[7] = reallocarray(NULL, opaque(0), 8);
        blocks[8] = malloc(opaque(0));
        for (size_t i = 0; i < LENGTH(blocks); i++) {
            CHECK(blocks[i] != NULL, "form %zu", i);
            for (size_t j = 0; j < i; j++)
                CHECK(blocks[i] != blocks[j], "forms %zu and %zu", i, j);
        }
        for (size_t i = 0; i < LENGTH(blocks); i++)
            free(blocks[i]);
    }
    free(NULL);

    size_t before = 0;
    for (int i = 0; i < 200000; i++) {
        CHECK(realloc(malloc(1 + i % 5000), opaque(0)) == NULL);
        if (i == 20000)
            before = resident();
    }
    CHECK(reallocarray(malloc(10), opaque(0), 10) == NULL);
    CHECK(resident() < before + 8 * MIB, "realloc(p, 0) did not free");
    return 0;
}
