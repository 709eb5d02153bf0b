// Of a block that was got long before: many of its size came after it. Whoever
// does not look at the block when it is freed must when it is given out again.
#include "check.h"

enum { MANY = 20000 };
static char *blocks[MANY], *later[MANY];

int main(void) {
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = (char *)malloc(48)) != NULL);
    free(blocks[100]);
    free(blocks[200]);
    free(launder(blocks[100]));
    for (int i = 0; i < MANY; i++) {
        CHECK((later[i] = (char *)malloc(48)) != NULL);
        fill(later[i], 48, i);
    }
    for (int i = 0; i < MANY; i++)
        CHECK(filled(later[i], 48, i), "a block was given out twice");
    return 0;
}
