// A multiple of 16 inside a block of a page: of the larger cells free looks at where they begin.
#include "check.h"

int main(void) {
    char *p = (char *)malloc(4096);
    CHECK(p != NULL);
    free(launder(p + 64));
    return 0;
}
