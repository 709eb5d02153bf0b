// Cells that another thread freed, of many sizes, are given out again before pages that were
// never used: a thread that allocates as much as before takes no memory.
#include "check.h"

enum { SIZES = 32, STEP = 32, BYTES = 80 << 10 };
static char *blocks[SIZES][BYTES / STEP];

static size_t count(size_t kind) { return BYTES / ((kind + 1) * STEP); }

static void allocate(void) {
    for (size_t kind = 0; kind < SIZES; kind++)
        for (size_t i = 0; i < count(kind); i++) {
            CHECK((blocks[kind][i] = (char *)malloc((kind + 1) * STEP)) != NULL);
            *blocks[kind][i] = 1;
        }
}

static void *free_all(void *unused) {
    for (size_t kind = 0; kind < SIZES; kind++)
        for (size_t i = 0; i < count(kind); i++)
            free(blocks[kind][i]);
    return unused;
}

int main(void) {
    allocate();
    join(start(free_all, NULL));
    size_t before = resident();
    allocate();
    size_t after = resident();
    CHECK(after < before + 256 * KIB, "%zu KiB more", (after - before) / KIB);
    return 0;
}
