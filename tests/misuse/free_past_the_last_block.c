// A block's start plus sixteen times its size: a block that was never given
// out. A library may take a cell that is free for one that was freed.
#include "check.h"

int main(void) {
    char *p = (char *)malloc(256);
    CHECK(p != NULL);
    free(launder(p + (ptrdiff_t)16 * 256));
    return 0;
}
