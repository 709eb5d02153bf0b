// A block of 150,000 bytes; when it is freed, it may have become part of a
// larger free block, or its pages the system's, and is then known no more.
#include "check.h"

int main(void) {
    void *p = malloc(150000), *q = malloc(150000);
    CHECK(p != NULL && q != NULL);
    free(p);
    free(launder(p));
    return 0;
}
