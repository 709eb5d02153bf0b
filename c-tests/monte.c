/* monteffit, montebuddy, monteebuddy: Knuth's simulation (The Art of Computer
 * Programming, vol. 1, section 2.5), with reallocs added. Time goes in steps.
 * In each, what is due is freed, a block of random size gets a random lifetime,
 * and now and then a block that lives gets another size.
 *
 * First the steady state, where nothing may be refused; then lifetimes that
 * grow until the first refusal, which says how far the area was filled. The
 * contents of every block are checked before it is freed, and when it moved. */
#include "test.h"

enum {
    STEADY_AREA = 2 << 20,
    STEPS = 5000,
    WARM_UP = 2000, /* steps after which Knuth found the state steady */
    REALLOC_EVERY = 4,
    SEEDS = 20,
    MOST_LIVE = 16384
};

typedef struct {
    held_t held;
    unsigned due;
} live_t;

typedef struct {
    const char *name;
    size_t (*draw)(void);
    size_t area;          /* for the second experiment */
    double least_filled;  /* the mean that it has to reach: requested / size */
} sizes_t;

static unsigned char area[STEADY_AREA];
static heap_t heap;
static live_t live[MOST_LIVE];
static size_t live_count, live_bytes;
static unsigned long long gets, frees, extends, stayed;

/* Knuth's three distributions. The unit of the second is a granule. */

static size_t uniform(void)
{
    return 100 + test_random(1901);
}

static size_t powers_of_two(void)
{
    size_t size = 16;
    while (size < 32 * 16 && test_random(2) == 0)
        size *= 2;
    return size;
}

static size_t list_of_sizes(void)
{
    static const size_t size[] = {10, 12, 14, 16, 18, 20, 30, 40, 50, 60, 70, 80, 90, 100,
                                  150, 200, 250, 500, 1000, 2000, 3000, 4000};
    return size[test_random(sizeof size / sizeof *size)];
}

/* About a tenth below the means that were measured. */
static const sizes_t distribution[] = {
#if HEAP_IS_BUDDY
    {"S1 uniform", uniform, 256 << 10, .60},
    {"S2 powers of two", powers_of_two, 64 << 10, .85},
    {"S3 list", list_of_sizes, 64 << 10, .60},
#else
    {"S1 uniform", uniform, 256 << 10, .78},
    {"S2 powers of two", powers_of_two, 64 << 10, .85},
    {"S3 list", list_of_sizes, 64 << 10, .72},
#endif
};
enum { DISTRIBUTIONS = sizeof distribution / sizeof *distribution };

static void start(size_t bytes)
{
    CHECK(heap_init(&heap, area, bytes) == HEAP_OK);
    live_count = live_bytes = 0;
}

static void free_at(size_t i)
{
    CHECK(held_intact(&live[i].held, live[i].held.size));
    CHECK(heap_free_block(&heap, live[i].held.at) == HEAP_OK);
    live_bytes -= live[i].held.size;
    live[i] = live[--live_count];
    frees++;
}

static void free_what_is_due(unsigned now)
{
    for (size_t i = 0; i < live_count;)
        if (live[i].due <= now)
            free_at(i);
        else
            i++;
}

/* 0 where the heap refused. */
static int get_one(size_t size, unsigned due)
{
    unsigned char *block = heap_get_block(&heap, size);
    if (block == NULL)
        return 0;
    CHECK(live_count < MOST_LIVE);
    live_t *one = &live[live_count++];
    one->held.at = block;
    one->held.size = size;
    one->held.tag = gets++;
    one->due = due;
    held_fill(&one->held);
    live_bytes += size;
    return 1;
}

/* 0 where the heap refused. */
static int extend_one(size_t size)
{
    if (live_count == 0)
        return 1;
    held_t *held = &live[test_random(live_count)].held;
    int rc = -1;
    unsigned char *block = heap_extend_block(&heap, held->at, size, &rc);
    CHECK(rc == HEAP_OK);
    if (block == NULL) {
        CHECK(held_intact(held, held->size));
        return 0;
    }
    extends++;
    stayed += block == held->at;
    held->at = block;
    CHECK(held_intact(held, size < held->size ? size : held->size));
    live_bytes = live_bytes - held->size + size;
    held->size = size;
    held_fill(held);
    return 1;
}

/* One step of time; 0 where the heap refused. */
static int step(const sizes_t *sizes, unsigned now, unsigned lifetime)
{
    free_what_is_due(now);
    if (now % REALLOC_EVERY == 0 && !extend_one(sizes->draw()))
        return 0;
    return get_one(sizes->draw(), now + 1 + (unsigned)test_random(lifetime));
}

static void free_all(void)
{
    while (live_count > 0)
        free_at(live_count - 1);
    heap_stats_t stats;
    heap_stats(&heap, &stats);
    CHECK(stats.used == 0 && stats.blocks == 0 && stats.free == stats.size);
    CHECK(heap_sound(&heap));
}

static int count_free(void *context, const heap_block_t *block)
{
    *(unsigned *)context += !block->used;
    return 0;
}

static void steady_state(void)
{
    static const unsigned lifetime[] = {10, 100, 1000};
    printf("%-18s %8s %10s %12s %10s\n", "steady state", "lifetime", "live", "free/live", "peak");
    for (int d = 0; d < DISTRIBUTIONS; d++)
        for (int l = 0; l < 3; l++) {
            unsigned samples = 0;
            double sum_live = 0, sum_free = 0;
            heap_stats_t stats;
            start(STEADY_AREA);
            for (unsigned now = 0; now < STEPS; now++) {
                CHECK(step(&distribution[d], now, lifetime[l]));
                if (now >= WARM_UP && now % 50 == 0) {
                    unsigned free_blocks = 0;
                    heap_walk(&heap, count_free, &free_blocks);
                    sum_live += (double)live_count;
                    sum_free += free_blocks;
                    samples++;
                }
            }
            heap_stats(&heap, &stats);
            CHECK(stats.failed == 0 && stats.blocks == live_count && stats.used >= live_bytes);
            CHECK(heap_sound(&heap));
            printf("%-18s %8u %10.1f %12.3f %10llu\n", distribution[d].name, lifetime[l],
                   sum_live / samples, sum_free / sum_live, (unsigned long long)stats.peak);
            if (d == DISTRIBUTIONS - 1 && l == 2)
                heap_print(&heap);
            free_all();
        }
}

static void filled_until_the_first_refusal(void)
{
    printf("%-18s %8s %8s %8s %10s   (of the size, over %d seeds)\n", "at first refusal", "mean",
           "least", "most", "used", SEEDS);
    for (int d = 0; d < DISTRIBUTIONS; d++) {
        double sum = 0, sum_used = 0, least = 1, most = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            heap_stats_t stats;
            start(distribution[d].area);
            for (unsigned now = 0; step(&distribution[d], now, now + 10); now++)
                ;
            heap_stats(&heap, &stats);
            CHECK(stats.failed == 1 && heap_sound(&heap));
            double filled = (double)live_bytes / (double)stats.size;
            sum += filled;
            sum_used += (double)stats.used / (double)stats.size;
            least = filled < least ? filled : least;
            most = filled > most ? filled : most;
            free_all();
        }
        printf("%-18s %8.3f %8.3f %8.3f %10.3f\n", distribution[d].name, sum / SEEDS, least, most,
               sum_used / SEEDS);
        CHECK(sum / SEEDS >= distribution[d].least_filled);
    }
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    steady_state();
    filled_until_the_first_refusal();
    printf("gets %llu, frees %llu, extends %llu, of which in place %llu\n", gets, frees, extends,
           stayed);
    printf("PASSED\n");
    return 0;
}
