// What every C test includes first: CHECK, SKIP, and the few helpers that more
// than one test needs. Nothing here allocates, so that a check can be made
// where malloc itself is in question.
#ifndef CHECK_H
#define CHECK_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <dlfcn.h>
#else // the library's own: musl has none
int malloc_trim(size_t keep);
struct mallinfo2 {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
struct mallinfo2 mallinfo2(void);
#endif

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

// CHECK(condition) or CHECK(condition, "format", ...): ends the process with
// status 1 and one line where the condition does not hold.
#define CHECK(condition, ...)                                              \
    do {                                                                   \
        if (!(condition))                                                  \
            check_failed(__FILE__, __LINE__, #condition, "; " __VA_ARGS__); \
    } while (0)

__attribute__((noreturn, format(printf, 4, 5), unused)) static void
check_failed(const char *file, int line, const char *condition, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int error = errno;
    int n = snprintf(text, sizeof text, "%s:%d: does not hold: %s", file, line, condition);
    if (n < (int)sizeof text)
        n += vsnprintf(text + n, sizeof text - n, format, args);
    if (n < (int)sizeof text)
        n += snprintf(text + n, sizeof text - n, " (errno %d)\n", error);
    va_end(args);
    if (n > (int)sizeof text)
        n = sizeof text;
    ssize_t written = write(2, text, n);
    _exit(written < 0 ? 2 : 1);
}

// Ends the process as a skipped test; the runner shows the reason.
__attribute__((noreturn, unused)) static void skip(const char *reason) {
    printf("skipped: %s\n", reason);
    fflush(stdout);
    _exit(77);
}

// The same pointer or number, of which the compiler no longer knows anything:
// it must neither warn of a deliberate misuse nor remove it.
static inline void *launder(void *p) {
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}
static inline size_t opaque(size_t n) {
    __asm__ volatile("" : "+r"(n));
    return n;
}

static inline uint64_t next_random(uint64_t *state) { // xorshift64, never 0
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

// A block's contents as a function of a seed.
static inline void fill(void *p, size_t n, uint64_t seed) {
    unsigned char *bytes = (unsigned char *)p;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(seed + i * 31 + (i >> 8));
}
// Whether the bytes from..n of a block are what fill wrote.
static inline bool filled_from(const void *p, size_t from, size_t n, uint64_t seed) {
    const unsigned char *bytes = (const unsigned char *)p;
    for (size_t i = from; i < n; i++)
        if (bytes[i] != (unsigned char)(seed + i * 31 + (i >> 8)))
            return false;
    return true;
}
static inline bool filled(const void *p, size_t n, uint64_t seed) { return filled_from(p, 0, n, seed); }
static inline bool all_zero(const void *p, size_t n) {
    const unsigned char *bytes = (const unsigned char *)p;
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

// All of a file of /proc, as text that fits.
static inline void read_whole(const char *path, char *text, size_t size) {
    size_t n = 0;
    ssize_t more;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    while ((more = read(fd, text + n, size - 1 - n)) > 0)
        n += (size_t)more;
    close(fd);
    CHECK(n > 0 && n < size - 1);
    text[n] = 0;
}

// Bytes of this process that are in memory now, exactly: statm's are some that each
// core counts by itself, wrong by up to 128 KiB a core. Under ThreadSanitizer, which
// keeps several of its own for each, always as many.
static inline size_t resident(void) {
#ifdef __SANITIZE_THREAD__
    return 0;
#endif
    char text[4096];
    read_whole("/proc/self/smaps_rollup", text, sizeof text);
    char *rss = strstr(text, "\nRss:");
    CHECK(rss != NULL);
    return strtoul(rss + 5, NULL, 10) * KIB;
}

// Whether the mapping at an address of this process has a flag, of two letters as in
// /proc/self/smaps: hg, huge pages are asked for, or nh, none are to be there. NULL: any mapping.
static inline bool mapping_has(const char *flag, const void *address) {
    static char text[1 << 18];
    read_whole("/proc/self/smaps", text, sizeof text);
    for (char *line = text, *end; (end = strstr(line, "VmFlags:")) != NULL; line = end + 1) {
        char *flags = end, *dash;
        CHECK((end = strchr(flags, '\n')) != NULL);
        *end = 0;
        uintptr_t first = strtoul(line, &dash, 16), behind = strtoul(dash + 1, NULL, 16);
        if (strstr(flags, flag) != NULL && (address == NULL || (uintptr_t)address - first < behind - first))
            return true;
    }
    return false;
}

static inline pthread_t start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, argument);
    CHECK(error == 0, "pthread_create: %d", error);
    return thread;
}
static inline void join(pthread_t thread) { CHECK(pthread_join(thread, NULL) == 0); }

// Waits for a child that must end with exit status 0.
static inline void expect_success(pid_t child) {
    int status;
    CHECK(child > 0, "fork");
    while (waitpid(child, &status, 0) != child)
        CHECK(errno == EINTR);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", (unsigned)status);
}

// One function of the malloc family by name, NULL where nobody defines it: a
// libc may lack it, or lack its declaration.
#ifdef __GLIBC__
#define FUNCTION(type, name) ((type)dlsym(RTLD_DEFAULT, #name))
#else
#define FUNCTION(type, name)                   \
    (__extension__({                           \
        extern void name##_(void) __asm__(#name); \
        (type)name##_;                         \
    }))
#endif
#endif
