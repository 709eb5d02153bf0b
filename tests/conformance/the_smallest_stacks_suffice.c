// Conformance 2 and 4: threads with PTHREAD_STACK_MIN can be made (the
// library's TLS eats their stack), and every path of malloc runs on 16 KiB.
#include "check.h"

#include <limits.h>

static void *use_everything(void *unused) {
    static const size_t sizes[] = {1, 100, 1000, 5000, 40000, 300000, 1 << 20};
    void *kept[LENGTH(sizes)];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < LENGTH(sizes); i++) {
            void *p = malloc(sizes[i]), *q = calloc(1, sizes[i]), *r = aligned_alloc(4096, sizes[i]);
            CHECK(p && q && r);
            CHECK((p = realloc(p, 2 * sizes[i])) != NULL);
            CHECK((q = realloc(q, sizes[i] / 2 + 1)) != NULL);
            free(q);
            free(r);
            kept[i] = p;
        }
        for (size_t i = 0; i < LENGTH(sizes); i++)
            free(kept[i]);
    }
#ifdef __GLIBC__
    malloc_trim(0);
    (void)mallinfo2();
#endif
    return unused;
}

static void *nothing(void *unused) {
    free(malloc(100));
    return unused;
}

static void with_stack(size_t size, void *(*run)(void *)) {
    pthread_attr_t attributes;
    pthread_t threads[8];
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, size) == 0);
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < LENGTH(threads); i++) {
            int error = pthread_create(&threads[i], &attributes, run, NULL);
            CHECK(error == 0, "pthread_create with %zu bytes of stack: %d", size, error);
        }
        for (size_t i = 0; i < LENGTH(threads); i++)
            join(threads[i]);
    }
}

int main(void) {
    with_stack(16 * KIB, nothing);
#ifdef __GLIBC__
    with_stack((size_t)PTHREAD_STACK_MIN, nothing);
    with_stack((size_t)PTHREAD_STACK_MIN, use_everything);
#endif
    with_stack(16 * KIB, use_everything);
    return 0;
}
