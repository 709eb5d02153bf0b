// Threads that each replace random blocks of a small set, as in glibc's
// bench-malloc-thread: sizes follow an inverse power law from 4 bytes to
// 32 KiB, and nothing crosses threads.
#include "bench.h"

enum { SLOTS = 1024, SIZES = 8192 };

static size_t rounds;

static void work(int id, void *shared)
{
    (void)shared;
    unsigned char *slot[SLOTS] = {NULL};
    uint16_t size[SIZES];
    rng_t rng = rng_seeded(60 + (uint64_t)id);
    for (size_t i = 0; i < SIZES; i++)
        size[i] = (uint16_t)rng_size(&rng, 4, 32768);
    for (size_t i = 0; i < rounds; i++) {
        size_t s = rng_below(&rng, SLOTS);
        free(slot[s]);
        slot[s] = get(size[i % SIZES]);
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(slot[i]);
}

int main(int argc, char **argv)
{
    int threads = arg_threads(argc, argv);
    rounds = scaled(arg_scale(argc, argv), 36e6 / threads);
    run_team(threads, work, NULL);
    return 0;
}
