// Conformance 2 and 6: dlopen of the library into a running program finds
// room for its TLS; dlclose does not unload it under its threads; dlmopen
// brings a second, independent copy.
// run: static=no confs=default preload=no
#include "check.h"

struct family {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
};

static pthread_barrier_t closed;

static struct family find(void *handle) {
    struct family f;
    *(void **)&f.malloc = dlsym(handle, "malloc");
    *(void **)&f.calloc = dlsym(handle, "calloc");
    *(void **)&f.realloc = dlsym(handle, "realloc");
    *(void **)&f.free = dlsym(handle, "free");
    CHECK(f.malloc && f.calloc && f.realloc && f.free);
    return f;
}

static void *use(void *argument) {
    struct family *f = (struct family *)argument;
    void *blocks[100];
    for (int i = 0; i < 100; i++) {
        CHECK((blocks[i] = f->calloc(1, i * 100 + 1)) != NULL);
        CHECK(all_zero(blocks[i], i * 100 + 1));
        memset(blocks[i], i, i * 100 + 1);
    }
    pthread_barrier_wait(&closed);
    for (int i = 0; i < 100; i++)
        f->free(f->realloc(blocks[i], i * 300 + 1));
    return NULL;
}

int main(void) {
    const char *library = getenv("MALLOC_LIB");
    if (library == NULL || *library == 0)
        skip("no library to load");
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    CHECK(handle != NULL, "%s", dlerror());
    struct family f = find(handle);

    pthread_barrier_init(&closed, NULL, 3);
    pthread_t one = start(use, &f), two = start(use, &f);
    CHECK(dlclose(handle) == 0);
    handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
    CHECK(handle != NULL, "dlclose unloaded the library");
    pthread_barrier_wait(&closed);
    join(one);
    join(two);

    void *second = dlmopen(LM_ID_NEWLM, library, RTLD_NOW);
    CHECK(second != NULL, "%s", dlerror());
    struct family g = find(second);
    CHECK(g.malloc != f.malloc);
    void *p = f.malloc(1000), *q = g.malloc(1000);
    CHECK(p != NULL && q != NULL && p != q);
    f.free(p);
    g.free(q);
    return 0;
}
