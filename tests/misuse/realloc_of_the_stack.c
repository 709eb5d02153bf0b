// A local variable, aligned as a block is.
#include "check.h"

int main(void) {
    _Alignas(64) char local[256] = {0};
    free(malloc(10));
    free(realloc(launder(local), 1000));
    return local[0];
}
