// Of larger blocks those freed last are kept together: this one is in a slab in which nothing
// was in use any more, and whose memory then serves another size.
#include "check.h"

enum { SIZE = 2304, IN_A_SLAB = 28, PAGES = 2 * IN_A_SLAB + 1, SMALL = 16, SLAB = 64 * KIB };
static char *pages[PAGES], *small[SMALL];

static int together(const void *one, const void *other) { return (uintptr_t)one / SLAB == (uintptr_t)other / SLAB; }

int main(void) {
    // Two slabs, and the first block of a third, from which malloc takes.
    for (int i = 0; i < PAGES; i++)
        CHECK((pages[i] = (char *)malloc(SIZE)) != NULL);
    for (int i = 0; i < PAGES - 1; i++)
        free(pages[i]);
    // Other sizes want slabs, until one gets one of the two.
    void *other = NULL;
    for (size_t size = 480; size > 256 && !together(other, pages[0]) && !together(other, pages[IN_A_SLAB]); size -= 32)
        CHECK((other = malloc(size)) != NULL);
    char *twice = pages[together(other, pages[0]) ? IN_A_SLAB + 1 : 1];
    free(launder(twice));
    // And another gets the other one.
    for (int i = 0; i < SMALL; i++) {
        CHECK((small[i] = (char *)malloc(256)) != NULL);
        fill(small[i], 256, i);
    }
    for (int i = 0; i < SMALL; i++)
        if (small[i] == twice)
            free(small[i]);
    char *page = (char *)malloc(SIZE);
    CHECK(page != NULL);
    memset(page, 1, SIZE);
    for (int i = 0; i < SMALL; i++)
        CHECK(small[i] == twice || filled(small[i], 256, i), "a block was given out twice");
    return 0;
}
