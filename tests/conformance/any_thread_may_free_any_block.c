// Conformance 4: blocks freed and reallocated by other threads than made them,
// by threads that only free, and after their maker died; the memory is used
// again, whoever freed it.
#include "check.h"

enum { RING = 1024, PASSED = 200000 };
static void *_Atomic ring[RING];

static void *producer(void *unused) {
    uint64_t state = 12345;
    for (int i = 0; i < PASSED; i++) {
        size_t n = 16 + next_random(&state) % (i % 100 ? 500 : 40000);
        uint64_t *p = (uint64_t *)malloc(n);
        CHECK(p != NULL);
        *p = n;
        ((unsigned char *)p)[n - 1] = (unsigned char)n;
        while (ring[i % RING] != NULL)
            sched_yield();
        ring[i % RING] = p;
    }
    return unused;
}

static void *consumer(void *unused) {
    for (int i = 0; i < PASSED; i++) {
        uint64_t *p;
        while ((p = (uint64_t *)ring[i % RING]) == NULL)
            sched_yield();
        ring[i % RING] = NULL;
        size_t n = *p;
        CHECK(((unsigned char *)p)[n - 1] == (unsigned char)n);
        if (i % 10 == 0)
            CHECK((p = (uint64_t *)realloc(p, 2 * n)) != NULL && *p == n);
        free(p);
    }
    return unused;
}

enum { LEFT = 5000 };
static char *left[LEFT];

static void *leave(void *unused) {
    for (int i = 0; i < LEFT; i++) {
        CHECK((left[i] = (char *)malloc(200 + i % 1800)) != NULL);
        fill(left[i], 200, i);
    }
    return unused;
}
static void *inherit(void *unused) {
    for (int i = 0; i < LEFT; i++) {
        CHECK(filled(left[i], 200, i));
        free(left[i]);
    }
    return unused;
}

int main(void) {
    size_t before = 0;
    for (int round = 0; round < 3; round++) {
        pthread_t give = start(producer, NULL), take = start(consumer, NULL);
        join(give);
        join(take);
        if (round == 0)
            before = resident();
    }
    CHECK(resident() < before + 12 * MIB, "passing: %zu -> %zu KiB", before / KIB, resident() / KIB);

    for (int round = 0; round < 60; round++) { // 5.5 MB each, 330 in all
        join(start(leave, NULL));
        if (round % 2)
            inherit(NULL);
        else
            join(start(inherit, NULL));
        if (round == 5)
            before = resident();
    }
    CHECK(resident() < before + 16 * MIB, "dead threads: %zu -> %zu KiB", before / KIB,
          resident() / KIB);
    return 0;
}
