// Conformance 4: exit() in one thread while the others allocate and free, with
// atexit handlers that do so too: nothing is torn down under them.
#include "check.h"

static void *load(void *argument) {
    uint64_t state = (uintptr_t)argument + 3;
    void *kept[32] = {NULL};
    for (;;) {
        uint64_t r = next_random(&state);
        free(kept[r % 32]);
        CHECK((kept[r % 32] = malloc(1 + (r >> 8) % 5000)) != NULL);
    }
    return NULL;
}

static void at_exit(void) {
    for (int i = 0; i < 2000; i++)
        free(launder(calloc(1, (size_t)i)));
}

int main(void) {
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            CHECK(atexit(at_exit) == 0);
            for (int j = 0; j < 4; j++)
                CHECK(pthread_detach(start(load, (void *)(intptr_t)j)) == 0);
            struct timespec moment = {0, 100000 * (i % 20)};
            nanosleep(&moment, NULL);
            exit(0);
        }
        expect_success(child);
    }
    return 0;
}
