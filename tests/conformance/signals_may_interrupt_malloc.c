// Conformance 4: a signal that interrupts malloc or free, thousands of times,
// harms nothing, and malloc changes no signal mask.
#include "check.h"

#include <sys/time.h>

static volatile sig_atomic_t hits;
static void handler(int number) {
    hits++;
    errno = number; // a careless handler
}

static void *load(void *argument) {
    uint64_t state = (uintptr_t)argument + 5;
    char *kept[64] = {NULL};
    size_t size[64] = {0};
    sigset_t before, after;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &before) == 0);
    for (int i = 0; i < 150000; i++) {
        uint64_t r = next_random(&state);
        int s = (int)(r % 64);
        if (kept[s] != NULL)
            CHECK(filled(kept[s], size[s] < 64 ? size[s] : 64, s));
        size[s] = 1 + next_random(&state) % (r % 200 ? 700 : 400000);
        CHECK((kept[s] = (char *)(r & 256 ? realloc(kept[s], size[s]) : (free(kept[s]), calloc(1, size[s])))) != NULL);
        fill(kept[s], size[s] < 64 ? size[s] : 64, s);
    }
    for (int i = 0; i < 64; i++)
        free(kept[i]);
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &after) == 0);
    for (int i = 1; i < 32; i++)
        CHECK(sigismember(&before, i) == sigismember(&after, i), "signal %d", i);
    return NULL;
}

int main(void) {
    struct sigaction action = {.sa_handler = handler}; // without SA_RESTART
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    pthread_t other;
    while (pthread_create(&other, NULL, load, (void *)1) == EINTR)
        ;
    load(NULL);
    join(other);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK(hits > 20, "only %d signals", (int)hits);
    return 0;
}
