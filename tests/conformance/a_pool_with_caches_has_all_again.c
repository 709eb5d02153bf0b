// Conformance 5: what was freed in a pool is its manager's again, also with caches on: blocks
// of another size find nearly as much room as at first.
// run: confs=default env=MEMMAN_CONF=pool:8M,cache:on static=no
#include "check.h"

enum { LARGE = 200 * KIB, MOST = 4000, SPARED = 3 };

static void *large[MOST], *small[MOST];

static size_t fill_up(void **blocks, size_t size) {
    size_t n = 0;
    while (n < MOST && (blocks[n] = malloc(size)) != NULL)
        n++;
    CHECK(n < MOST);
    return n;
}

int main(void) {
    if (getenv("MEMMAN") == NULL)
        skip("the pool is memman's");
    size_t most = fill_up(large, LARGE);
    CHECK(most > 20, "%zu blocks", most);
    for (size_t i = 0; i < most; i++)
        free(large[i]);
    static const size_t sizes[] = {2100, 4096, 5000, 9000, 16384};
    for (size_t s = 0; s < LENGTH(sizes); s++) {
        size_t n = fill_up(small, sizes[s]);
        // One of each slab first, then the others.
        size_t step = 64 * KIB / sizes[s];
        for (size_t first = 0; first < step; first++)
            for (size_t i = first; i < n; i += step)
                free(small[i]);
        size_t now = fill_up(large, LARGE);
        CHECK(now + SPARED >= most, "after blocks of %zu there is room for %zu, not %zu", sizes[s], now, most);
        for (size_t i = 0; i < now; i++)
            free(large[i]);
    }
    return 0;
}
