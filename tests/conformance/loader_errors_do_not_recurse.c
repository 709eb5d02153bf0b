// Conformance 2: dlopen, dlsym, dlerror and their failures, whose messages
// the loader allocates, from several threads at once and around dlclose.
// run: static=no
#include "check.h"

static void *thread(void *unused) {
    for (int i = 0; i < 300; i++) {
        CHECK(dlopen("/nonexistent/library.so", RTLD_NOW) == NULL);
        char *message = dlerror();
        CHECK(message != NULL && strstr(message, "nonexistent") != NULL);
        CHECK(dlsym(RTLD_DEFAULT, "no_such_function_anywhere") == NULL);
        CHECK(dlerror() != NULL && dlerror() == NULL);
        void *next = dlsym(RTLD_NEXT, "calloc");
        CHECK(next != NULL);
        void *math = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
        CHECK(math != NULL && dlsym(math, "cos") != NULL);
        CHECK(dlclose(math) == 0);
    }
    return unused;
}

int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start(thread, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    return 0;
}
