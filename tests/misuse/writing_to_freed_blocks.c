// The program scribbles over blocks that it freed. The library may see it and
// say so; it may not notice, where nothing of its own lies in blocks; but it
// may not give out a block twice or one that overlaps another, nor crash.
#include "check.h"

enum { MANY = 400, SIZE = 64 };
static char *blocks[MANY], *later[4 * MANY], *live[MANY];

int main(void) {
    for (int i = 0; i < MANY; i++) {
        CHECK((blocks[i] = (char *)malloc(SIZE)) != NULL && (live[i] = (char *)malloc(SIZE)) != NULL);
        fill(live[i], SIZE, i);
    }
    for (int i = 0; i < MANY; i++)
        free(blocks[i]);
    for (int i = 0; i < MANY; i++)
        memset(launder(blocks[i]), i % 2 ? 0x41 : 0xF0, SIZE);
    for (int i = 0; i < 4 * MANY; i++) {
        CHECK((later[i] = (char *)malloc(SIZE)) != NULL);
        fill(later[i], SIZE, MANY + i);
    }
    for (int i = 0; i < MANY; i++)
        CHECK(filled(live[i], SIZE, i), "a live block was given out again");
    for (int i = 0; i < 4 * MANY; i++)
        CHECK(filled(later[i], SIZE, MANY + i), "a block was given out twice");
    for (int i = 0; i < 4 * MANY; i++)
        free(later[i]);
    for (int i = 0; i < MANY; i++)
        free(live[i]);
    return 0;
}
