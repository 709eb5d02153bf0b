// Conformance 5: what was freed goes back to the system after a while, without
// malloc_trim, as long as malloc is called: also blocks that might be wanted
// again.
// run: pool=no
#include "check.h"
#include <time.h>

static void fill_and_free(size_t size, size_t bytes) {
    enum { MOST = 1000 };
    static char *blocks[MOST];
    size_t count = bytes / size;
    CHECK(count <= MOST);
    for (size_t i = 0; i < count; i++) {
        CHECK((blocks[i] = malloc(size)) != NULL);
        memset(blocks[i], 1, size);
    }
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

int main(void) {
    free(malloc(100));
    size_t before = resident();
    fill_and_free(60000, 2 * MIB);
    fill_and_free(300000, 16 * MIB);
    size_t full = resident();
    // Half a second is promised; a loaded machine may take longer.
    const struct timespec moment = {.tv_nsec = 5000000};
    for (int i = 0; i < 2000 && resident() > before + MIB; i++) {
        free(malloc(50000));
        nanosleep(&moment, NULL);
    }
    CHECK(resident() <= before + MIB, "%zu KiB were resident, and still are %zu", (full - before) / KIB,
          (resident() - before) / KIB);
    return 0;
}
