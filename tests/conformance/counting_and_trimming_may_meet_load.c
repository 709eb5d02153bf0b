// Conformance 1 and 4: one thread asks for statistics and trims while others
// allocate, free and hand on blocks of all sizes, and end. When all is freed,
// nothing is counted as live but what free lists keep.
// run: static=no
#include "check.h"

enum { THREADS = 3, LOADS = 60, SLOTS = 64, CALLS = 1000 };
static void *handed[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool done;

static size_t random_size(uint64_t *state) {
    uint64_t kind = next_random(state) % 1000, log = next_random(state) % 10;
    if (kind < 3)
        return 6 * MIB; // a mapping of its own
    return ((size_t)1 << (kind < 100 ? 11 + log : 4 + log)) - log;
}

static void *load(void *argument) {
    uint64_t state = (uintptr_t)argument + 3;
    static _Thread_local void *own[SLOTS];
    for (int i = 0; i < CALLS; i++) {
        uint64_t r = next_random(&state);
        void **block = &own[r % SLOTS];
        size_t n = random_size(&state);
        if (r & 256) {
            pthread_mutex_lock(&lock);
            void *swap = handed[r % SLOTS];
            handed[r % SLOTS] = *block;
            pthread_mutex_unlock(&lock);
            *block = swap;
        }
        if (r & 512) {
            free(*block);
            *block = r & 1024 ? malloc(n) : calloc(1, n);
        } else {
            *block = realloc(*block, n);
        }
        CHECK(*block != NULL);
        fill(*block, n < 100 ? n : 100, r);
    }
    for (int i = 0; i < SLOTS; i++) {
        free(own[i]);
        own[i] = NULL;
    }
    return NULL;
}

// One thread after another.
static void *loads(void *argument) {
    for (intptr_t i = 0; i < LOADS; i++)
        join(start(load, (void *)((intptr_t)argument * LOADS + i)));
    return NULL;
}

static void *ask(void *unused) {
    void *block = malloc(1); // a thread that has a cache, too
    while (!done) {
        struct mallinfo2 info = mallinfo2();
        CHECK(info.uordblks + info.hblkhd < 4 * GIB, "%zu + %zu bytes are live", info.uordblks, info.hblkhd);
        malloc_trim(0);
        struct timespec moment = {0, 1000000};
        nanosleep(&moment, NULL);
    }
    free(block);
    return unused;
}

int main(void) {
    pthread_t asks = start(ask, NULL), threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(loads, (void *)(intptr_t)i);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    done = true;
    join(asks);
    for (int i = 0; i < SLOTS; i++)
        free(handed[i]);
    malloc_trim(0);
    struct mallinfo2 info = mallinfo2();
    CHECK(info.uordblks + info.hblkhd < MIB, "%zu + %zu bytes are live", info.uordblks, info.hblkhd);
    return 0;
}
