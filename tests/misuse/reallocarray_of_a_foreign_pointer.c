// reallocarray is realloc to whoever reads the line.
#include "check.h"

int main(void) {
    static _Alignas(64) char data[256];
    free(malloc(10));
    free(reallocarray(launder(data), 10, 100));
    return 0;
}
