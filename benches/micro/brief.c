// 20,000 short threads: each allocates a few blocks, frees some of its own and of
// one that went before, and ends; up to THREADS live at once.
#include "bench.h"

enum { SHARED = 512, BLOCKS = 40 };

static unsigned char *shared_block[SHARED];

static void *live(void *arg)
{
    rng_t rng = rng_seeded((uint64_t)(uintptr_t)arg);
    unsigned char *own[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        own[i] = get(rng_size(&rng, 16, 4096));
    for (int i = 0; i < BLOCKS; i += 2) {
        size_t k = rng_below(&rng, SHARED);
        free(own[i]);
        free(__atomic_exchange_n(&shared_block[k], own[i + 1], __ATOMIC_ACQ_REL));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    size_t total = scaled(arg_scale(argc, argv), 20000);
    int at_once = arg_threads(argc, argv);
    pthread_t thread[256];
    for (size_t n = 0; n < total; n++) {
        size_t k = n % (size_t)at_once;
        if (n >= (size_t)at_once)
            pthread_join(thread[k], NULL);
        thread[k] = start_thread(live, (void *)(uintptr_t)(n + 1));
    }
    for (size_t k = 0; k < (size_t)at_once && k < total; k++)
        pthread_join(thread[k], NULL);
    for (int i = 0; i < SHARED; i++)
        free(shared_block[i]);
    print_metric("rss_after_kib", rss_kib());
    return 0;
}
