// Conformance 4: destructors of pthread keys malloc, free and set their key
// again in all rounds of a thread's exit, before and after the library's own
// has run; thousands of such threads leave nothing behind.
// run: confs=caches
#include "check.h"

enum { KEYS = 6, THREADS = 3200 };
static pthread_key_t keys[KEYS];
static _Atomic int runs;

static void destroy(void *value) {
    // the value's first byte: which key; its second: how often run
    unsigned char *old = (unsigned char *)value;
    CHECK(filled(old + 2, 300, old[0]));
    runs++;
    void *small = malloc(24), *large = calloc(1, 20000);
    CHECK(small != NULL && large != NULL && all_zero(large, 20000));
    unsigned char *next = (unsigned char *)malloc(400 + 100 * old[0]);
    CHECK(next != NULL);
    next[0] = old[0];
    next[1] = (unsigned char)(old[1] + 1);
    fill(next + 2, 300, next[0]);
    free(old);
    free(small);
    CHECK((large = realloc(large, 100)) != NULL);
    free(large);
    if (next[1] < 3)
        CHECK(pthread_setspecific(keys[next[0]], next) == 0);
    else
        free(next);
}

__attribute__((constructor(101))) static void create_keys(void) {
    for (int i = 0; i < KEYS; i++)
        CHECK(pthread_key_create(&keys[i], destroy) == 0);
}

static void *thread(void *unused) {
    for (int i = 0; i < KEYS; i++) {
        unsigned char *value = (unsigned char *)malloc(400);
        CHECK(value != NULL);
        value[0] = (unsigned char)i;
        value[1] = 0;
        fill(value + 2, 300, i);
        CHECK(pthread_setspecific(keys[i], value) == 0);
    }
    return unused;
}

int main(void) {
    size_t before = 0;
    for (int i = 0; i < THREADS; i += 4) {
        pthread_t four[4];
        for (int j = 0; j < 4; j++)
            four[j] = start(thread, NULL);
        for (int j = 0; j < 4; j++)
            join(four[j]);
        if (i == 400)
            before = resident();
    }
    CHECK(runs == THREADS * KEYS * 3, "%d runs", runs);
    CHECK(resident() < before + 8 * MIB, "%zu -> %zu KiB", before / KIB, resident() / KIB);
    return 0;
}
