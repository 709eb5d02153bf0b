// An address that no process of this machine can have.
#include "check.h"

int main(void) {
    free(malloc(10));
    free(launder((void *)(uintptr_t)0xdeadbeefdeadbee0));
    return 0;
}
