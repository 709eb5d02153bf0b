/* steps-ffit, steps-buddy, steps-ebuddy: builds the worst states of a heap with a
 * given number of free blocks, and makes single calls on each. steps.sh runs it
 * under callgrind, which counts the instructions of each call and writes them
 * down with the label that the call has here:
 *
 *     valgrind --tool=callgrind --instr-atstart=no steps-ffit 100000
 *
 * Every state is a heap filled to the brim, in which then free blocks are
 * scattered that are all too small for the request. What is large enough stands
 * behind them all, so that a search from block to block would see every one.
 * There is no lock: it would be the same number of instructions everywhere. */
#include <valgrind/callgrind.h>

#include "test.h"

enum { ROUNDS = 8, CRUMB = 16 };

typedef struct {
    const char *name;
    size_t largest; /* of the blocks that the heap is filled with */
    size_t request; /* no free block holds it but the last */
} state_t;

static const state_t states[] = {
    {"crumbs", CRUMB, 2 * CRUMB},
    {"every size", 512, 1024},
};

static heap_t heap;
static unsigned char *area;
static size_t area_size, most_area;
static unsigned char **blocks;
static size_t count;

/* What the instructions between the two are counted for. */
#define COUNTED(state, what, call)                \
    do {                                          \
        CALLGRIND_START_INSTRUMENTATION;          \
        call;                                     \
        CALLGRIND_STOP_INSTRUMENTATION;           \
        snprintf(label, sizeof label, "%s, %s", what, state); \
        CALLGRIND_DUMP_STATS_AT(label);           \
    } while (0)

static char label[80];

static void *get(const char *state, const char *what, size_t size)
{
    void *block;
    COUNTED(state, what, block = heap_get_block(&heap, size));
    CHECK(block != NULL);
    return block;
}

static void release(const char *state, const char *what, void *block)
{
    int rc;
    COUNTED(state, what, rc = heap_free_block(&heap, block));
    CHECK(rc == HEAP_OK);
}

static int by_address(const void *a, const void *b)
{
    const unsigned char *x = *(unsigned char *const *)a, *y = *(unsigned char *const *)b;
    return (x > y) - (x < y);
}

static void begin(void)
{
    CHECK(area_size <= most_area);
    CHECK(heap_init(&heap, area, area_size) == HEAP_OK);
    CHECK(heap_set_lock(&heap, NULL, NULL, NULL) == 0);
}

/* Fills the whole heap with blocks of up to `largest` bytes; what is left
 * between them, with crumbs. */
static void fill(size_t largest)
{
    unsigned char *block;
    count = 0;
    while ((block = heap_get_block(&heap, CRUMB * (1 + test_random(largest / CRUMB)))) != NULL)
        blocks[count++] = block;
    while ((block = heap_get_block(&heap, CRUMB)) != NULL)
        blocks[count++] = block;
    qsort(blocks, count, sizeof *blocks, by_address);
}

static int count_free(void *context, const heap_block_t *block)
{
    *(size_t *)context += !block->used;
    return 0;
}

/* Frees the `room` bytes that end the heap, and of every second block before
 * them `holes`, evenly; 0 where there are not so many. */
static int scatter(size_t holes, size_t room)
{
    unsigned char *end = blocks[count - 1] + heap_usable_size(&heap, blocks[count - 1]);
    while (count > 1 && (size_t)(end - blocks[count - 1]) < room)
        CHECK(heap_free_block(&heap, blocks[--count]) == HEAP_OK);
    size_t every_second = (count - 1) / 2;
    if (every_second < holes)
        return 0;
    for (size_t i = 0; i < every_second; i++) {
        if (i * holes / every_second == (i + 1) * holes / every_second)
            continue;
        CHECK(heap_free_block(&heap, blocks[2 * i]) == HEAP_OK);
        blocks[2 * i] = NULL;
    }
    return 1;
}

/* A used block between two free ones, in the given part of ROUNDS. */
static unsigned char **between_two(int part)
{
    size_t parts = count / 2 / ROUNDS;
    size_t i = 2 * (parts * (size_t)part + test_random(parts)) + 1;
    while (blocks[i - 1] != NULL || blocks[i] == NULL || blocks[i + 1] != NULL) {
        i += 2;
        CHECK(i + 1 < count);
    }
    return &blocks[i];
}

static void measure(const state_t *state, size_t holes)
{
    /* The area that is just large enough; each round joins up to three blocks. */
    area_size = holes * state->largest;
    do {
        area_size += area_size / 16;
        begin();
        fill(state->largest);
        /* at whatever address it begins, it has an aligned window */
    } while (!scatter(holes + 2 * ROUNDS, 2 * state->request));
    unsigned char *last = blocks[count - 1];
    for (int round = 0; round < ROUNDS; round++) {
        size_t found = 0;
        heap_walk(&heap, count_free, &found);
        CHECK(found >= holes);

        unsigned char *block = get(state->name, "get behind them all", state->request);
        CHECK(block > last);
        release(state->name, "free behind them all", block);

        unsigned char **between = between_two(round);
        size_t size = heap_usable_size(&heap, *between);
        release(state->name, "free between two", *between);
        *between = NULL;
        block = get(state->name, "get the lowest", size);
        release(state->name, "free the lowest", block);

        /* What was joined may hold the request now: it is filled again. */
        while ((block = heap_get_block(&heap, state->request)) != NULL && block < last)
            ;
        CHECK(block != NULL && heap_free_block(&heap, block) == HEAP_OK);
    }
    CHECK(heap_sound(&heap));
}

/* The whole heap is one free block, and becomes one again. */
static void measure_empty(void)
{
    begin();
    unsigned char *block = get("nothing used", "get the first block", CRUMB);
    release("nothing used", "free the only block", block);
    CHECK(heap_sound(&heap));
}

int main(int argc, char **argv)
{
    char *end = NULL;
    size_t holes = argc == 2 ? (size_t)strtoul(argv[1], &end, 10) : 0;
    if (holes < 2 * ROUNDS || *end != '\0') {
        fprintf(stderr, "usage: %s FREE-BLOCKS   (at least %d)\n", argv[0], 2 * ROUNDS);
        return 2;
    }
    test_random_state = 1;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        most_area = 4 * (holes + 4 * ROUNDS) * states[i].largest;
        area = malloc(most_area);
        blocks = malloc(most_area / CRUMB * sizeof *blocks);
        CHECK(area != NULL && blocks != NULL);
        measure(&states[i], holes);
        if (i == 0)
            measure_empty();
        free(blocks);
        free(area);
    }
    return 0;
}
