// A full heap does not mean ENOMEM while another has room: in a fixed pool one
// thread gets nearly all of it, also after other threads on other cores used
// and freed it; what does not fit is NULL and ENOMEM.
// run: confs=default env=MEMMAN_CONF=pool:64M static=no
#include "check.h"

enum { POOL = 64 };

static size_t take_all(size_t size) {
    void **chain = NULL, **p;
    size_t total = 0;
    while ((p = (void **)malloc(size)) != NULL) {
        *p = chain;
        chain = p;
        total += size;
    }
    CHECK(errno == ENOMEM);
    while (chain != NULL) {
        p = (void **)*chain;
        free(chain);
        chain = p;
    }
    return total;
}

static void *use(void *argument) {
    take_all((size_t)(uintptr_t)argument);
    return NULL;
}

int main(void) {
    if (getenv("MEMMAN") == NULL)
        skip("a pool is memman's");
    errno = 0;
    CHECK(malloc(POOL * MIB) == NULL && errno == ENOMEM, "more than the pool holds");
    static const size_t sizes[] = {64, 1000, 5000, 70000, 3 << 20};
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        size_t got = take_all(sizes[i]);
        CHECK(got >= POOL * MIB / 2, "%zu KiB in blocks of %zu", got / KIB, sizes[i]);
        CHECK(got <= POOL * MIB);
    }
    for (int round = 0; round < 3; round++) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            threads[i] = start(use, (void *)(uintptr_t)sizes[(i + round) % LENGTH(sizes)]);
        for (int i = 0; i < 4; i++)
            join(threads[i]);
        for (size_t i = 0; i < LENGTH(sizes); i++) {
            size_t got = take_all(sizes[i]);
            CHECK(got >= POOL * MIB / 2, "round %d: %zu KiB in blocks of %zu", round, got / KIB, sizes[i]);
        }
    }
    return 0;
}
