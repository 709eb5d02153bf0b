// Conformance 5: at RLIMIT_AS or RLIMIT_DATA malloc is NULL and ENOMEM, what
// was allocated stays whole, and after freeing it malloc works again: for
// blocks of one size, for larger ones, for large and small in turn, for one that grows, and in
// other threads.
// run: pool=no
#include "check.h"
#include <semaphore.h>

// The thread is started before the limit: a libc may have no addresses left for
// another stack.
static sem_t go;

static void *other_thread(void *unused) {
    while (sem_wait(&go) != 0)
        CHECK(errno == EINTR);
    for (size_t n = 1; n <= 64 * KIB; n *= 2) {
        void *p = malloc(n);
        CHECK(p != NULL, "%zu bytes in another thread", n);
        free(p);
    }
    return unused;
}

static size_t take_all(size_t size, void ***chain) {
    size_t total = 0;
    void **p;
    errno = 0;
    while ((p = (void **)malloc(size)) != NULL) {
        ((size_t *)p)[1] = total;
        *p = *chain;
        *chain = p;
        total += size;
        errno = 0;
    }
    CHECK(errno == ENOMEM);
    return total;
}

static void free_all(size_t size, size_t total, void ***chain) {
    while (*chain != NULL) {
        void **p = *chain;
        total -= size;
        CHECK(((size_t *)p)[1] == total);
        *chain = (void **)*p;
        free(p);
    }
    CHECK(total == 0);
}

static void within(int resource, size_t room, size_t size) {
    pid_t child = fork();
    if (child != 0) {
        expect_success(child);
        return;
    }
    CHECK(sem_init(&go, 0, 0) == 0);
    pthread_t waiting = start(other_thread, NULL);
    struct rlimit limit;
    size_t used = 0, value;
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file != NULL);
    const char *field = resource == RLIMIT_AS ? "VmSize:" : "VmData:";
    while (fgets(line, sizeof line, file))
        if (strncmp(line, field, 7) == 0 && sscanf(line + 7, "%zu", &value) == 1)
            used = value * KIB;
    fclose(file);
    limit.rlim_cur = limit.rlim_max = used + room;
    CHECK(setrlimit(resource, &limit) == 0);

    void **chain = NULL;
    // Nothing is kept of what was refused.
    for (int i = 0; i < 50; i++)
        CHECK(malloc(opaque(room + MIB)) == NULL && errno == ENOMEM);
    size_t first = take_all(size, &chain);
    CHECK(first >= room / 2, "only %zu of %zu KiB before ENOMEM", first / KIB, room / KIB);
    errno = 0;
    CHECK(calloc(1, room) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(aligned_alloc(4096, room) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(realloc(chain, room) == NULL && errno == ENOMEM);
    free_all(size, first, &chain);

    CHECK(sem_post(&go) == 0);
    join(waiting);
    size_t second = take_all(size, &chain);
    CHECK(second >= first / 10 * 9, "second time %zu of %zu KiB", second / KIB, first / KIB);
    free_all(size, second, &chain);
    size_t larger = size < MIB ? size * 3 : 3 * MIB;
    size_t third = take_all(larger, &chain);
    CHECK(third >= first / 4, "in larger blocks %zu of %zu KiB", third / KIB, first / KIB);
    free_all(larger, third, &chain);
    // Many blocks take long, and those of 1000 bytes are cells, too.
    if (size < 1000)
        _exit(0);
    // What small blocks had serves large ones, and theirs small ones again.
    for (int round = 0; round < 2; round++) {
        size_t fourth = take_all(room / 8, &chain);
        CHECK(fourth >= room / 2, "in eighths %zu of %zu KiB, round %d", fourth / KIB, room / KIB, round);
        free_all(room / 8, fourth, &chain);
        size_t fifth = take_all(size, &chain);
        CHECK(fifth >= first / 10 * 9, "then %zu of %zu KiB, round %d", fifth / KIB, first / KIB, round);
        free_all(size, fifth, &chain);
    }
    // What a request has made go, the statistics no longer count.
    size_t before = mallinfo2().arena;
    CHECK(malloc(room) == NULL);
    size_t now = mallinfo2().arena;
    CHECK(size > 1000 || now + room / 4 < before, "%zu of %zu KiB", now / KIB, before / KIB);
    if (resource == RLIMIT_AS) {
        // A block that grows needs no room but for that.
        char *block = (char *)malloc(room / 8 * 5);
        CHECK(block != NULL);
        fill(block, 5000, size);
        size_t beside = take_all(size, &chain);
        free_all(size, beside, &chain);
        errno = 4711;
        block = (char *)realloc(block, room / 4 * 3);
        CHECK(block != NULL && errno == 4711, "%zu KiB beside it were freed", beside / KIB);
        CHECK(filled(block, 5000, size));
        free(block);
    }
    _exit(0);
}

int main(void) {
    static const size_t sizes[] = {64, 1000, 5000, 100000, 2 << 20};
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        within(RLIMIT_AS, 96 * MIB, sizes[i]);
        within(RLIMIT_DATA, 96 * MIB, sizes[i]);
    }
    return 0;
}
