// Conformance 4: 20,000 short threads, each of which leaves half of its blocks
// to be freed by another, and never more than 16 at once: memory stays bounded,
// and what they leave, without free memory, does not grow.
// run: confs=caches
#include "check.h"

enum { THREADS = 20000, AT_ONCE = 16, BLOCKS = 48 };
static void *left[AT_ONCE][BLOCKS / 2];

static void *thread(void *argument) {
    int number = (int)(intptr_t)argument;
    void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        size_t n = 16 + (size_t)(i * i * 3 + number % 100);
        CHECK((blocks[i] = malloc(n)) != NULL);
        memset(blocks[i], i, n);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 2)
            left[number % AT_ONCE][i / 2] = blocks[i];
        else
            free(blocks[i]);
    }
    return NULL;
}

int main(void) {
    size_t before = 0;
    for (int i = 0; i < THREADS; i += AT_ONCE) {
        pthread_t threads[AT_ONCE];
        for (int j = 0; j < AT_ONCE; j++)
            threads[j] = start(thread, (void *)(intptr_t)(i + j));
        for (int j = 0; j < AT_ONCE; j++)
            join(threads[j]);
        for (int j = 0; j < AT_ONCE; j++)
            for (int k = 0; k < BLOCKS / 2; k++)
                free(left[j][k]);
        CHECK(resident() < 64 * MIB, "%zu KiB after %d threads", resident() / KIB, i);
        if (i == AT_ONCE * 300) {
            malloc_trim(0);
            before = resident();
        }
    }
    malloc_trim(0);
    CHECK(resident() < before + 2 * MIB, "%zu -> %zu KiB", before / KIB, resident() / KIB);
    return 0;
}
