// Conformance 5: a heap that grows fast, by memory that the program uses, asks for huge
// pages, as faults would take a good part of its time; one that grows as fast by memory
// that is hardly used does not.
// run: pool=no confs=default
#include "check.h"

enum { CELLS = 14 << 10, THREADS = 4, LARGEST = 8 << 10, TRIES = 200 };

static void use_all(void) {
    for (int i = 0; i < CELLS; i++) {
        char *block = (char *)malloc(KIB);
        CHECK(block != NULL);
        memset(block, 1, KIB);
    }
}

static void *one_of_each_size(void *barrier) {
    for (size_t size = 16; size <= LARGEST; size += size / 16)
        CHECK(malloc(size) != NULL);
    pthread_barrier_wait((pthread_barrier_t *)barrier);
    return NULL;
}

static void use_little(void) {
    pthread_t threads[THREADS];
    pthread_barrier_t barrier;
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, one_of_each_size, &barrier) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

// Whether they were, in a child that does this.
static bool leads_to_it(void (*work)(void)) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        work();
        _exit(mapping_has("hg", NULL) ? 10 : 0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 10 || WEXITSTATUS(status) == 0);
    return WEXITSTATUS(status) == 10;
}

int main(void) {
    if (getenv("MEMMAN") == NULL)
        skip("the policy is memman's");
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0)
        skip("the kernel has no huge pages");
    // On a loaded machine it may not be fast enough each time.
    int tries = 0;
    while (tries < TRIES && !leads_to_it(use_all))
        tries++;
    CHECK(tries < TRIES, "it never asked for them in %d bursts", tries);
    for (int i = 0; i < 20; i++)
        CHECK(!leads_to_it(use_little), "it asked for them where little is used");
    return 0;
}
