/* What the test programs share: a check that says what failed and with which
 * seed, random numbers that a seed repeats everywhere, blocks whose contents
 * can be checked, and the questions that are asked of every heap.
 *
 * A program takes one argument, the seed; without it, one is taken from the
 * clock, and printed.
 */
#ifndef TEST_H
#define TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "heap.h"

static unsigned long long test_seed;
static uint64_t test_random_state;

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fflush(stdout);                                                       \
            fprintf(stderr, "%s:%d: %s: not true: %s (heap %s, seed %llu)\n",     \
                    __FILE__, __LINE__, __func__, #condition, HEAP_NAME, test_seed); \
            exit(1);                                                              \
        }                                                                         \
    } while (0)

/* Runs a test, which is a function named after what it promises. */
#define PROMISE(name)                       \
    do {                                    \
        printf("%s: %s\n", HEAP_NAME, #name); \
        fflush(stdout);                     \
        name();                             \
    } while (0)

/* One round of splitmix64 (Steele, Lea, Flood 2014) at `state`. */
static inline uint64_t test_mix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 to `limit` - 1. */
static inline size_t test_random(size_t limit)
{
    return (size_t)(test_mix(&test_random_state) % limit);
}

static inline void test_begin(int argc, char **argv)
{
    test_seed = (unsigned long long)time(NULL);
    if (argc > 2) {
        fprintf(stderr, "usage: %s [SEED]\n", argv[0]);
        exit(2);
    }
    if (argc == 2) {
        char *end;
        test_seed = strtoull(argv[1], &end, 0);
        if (end == argv[1] || *end != '\0') {
            fprintf(stderr, "%s: not a number: %s\n", argv[0], argv[1]);
            exit(2);
        }
    }
    test_random_state = test_seed;
    printf("seed %llu\n", test_seed);
}

/* A block with contents that are known from its tag. */
typedef struct {
    unsigned char *at;
    size_t size;
    uint64_t tag;
} held_t;

static inline unsigned char held_byte(uint64_t tag, size_t i)
{
    return (unsigned char)(tag * 31 + i * 7 + (i >> 8));
}

static inline void held_fill(const held_t *held)
{
    for (size_t i = 0; i < held->size; i++)
        held->at[i] = held_byte(held->tag, i);
}

/* Whether the first `size` bytes are as they were filled. */
static inline int held_intact(const held_t *held, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (held->at[i] != held_byte(held->tag, i))
            return 0;
    return 1;
}

/* Whether the blocks of `heap` stand in order without a gap and agree with
 * its counters, and its own check finds nothing. */
typedef struct {
    uintptr_t next[2];
    uint64_t used, free, blocks;
    int wrong;
} sound_t;

static inline int sound_visit(void *context, const heap_block_t *block)
{
    sound_t *sound = context;
    uintptr_t at = (uintptr_t)block->address;
    uintptr_t *next = &sound->next[block->emergency != 0];
    if ((*next != 0 && at < *next) || at % 16 != 0 || block->size == 0)
        sound->wrong = 1;
    *next = at + block->size;
    *(block->used ? &sound->used : &sound->free) += block->size;
    sound->blocks += block->used != 0;
    return 0;
}

static inline int heap_sound(heap_t *heap)
{
    sound_t sound = {{0, 0}, 0, 0, 0, 0};
    heap_stats_t stats;
    const char *what = NULL;
    const void *address = NULL;
    if (heap_check(heap, &what, &address) != 0) {
        fprintf(stderr, "check: %s at %p\n", what, address);
        return 0;
    }
    heap_walk(heap, sound_visit, &sound);
    heap_stats(heap, &stats);
    return !sound.wrong && sound.used == stats.used && sound.free == stats.free
        && sound.blocks == stats.blocks && stats.used + stats.free == stats.size
        && stats.used <= stats.peak && stats.largest_free <= stats.free;
}

/* The bytes that gets of `size` bytes each can obtain from a fresh heap in
 * `area`, as requested. The heap is full afterwards. */
static inline size_t heap_fill(heap_t *heap, size_t size)
{
    size_t obtained = 0;
    while (heap_get_block(heap, size) != NULL)
        obtained += size;
    return obtained;
}

#endif
