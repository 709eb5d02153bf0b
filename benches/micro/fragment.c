// A fragmented heap, 95 % of which is freed at random: what does the process
// keep? Then the survivors' program goes on with larger blocks that fit no hole.
// With the word `settle` behind SCALE it does a second of light work instead, in
// which an allocator that returns pages after a while gets to do so.
#include "bench.h"
#include <time.h>

enum { BLOCKS = 40000, LATER = 3000 };

// Every doubling from 16 bytes to 32 KiB is equally likely: the small survivors
// lie among pages of large blocks that are free.
static size_t any_size(rng_t *rng)
{
    size_t low = (size_t)16 << rng_below(rng, 11);
    return rng_between(rng, low, low * 2);
}

int main(int argc, char **argv)
{
    size_t rounds = scaled(arg_scale(argc, argv), 12);
    int settle = argc > 2 && strcmp(argv[2], "settle") == 0;
    unsigned char **block = must(calloc(BLOCKS, sizeof *block));
    unsigned char **later = must(calloc(LATER, sizeof *later));
    rng_t rng = rng_seeded(9);
    if (settle)
        rounds = 1;
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < BLOCKS; i++)
            if (block[i] == NULL)
                block[i] = get(any_size(&rng));
        if (settle)
            print_metric("rss_full_kib", rss_kib());
        for (size_t i = 0; i < BLOCKS; i++)
            if (rng_below(&rng, 20) != 0) {
                free(block[i]);
                block[i] = NULL;
            }
        if (settle) {
            print_metric("rss_after_kib", rss_kib());
            struct timespec pause = {0, 1000000};
            for (int ms = 0; ms < 1000; ms++) {
                for (int n = 0; n < 20; n++) {
                    size_t k = rng_below(&rng, LATER);
                    free(later[k % 200]);
                    later[k % 200] = get(any_size(&rng));
                }
                nanosleep(&pause, NULL);
            }
            print_metric("rss_settled_kib", rss_kib());
            return 0;
        }
        for (size_t i = 0; i < LATER; i++)
            later[i] = get(rng_between(&rng, 33000, 60000));
        for (size_t i = 0; i < LATER; i++)
            free(later[i]);
    }
    return 0;
}
