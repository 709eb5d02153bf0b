// A block of 50,000 bytes, freed before others of the same size.
#include "check.h"

int main(void) {
    enum { MANY = 8 };
    void *blocks[MANY];
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = malloc(50000)) != NULL);
    for (int i = 0; i < MANY; i++)
        free(blocks[i]);
    free(launder(blocks[MANY / 2]));
    return 0;
}
