// The program scribbles over blocks that it freed. Harmless where nothing of
// the library's own lies in blocks. Where free cells hold their list, what was
// written is no address, and to follow it ends in SIGSEGV. No block may be
// given out twice or overlap another.
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
