// Of the larger blocks some of those freed last are kept together, and the others by where
// they lie: this one comes to both.
#include "check.h"

enum { MANY = 400, BETWEEN = 100 };
static char *blocks[MANY], *later[2 * MANY];

int main(void) {
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = (char *)malloc(4096)) != NULL);
    for (int i = 0; i < BETWEEN; i++)
        free(blocks[3 * i]);
    free(launder(blocks[0]));
    for (int i = 0; i < 2 * MANY; i++) {
        CHECK((later[i] = (char *)malloc(4096)) != NULL);
        fill(later[i], 4096, i);
    }
    for (int i = 0; i < 2 * MANY; i++)
        CHECK(filled(later[i], 4096, i), "a block was given out twice");
    return 0;
}
