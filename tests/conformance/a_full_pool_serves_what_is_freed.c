// Conformance 5: a pool that has refused a request serves it once a block was freed, or
// has become smaller.
// run: confs=default env=MEMMAN_CONF=pool:8M static=no
#include "check.h"

enum { MOST = 4000 };
static void *blocks[MOST];

static size_t filled_up(size_t align, size_t size) {
    size_t n = 0;
    while (n < MOST && (blocks[n] = aligned_alloc(align, size)) != NULL)
        n++;
    CHECK(n > 10 && n < MOST, "%zu blocks", n);
    return n;
}

static void free_first(size_t n) {
    for (size_t i = 0; i < n; i++)
        free(blocks[i]);
}

int main(void) {
    if (getenv("MEMMAN") == NULL)
        skip("the pool is memman's");
    static const size_t aligns[] = {16, 4096};
    for (size_t i = 0; i < LENGTH(aligns); i++) {
        size_t n = filled_up(aligns[i], 8192);
        free(blocks[n / 2]);
        CHECK((blocks[n / 2] = aligned_alloc(aligns[i], 8192)) != NULL, "freed, and refused all the same");
        free_first(n);
    }
    size_t n = filled_up(16, 50000);
    while (malloc(20000) != NULL)
        continue;
    for (size_t i = 0; i < n; i++)
        CHECK((blocks[i] = realloc(blocks[i], 1000)) != NULL);
    CHECK(malloc(20000) != NULL, "there is room, and it is refused");
    return 0;
}
