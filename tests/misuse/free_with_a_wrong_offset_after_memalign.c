// An aligned block is freed by what a program thinks its header's address is.
#include "check.h"

int main(void) {
    char *p = (char *)aligned_alloc(4096, 8192);
    CHECK(p != NULL);
    free(launder(p + 4096));
    return 0;
}
