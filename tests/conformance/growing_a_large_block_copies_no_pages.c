// Conformance 5: realloc moves the pages of a large block, or grows it in
// place: what was never touched is not made resident by growing, but for one
// huge page, by which the library sees what they cost just now.
// run: confs=default
#include "check.h"

int main(void) {
    size_t n = 128 * MIB;
    char *p = (char *)malloc(n);
    CHECK(p != NULL);
    p[0] = 1;
    size_t before = resident();
    for (int i = 0; i < 4; i++) {
        void *between = malloc(MIB); // stands behind the block, so that it may have to move
        n *= 2;
        CHECK((p = (char *)realloc(p, n)) != NULL);
        CHECK(p[0] == 1);
        p[n - 1] = 1;
        CHECK(resident() < before + 24 * MIB, "%zu MiB resident", (resident() - before) / MIB);
        free(between);
    }
    CHECK((p = (char *)realloc(p, 10 * MIB)) != NULL && p[0] == 1);
    free(p);
    return 0;
}
