// Inside a block that is too large for a slab of small cells.
#include "check.h"

int main(void) {
    char *p = (char *)malloc(150000), *q = (char *)malloc(150000);
    CHECK(p != NULL && q != NULL);
    free(launder(p + 65536));
    return 0;
}
