// Read-only data, and the process's first call of the family.
#include "check.h"

int main(void) {
    free(launder((void *)(uintptr_t)"a string literal that is long enough"));
    return 0;
}
