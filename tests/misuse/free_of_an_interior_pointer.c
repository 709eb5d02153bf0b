// The second granule of a small block, aligned as a block is.
#include "check.h"

int main(void) {
    char *p = (char *)malloc(64);
    CHECK(p != NULL);
    free(launder(p + 16));
    return 0;
}
