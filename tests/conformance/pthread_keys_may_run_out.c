// Conformance 2: the library leaves the program its thread-specific keys, and
// where the program takes every one, threads still allocate and exit. glibc's
// pthread_setspecific calls calloc for keys from 32 on: here it is each
// thread's first call of malloc.
#include "check.h"

static pthread_key_t keys[2048];
static int count;

static void *thread(void *unused) {
    for (int i = count - 1; i >= 0; i -= 50)
        CHECK(pthread_setspecific(keys[i], (void *)1) == 0);
    void *p = malloc(100);
    CHECK(p != NULL);
    free(p);
    return unused;
}

int main(void) {
    free(malloc(1));
    while (count < (int)LENGTH(keys) && pthread_key_create(&keys[count], NULL) == 0)
        count++;
    long most = sysconf(_SC_THREAD_KEYS_MAX);
    CHECK(count >= most - 8, "only %d of %ld keys are left to the program", count, most);
    for (int i = 0; i < 100; i++)
        join(start(thread, NULL));
    return 0;
}
