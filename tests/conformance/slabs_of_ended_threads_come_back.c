// Conformance 4: a thread ends while its slabs have long lists of free cells and
// one cell each in use. When that is freed, and memory trimmed, nothing of it is
// left.
// run: confs=caches
#include "check.h"

enum { CLASSES = 16, CELLS = 10000 };
static void *last[CLASSES];

// In slabs that were full once, and in one that never was.
static void *thread(void *argument) {
    static _Thread_local void *blocks[CELLS];
    size_t class = (size_t)(intptr_t)argument;
    for (int i = 0; i < CELLS; i++)
        CHECK((blocks[i] = malloc(16 + 16 * class)) != NULL);
    for (int i = 1; i < CELLS; i++)
        free(blocks[i]);
    for (int i = 1; i < CELLS / 2; i++)
        CHECK((blocks[i] = malloc(16 + 16 * class)) != NULL);
    for (int i = 1; i < CELLS / 2; i++)
        free(blocks[i]);
    last[class] = blocks[0];
    return NULL;
}

int main(void) {
    join(start(thread, NULL)); // what a first thread takes for good
    free(last[0]);
    malloc_trim(0);
    size_t before = mallinfo2().uordblks;
    for (int class = 0; class < CLASSES; class++)
        join(start(thread, (void *)(intptr_t)class));
    CHECK(mallinfo2().uordblks > before);
    for (int class = 0; class < CLASSES; class++)
        free(last[class]);
    malloc_trim(0);
    CHECK(mallinfo2().uordblks <= before, "%zu bytes in use, %zu before", mallinfo2().uordblks, before);
    return 0;
}
