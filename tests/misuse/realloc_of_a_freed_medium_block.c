// A block of 50,000 bytes: it is a free one, or part of it.
#include "check.h"

int main(void) {
    void *p = malloc(50000), *q = malloc(50000);
    CHECK(p != NULL && q != NULL);
    free(p);
    p = realloc(launder(p), 60000);
    CHECK(p != NULL);
    return 0;
}
