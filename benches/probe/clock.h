// A cheap clock and a histogram that never allocates, for the two programs that
// time single operations.
#ifndef CLOCK_H
#define CLOCK_H

#include "../micro/bench.h"
#include <time.h>

static inline uint64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#ifdef __x86_64__
#include <x86intrin.h>

// The fence keeps the operation before it from being counted after it.
static inline uint64_t ticks(void)
{
    _mm_lfence();
    return __rdtsc();
}
#else
static inline uint64_t ticks(void)
{
    return monotonic_ns();
}
#endif

static double ns_per_tick;

static void calibrate(void)
{
    uint64_t t0 = ticks(), n0 = monotonic_ns();
    while (monotonic_ns() - n0 < 50000000)
        ;
    ns_per_tick = (double)(monotonic_ns() - n0) / (double)(ticks() - t0);
}

// 32 buckets to each doubling: a value is known to 3 %.
enum { SUB = 32, BUCKETS = 64 * SUB };

typedef struct {
    uint64_t count, sum, bucket[BUCKETS];
} histogram_t;

static inline void record(histogram_t *h, uint64_t value)
{
    size_t index = value;
    if (value >= SUB) {
        int shift = 58 - __builtin_clzll(value);
        index = (size_t)(shift + 1) * SUB + (size_t)(value >> shift) - SUB;
    }
    h->bucket[index]++;
    h->count++;
    h->sum += value;
}

static inline void forget(histogram_t *h)
{
    memset(h, 0, sizeof *h);
}

// The upper edge of the bucket below which `part` of the values lie, in ns.
static double percentile(const histogram_t *h, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)h->count), seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > wanted) {
            uint64_t edge = i;
            if (i >= SUB)
                edge = (((uint64_t)(i % SUB) + SUB + 1) << (i / SUB - 1)) - 1;
            return (double)edge * ns_per_tick;
        }
    }
    return 0;
}

// latency CASE OPERATION COUNT MEAN P50 P99 P99.9 P99.99
static void print_histogram(const char *name, const char *operation, const histogram_t *h)
{
    if (h->count == 0)
        return;
    dprintf(1, "latency %s %s %llu %.1f %.0f %.0f %.0f %.0f\n", name, operation,
            (unsigned long long)h->count, (double)h->sum * ns_per_tick / (double)h->count,
            percentile(h, .5), percentile(h, .99), percentile(h, .999), percentile(h, .9999));
}

#endif
