// Freed twice by a thread that did not make it; the first free may still
// wait in the owner's list.
#include "check.h"

static void *thread(void *p) {
    free(p);
    free(launder(p));
    return NULL;
}

int main(void) {
    void *p = malloc(48);
    CHECK(p != NULL);
    join(start(thread, p));
    for (int i = 0; i < 1000; i++) // the owner collects
        free(launder(malloc(48)));
    return 0;
}
