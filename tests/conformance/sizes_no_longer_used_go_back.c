// Conformance 5: the memory of a size that is no longer used goes back to the system
// after a while, as long as malloc has work to do with others: also the last slab of
// that size, which the next block would come from.
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
    // At most five ticks of a quarter of a second; a loaded machine may take longer.
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
