// A local variable of a thread whose stack lies among the other mappings.
#include "check.h"

static void *thread(void *unused) {
    _Alignas(64) char local[256] = {0};
    free(malloc(10));
    free(launder(local));
    return local[0] ? unused : NULL;
}

int main(void) {
    join(start(thread, NULL));
    return 0;
}
