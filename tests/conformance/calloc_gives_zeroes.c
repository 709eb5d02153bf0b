// Conformance 3: calloc's bytes are zero, in fresh and in recycled memory of
// every size, also after malloc_trim and in pages given back and taken again.
#include "check.h"

static void *made[64];

int main(void) {
    for (int round = 0; round < 3; round++) {
        for (size_t n = 1; n < 24 * MIB; n = n * 5 / 3 + 1) {
            size_t many = n < 100000 ? LENGTH(made) : n < MIB ? 16 : 3;
            for (size_t i = 0; i < many; i++) {
                CHECK((made[i] = malloc(n)) != NULL);
                memset(made[i], 0xA5, malloc_usable_size(made[i]));
            }
            for (size_t i = 0; i < many; i++)
                free(made[i]);
#ifdef __GLIBC__
            if (round == 1)
                malloc_trim(0);
#endif
            for (size_t i = 0; i < many; i++) {
                size_t width = i % 7 + 1;
                CHECK((made[i] = calloc(n / width + 1, width)) != NULL);
                CHECK(all_zero(made[i], (n / width + 1) * width), "calloc(%zu, %zu)", n / width + 1, width);
                memset(made[i], 0xA5, malloc_usable_size(made[i]));
            }
            for (size_t i = 0; i < many; i++)
                free(made[i]);
        }
    }
    // grow and shrink in place, then see that a calloc over what was left is zero
    for (int i = 0; i < 200; i++) {
        size_t n = 4000 * (size_t)i + 1;
        char *p = (char *)malloc(n);
        CHECK(p != NULL);
        memset(p, 0xA5, n);
        CHECK((p = (char *)realloc(p, n / 3 + 1)) != NULL);
        char *q = (char *)calloc(1, n / 2 + 1);
        CHECK(q != NULL && all_zero(q, n / 2 + 1));
        memset(q, 0xA5, n / 2 + 1);
        free(p);
        free(q);
    }
    return 0;
}
