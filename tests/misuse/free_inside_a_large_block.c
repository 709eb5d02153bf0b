// A page boundary inside a block of many pages.
#include "check.h"

int main(void) {
    char *p = (char *)malloc(40 * MIB);
    CHECK(p != NULL);
    free(launder(p + MIB));
    return 0;
}
