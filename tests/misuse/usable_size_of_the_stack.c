// A local variable, aligned as a block is.
#include "check.h"

int main(void) {
    _Alignas(64) char local[256] = {0};
    free(malloc(10));
    return (int)(malloc_usable_size(launder(local)) & 0) + local[0];
}
