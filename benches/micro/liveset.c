// A live set of random sizes, as in alloc-test: a random slot is freed if it is
// taken and filled if it is not, and every block is written whole. Each thread
// has a live set of its own.
#include "bench.h"

enum { SLOTS = 1 << 16 };

static size_t rounds;

static void work(int id, void *shared)
{
    struct slot {
        unsigned char *block;
        size_t size;
    } *slot = must(calloc(SLOTS, sizeof *slot));
    rng_t rng = rng_seeded(40 + (uint64_t)id);
    uint64_t sum = 0;
    for (size_t i = 0; i < rounds; i++) {
        struct slot *s = &slot[rng_below(&rng, SLOTS)];
        if (s->block != NULL) {
            sum += s->block[s->size / 2];
            free(s->block);
            s->block = NULL;
        } else {
            s->size = rng_size(&rng, 64, 16384);
            s->block = must(malloc(s->size));
            memset(s->block, (int)s->size, s->size);
        }
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(slot[i].block);
    free(slot);
    ((uint64_t *)shared)[id] = sum;
}

int main(int argc, char **argv)
{
    int threads = arg_threads(argc, argv);
    uint64_t sums[256] = {0}, sum = 0;
    rounds = scaled(arg_scale(argc, argv), 7e6 / threads);
    run_team(threads, work, sums);
    for (int i = 0; i < threads; i++)
        sum += sums[i];
    print_check(sum);
    return 0;
}
