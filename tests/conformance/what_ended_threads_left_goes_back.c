// Conformance 5: threads end with slabs of many classes, in which they have freed all.
// Nobody wants those again, nor calls malloc_trim: while malloc is called, their
// memory goes back.
// run: pool=no confs=default
#include "check.h"

enum { THREADS = 12, CLASSES = 20, CELLS = 30 };
static pthread_barrier_t all_have;

static void *thread(void *argument) {
    void *blocks[CLASSES][CELLS];
    (void)argument;
    for (int class = 0; class < CLASSES; class++)
        for (int i = 0; i < CELLS; i++)
            CHECK((blocks[class][i] = malloc((size_t)(class + 1) * 48)) != NULL);
    pthread_barrier_wait(&all_have);
    for (int class = 0; class < CLASSES; class++)
        for (int i = 0; i < CELLS; i++)
            free(blocks[class][i]);
    return NULL;
}

// What a program does that goes on: gets more blocks than its slabs have free cells.
static void work(void) {
    static void *blocks[3000];
    for (size_t i = 0; i < LENGTH(blocks); i++)
        CHECK((blocks[i] = malloc(3000)) != NULL);
    for (size_t i = 0; i < LENGTH(blocks); i++)
        free(blocks[i]);
}

int main(void) {
    work();
    malloc_trim(0);
    size_t before = mallinfo2().uordblks;
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&all_have, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(thread, NULL);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    size_t left = mallinfo2().uordblks;
    CHECK(left > before + 8 * MIB, "%zu bytes in use, %zu before", left, before);
    // Some ticks of a quarter of a second are promised; a loaded machine may take longer.
    const struct timespec moment = {.tv_nsec = 5000000};
    for (int i = 0; i < 1000 && mallinfo2().uordblks > before + 2 * MIB; i++) {
        work();
        nanosleep(&moment, NULL);
    }
    CHECK(mallinfo2().uordblks <= before + 2 * MIB, "%zu bytes in use, %zu before", mallinfo2().uordblks, before);
    return 0;
}
