// Passive false sharing, as in cache-scratch: the main thread allocates adjacent
// small blocks and gives one to each thread, which frees it and goes on
// allocating. Where the thread is given that block again, it writes to a cache
// line that another thread writes to as well.
#include "bench.h"

enum { WRITES = 400 };

static size_t rounds;

static void work(int id, void *shared)
{
    size_t size = 8;
    free(((unsigned char **)shared)[id]);
    for (size_t i = 0; i < rounds; i++) {
        volatile unsigned char *block = get(size);
        for (int n = 0; n < WRITES; n++)
            block[(size_t)n % size]++;
        free((void *)block);
    }
}

int main(int argc, char **argv)
{
    int threads = arg_threads(argc, argv);
    unsigned char *given[256];
    rounds = scaled(arg_scale(argc, argv), 2.6e6 / threads);
    for (int i = 0; i < threads; i++)
        given[i] = get(8);
    run_team(threads, work, given);
    return 0;
}
