// Growing reallocs: 16 buffers appended to in turn up to 4 MiB each, so that none
// can always grow in place; short strings that double; and trims back to size.
#include "bench.h"

enum { BUFFERS = 16, STRINGS = 4000 };

int main(int argc, char **argv)
{
    size_t rounds = scaled(arg_scale(argc, argv), 12);
    rng_t rng = rng_seeded(10);
    uint64_t sum = 0;
    for (size_t round = 0; round < rounds; round++) {
        unsigned char *buffer[BUFFERS] = {NULL};
        size_t length[BUFFERS] = {0};
        for (int step = 0; step < 16 * 250; step++) {
            int k = step % BUFFERS;
            size_t more = rng_between(&rng, 1000, 32000);
            buffer[k] = must(realloc(buffer[k], length[k] + more));
            memset(buffer[k] + length[k], k, more);
            length[k] += more;
        }
        for (int k = 0; k < BUFFERS; k++) {
            buffer[k] = must(realloc(buffer[k], length[k] / 3));
            sum += buffer[k][length[k] / 3 - 1];
        }
        for (int n = 0; n < STRINGS; n++) {
            size_t goal = rng_size(&rng, 32, 16384), room = 16;
            unsigned char *text = must(malloc(room));
            while (room < goal) {
                memset(text, n, room);
                room *= 2;
                text = must(realloc(text, room));
            }
            text = must(realloc(text, goal));
            sum += text[0];
            free(text);
        }
        for (int k = 0; k < BUFFERS; k++)
            free(buffer[k]);
    }
    print_check(sum);
    return 0;
}
