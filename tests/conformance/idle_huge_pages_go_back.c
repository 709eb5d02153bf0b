// Conformance 5: of a huge page whose blocks were freed all goes back to the system after
// a while, also what was never in a block: the first touch had made that memory, too.
// run: pool=no confs=default env=MEMMAN_CONF=thp:on
#include "check.h"

enum { SIZE = 300000, MOST = 64, LEAST = 8 };
#define HUGE_PAGE (2 * MIB)

// How many of the huge page's bytes are resident.
static size_t resident_of(uintptr_t page) {
    static unsigned char pages[HUGE_PAGE / (4 * KIB)];
    size_t count = 0;
    CHECK(mincore((void *)page, HUGE_PAGE, pages) == 0);
    for (size_t i = 0; i < sizeof pages; i++)
        count += pages[i] & 1;
    return count * 4 * KIB;
}

int main(void) {
    if (getenv("MEMMAN") == NULL)
        skip("the policy is memman's");
    static char *blocks[MOST];
    // The last block is the only one of its huge page, of which it has the beginning.
    int count = 0;
    for (bool alone = false; !alone || count < LEAST;) {
        CHECK(count < MOST);
        char *block = (char *)malloc(SIZE);
        CHECK(block != NULL);
        memset(block, 1, SIZE);
        uintptr_t last = count > 0 ? (uintptr_t)blocks[count - 1] : 0, now = (uintptr_t)block;
        alone = now / HUGE_PAGE > last / HUGE_PAGE && now % HUGE_PAGE < HUGE_PAGE / 4;
        blocks[count++] = block;
    }
    uintptr_t page = (uintptr_t)blocks[count - 1] / HUGE_PAGE * HUGE_PAGE;
    for (int i = 0; i < count; i++)
        free(blocks[i]);
    size_t full = resident_of(page);
    // Half a second is promised; a loaded machine may take longer.
    const struct timespec moment = {.tv_nsec = 5000000};
    for (int i = 0; i < 2000 && resident_of(page) > 0; i++) {
        free(malloc(50000));
        nanosleep(&moment, NULL);
    }
    CHECK(resident_of(page) == 0, "%zu KiB of it were resident, and still are %zu", full / KIB,
          resident_of(page) / KIB);
    return 0;
}
