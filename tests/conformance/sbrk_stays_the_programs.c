// Conformance 5: a program that takes memory by sbrk keeps it: malloc neither
// hands it out nor is confused by it.
// run: static=no
#include "check.h"

int main(void) {
    enum { STEPS = 20, STEP = 100000 };
    char *pieces[STEPS];
    void *blocks[STEPS][50];
    for (int i = 0; i < STEPS; i++) {
        pieces[i] = (char *)sbrk(STEP);
        CHECK(pieces[i] != (char *)-1);
        fill(pieces[i], STEP, i);
        for (int j = 0; j < 50; j++) {
            size_t n = 1 + (size_t)(i * j * j * 7);
            CHECK((blocks[i][j] = malloc(n)) != NULL);
            memset(blocks[i][j], 0xFF, n);
        }
    }
    for (int i = 0; i < STEPS; i++) {
        for (int j = 0; j < 50; j++)
            free(blocks[i][j]);
        malloc_trim(0);
    }
    for (int i = 0; i < STEPS; i++)
        CHECK(filled(pieces[i], STEP, i), "malloc wrote into the program's piece %d", i);
    return 0;
}
