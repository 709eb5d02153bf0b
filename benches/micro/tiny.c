// A program that allocates almost nothing: what does the allocator's start cost
// in memory?
#include "bench.h"

int main(int argc, char **argv)
{
    size_t blocks = scaled(arg_scale(argc, argv), 100);
    rng_t rng = rng_seeded(12);
    for (size_t i = 0; i < blocks; i++)
        free(get(rng_size(&rng, 16, 1024)));
    unsigned char *kept = get(100);
    print_metric("rss_kib", rss_kib());
    free(kept);
    return 0;
}
