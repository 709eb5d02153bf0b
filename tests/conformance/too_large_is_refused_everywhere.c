// Conformance 3: more than PTRDIFF_MAX bytes, before or after adding alignment
// and rounding, is NULL and ENOMEM from every entry point; a realloc that
// fails leaves the block as it was.
#include "check.h"

#define REFUSED(call)                                               \
    do {                                                            \
        errno = 0;                                                  \
        void *refused = (call);                                     \
        CHECK(refused == NULL, #call " size %zx", n);               \
        CHECK(errno == ENOMEM, #call " size %zx", n);               \
    } while (0)

int main(void) {
    void *(*page_alloc)(size_t) = FUNCTION(void *(*)(size_t), pvalloc);
    void *(*valloc_)(size_t) = FUNCTION(void *(*)(size_t), valloc);
    static const size_t sizes[] = {
        (size_t)1 << 48,          (size_t)1 << 62,      (size_t)PTRDIFF_MAX - 4096,
        (size_t)PTRDIFF_MAX - 16, PTRDIFF_MAX,          (size_t)PTRDIFF_MAX + 1,
        (size_t)3 << 62,          SIZE_MAX - (1 << 20), SIZE_MAX - 4096,
        SIZE_MAX - 4095,          SIZE_MAX - 64,        SIZE_MAX - 16,
        SIZE_MAX - 15,            SIZE_MAX - 8,         SIZE_MAX - 1,
        SIZE_MAX,
    };
    static const size_t old_sizes[] = {1, 100, 5000, 300000, 3 << 20};
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        size_t n = opaque(sizes[i]);
        REFUSED(malloc(n));
        REFUSED(calloc(1, n));
        REFUSED(calloc(n, 1));
        REFUSED(realloc(NULL, n));
        REFUSED(reallocarray(NULL, n, 1));
        REFUSED(valloc_(n));
        REFUSED(page_alloc(n));
        for (size_t align = 8; align <= (size_t)1 << 62; align <<= 3) {
            REFUSED(aligned_alloc(align, n));
            REFUSED(memalign(align, n));
            void *kept = &kept;
            CHECK(posix_memalign(&kept, align, n) == ENOMEM, "%zx, %zx", align, n);
            CHECK(kept == &kept, "posix_memalign wrote its result on failure");
        }
        for (size_t j = 0; j < LENGTH(old_sizes); j++) {
            char *p = (char *)malloc(old_sizes[j]);
            CHECK(p != NULL);
            fill(p, old_sizes[j], j);
            REFUSED(realloc(p, n));
            REFUSED(reallocarray(p, n, 1));
            CHECK(filled(p, old_sizes[j], j));
            free(p);
        }
    }
    // products that overflow, to something small or to zero
    static const size_t factors[][2] = {
        {(size_t)1 << 33, (size_t)1 << 33}, {(size_t)1 << 32, (size_t)1 << 32},
        {SIZE_MAX, 2},                      {2, SIZE_MAX},
        {SIZE_MAX, SIZE_MAX},               {((size_t)1 << 63) + 8, 2},
        {(size_t)1 << 31, (size_t)1 << 32}, {SIZE_MAX / 3 + 1, 3},
    };
    char *p = (char *)malloc(100);
    fill(p, 100, 7);
    for (size_t i = 0; i < LENGTH(factors); i++) {
        size_t n = opaque(factors[i][0]), m = opaque(factors[i][1]);
        REFUSED(calloc(n, m));
        REFUSED(reallocarray(NULL, n, m));
        REFUSED(reallocarray(p, n, m));
        CHECK(filled(p, 100, 7));
    }
    free(p);
    size_t n = opaque((size_t)1 << 62);
    REFUSED(memalign(n, n));
    REFUSED(memalign(n, 16));
    REFUSED(aligned_alloc(n, n));
    return 0;
}
