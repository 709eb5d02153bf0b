// Large blocks again and again, as in malloc-large: 20 live blocks of 1 to
// 16 MiB, each page written once, replaced in random order. An allocator that
// returns each block to the system pays a fault for every page.
#include "bench.h"

enum { LIVE = 20 };

int main(int argc, char **argv)
{
    size_t rounds = scaled(arg_scale(argc, argv), 900);
    unsigned char *block[LIVE] = {NULL};
    rng_t rng = rng_seeded(7);
    for (size_t i = 0; i < rounds; i++) {
        size_t k = rng_below(&rng, LIVE), size = rng_between(&rng, 1 << 20, 16 << 20);
        free(block[k]);
        block[k] = get(size);
    }
    for (int i = 0; i < LIVE; i++)
        free(block[i]);
    return 0;
}
