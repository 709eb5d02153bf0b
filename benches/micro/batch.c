// The plainest fast path, as in glibc's bench-malloc-simple: a batch of equal
// blocks is allocated and freed in the same order; batches of 1 to 1600 blocks,
// sizes of 16 to 2048 bytes. A block that stays above each batch keeps the fast
// path from becoming a test of how eagerly the top of the heap is given back.
#include "bench.h"

int main(int argc, char **argv)
{
    static const size_t sizes[] = {16, 32, 64, 100, 128, 256, 512, 1024, 2048};
    static const size_t batches[] = {1, 25, 100, 400, 1600};
    static unsigned char *block[1600];
    size_t blocks = scaled(arg_scale(argc, argv), 900000);
    uint64_t sum = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
            unsigned char *above = NULL;
            for (size_t done = 0; done < blocks; done += batches[b]) {
                for (size_t i = 0; i < batches[b]; i++)
                    block[i] = get(sizes[s]);
                if (above == NULL)
                    above = get(64 << 10);
                for (size_t i = 0; i < batches[b]; i++) {
                    sum += block[i][0];
                    free(block[i]);
                }
            }
            free(above);
        }
    print_check(sum);
    return 0;
}
