// Conformance 3: posix_memalign says EINVAL and leaves its result alone;
// aligned_alloc is NULL and EINVAL for anything but a power of two, yet takes
// small alignments and sizes that are no multiple; memalign rounds a bad
// alignment up or refuses it.
#include "check.h"

int main(void) {
    static const size_t never[] = {0, 3, 5, 6, 7, 12, 24, 48, 100, 4095, 4097, SIZE_MAX, SIZE_MAX / 2};
    for (size_t i = 0; i < LENGTH(never); i++) {
        size_t align = opaque(never[i]);
        void *p = &p;
        CHECK(posix_memalign(&p, align, 100) == EINVAL && p == &p, "%zu", align);
        errno = 0;
        p = aligned_alloc(align, 100);
        CHECK(p == NULL && errno == EINVAL, "aligned_alloc(%zu, 100)", align);
    }
    for (size_t align = 1; align < sizeof(void *); align *= 2) {
        void *p = &p;
        CHECK(posix_memalign(&p, opaque(align), 100) == EINVAL && p == &p, "%zu", align);
        p = aligned_alloc(opaque(align), 100);
        CHECK(p != NULL);
        free(p);
        p = memalign(opaque(align), 100);
        CHECK(p != NULL);
        free(p);
    }
    for (size_t align = 16; align <= 65536; align *= 2) {
        void *p = aligned_alloc(align, align + 1);
        CHECK(p != NULL && (uintptr_t)p % align == 0);
        free(p);
    }
    for (size_t align = 3; align < 5000; align += align / 2) {
        errno = 0;
        void *p = memalign(opaque(align), 100);
        CHECK(p != NULL || errno == EINVAL, "memalign(%zu, 100)", align);
        size_t up = 1;
        while (up < align)
            up *= 2;
        CHECK((uintptr_t)p % up == 0);
        free(p);
    }
    return 0;
}
