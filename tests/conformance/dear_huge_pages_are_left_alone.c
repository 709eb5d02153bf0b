// Conformance 5: where the first touch of a huge page takes the kernel long, as it may
// where few are at hand, no more are asked for in a while; also where a block grows that
// had them.
// run: pool=no confs=default ldflags=-rdynamic
#include "check.h"
#include <sys/syscall.h>

#define SIZE (64 * MIB)

// What a look at the thread's own clock finds to have passed, in nanoseconds.
static long step = 1000;

// The clock that the library has, too.
int clock_gettime(clockid_t clock, struct timespec *now) {
    static _Atomic long passed;
    if (clock != CLOCK_THREAD_CPUTIME_ID)
        return (int)syscall(SYS_clock_gettime, clock, now);
    long total = passed += step;
    *now = (struct timespec){.tv_sec = total / 1000000000, .tv_nsec = total % 1000000000};
    return 0;
}

static void *block(void) {
    void *p = malloc(SIZE);
    CHECK(p != NULL);
    return p;
}

int main(void) {
    if (getenv("MEMMAN") == NULL)
        skip("the policy is memman's");
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0)
        skip("the kernel has no huge pages");
    block(); // of one large block alone none are asked for, whatever they cost
    void *growing = block();
    CHECK(mapping_has("hg", growing), "they are not asked for where they are cheap");
    step = 5000000;
    growing = realloc(growing, 2 * SIZE);
    CHECK(growing != NULL);
    CHECK(!mapping_has("hg", growing), "they are still asked for in a block that grew by a dear one");
    CHECK(!mapping_has("hg", block()), "they are asked for just after a dear one");
    step = 1000;
    const struct timespec moment = {.tv_nsec = 10000000};
    int tries = 0;
    for (; tries < 100 && !mapping_has("hg", block()); tries++)
        nanosleep(&moment, NULL);
    CHECK(tries > 0 && tries < 100, "they are not asked for again after %d looks", tries);
    return 0;
}
