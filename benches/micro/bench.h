// What every workload shares: a seeded generator, threads that start together,
// arguments, and the two kinds of output line the runner reads.
//
//   PROGRAM SCALE [THREADS]     SCALE multiplies the work, not the live memory
//
//   check N                     must be the same under every allocator
//   metric NAME VALUE           a measurement of the workload's own
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// splitmix64: one word of state, so that every thread has a stream of its own.
typedef struct {
    uint64_t state;
} rng_t;

static inline rng_t rng_seeded(uint64_t seed)
{
    rng_t r = {seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
    return r;
}

static inline uint64_t rng_next(rng_t *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// A number in 0..n-1.
static inline size_t rng_below(rng_t *r, size_t n)
{
    return (size_t)(((rng_next(r) >> 32) * (uint64_t)n) >> 32);
}

// A number in low..high.
static inline size_t rng_between(rng_t *r, size_t low, size_t high)
{
    return low + rng_below(r, high - low + 1);
}

// A size as programs ask for them: each doubling from low up is half as likely
// as the one before, so most blocks are small and a few are near high.
static inline size_t rng_size(rng_t *r, size_t low, size_t high)
{
    size_t top = low * 2;
    while (top < high && (rng_next(r) >> 63) != 0)
        top *= 2;
    if (top > high)
        top = high;
    return rng_between(r, low, top);
}

static void die(const char *what)
{
    dprintf(2, "%s\n", what);
    _exit(1);
}

static inline void *must(void *block)
{
    if (block == NULL)
        die("out of memory");
    return block;
}

// Gets a block and writes to every page of it, and to its last byte: nobody gets
// memory that he does not use.
static inline unsigned char *get(size_t size)
{
    unsigned char *block = (unsigned char *)must(malloc(size));
    for (size_t i = 0; i < size; i += 4096)
        block[i] = (unsigned char)size;
    block[size - 1] = (unsigned char)size;
    return block;
}

static inline void print_check(uint64_t value)
{
    dprintf(1, "check %llu\n", (unsigned long long)value);
}

static inline void print_metric(const char *name, double value)
{
    dprintf(1, "metric %s %.0f\n", name, value);
}

// Resident memory now, in KiB, read without a call to malloc.
static inline double rss_kib(void)
{
    char text[128];
    long pages = 0;
    int fd = open("/proc/self/statm", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        die("no /proc/self/statm");
    close(fd);
    text[n] = 0;
    if (sscanf(text, "%*d %ld", &pages) != 1)
        die("bad /proc/self/statm");
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static inline double arg_scale(int argc, char **argv)
{
    double scale = argc > 1 ? atof(argv[1]) : 1.0;
    if (!(scale > 0 && scale <= 1000))
        die("usage: PROGRAM SCALE [THREADS], SCALE in 0..1000");
    return scale;
}

static inline int arg_threads(int argc, char **argv)
{
    int threads = argc > 2 ? atoi(argv[2]) : 1;
    if (threads < 1 || threads > 256)
        die("usage: PROGRAM SCALE [THREADS], THREADS in 1..256");
    return threads;
}

// `amount` of work at this scale, never none.
static inline size_t scaled(double scale, double amount)
{
    double n = scale * amount;
    return n < 1 ? 1 : (size_t)n;
}

static inline pthread_t start_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, arg) != 0)
        die("no thread");
    return thread;
}

struct team_member {
    void (*body)(int id, void *shared);
    int id;
    void *shared;
    pthread_barrier_t *gate;
};

static void *team_start(void *arg)
{
    struct team_member *m = (struct team_member *)arg;
    pthread_barrier_wait(m->gate);
    m->body(m->id, m->shared);
    return NULL;
}

// Runs body(0..threads-1, shared), all at once, and waits for all. One thread
// alone is the calling thread: a single-threaded workload starts none.
static inline void run_team(int threads, void (*body)(int, void *), void *shared)
{
    struct team_member member[256];
    pthread_t thread[256];
    pthread_barrier_t gate;
    if (threads == 1) {
        body(0, shared);
        return;
    }
    pthread_barrier_init(&gate, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        member[i].body = body;
        member[i].id = i;
        member[i].shared = shared;
        member[i].gate = &gate;
        thread[i] = start_thread(team_start, &member[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&gate);
}

#endif
