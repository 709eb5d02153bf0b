// One byte into a block: no block starts at an odd address.
#include "check.h"

int main(void) {
    char *p = (char *)malloc(100);
    CHECK(p != NULL);
    free(launder(p + 1));
    return 0;
}
