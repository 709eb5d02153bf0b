// Conformance 1: mallopt says 1 to the well-known parameters; mallinfo2 counts
// live bytes; malloc_info writes XML and refuses options; malloc_stats writes
// to stderr; malloc_trim says 0 or 1.
// run: static=no
#include "check.h"

static size_t live(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

int main(void) {
    static const int parameters[] = {M_ARENA_MAX,      M_ARENA_TEST, M_MMAP_THRESHOLD, M_MMAP_MAX,
                                     M_TRIM_THRESHOLD, M_TOP_PAD,    M_PERTURB};
    for (size_t i = 0; i < LENGTH(parameters); i++)
        CHECK(mallopt(parameters[i], parameters[i] == M_PERTURB ? 0 : 65536) == 1, "parameter %d",
              parameters[i]);

    enum { BLOCKS = 2000, SIZE = 10000 };
    static void *blocks[BLOCKS];
    size_t before = live();
    for (int i = 0; i < BLOCKS; i++)
        CHECK((blocks[i] = malloc(SIZE)) != NULL);
    size_t full = live();
    CHECK(full >= before + (size_t)BLOCKS * SIZE, "%zu -> %zu", before, full);
    CHECK(full <= before + (size_t)BLOCKS * SIZE * 2, "%zu -> %zu", before, full);
    struct mallinfo2 info = mallinfo2();
    CHECK(info.arena + info.hblkhd >= (size_t)BLOCKS * SIZE);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    CHECK(mallinfo().uordblks + mallinfo().hblkhd >= BLOCKS * SIZE);
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    CHECK(live() <= before + (size_t)BLOCKS * SIZE / 10, "%zu -> %zu", before, live());

    void *big = malloc(64 * MIB);
    CHECK(big != NULL && live() >= 64 * MIB);
    free(big);
    CHECK(live() < 32 * MIB);

    int trimmed = malloc_trim(0);
    CHECK(trimmed == 0 || trimmed == 1);

    char *xml = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&xml, &length);
    CHECK(malloc_info(0, out) == 0);
    fclose(out);
    CHECK(strncmp(xml, "<malloc", 7) == 0 && strstr(xml, "</malloc>") != NULL, "%.60s", xml);
    free(xml);
    errno = 4711;
    CHECK(malloc_info(1, stdout) == EINVAL && errno == 4711);

    // malloc_stats writes something to descriptor 2, and to nothing else
    int ends[2];
    CHECK(pipe(ends) == 0);
    int kept = dup(2);
    CHECK(kept >= 0 && dup2(ends[1], 2) == 2);
    size_t was = live();
    malloc_stats();
    size_t is = live();
    dup2(kept, 2);
    close(ends[1]);
    char text[65536];
    ssize_t n = read(ends[0], text, sizeof text - 1);
    CHECK(n > 20, "malloc_stats wrote %zd bytes", n);
    CHECK(is == was, "malloc_stats allocated");
    return 0;
}
