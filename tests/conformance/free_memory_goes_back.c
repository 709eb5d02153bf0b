// Conformance 5: after free and malloc_trim the memory is the system's again:
// small blocks of one size and of many, large blocks, and those of threads
// that ended.
// run: pool=no static=no
#include "check.h"

enum { TOTAL = 128 };
static void **blocks;
static size_t count;

static void *fill_up(void *argument) {
    size_t most = (size_t)(uintptr_t)argument;
    uint64_t state = most;
    size_t sum = 0;
    count = 0;
    while (sum < TOTAL * MIB) {
        size_t n = most <= 64 ? most : 16 + next_random(&state) % most;
        CHECK((blocks[count] = malloc(n)) != NULL);
        memset(blocks[count++], 1, n);
        sum += n;
    }
    return NULL;
}

int main(void) {
    size_t space = TOTAL * MIB / 16 * sizeof(void *);
    blocks = (void **)mmap(NULL, space, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(blocks != MAP_FAILED);
    free(malloc(100));
    static const size_t most[] = {64, 512, 8000, 200000, 4 << 20};
    for (size_t i = 0; i < LENGTH(most); i++) {
        CHECK(madvise(blocks, space, MADV_DONTNEED) == 0);
        size_t before = resident();
        if (i % 2)
            join(start(fill_up, (void *)(uintptr_t)most[i]));
        else
            fill_up((void *)(uintptr_t)most[i]);
        CHECK(resident() > before + TOTAL * MIB / 2);
        for (size_t j = 0; j < count; j++)
            free(blocks[j]);
        malloc_trim(0);
        CHECK(madvise(blocks, space, MADV_DONTNEED) == 0);
        CHECK(resident() < before + 24 * MIB, "blocks up to %zu: %zu MiB still resident", most[i],
              (resident() - before) / MIB);
    }
    return 0;
}
