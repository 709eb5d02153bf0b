// demand COUNT SIZE [SMALLEST]: holds COUNT blocks of SIZE bytes at once, and
// nothing else but, before that, one of SMALLEST bytes that it resizes where it
// stands to half of it, and one at a multiple of 64. Status 3 where a request
// is refused.
#include "check.h"

int main(int count, char **arguments) {
    CHECK(count >= 3);
    size_t blocks = strtoul(arguments[1], NULL, 10), size = strtoul(arguments[2], NULL, 10);
    if (count > 3) {
        size_t smallest = strtoul(arguments[3], NULL, 10);
        free(realloc(malloc(smallest), smallest / 2));
        free(aligned_alloc(64, smallest));
    }
    int status = 0;
    void **last = NULL;
    for (size_t i = 0; i < blocks; i++) {
        void **block = malloc(size);
        if (block == NULL) {
            status = 3;
            break;
        }
        *block = last;
        last = block;
    }
    while (last != NULL) {
        void **next = *last;
        free(last);
        last = next;
    }
    return status;
}
