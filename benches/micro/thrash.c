// Active false sharing, as in cache-thrash: threads that allocate small blocks at
// the same time and write to them. An allocator that deals out neighbours of one
// cache line to several threads makes the line bounce.
#include "bench.h"

enum { WRITES = 100, KEPT = 4 };

static size_t rounds;

static void work(int id, void *shared)
{
    volatile unsigned char *block[KEPT];
    (void)id, (void)shared;
    for (size_t i = 0; i < rounds; i++) {
        for (int k = 0; k < KEPT; k++)
            block[k] = get(8);
        for (int n = 0; n < WRITES; n++)
            for (int k = 0; k < KEPT; k++)
                block[k][n % 8]++;
        for (int k = 0; k < KEPT; k++)
            free((void *)block[k]);
    }
}

int main(int argc, char **argv)
{
    int threads = arg_threads(argc, argv);
    rounds = scaled(arg_scale(argc, argv), 2e6 / threads);
    run_team(threads, work, NULL);
    return 0;
}
