// Conformance 5: what a thread's last slab of a size has gone on to keep goes back to the
// system after a while, if the size is no longer used and malloc has work to do with others.
// run: pool=no
#include "check.h"

enum { MOST = 64, OTHERS = 1000 };

int main(void) {
    static char *blocks[MOST], *others[OTHERS];
    for (int i = 0; i < OTHERS; i++)
        CHECK((others[i] = (char *)malloc(500)) != NULL);
    size_t before = resident();
    for (size_t size = 9 * KIB; size < 32 * KIB; size += size / 8) {
        size_t count = 256 * KIB / size - 1;
        for (size_t i = 0; i < count; i++) {
            CHECK((blocks[i] = (char *)malloc(size)) != NULL);
            memset(blocks[i], 1, size);
        }
        for (size_t i = 0; i < count; i++)
            free(blocks[i]);
    }
    size_t full = resident();
    // Three quarters of a second are promised; a loaded machine may take longer.
    const struct timespec moment = {.tv_nsec = 5000000};
    for (int i = 0; i < 2000 && resident() > before + MIB; i++) {
        for (int k = 0; k < OTHERS; k++)
            free(others[k]);
        for (int k = 0; k < OTHERS; k++)
            CHECK((others[k] = (char *)malloc(500)) != NULL);
        nanosleep(&moment, NULL);
    }
    CHECK(resident() <= before + MIB, "%zu KiB were resident, and still are %zu", (full - before) / KIB,
          (resident() - before) / KIB);
    return 0;
}
