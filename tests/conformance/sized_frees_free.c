// Conformance 1, C23: free_sized and free_aligned_sized free a block of the
// size it was asked with, and do nothing with NULL.
#include "check.h"

int main(void) {
    void (*sized)(void *, size_t) = FUNCTION(void (*)(void *, size_t), free_sized);
    void (*aligned)(void *, size_t, size_t) =
        FUNCTION(void (*)(void *, size_t, size_t), free_aligned_sized);
    if (sized == NULL || aligned == NULL) {
        CHECK(getenv("MEMMAN") == NULL, "memman exports both");
        skip("this malloc has no free_sized");
    }
    sized(NULL, 0);
    sized(NULL, 4711);
    aligned(NULL, 64, 4711);
    size_t before = 0;
    for (int round = 0; round < 200; round++) {
        for (size_t n = 0; n < 4 * MIB; n = n * 2 + 1) {
            char *p = (char *)malloc(n), *q = (char *)calloc(1, n), *r = (char *)realloc(NULL, n);
            char *s = (char *)aligned_alloc(128, n);
            CHECK(p && q && r && s);
            if (n > 0)
                p[0] = q[n - 1] = r[n / 2] = s[n - 1] = 1;
            errno = 4711;
            sized(p, n);
            sized(q, n);
            sized(r, n);
            aligned(s, 128, n);
            CHECK(errno == 4711);
        }
        if (round == 20)
            before = resident();
    }
    CHECK(resident() < before + 16 * MIB, "blocks were not freed");
    return 0;
}
