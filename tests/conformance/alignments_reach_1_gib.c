// Conformance 3: aligned_alloc, memalign and posix_memalign honour every
// power of two up to 1 GiB, size equal to the alignment included; their
// blocks are disjoint, usable in full, and 64 of 1 MiB cost only what is
// touched of them.
// run: pool=no
#include "check.h"

int main(void) {
    for (size_t align = 1; align <= GIB; align *= 2) {
        size_t sizes[] = {1, align / 2 + 1, align - 1, align, align + 1, 3 * align / 2, 100, 5000};
        for (size_t i = 0; i < LENGTH(sizes); i++) {
            size_t n = sizes[i];
            char *blocks[3] = {(char *)aligned_alloc(align, n), (char *)memalign(align, n), NULL};
            void *p;
            CHECK(posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, n) == 0);
            blocks[2] = (char *)p;
            for (int j = 0; j < 3; j++) {
                CHECK(blocks[j] != NULL, "%zu at a multiple of %zu", n, align);
                CHECK((uintptr_t)blocks[j] % align == 0, "%p, %zu, %zu", (void *)blocks[j], n, align);
                CHECK(malloc_usable_size(blocks[j]) >= n);
                for (int k = 0; k < j; k++)
                    CHECK(blocks[j] + n <= blocks[k] || blocks[k] + n <= blocks[j]);
                if (n > 0)
                    blocks[j][0] = blocks[j][n - 1] = (char)j;
            }
            for (int j = 0; j < 3; j++) {
                CHECK(n == 0 || (blocks[j][0] == j && blocks[j][n - 1] == j));
                free(blocks[j]);
            }
        }
    }

    size_t before = resident();
    char *blocks[64];
    for (int i = 0; i < 64; i++) {
        CHECK((blocks[i] = (char *)aligned_alloc(MIB, MIB)) != NULL);
        CHECK((uintptr_t)blocks[i] % MIB == 0);
        blocks[i][0] = 1;
    }
    CHECK(resident() < before + 8 * MIB, "%zu MiB resident", (resident() - before) / MIB);
    for (int i = 0; i < 64; i++)
        free(blocks[i]);

    // an aligned block is a block: it grows and shrinks
    char *p = (char *)aligned_alloc(65536, 1000);
    CHECK(p != NULL);
    fill(p, 1000, 5);
    CHECK((p = (char *)realloc(p, 500000)) != NULL && filled(p, 1000, 5));
    CHECK((p = (char *)realloc(p, 10)) != NULL && filled(p, 10, 5));
    free(p);
    return 0;
}
