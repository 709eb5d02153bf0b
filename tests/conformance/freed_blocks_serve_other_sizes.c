// Conformance 5: memory that was just freed is used again before there is new
// memory, also for blocks of another size.
// run: pool=no
#include "check.h"

int main(void) {
    enum { BLOCKS = 32, SIZE = 60000 };
    char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        CHECK((blocks[i] = malloc(SIZE)) != NULL);
        memset(blocks[i], 1, SIZE);
    }
    size_t before = resident();
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    char *large = malloc(MIB);
    CHECK(large != NULL);
    memset(large, 1, MIB);
    size_t after = resident();
    CHECK(after < before + MIB / 4, "%zu KiB more are resident", (after - before) / KIB);
    free(large);
    return 0;
}
