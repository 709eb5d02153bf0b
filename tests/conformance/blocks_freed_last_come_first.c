// Blocks of 2 to 16 KiB that a thread freed last are the next that it gets of their size, while
// they are in the processor's cache, wherever they lie.
// run: confs=default pool=no
#include "check.h"

enum { MANY = 200, FREED = 4 };

int main(void) {
    if (getenv("MEMMAN") == NULL)
        skip("others may do otherwise");
    static const size_t sizes[] = {2100, 4096, 5000, 8192, 12000, 16384};
    static char *blocks[MANY];
    for (size_t s = 0; s < LENGTH(sizes); s++) {
        for (int i = 0; i < MANY; i++)
            CHECK((blocks[i] = (char *)malloc(sizes[s])) != NULL);
        // What a slab that still grows has goes first.
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < FREED; i++)
                free(blocks[i * MANY / FREED + round]);
            for (int i = FREED - 1; i >= 0; i--) {
                char *block = (char *)malloc(sizes[s]);
                CHECK(block == blocks[i * MANY / FREED + round], "%zu bytes: another block than that freed last", sizes[s]);
            }
        }
    }
    return 0;
}
