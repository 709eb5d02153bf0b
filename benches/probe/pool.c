// A manager on a fixed pool of 1 MiB: POOL PLUGIN.so SCALE
//
// 1. `latency half-full get|free`: what a get and a free cost while half of the
//    pool is in use, after it has been churned.
// 2. `metric fill_MIX VALUE`: how full the pool is when a get first fails, in
//    requested bytes, in millionths of the area. Knuth's experiment (TAOCP 2.5):
//    time advances by 1, what is due is freed, a block of random size gets a random
//    lifetime; lifetimes are ramped up until the pool overflows. Mean of 20 seeds.
//    Mixes: Knuth's S3 (`mixed`), S2 in units of 32 bytes (`powers`), S1 (`uniform`).
#include "clock.h"
#include "pool_plugin.h"
#include <dlfcn.h>

enum { POOL = 1 << 20, SLOTS = 1 << 15, SEEDS = 20 };

static unsigned char area[POOL] __attribute__((aligned(4096)));

static const char *(*name_of)(void);
static int (*init)(void *, size_t);
static void *(*get_block)(size_t);
static void (*free_block)(void *);

static size_t mixed(rng_t *rng)
{
    static const size_t sizes[] = {10, 12, 14,  16,  18,  20,  30,   40,   50,   60,  70,
                                   80, 90, 100, 150, 200, 250, 500, 1000, 2000, 3000, 4000};
    return sizes[rng_below(rng, sizeof sizes / sizeof sizes[0])];
}

static size_t powers(rng_t *rng)
{
    return (size_t)32 << __builtin_ctzll(rng_next(rng) | 1 << 5);
}

static size_t uniform(rng_t *rng)
{
    return rng_between(rng, 100, 2000);
}

static void half_full(size_t rounds)
{
    static struct {
        void *block;
        size_t size;
    } slot[SLOTS];
    static histogram_t get_times, free_times;
    rng_t rng = rng_seeded(300);
    size_t count = 0, used = 0;
    if (init(area, POOL) != 0)
        die("the pool refuses 1 MiB");
    size_t refused = 0;
    for (size_t i = 0; i < rounds; i++) {
        size_t size = mixed(&rng);
        uint64_t begin = ticks();
        void *block = get_block(size);
        record(&get_times, ticks() - begin);
        if (block != NULL) {
            *(unsigned char *)block = 1;
            slot[count].block = block;
            slot[count++].size = size;
            used += size;
        } else {
            refused++;
        }
        while (count > 0 && (used >= POOL / 2 || block == NULL)) {
            size_t k = rng_below(&rng, count);
            begin = ticks();
            free_block(slot[k].block);
            record(&free_times, ticks() - begin);
            used -= slot[k].size;
            slot[k] = slot[--count];
            block = area;
        }
    }
    print_metric("refused_half_full", (double)refused);
    print_histogram("half-full", "get", &get_times);
    print_histogram("half-full", "free", &free_times);
}

// The part of the pool in use when a get first fails.
static double fill(size_t (*size_of)(rng_t *), uint64_t seed)
{
    // due[t % RING] lists the blocks that die at time t; no lifetime reaches RING.
    enum { RING = 1 << 17, ENTRIES = 1 << 17 };
    struct entry {
        void *block;
        size_t size;
        struct entry *next;
    };
    static struct entry entry[ENTRIES];
    static struct entry *due[RING];
    struct entry *spare = NULL;
    rng_t rng = rng_seeded(seed);
    size_t used = 0;
    memset(due, 0, sizeof due);
    for (size_t i = 0; i < ENTRIES; i++) {
        entry[i].next = spare;
        spare = &entry[i];
    }
    if (init(area, POOL) != 0)
        die("the pool refuses 1 MiB");
    for (size_t now = 0;; now++) {
        struct entry *e = due[now % RING];
        due[now % RING] = NULL;
        while (e != NULL) {
            struct entry *next = e->next;
            free_block(e->block);
            used -= e->size;
            e->next = spare;
            spare = e;
            e = next;
        }
        size_t size = size_of(&rng);
        size_t longest = 10 + now / 4;
        void *block = get_block(size);
        if (block == NULL)
            return (double)used / POOL;
        if (spare == NULL || longest >= RING)
            die("the pool never fills");
        e = spare;
        spare = e->next;
        e->block = block;
        e->size = size;
        size_t when = (now + 1 + rng_below(&rng, longest)) % RING;
        e->next = due[when];
        due[when] = e;
        used += size;
    }
}

static void print_fill(const char *metric, size_t (*size_of)(rng_t *))
{
    double sum = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        sum += fill(size_of, seed);
    print_metric(metric, 1e6 * sum / SEEDS);
}

static void *find(void *library, const char *symbol)
{
    void *address = dlsym(library, symbol);
    if (address == NULL) {
        dprintf(2, "the plug-in has no %s\n", symbol);
        _exit(1);
    }
    return address;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        die("usage: pool PLUGIN.so SCALE");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        dprintf(2, "%s\n", dlerror());
        return 1;
    }
    *(void **)&name_of = find(library, "pool_name");
    *(void **)&init = find(library, "pool_init");
    *(void **)&get_block = find(library, "pool_get");
    *(void **)&free_block = find(library, "pool_free");
    calibrate();
    dprintf(1, "pool %s\n", name_of());
    half_full(scaled(arg_scale(argc - 1, argv + 1), 2e6));
    print_fill("fill_mixed", mixed);
    print_fill("fill_powers", powers);
    print_fill("fill_uniform", uniform);
    return 0;
}
