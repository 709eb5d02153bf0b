// Conformance 2: malloc works in .preinit_array, in the first constructors,
// in a thread that a constructor starts, and after main in atexit handlers
// and the last destructors; blocks live across all of these.
#include "check.h"

static char *earliest, *early;
static int stages;

#ifdef __GLIBC__
static void before_all(void) {
    earliest = (char *)malloc(1000);
    CHECK(earliest != NULL);
    fill(earliest, 1000, 1);
    free(realloc(calloc(10, 10), 100000));
    stages++;
}
__attribute__((section(".preinit_array"), used)) static void (*preinit)(void) = before_all;
#endif

static void *thread(void *unused) {
    char *p = (char *)malloc(5000);
    CHECK(p != NULL);
    fill(p, 5000, 3);
    early = p;
    return unused;
}

__attribute__((constructor(101))) static void first_constructor(void) {
    join(start(thread, NULL));
    CHECK(filled(early, 5000, 3));
    stages++;
}

__attribute__((destructor(101))) static void last_destructor(void) {
    char *p = (char *)realloc(early, 200000);
    CHECK(p != NULL && filled(p, 5000, 3));
    free(p);
    free(earliest);
    for (size_t n = 1; n < MIB; n *= 2) {
        p = (char *)calloc(1, n);
        CHECK(p != NULL && all_zero(p, n));
        free(p);
    }
}

static void at_exit(void) {
    if (earliest != NULL)
        CHECK(filled(earliest, 1000, 1));
    earliest = (char *)realloc(earliest, 3000);
    CHECK(earliest != NULL);
}

int main(void) {
#ifdef __GLIBC__
    CHECK(stages == 2);
#else
    CHECK(stages == 1); // musl runs no .preinit_array in static programs
#endif
    CHECK(atexit(at_exit) == 0);
    return 0;
}
