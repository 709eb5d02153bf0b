// The second granule of a small block.
#include "check.h"

int main(void) {
    char *p = (char *)malloc(64);
    CHECK(p != NULL);
    free(realloc(launder(p + 16), 100));
    return 0;
}
