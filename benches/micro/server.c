// A server, as in larson: each thread replaces random blocks of 16 to 1024 bytes
// in its table of sessions, then ends and hands the table to a successor, so that
// most blocks are freed by another thread than the one that got them, which is
// gone.
#include "bench.h"
#include <semaphore.h>

enum { SESSIONS = 5000, GENERATIONS = 20 };

struct table {
    unsigned char *session[SESSIONS];
    rng_t rng;
    int generation;
};

static size_t rounds;
static sem_t done;

static void *serve(void *arg)
{
    struct table *t = arg;
    for (size_t i = 0; i < rounds; i++) {
        size_t k = rng_below(&t->rng, SESSIONS);
        free(t->session[k]);
        t->session[k] = get(rng_between(&t->rng, 16, 1024));
    }
    if (++t->generation < GENERATIONS)
        pthread_detach(start_thread(serve, t));
    else
        sem_post(&done);
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = arg_threads(argc, argv);
    rounds = scaled(arg_scale(argc, argv), 24e6 / threads / GENERATIONS);
    sem_init(&done, 0, 0);
    for (int i = 0; i < threads; i++) {
        struct table *t = must(calloc(1, sizeof *t));
        t->rng = rng_seeded(100 + (uint64_t)i);
        for (int k = 0; k < SESSIONS; k++)
            t->session[k] = get(rng_between(&t->rng, 16, 1024));
        pthread_detach(start_thread(serve, t));
    }
    for (int i = 0; i < threads; i++)
        while (sem_wait(&done) != 0)
            ;
    return 0;
}
