// Conformance 2: the loader's own calls of calloc, malloc, realloc and free:
// modules with dynamic TLS are loaded while threads run, grow every thread's
// table of modules, and are unloaded again.
// run: static=no
#include "check.h"

enum { MODULES = 24, THREADS = 6, ROUNDS = 4 };

static char *(*touch[MODULES])(int);
static pthread_barrier_t loaded, touched;

static void *thread(void *argument) {
    int number = (int)(intptr_t)argument;
    for (int round = 0; round < ROUNDS; round++) {
        free(malloc(100));
        pthread_barrier_wait(&loaded);
        for (int i = 0; i < MODULES; i++) {
            char *block = touch[i](number + 1);
            CHECK(block[0] == 1 && block[8191] == number + 1);
        }
        pthread_barrier_wait(&touched);
    }
    return NULL;
}

static void copy(const char *from, const char *to) {
    static char bytes[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    CHECK(in >= 0 && out >= 0, "%s to %s", from, to);
    for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;)
        CHECK(write(out, bytes, n) == n);
    close(in);
    close(out);
}

int main(void) {
    const char *helpers = getenv("HELPERS");
    CHECK(helpers != NULL);
    char module[4096], folder[] = "/tmp/memman-tls-XXXXXX";
    snprintf(module, sizeof module, "%s/tls_module.so", helpers);
    CHECK(mkdtemp(folder) != NULL);

    pthread_barrier_init(&loaded, NULL, THREADS + 1);
    pthread_barrier_init(&touched, NULL, THREADS + 1);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(thread, (void *)(intptr_t)i);
    for (int round = 0; round < ROUNDS; round++) {
        void *handles[MODULES];
        for (int i = 0; i < MODULES; i++) {
            char name[64];
            snprintf(name, sizeof name, "%s/%d.so", folder, i);
            copy(module, name);
            handles[i] = dlopen(name, RTLD_NOW | RTLD_LOCAL);
            unlink(name);
            CHECK(handles[i] != NULL, "%s", dlerror());
            *(void **)&touch[i] = dlsym(handles[i], "touch");
            CHECK(touch[i] != NULL);
        }
        pthread_barrier_wait(&loaded);
        pthread_barrier_wait(&touched);
        for (int i = 0; i < MODULES; i++)
            CHECK(dlclose(handles[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    rmdir(folder);
    return 0;
}
