// All blocks of a slab are free already, and the thread may keep the slab for its next requests.
#include "check.h"

enum { MANY = 20000 };
static char *blocks[MANY];

int main(void) {
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = (char *)malloc(48)) != NULL);
    for (int i = 0; i < MANY; i++)
        free(blocks[i]);
    free(launder(blocks[MANY - 3000]));
    return 0;
}
