// Conformance 4: a thread with a cancellation pending runs through malloc and
// free; one that is cancelled in malloc_stats or malloc_info leaves no lock
// held behind it.
#include "check.h"

static _Atomic int through;

static void *cancelled_before(void *unused) {
    static const size_t sizes[] = {1, 100, 5000, 100000, 1 << 20, 5 << 20};
    CHECK(pthread_cancel(pthread_self()) == 0);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        void *p = malloc(sizes[i]), *q = calloc(1, sizes[i]), *r = aligned_alloc(65536, sizes[i]);
        CHECK(p && q && r && malloc_usable_size(p) >= sizes[i]);
        CHECK((p = realloc(p, 2 * sizes[i])) != NULL);
        free(p);
        free(q);
        free(r);
    }
    CHECK(malloc((size_t)PTRDIFF_MAX - opaque(4096)) == NULL);
    through++;
    pthread_testcancel();
    return unused;
}

#ifdef __GLIBC__
static FILE *nowhere;
static void *report(void *unused) {
    CHECK(pthread_cancel(pthread_self()) == 0);
    malloc_stats();
    malloc_info(0, nowhere);
    pthread_testcancel();
    return unused;
}

static void *allocate(void *unused) {
    for (size_t n = 1; n < 10 * MIB; n = n * 2 + 1)
        free(launder(malloc(n)));
    return unused;
}
#endif

int main(void) {
    for (int i = 0; i < 20; i++) {
        void *result;
        CHECK(pthread_join(start(cancelled_before, NULL), &result) == 0);
        CHECK(through == i + 1, "cancelled within malloc or free");
        CHECK(result == PTHREAD_CANCELED);
    }
#ifdef __GLIBC__
    CHECK((nowhere = fopen("/dev/null", "w")) != NULL);
    int kept = dup(2);
    CHECK(dup2(fileno(nowhere), 2) == 2);
    for (int i = 0; i < 20; i++) {
        join(start(report, NULL));
        allocate(NULL);
        join(start(allocate, NULL));
    }
    CHECK(dup2(kept, 2) == 2);
#endif
    return 0;
}
