// Conformance 4: other people's pthread_atfork handlers, registered before
// main and after it, more of them than libc has room for without malloc, all
// allocate in prepare, parent and child while threads allocate: the library's
// own must be the last to lock and the first to unlock.
#include "check.h"

static _Atomic bool stop;
static int prepared, in_parent, in_child;

static void use_malloc(void) {
    for (size_t n = 10; n < 100000; n *= 9) {
        void *p = malloc(n), *q = calloc(1, n);
        CHECK(p != NULL && q != NULL);
        free(p);
        CHECK((q = realloc(q, 2 * n)) != NULL);
        free(q);
    }
}
static char *across; // made in prepare, freed after
static void prepare(void) {
    use_malloc();
    prepared++;
    free(across);
    CHECK((across = (char *)malloc(500)) != NULL);
}
static void parent(void) {
    use_malloc();
    in_parent++;
    free(across);
    across = NULL;
}
static void child(void) {
    use_malloc();
    in_child++;
    free(across);
    across = NULL;
}

__attribute__((constructor(101))) static void early(void) {
    CHECK(pthread_atfork(prepare, parent, child) == 0);
}
#ifdef __GLIBC__
static void earliest(void) {
    free(launder(malloc(1))); // the library registers its handlers here at the latest
    CHECK(pthread_atfork(prepare, parent, child) == 0);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit)(void) = earliest;
enum { BEFORE_MAIN = 2 };
#else
enum { BEFORE_MAIN = 1 };
#endif

static void *load(void *argument) {
    uint64_t state = (uintptr_t)argument + 7;
    while (!stop)
        free(launder(malloc(1 + next_random(&state) % 3000)));
    return NULL;
}

int main(void) {
    enum { HANDLERS = 70, FORKS = 30 };
    for (int i = 0; i < HANDLERS; i++)
        CHECK(pthread_atfork(prepare, parent, child) == 0);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start(load, (void *)(intptr_t)i);
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            CHECK(in_child == HANDLERS + BEFORE_MAIN);
            pid_t nested = fork();
            if (nested == 0) {
                CHECK(in_child == 2 * (HANDLERS + BEFORE_MAIN));
                use_malloc();
                _exit(0);
            }
            expect_success(nested);
            use_malloc();
            _exit(0);
        }
        expect_success(pid);
    }
    CHECK(prepared == FORKS * (HANDLERS + BEFORE_MAIN) && in_parent == prepared);
    stop = true;
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    return 0;
}
