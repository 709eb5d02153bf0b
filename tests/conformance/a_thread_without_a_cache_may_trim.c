// Conformance 5: malloc_trim gives back what ended threads left and others freed
// since, also when the thread that calls it has ended but for its destructors.
// run: pool=no
#include "check.h"

enum { BLOCKS = 10000, SIZE = 8000 };
static char *blocks[BLOCKS];
static pthread_key_t key;

static void trim(void *value) {
    (void)value;
    malloc_trim(0);
}

static void *allocate(void *unused) {
    for (int i = 0; i < BLOCKS; i++) {
        CHECK((blocks[i] = malloc(SIZE)) != NULL);
        memset(blocks[i], 1, SIZE);
    }
    return unused;
}

static void *end_with_trim(void *value) {
    // The library's own key is older than this one, so its destructor runs before.
    free(malloc(1));
    CHECK(pthread_setspecific(key, value) == 0);
    return NULL;
}

static void run(void *(*start)(void *)) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, start, blocks) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(void) {
    free(malloc(1));
    CHECK(pthread_key_create(&key, trim) == 0);
    run(allocate);
    size_t before = resident();
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    run(end_with_trim);
    size_t after = resident();
    CHECK(after < before - BLOCKS * SIZE / 4 * 3, "%zu of %zu KiB are resident", after / KIB, before / KIB);
    return 0;
}
