// The last granule of the address space.
#include "check.h"

int main(void) {
    free(malloc(10));
    free(launder((void *)(UINTPTR_MAX - 15)));
    return 0;
}
