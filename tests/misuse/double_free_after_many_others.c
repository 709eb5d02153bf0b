// The block is deep in whatever list it went to.
#include "check.h"

int main(void) {
    enum { MANY = 200 };
    void *blocks[MANY];
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = malloc(48)) != NULL);
    for (int i = 0; i < MANY; i++)
        free(blocks[i]);
    free(launder(blocks[MANY / 2]));
    return 0;
}
