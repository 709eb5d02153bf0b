// A local variable, aligned as a block is.
#include "check.h"

int main(void) {
    _Alignas(64) char local[256] = {0};
    free(malloc(10));
    free(launder(local));
    return local[0];
}
