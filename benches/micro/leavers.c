// Threads that end and leave blocks behind, as in mleak: each generation frees
// what the one before it left, so live memory is bounded; an allocator that does
// not take over a dead thread's heap grows with every generation.
#include "bench.h"

enum { LEFT = 60000 };

static unsigned char **left[256];

static void work(int id, void *shared)
{
    rng_t rng = rng_seeded(1000 * *(uint64_t *)shared + (uint64_t)id);
    unsigned char **before = left[id], **mine = must(calloc(LEFT, sizeof *mine));
    for (size_t i = 0; i < LEFT; i++) {
        mine[i] = get(rng_size(&rng, 16, 256));
        if (before != NULL)
            free(before[i]);
        free(get(rng_size(&rng, 16, 1024)));
    }
    free(before);
    left[id] = mine;
}

int main(int argc, char **argv)
{
    int threads = arg_threads(argc, argv);
    size_t generations = scaled(arg_scale(argc, argv), 100.0 / threads);
    // A team of one would be the calling thread, which does not end.
    if (threads < 2)
        die("leavers needs two threads or more");
    for (uint64_t g = 0; g < generations; g++)
        run_team(threads, work, &g);
    for (int i = 0; i < threads; i++) {
        for (size_t k = 0; k < LEFT; k++)
            free(left[i][k]);
        free(left[i]);
    }
    print_metric("rss_after_kib", rss_kib());
    return 0;
}
