// The same small block twice, nothing between.
#include "check.h"

int main(void) {
    void *p = malloc(48);
    CHECK(p != NULL);
    free(p);
    free(launder(p));
    return 0;
}
