// Conformance 4: each thread of a generation frees, in no order, blocks that all
// threads of the one before left in the same slabs, and gets others; no block
// loses its contents, and memory does not grow with the generations.
#include "check.h"

enum { GENERATIONS = 40, THREADS = 4, BLOCKS = 4000, LARGEST = 700 };

static struct block {
    size_t bytes;
    unsigned char byte, *start;
} left[2][THREADS][BLOCKS];
static int generation;

static void make(struct block *block, uint64_t *state) {
    block->bytes = 16 + next_random(state) % LARGEST;
    block->byte = (unsigned char)next_random(state);
    CHECK((block->start = malloc(block->bytes)) != NULL);
    memset(block->start, block->byte, block->bytes);
}

static void drop(struct block *block) {
    for (size_t i = 0; i < block->bytes; i++)
        CHECK(block->start[i] == block->byte, "byte %zu of %zu", i, block->bytes);
    free(block->start);
}

static void *work(void *argument) {
    size_t number = (size_t)(uintptr_t)argument;
    uint64_t state = (uint64_t)generation * THREADS + number + 1;
    struct block(*before)[BLOCKS] = left[generation % 2], *mine = left[(generation + 1) % 2][number];
    for (size_t i = 0; i < BLOCKS; i++) {
        make(&mine[i], &state);
        // Of thread `number`, then of the next: each block is one thread's to free.
        if (generation > 0)
            drop(&before[(number + i) % THREADS][i * 7 % BLOCKS]);
        struct block brief;
        make(&brief, &state);
        drop(&brief);
    }
    return NULL;
}

int main(void) {
    size_t early = 0, late = 0;
    for (; generation < GENERATIONS; generation++) {
        pthread_t threads[THREADS];
        for (size_t i = 0; i < THREADS; i++)
            threads[i] = start(work, (void *)(uintptr_t)i);
        for (size_t i = 0; i < THREADS; i++)
            join(threads[i]);
        if (generation == GENERATIONS / 4)
            early = resident();
    }
    late = resident();
    CHECK(late <= early + early / 2, "%zu KiB after a quarter, %zu at the end", early / KIB, late / KIB);
    return 0;
}
