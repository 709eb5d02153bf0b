// So many that by count of the frees nothing is live any more among them.
#include "check.h"

enum { MANY = 20000 };
static char *blocks[MANY];

int main(void) {
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = (char *)malloc(48)) != NULL);
    for (int i = 0; i < MANY; i++)
        if (i % 500 != 0)
            free(blocks[i]);
    for (int i = 0; i < MANY; i++)
        if (i % 500 != 0)
            free(launder(blocks[i]));
    return 0;
}
