// Freed by its owner, and again by another thread.
#include "check.h"

static void *thread(void *p) {
    free(launder(p));
    return NULL;
}

int main(void) {
    void *p = malloc(48);
    CHECK(p != NULL);
    free(p);
    join(start(thread, p));
    return 0;
}
