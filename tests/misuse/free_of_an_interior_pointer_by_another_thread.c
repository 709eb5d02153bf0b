// The second granule of a small block, freed by a thread that did not make it.
#include "check.h"

static void *thread(void *p) {
    free(launder((char *)p + 16));
    return NULL;
}

int main(void) {
    void *p = malloc(64);
    CHECK(p != NULL);
    join(start(thread, p));
    return 0;
}
