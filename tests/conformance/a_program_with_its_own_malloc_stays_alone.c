// Conformance 1 and 2: where the program itself defines malloc, the preloaded
// library is inert, and no function of it hands foreign blocks to the
// program's free (strdup, getline ... are left to libc).
// run: static=no confs=default
#include "check.h"

#include <locale.h>

static _Alignas(16) char arena[64 << 20];
static size_t top;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool ours(const void *p) {
    return (const char *)p >= arena && (const char *)p < arena + sizeof arena;
}
void *malloc(size_t n) {
    pthread_mutex_lock(&lock);
    size_t at = top + 16;
    top = (at + n + 15) & ~(size_t)15;
    if (top > sizeof arena)
        abort();
    pthread_mutex_unlock(&lock);
    *(size_t *)(void *)(arena + at - 16) = n;
    return arena + at;
}
void free(void *p) {
    if (p != NULL && !ours(p)) {
        static const char text[] = "the program's free was given a foreign block\n";
        ssize_t n = write(2, text, sizeof text - 1);
        _exit(n < 0 ? 2 : 1);
    }
}
void *calloc(size_t n, size_t m) { return memset(malloc(n * m), 0, n * m); }
void *realloc(void *p, size_t n) {
    void *q = malloc(n);
    if (p != NULL) {
        size_t old = ((size_t *)p)[-2];
        memcpy(q, p, old < n ? old : n);
        free(p);
    }
    return q;
}

static void *work(void *unused) {
    for (int i = 0; i < 200; i++) {
        char *copy = strdup("a string"), *part = strndup("a string", 3), *text = NULL;
        CHECK(ours(copy) && ours(part));
        CHECK(asprintf(&text, "%d", i) > 0 && ours(text));
        char *real = realpath("/", NULL);
        CHECK(ours(real));
        free(copy);
        free(part);
        free(text);
        free(real);
    }
    return unused;
}

int main(void) {
    work(NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start(work, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    FILE *file = fopen("/proc/self/maps", "r");
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) > 0)
        CHECK(ours(line));
    free(line);
    fclose(file);
    CHECK(setlocale(LC_ALL, "C") != NULL);
    pid_t child = fork();
    if (child == 0) {
        work(NULL);
        _exit(0);
    }
    expect_success(child);
    return 0;
}
