// Conformance 5: a program that works with blocks of one size after another, each freed in
// any order, takes about the memory of one of these phases, not of all.
// run: pool=no
#include "check.h"

enum { BYTES = 2 * MIB, MOST = BYTES / 2100 + 1 };

int main(void) {
    static char *blocks[MOST];
    unsigned seed = 1;
    size_t before = resident(), most = before;
    for (size_t size = 2100; size <= 16 * KIB; size += size / 8) {
        size_t count = BYTES / size;
        for (size_t i = 0; i < count; i++) {
            CHECK((blocks[i] = (char *)malloc(size)) != NULL);
            memset(blocks[i], 1, size);
        }
        for (size_t i = count - 1; i > 0; i--) {
            seed = seed * 1664525 + 1013904223;
            size_t other = (seed >> 8) % (i + 1);
            char *block = blocks[i];
            blocks[i] = blocks[other];
            blocks[other] = block;
        }
        size_t now = resident();
        most = now > most ? now : most;
        for (size_t i = 0; i < count; i++)
            free(blocks[i]);
    }
    CHECK(most < before + 4 * BYTES, "%zu KiB for phases of %zu", (most - before) / KIB, (size_t)BYTES / KIB);
    return 0;
}
