// A static array.
#include "check.h"

static _Alignas(64) char data[256];

int main(void) {
    free(malloc(10));
    free(launder(data));
    return 0;
}
