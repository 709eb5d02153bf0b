// The second granule of a small block.
#include "check.h"

int main(void) {
    char *p = (char *)malloc(64);
    CHECK(p != NULL);
    return (int)(malloc_usable_size(launder(p + 16)) & 0);
}
