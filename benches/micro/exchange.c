// Threads that keep some blocks, free some at once, and swap others through a
// shared table, as in mstress: most blocks are small and now and then one is large.
// In each round new threads inherit what the table still holds.
#include "bench.h"

enum { TABLE = 4000, KEPT = 20000, ROUNDS = 10 };

static unsigned char *table[TABLE];
static size_t steps;

static unsigned char *sized(rng_t *rng)
{
    size_t kind = rng_below(rng, 1000);
    return get(kind < 950   ? rng_size(rng, 8, 512)
               : kind < 999 ? rng_size(rng, 512, 32 << 10)
                            : rng_size(rng, 32 << 10, 512 << 10));
}

static void work(int id, void *shared)
{
    unsigned char **kept = must(calloc(KEPT, sizeof *kept));
    rng_t rng = rng_seeded(1000 * *(uint64_t *)shared + (uint64_t)id);
    for (size_t i = 0; i < steps; i++) {
        unsigned char *block = sized(&rng);
        size_t fate = rng_below(&rng, 10);
        if (fate < 3) {
            free(block);
        } else if (fate < 7) {
            size_t k = rng_below(&rng, KEPT);
            free(kept[k]);
            kept[k] = block;
        } else {
            free(__atomic_exchange_n(&table[rng_below(&rng, TABLE)], block, __ATOMIC_ACQ_REL));
        }
    }
    for (size_t k = 0; k < KEPT; k++)
        free(kept[k]);
    free(kept);
}

int main(int argc, char **argv)
{
    int threads = arg_threads(argc, argv);
    steps = scaled(arg_scale(argc, argv), 11e6 / threads / ROUNDS);
    for (uint64_t round = 0; round < ROUNDS; round++)
        run_team(threads, work, &round);
    for (int i = 0; i < TABLE; i++)
        free(table[i]);
    return 0;
}
