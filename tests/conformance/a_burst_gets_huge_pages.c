// Conformance 5: a heap that grows fast, by memory that the program uses, asks for huge
// pages, as faults would take a good part of its time; of several threads less memory says
// so. One that grows as fast by memory that is hardly used does not.
// run: pool=no confs=default
#include "check.h"

enum { CELLS = 14 << 10, FEW_CELLS = 7 << 10, THREADS = 4, LARGEST = 8 << 10, TRIES = 200 };

static void use(int cells) {
    for (int i = 0; i < cells; i++) {
        char *block = (char *)malloc(KIB);
        CHECK(block != NULL);
        memset(block, 1, KIB);
    }
}

static void use_many(void) {
    use(CELLS);
}

static void use_few(void) {
    use(FEW_CELLS);
}

static void *one_block(void *place) {
    *(void **)place = malloc(16);
    return NULL;
}

static void use_few_after_another_thread(void) {
    pthread_t thread;
    void *block;
    CHECK(pthread_create(&thread, NULL, one_block, &block) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    use(FEW_CELLS);
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
    void (*const bursts[])(void) = {use_many, use_few_after_another_thread};
    for (int i = 0; i < 2; i++) {
        int tries = 0;
        while (tries < TRIES && !leads_to_it(bursts[i]))
            tries++;
        CHECK(tries < TRIES, "it never asked for them in %d bursts of kind %d", tries, i);
    }
    for (int i = 0; i < 20; i++) {
        CHECK(!leads_to_it(use_little), "it asked for them where little is used");
        CHECK(!leads_to_it(use_few), "it asked for them where the only thread uses few");
    }
    return 0;
}
