// The program writes past the end of its blocks into the next ones, free and
// live. As in writing_to_freed_blocks; the neighbours' contents are the program's
// own affair.
#include "check.h"

enum { MANY = 400, SIZE = 64 };
static char *blocks[MANY], *later[MANY];

int main(void) {
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = (char *)malloc(SIZE)) != NULL);
    for (int i = 1; i < MANY; i += 2)
        free(blocks[i]);
    for (int i = 0; i < MANY - 2; i += 2)
        memset(launder(blocks[i]), 0x41, 2 * SIZE);
    for (int i = 0; i < MANY; i++) {
        CHECK((later[i] = (char *)malloc(SIZE)) != NULL);
        fill(later[i], SIZE, i);
    }
    for (int i = 0; i < MANY; i++)
        CHECK(filled(later[i], SIZE, i), "a block was given out twice");
    for (int i = 0; i < MANY; i++)
        free(later[i]);
    for (int i = 0; i < MANY; i += 2)
        free(blocks[i]);
    return 0;
}
