// Conformance 4: children that share our memory (vfork, posix_spawn) or skip
// the fork handlers (_Fork) while other threads allocate; a parent keyed by a
// cached process or thread id would be confused afterwards.
#include "check.h"

#include <spawn.h>

extern char **environ;
static _Atomic bool stop;

static void *load(void *argument) {
    uint64_t state = (uintptr_t)argument + 5;
    char *kept[100] = {NULL};
    while (!stop) {
        uint64_t r = next_random(&state);
        char **p = &kept[r % 100];
        if (*p != NULL)
            CHECK(filled(*p, 50, (uint64_t)(p - kept)));
        free(*p);
        CHECK((*p = (char *)malloc(50 + (r >> 8) % 2000)) != NULL);
        fill(*p, 50, (uint64_t)(p - kept));
    }
    for (int i = 0; i < 100; i++)
        free(kept[i]);
    return NULL;
}

// A child that shares our memory and allocates in it: not portable, and common
// all the same.
static void *made;
__attribute__((noinline)) static pid_t allocate_in_vfork(void) {
    pid_t child = vfork();
    if (child == 0) {
        made = malloc(300);
        _exit(made == NULL);
    }
    return child;
}

int main(void) {
#ifdef __GLIBC__
    for (int i = 0; i < 20; i++) { // one thread only: then even _Fork leaves malloc usable
        pid_t child = _Fork();
        if (child == 0) {
            for (size_t n = 1; n < MIB; n *= 3)
                free(launder(malloc(n)));
            _exit(0);
        }
        expect_success(child);
    }
#endif
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        threads[i] = start(load, (void *)(intptr_t)i);
    char *const arguments[] = {(char *)"true", NULL};
    for (int i = 0; i < 60; i++) {
        pid_t child;
        char *p = (char *)malloc(100);
        CHECK(p != NULL);
        fill(p, 100, i);
        CHECK(posix_spawnp(&child, "true", NULL, NULL, arguments, environ) == 0);
        expect_success(child);
        expect_success(allocate_in_vfork());
        CHECK(launder(made) != NULL);
        memset(made, 1, 300);
        free(made);
        CHECK(filled(p, 100, i));
        free(p);
    }
    CHECK(system("exit 0") == 0);
    FILE *pipe = popen("echo spawned", "r");
    char line[32] = "";
    CHECK(pipe != NULL && fgets(line, sizeof line, pipe) && strcmp(line, "spawned\n") == 0);
    CHECK(pclose(pipe) == 0);
    stop = true;
    for (int i = 0; i < 2; i++)
        join(threads[i]);
    return 0;
}
