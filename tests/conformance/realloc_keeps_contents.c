// Conformance 3: realloc and reallocarray keep the first min(old, new) bytes
// through any chain of sizes; shrinking does not fail; NULL makes a block.
#include "check.h"

enum { SLOTS = 64 };
static struct { char *p; size_t n; uint64_t seed; } slot[SLOTS];

int main(void) {
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 60000; i++) {
        uint64_t r = next_random(&state);
        int s = (int)(r % SLOTS);
        size_t n = 1 + next_random(&state) % ((size_t)1 << (1 + (r >> 8) % 15));
        if ((r >> 20) % 500 == 0)
            n = 1 + next_random(&state) % (2 * MIB);
        size_t kept = slot[s].n < n ? slot[s].n : n;
        char *p = (char *)(r & 1024 ? realloc(slot[s].p, n) : reallocarray(slot[s].p, n, 1));
        CHECK(p != NULL);
        CHECK(filled(p, kept, slot[s].seed), "%zu -> %zu", slot[s].n, n);
        slot[s].p = p;
        slot[s].n = n;
        slot[s].seed = r;
        fill(p, n, r);
    }
    for (int s = 0; s < SLOTS; s++) {
        while (slot[s].n > 1) { // shrink to nothing, step by step
            slot[s].n = slot[s].n * 3 / 4;
            CHECK((slot[s].p = (char *)realloc(slot[s].p, slot[s].n)) != NULL);
            CHECK(filled(slot[s].p, slot[s].n, slot[s].seed));
        }
        free(slot[s].p);
    }
    // one block grown by a few bytes at a time, others between
    char *p = NULL;
    for (size_t n = 1; n < 200000; n += 37) {
        CHECK((p = (char *)realloc(p, n)) != NULL);
        p[n - 1] = (char)n;
        if (n % 5 == 0)
            free(launder(malloc(n % 999)));
    }
    for (size_t n = 1; n < 200000; n += 37)
        CHECK(p[n - 1] == (char)n);
    free(p);
    return 0;
}
