// A little of everything, in three threads and a child, checked; "ok" on
// stdout at the end. For tests of the surroundings in which malloc starts.
#include "check.h"

static void *work(void *argument) {
    uint64_t state = (uintptr_t)argument + 1;
    char *kept[64] = {NULL};
    size_t size[64] = {0};
    for (int i = 0; i < 8000; i++) {
        uint64_t r = next_random(&state);
        int s = (int)(r % 64);
        if (kept[s] != NULL)
            CHECK(filled(kept[s], size[s], s));
        size_t n = 1 + next_random(&state) % (r % 64 ? 900 : 90000);
        if (r & 64) {
            free(kept[s]);
            CHECK((kept[s] = (char *)calloc(1, n)) != NULL && all_zero(kept[s], n));
        } else {
            CHECK((kept[s] = (char *)realloc(kept[s], n)) != NULL);
        }
        size[s] = n;
        fill(kept[s], n, s);
    }
    for (int i = 0; i < 64; i++)
        free(kept[i]);
    for (int round = 0; round < 2; round++) {
        char *p = (char *)calloc(1, 3 * MIB);
        CHECK(p != NULL && all_zero(p, 3 * MIB));
        memset(p, 1, 3 * MIB);
        CHECK((p = (char *)realloc(p, 5 * MIB)) != NULL && p[3 * MIB - 1] == 1);
        free(p);
    }
    return NULL;
}

int main(void) {
    pthread_t one = start(work, (void *)1), two = start(work, (void *)2);
    work(NULL);
    join(one);
    join(two);
    pid_t child = fork();
    if (child == 0) {
        work(NULL);
        _exit(0);
    }
    expect_success(child);
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    work((void *)3);
    CHECK(write(1, "ok\n", 3) == 3);
    return 0;
}
