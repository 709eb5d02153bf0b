// Producers that only allocate and consumers that only free, as in xmalloc: the
// blocks go over in batches of 120 through a bounded queue, and so does the batch.
#include "bench.h"

enum { BATCH = 120, DEPTH = 64 };

struct batch {
    unsigned char *block[BATCH];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled, drained;
    struct batch *batch[DEPTH];
    size_t first, count;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .filled = PTHREAD_COND_INITIALIZER,
           .drained = PTHREAD_COND_INITIALIZER};

static size_t rounds; // batches of one producer

static void put(struct batch *b)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.count == DEPTH)
        pthread_cond_wait(&queue.drained, &queue.lock);
    queue.batch[(queue.first + queue.count++) % DEPTH] = b;
    pthread_cond_signal(&queue.filled);
    pthread_mutex_unlock(&queue.lock);
}

static struct batch *take(void)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.count == 0)
        pthread_cond_wait(&queue.filled, &queue.lock);
    struct batch *b = queue.batch[queue.first];
    queue.first = (queue.first + 1) % DEPTH;
    queue.count--;
    pthread_cond_signal(&queue.drained);
    pthread_mutex_unlock(&queue.lock);
    return b;
}

static void work(int id, void *shared)
{
    rng_t rng = rng_seeded(120 + (uint64_t)id);
    (void)shared;
    for (size_t i = 0; i < rounds; i++) {
        if (id % 2 == 0) {
            struct batch *b = must(malloc(sizeof *b));
            for (int k = 0; k < BATCH; k++)
                b->block[k] = get(rng_size(&rng, 8, 512));
            put(b);
        } else {
            struct batch *b = take();
            for (int k = 0; k < BATCH; k++)
                free(b->block[k]);
            free(b);
        }
    }
}

int main(int argc, char **argv)
{
    int threads = arg_threads(argc, argv);
    if (threads % 2 != 0)
        die("handoff needs an even number of threads");
    rounds = scaled(arg_scale(argc, argv), 130000.0 * 2 / threads);
    run_team(threads, work, NULL);
    return 0;
}
