// Conformance 5: what is kept of freed mappings does not come on top of what a program
// wants next: neither of zeros, which are new memory, nor of smaller blocks a moment later.
// run: confs=default
#include "check.h"

static char *written(char *p, size_t n) {
    CHECK(p != NULL);
    memset(p, 1, n);
    return p;
}

int main(void) {
    free(malloc(100));
    size_t before = resident();
    for (int i = 0; i < 4; i++) {
        char *zeros = calloc(1, 48 * MIB);
        written(zeros, 48 * MIB);
        char *others = written(malloc(48 * MIB), 48 * MIB);
        size_t more = resident() - before;
        CHECK(more < 120 * MIB, "%zu MiB for 96, round %d", more / MIB, i);
        free(others);
        free(zeros);
    }
    const struct timespec moment = {.tv_nsec = 50000000};
    nanosleep(&moment, NULL);
    enum { BLOCKS = 400 };
    static char *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        block[i] = written(malloc(120 * KIB), 120 * KIB);
    size_t more = resident() - before;
    CHECK(more < 72 * MIB, "%zu MiB for 47", more / MIB);
    for (int i = 0; i < BLOCKS; i++)
        free(block[i]);
    return 0;
}
