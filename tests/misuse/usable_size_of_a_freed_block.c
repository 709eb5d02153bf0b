// A small block that was freed before.
#include "check.h"

int main(void) {
    void *p = malloc(48);
    CHECK(p != NULL);
    free(p);
    return (int)(malloc_usable_size(launder(p)) & 0);
}
