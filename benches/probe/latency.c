// How long does one malloc or free take, and how long the worst in ten thousand?
// LATENCY SCALE. Cases: a live set of one thread, by size; and blocks of 16 B to
// 1 KiB that one thread gets and another frees. The clock's own cost is printed
// as the case `clock`, and is in every figure.
#include "clock.h"

// What happens before every slot was filled WARM times is not counted: a heap that
// still grows is another matter than one that lives.
enum { SLOTS = 4096, RING = 1024, WARM = 16 };

static histogram_t malloc_times, free_times;

static unsigned char *timed_malloc(size_t size)
{
    uint64_t begin = ticks();
    unsigned char *block = malloc(size);
    record(&malloc_times, ticks() - begin);
    must(block);
    // The owner writes after the clock: what a page fault costs is his to pay,
    // and shows in the workloads.
    for (size_t i = 0; i < size; i += 4096)
        block[i] = 1;
    return block;
}

static void timed_free(unsigned char *block)
{
    uint64_t begin = ticks();
    free(block);
    record(&free_times, ticks() - begin);
}

static void print_case(const char *name)
{
    print_histogram(name, "malloc", &malloc_times);
    print_histogram(name, "free", &free_times);
    forget(&malloc_times);
    forget(&free_times);
}

static void own_thread(const char *name, size_t low, size_t high, size_t slots, size_t rounds)
{
    static unsigned char *slot[SLOTS];
    rng_t rng = rng_seeded(200);
    size_t warm = slots * WARM;
    for (size_t i = 0; i < warm + rounds; i++) {
        if (i == warm)
            forget(&malloc_times), forget(&free_times);
        size_t k = rng_below(&rng, slots);
        if (slot[k] != NULL)
            timed_free(slot[k]);
        slot[k] = timed_malloc(rng_between(&rng, low, high));
    }
    for (size_t k = 0; k < slots; k++) {
        free(slot[k]);
        slot[k] = NULL;
    }
    print_case(name);
}

static struct {
    size_t rounds;
    unsigned char *block[RING];
    size_t written __attribute__((aligned(64)));
    size_t read __attribute__((aligned(64)));
} ring;

static void hand_over(int id, void *shared)
{
    rng_t rng = rng_seeded(201);
    (void)shared;
    for (size_t i = 0; i < ring.rounds; i++) {
        if (i == RING * WARM)
            forget(id == 0 ? &malloc_times : &free_times);
        if (id == 0) {
            unsigned char *block = timed_malloc(rng_between(&rng, 16, 1024));
            while (i - __atomic_load_n(&ring.read, __ATOMIC_ACQUIRE) >= RING)
                sched_yield();
            ring.block[i % RING] = block;
            __atomic_store_n(&ring.written, i + 1, __ATOMIC_RELEASE);
        } else {
            while (__atomic_load_n(&ring.written, __ATOMIC_ACQUIRE) == i)
                sched_yield();
            timed_free(ring.block[i % RING]);
            __atomic_store_n(&ring.read, i + 1, __ATOMIC_RELEASE);
        }
    }
}

int main(int argc, char **argv)
{
    double scale = arg_scale(argc, argv);
    calibrate();
    for (int i = 0; i < 1000000; i++) {
        uint64_t begin = ticks();
        record(&malloc_times, ticks() - begin);
    }
    print_histogram("clock", "none", &malloc_times);
    forget(&malloc_times);
    own_thread("16-1K", 16, 1024, SLOTS, scaled(scale, 3e6));
    own_thread("1K-16K", 1024, 16 << 10, SLOTS, scaled(scale, 2e6));
    own_thread("16K-64K", 16 << 10, 64 << 10, 256, scaled(scale, 1e6));
    own_thread("64K-1M", 64 << 10, 1 << 20, 32, scaled(scale, 5e4));
    ring.rounds = RING * WARM + scaled(scale, 2e6);
    run_team(2, hand_over, NULL);
    print_case("remote-16-1K");
    return 0;
}
