// a, b, a: a check against the last freed block alone does not see it.
#include "check.h"

int main(void) {
    void *a = malloc(48), *b = malloc(48), *c = malloc(48);
    CHECK(a && b && c);
    free(a);
    free(b);
    free(launder(a));
    return 0;
}
