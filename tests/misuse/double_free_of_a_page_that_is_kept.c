// Of larger blocks some of those freed last are kept together: this one is among them, and is
// then freed like the others of its slab, whose memory serves another size.
#include "check.h"

enum { SIZE = 2304, IN_A_SLAB = 28, SLABS = 4, PAGES = SLABS * IN_A_SLAB + 1, SMALL = 16, SIZES = 8 };
static char *pages[PAGES], *small[SIZES][SMALL];

int main(void) {
    for (int i = 0; i < PAGES; i++)
        CHECK((pages[i] = (char *)malloc(SIZE)) != NULL);
    char *twice = pages[1];
    free(twice);
    // As many as are kept, and then the others of its slab.
    for (int i = IN_A_SLAB; i < PAGES - 1; i++)
        free(pages[i]);
    free(launder(twice));
    for (int i = 0; i < IN_A_SLAB; i++)
        if (pages[i] != twice)
            free(pages[i]);
    for (size_t kind = 0; kind < SIZES; kind++)
        for (int i = 0; i < SMALL; i++) {
            size_t size = 256 + 32 * kind;
            CHECK((small[kind][i] = (char *)malloc(size)) != NULL);
            fill(small[kind][i], size, i);
        }
    for (int i = 0; i < PAGES - 1; i++) {
        CHECK((pages[i] = (char *)malloc(SIZE)) != NULL);
        memset(pages[i], 1, SIZE);
    }
    for (size_t kind = 0; kind < SIZES; kind++)
        for (int i = 0; i < SMALL; i++)
            CHECK(filled(small[kind][i], 256 + 32 * kind, i), "a block was given out twice");
    return 0;
}
