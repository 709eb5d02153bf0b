// As double_free_of_a_medium_block, for a block that asked for alignment.
#include "check.h"

int main(void) {
    void *p = aligned_alloc(4096, 100);
    CHECK(p != NULL);
    free(p);
    free(launder(p));
    return 0;
}
