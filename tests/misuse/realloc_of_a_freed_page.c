// A block of a page, not in the slab that malloc takes from: those freed last are kept apart
// from the others.
#include "check.h"

enum { MANY = 100 };
static void *blocks[MANY];

int main(void) {
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = malloc(4096)) != NULL);
    free(blocks[3]);
    free(realloc(launder(blocks[3]), 20000));
    return 0;
}
