// An address in the first page: often a member of a null pointer.
#include "check.h"

int main(void) {
    free(malloc(10));
    free(launder((void *)(uintptr_t)0x20));
    return 0;
}
