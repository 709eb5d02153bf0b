// Conformance 5: threads that all want more than RLIMIT_AS lets them have get NULL and
// ENOMEM, each block's contents stay whole, and what one thread freed, of whatever size,
// another gets.
// run: pool=no
#include "check.h"

enum { THREADS = 4, HELD = 64, ROUNDS = 8000 };
#define ROOM (96 * MIB)
static unsigned refused;
// All have started, and so has what a libc allocates for each, before any takes a block.
static pthread_barrier_t started;

typedef struct {
    unsigned char *block;
    size_t size;
} held_t;

// A page's first bytes say whose it is.
static void mark(held_t held) {
    for (size_t i = 0; i < held.size; i += 4096)
        fill(held.block + i, held.size - i < 16 ? held.size - i : 16, held.size + i);
}

static void give_up(held_t *held) {
    if (held->block == NULL)
        return;
    for (size_t i = 0; i < held->size; i += 4096)
        CHECK(filled(held->block + i, held->size - i < 16 ? held->size - i : 16, held->size + i),
              "byte %zu of %zu", i, held->size);
    free(held->block);
    held->block = NULL;
}

static void *take_and_give(void *seed) {
    uint64_t random = (uintptr_t)seed;
    static __thread held_t held[HELD];
    pthread_barrier_wait(&started);
    for (int round = 0; round < ROUNDS; round++) {
        held_t *one = &held[next_random(&random) % HELD];
        give_up(one);
        // Now small ones for a while, now large ones.
        unsigned most = round / 500 % 2 ? 12 : 24;
        one->size = next_random(&random) % ((size_t)16 << next_random(&random) % (most - 3)) + 16;
        errno = 0;
        one->block = next_random(&random) % 8 ? malloc(one->size) : calloc(1, one->size);
        if (one->block != NULL) {
            mark(*one);
        } else {
            CHECK(errno == ENOMEM);
            __atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
            for (int i = 0; i < HELD; i += 2)
                give_up(&held[i]);
        }
    }
    for (int i = 0; i < HELD; i++)
        give_up(&held[i]);
    return seed;
}

int main(void) {
    size_t used = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%zu", &used) == 1);
    fclose(file);
    pthread_attr_t small;
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 128 * KIB) == 0);
    struct rlimit limit;
    limit.rlim_cur = limit.rlim_max = used * (size_t)sysconf(_SC_PAGESIZE) + ROOM;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    CHECK(pthread_barrier_init(&started, NULL, THREADS) == 0);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], &small, take_and_give, (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK(refused > 0, "the limit was never met");
    void *half = malloc(ROOM / 2);
    CHECK(half != NULL, "what threads freed serves no large block");
    free(half);
    return 0;
}
