// In a slab that malloc still takes cells from, and that is not young: the thread made
// many before. Whoever counts its free cells goes round in a circle.
#include "check.h"

enum { MANY = 3000 };
static char *blocks[MANY];

int main(void) {
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = (char *)malloc(1500)) != NULL);
    char *first = (char *)malloc(9000), *second = (char *)malloc(9000);
    free(first);
    free(second);
    free(launder(first));
    malloc_trim(0);
    return 0;
}
