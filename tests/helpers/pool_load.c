// A load for a pool of 64 MiB, in the main thread and two others, between two
// writes to descriptor -1 that a system-call trace shows: "begin" and "end".
#include "check.h"

static pthread_barrier_t begin, end;

static void *work(void *argument) {
    uint64_t state = (uintptr_t)argument + 1;
    static __thread char *kept[256];
    static __thread size_t size[256];
    pthread_barrier_wait(&begin);
    for (int i = 0; i < 20000; i++) {
        uint64_t r = next_random(&state);
        int s = (int)(r % 256);
        size_t n = 1 + next_random(&state) % (r % 64 ? 900 : r % 512 ? 50000 : 400000);
        if (kept[s] != NULL)
            CHECK(filled(kept[s], size[s] < 100 ? size[s] : 100, s));
        char *p = (char *)((r >> 9) % 4 == 0 ? realloc(kept[s], n)
                           : (r >> 9) % 4 == 1 ? (free(kept[s]), aligned_alloc(256, n))
                           : (r >> 9) % 4 == 2 ? (free(kept[s]), calloc(n, 1))
                                               : (free(kept[s]), malloc(n)));
        CHECK(p != NULL, "no %zu bytes in the pool", n);
        kept[s] = p;
        size[s] = n;
        fill(p, n < 100 ? n : 100, s);
    }
    for (int i = 0; i < 256; i++)
        free(kept[i]);
    errno = 0;
    CHECK(malloc(64 * MIB) == NULL && errno == ENOMEM);
    CHECK(calloc(200 * MIB, 2) == NULL && errno == ENOMEM);
    malloc_trim(0);
    pthread_barrier_wait(&end);
    return NULL;
}

int main(void) {
    CHECK(pthread_barrier_init(&begin, NULL, 3) == 0 && pthread_barrier_init(&end, NULL, 3) == 0);
    pthread_t one = start(work, (void *)1), two = start(work, (void *)2);
    CHECK(write(-1, "begin", 5) < 0);
    work((void *)3);
    CHECK(write(-1, "end", 3) < 0);
    join(one);
    join(two);
    return 0;
}
