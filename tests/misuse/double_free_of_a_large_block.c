// A block of 40 MiB; its pages are the system's when it is freed for the
// second time, and the library may know nothing of it any more.
#include "check.h"

int main(void) {
    void *p = malloc(40 * MIB);
    CHECK(p != NULL);
    free(p);
    free(launder(p));
    return 0;
}
