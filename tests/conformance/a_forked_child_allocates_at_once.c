// Conformance 4: a process whose threads allocate and free all the time forks,
// and the child uses malloc at once, frees what its parent made, starts
// threads, and forks again.
#include "check.h"

enum { THREADS = 4, FORKS = 80, SHARED = 64 };
static void *_Atomic shared[SHARED];
static _Atomic bool stop;

static void *load(void *argument) {
    uint64_t state = (uintptr_t)argument + 99;
    while (!stop) {
        uint64_t r = next_random(&state);
        size_t n = 1 + next_random(&state) % (r % 50 ? 600 : 100000);
        void *p = malloc(n);
        CHECK(p != NULL);
        *(char *)p = 1;
        free(__atomic_exchange_n((void **)&shared[r % SHARED], p, __ATOMIC_ACQ_REL)); // remote frees
    }
    return NULL;
}

static void *some_work(void *unused) {
    void *blocks[200];
    for (int i = 0; i < 200; i++) {
        CHECK((blocks[i] = malloc((size_t)(i * i + 1))) != NULL);
        memset(blocks[i], 1, (size_t)(i * i + 1));
    }
    for (int i = 0; i < 200; i++)
        free(blocks[i]);
    return unused;
}

int main(void) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(load, (void *)(intptr_t)i);
    char *own = (char *)malloc(1000);
    fill(own, 1000, 1);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            CHECK(filled(own, 1000, 1));
            some_work(NULL);
            CHECK((own = (char *)realloc(own, 50000)) != NULL && filled(own, 1000, 1));
            for (int j = 0; j < SHARED; j++)
                free(shared[j]);
            if (i % 10 == 0) {
                pthread_t one = start(some_work, NULL), two = start(some_work, NULL);
                pid_t grandchild = fork();
                if (grandchild == 0) {
                    some_work(NULL);
                    _exit(0);
                }
                expect_success(grandchild);
                join(one);
                join(two);
            }
            if (i % 2)
                exit(0);
            _exit(0);
        }
        expect_success(child);
        some_work(NULL);
    }
    stop = true;
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    return 0;
}
