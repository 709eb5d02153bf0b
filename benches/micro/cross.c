// Random sizes freed across threads, as in rptest: each thread allocates a few
// hundred, posts forty of them to its neighbour and frees the rest; what lies in a
// letter box waits until the neighbour gets round to freeing it.
#include "bench.h"

enum { LOOP = 400, LETTERS = 40 };

struct letter {
    struct letter *next;
    unsigned char *block[LETTERS];
};

static struct letter *box[256];
static size_t rounds;
static int team;

static void read_box(int id)
{
    struct letter *l = __atomic_exchange_n(&box[id], NULL, __ATOMIC_ACQUIRE);
    while (l != NULL) {
        struct letter *next = l->next;
        for (int i = 0; i < LETTERS; i++)
            free(l->block[i]);
        free(l);
        l = next;
    }
}

static void post(int id, struct letter *l)
{
    l->next = __atomic_load_n(&box[id], __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&box[id], &l->next, l, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

static void work(int id, void *shared)
{
    unsigned char *block[LOOP];
    rng_t rng = rng_seeded(140 + (uint64_t)id);
    (void)shared;
    for (size_t round = 0; round < rounds; round++) {
        size_t count = LETTERS + rng_below(&rng, LOOP - LETTERS);
        for (size_t i = 0; i < count; i++)
            block[i] = get(rng_size(&rng, 16, 16000));
        struct letter *l = must(malloc(sizeof *l));
        for (size_t i = 0; i < LETTERS; i++) {
            size_t k = rng_below(&rng, count - i);
            l->block[i] = block[k];
            block[k] = block[count - i - 1];
        }
        post((id + 1) % team, l);
        for (size_t i = 0; i < count - LETTERS; i++)
            free(block[i]);
        if (round % 3 == 0)
            read_box(id);
    }
}

int main(int argc, char **argv)
{
    team = arg_threads(argc, argv);
    rounds = scaled(arg_scale(argc, argv), 44000.0 / team);
    run_team(team, work, NULL);
    for (int id = 0; id < team; id++)
        read_box(id);
    return 0;
}
