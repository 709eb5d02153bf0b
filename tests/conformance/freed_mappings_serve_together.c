// Conformance 5: the memory of large blocks that were freed side by side serves
// one larger block. Blocks that stand on several mappings, whoever made them so,
// keep their contents when they grow and shrink, and overlap no other.
// run: confs=default
#include "check.h"

enum { PAGE = 4096, MANY = 12 };
static struct { char *p; size_t n; } block[MANY];

// Each page has a word of its own.
static void mark(char *p, size_t from, size_t n, uint64_t seed) {
    for (size_t i = (from + PAGE - 1) / PAGE * PAGE; i < n; i += PAGE)
        *(uint64_t *)(void *)(p + i) = seed + i;
}
static bool marked(const char *p, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i += PAGE)
        if (*(const uint64_t *)(const void *)(p + i) != seed + i)
            return false;
    return true;
}

int main(void) {
    // What a library aligns may leave holes among the addresses, of less than
    // 64 MiB: these fill them, and those that follow are neighbours.
    for (int i = 0; i < 16; i++)
        CHECK(malloc(4 * MIB) != NULL);
    for (int i = 0; i < 8; i++) {
        CHECK((block[i].p = (char *)malloc(5 * MIB)) != NULL);
        mark(block[i].p, 0, 5 * MIB, i);
    }
    for (int i = 0; i < 8; i++)
        free(block[i].p);
    size_t before = resident();
    char *p = (char *)malloc(36 * MIB);
    CHECK(p != NULL);
    mark(p, 0, 36 * MIB, 1);
    CHECK(resident() < before + 8 * MIB, "%zu MiB more for 36 of 40 free ones", (resident() - before) / MIB);

    // As a program may: now the kernel has several mappings in this block.
    CHECK(madvise(p + 9 * MIB, MIB, MADV_DONTDUMP) == 0);
    CHECK((p = (char *)realloc(p, 50 * MIB)) != NULL && marked(p, 36 * MIB, 1));
    mark(p, 36 * MIB, 50 * MIB, 1);
    CHECK(madvise(p + 9 * MIB, MIB, MADV_DONTDUMP) == 0);
    CHECK((p = (char *)realloc(p, 20 * MIB)) != NULL && marked(p, 20 * MIB, 1));
    free(p);

    uint64_t state = 4711;
    memset(block, 0, sizeof block);
    for (int i = 0; i < 3000; i++) {
        uint64_t r = next_random(&state);
        int s = (int)(r % MANY);
        size_t n = 4 * MIB + next_random(&state) % (9 * MIB);
        CHECK(marked(block[s].p, block[s].n, s), "block %d after %d steps", s, i);
        size_t old = 0;
        if (r & 1024) {
            free(block[s].p);
            block[s].p = (char *)malloc(n);
        } else if (r & 2048) {
            old = block[s].n < n ? block[s].n : n;
            block[s].p = (char *)realloc(block[s].p, n);
        } else if (r & 4096) {
            free(block[s].p);
            CHECK((block[s].p = (char *)calloc(1, n)) != NULL && all_zero(block[s].p, n));
        } else {
            madvise(block[s].p + MIB, MIB, MADV_DONTDUMP);
            continue;
        }
        CHECK(block[s].p != NULL && marked(block[s].p, old, s), "block %d after %d steps", s, i);
        block[s].n = n;
        mark(block[s].p, old, n, s);
    }
    for (int s = 0; s < MANY; s++) {
        CHECK(marked(block[s].p, block[s].n, s));
        free(block[s].p);
    }
    return 0;
}
