// Conformance 5: where the kernel has no more mappings to give
// (vm.max_map_count), free does not abort, keeps errno and loses nothing;
// malloc gives a block or NULL; and all is well when mappings are back.
#include "check.h"

enum { SMALL = 2000, LARGE = 200 };
static char *small[SMALL], *large[LARGE];

int main(void) {
    long most = 0;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file == NULL || fscanf(file, "%ld", &most) != 1 || most > 300000)
        skip("vm.max_map_count is unknown or too large to fill");
    fclose(file);
    for (int i = 0; i < SMALL; i++)
        CHECK((small[i] = (char *)malloc(100 + i)) != NULL);
    for (int i = 0; i < LARGE; i++) {
        CHECK((large[i] = (char *)malloc(300000)) != NULL);
        fill(large[i], 1000, i);
    }
    // every other page read-only: each page is a mapping of its own
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size_t)most + 1000;
    char *area = (char *)mmap(NULL, pages * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    size_t at = 0;
    while (at < pages && mprotect(area + at * page, page, PROT_READ) == 0)
        at += 2;
    CHECK(errno == ENOMEM, "the mappings did not run out");

    for (int i = 0; i < LARGE; i += 2) {
        CHECK(filled(large[i], 1000, i));
        errno = 4711;
        free(large[i]);
        CHECK(errno == 4711);
        large[i] = NULL;
    }
    for (int i = 0; i < SMALL; i++) {
        errno = 4711;
        free(small[i]);
        CHECK(errno == 4711);
    }
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    int given = 0;
    for (int i = 0; i < SMALL; i++) {
        errno = 0;
        small[i] = (char *)calloc(1, i % 10 ? 100 + (size_t)i : 200000);
        CHECK(small[i] != NULL || errno == ENOMEM);
        if (small[i] != NULL) {
            CHECK(all_zero(small[i], 100 + (size_t)i));
            memset(small[i], 1, 100 + (size_t)i);
            given++;
        }
    }
    for (int i = 1; i < LARGE; i += 2) {
        char *p = (char *)realloc(large[i], 900000);
        if (p != NULL)
            large[i] = p;
        CHECK(filled(large[i], 1000, i));
    }

    CHECK(munmap(area, pages * page) == 0);
    for (int i = 0; i < SMALL; i++)
        free(small[i]);
    for (int i = 1; i < LARGE; i += 2) {
        CHECK(filled(large[i], 1000, i));
        free(large[i]);
    }
    for (int i = 0; i < LARGE; i++)
        CHECK((large[i] = (char *)calloc(1, 300000)) != NULL && all_zero(large[i], 300000));
    for (int i = 0; i < LARGE; i++)
        free(large[i]);
    CHECK(given > 0, "not one block in freed memory");
    return 0;
}
