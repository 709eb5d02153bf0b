// A small block that was freed before.
#include "check.h"

int main(void) {
    void *p = malloc(48);
    CHECK(p != NULL);
    free(p);
    free(realloc(launder(p), 1000));
    return 0;
}
