// Waves of blocks of 24 to 1000 bytes, small ones likelier, freed in the order of
// allocation, in reverse, and shuffled, with a fifth of each wave left for later
// ones, as in shbench.
#include "bench.h"

enum { WAVE = 60000 };

static size_t waves;

static void work(int id, void *shared)
{
    unsigned char **block = must(calloc(WAVE, sizeof *block));
    rng_t rng = rng_seeded(80 + (uint64_t)id);
    (void)shared;
    for (size_t wave = 0; wave < waves; wave++) {
        for (size_t i = 0; i < WAVE; i++)
            if (block[i] == NULL)
                block[i] = get(rng_size(&rng, 24, 1000));
        if (wave % 3 == 2)
            for (size_t i = WAVE - 1; i > 0; i--) {
                size_t k = rng_below(&rng, i + 1);
                unsigned char *other = block[k];
                block[k] = block[i];
                block[i] = other;
            }
        for (size_t n = 0; n < WAVE; n++) {
            size_t i = wave % 3 == 1 ? WAVE - 1 - n : n;
            if (rng_below(&rng, 5) == 0)
                continue;
            free(block[i]);
            block[i] = NULL;
        }
    }
    for (size_t i = 0; i < WAVE; i++)
        free(block[i]);
    free(block);
}

int main(int argc, char **argv)
{
    int threads = arg_threads(argc, argv);
    waves = scaled(arg_scale(argc, argv), 150.0 / threads);
    run_team(threads, work, NULL);
    return 0;
}
