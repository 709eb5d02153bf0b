// Pages that the program mapped itself.
#include "check.h"

int main(void) {
    char *p = (char *)mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    free(malloc(10));
    free(launder(p + 2 * MIB));
    return 0;
}
