// A calloc mix: zeroed records, tables of 1 to 256 KiB and, now and then, sparse
// ones of 8 MiB of which only a few pages are touched. Every tenth table is read
// whole, so memory that only claims to be zero is found.
#include "bench.h"

enum { SLOTS = 2000 };

int main(int argc, char **argv)
{
    size_t rounds = scaled(arg_scale(argc, argv), 400000);
    static unsigned char *slot[SLOTS];
    rng_t rng = rng_seeded(11);
    uint64_t sum = 0;
    for (size_t i = 0; i < rounds; i++) {
        size_t k = rng_below(&rng, SLOTS);
        size_t kind = rng_below(&rng, 1000);
        size_t size = kind < 970   ? rng_size(&rng, 16, 1024)
                      : kind < 999 ? rng_size(&rng, 1024, 256 << 10)
                                   : 8 << 20;
        free(slot[k]);
        slot[k] = must(calloc(1, size));
        if (size < (1 << 20) && rng_below(&rng, 10) == 0)
            for (size_t b = 0; b < size; b++)
                sum += slot[k][b];
        for (size_t b = 0; b < size; b += size / 8 + 1)
            slot[k][b] = 1;
    }
    if (sum != 0)
        die("calloc gave memory that was not zero");
    return 0;
}
