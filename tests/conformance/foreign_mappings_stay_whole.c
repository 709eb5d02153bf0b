// Conformance 5: the program's own mappings may lie right beside the heap's,
// in holes that the heap gave back too: growing, moving, trimming and giving
// back never touch them.
#include "check.h"

enum { MANY = 200 };
static struct { char *p; size_t n; } mapped[MANY], block[MANY];

int main(void) {
    uint64_t state = 4711;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 6000; i++) {
        uint64_t r = next_random(&state);
        int s = (int)(r % MANY);
        size_t n = 1 + next_random(&state) % (r & 256 ? 20000 : 700000);
        if (r & 512) {
            if (mapped[s].p != NULL) {
                CHECK(filled(mapped[s].p, page, s) &&
                          filled(mapped[s].p + mapped[s].n - page, page, s + 1),
                      "a mapping of the program was overwritten");
                CHECK(munmap(mapped[s].p, mapped[s].n) == 0);
            }
            mapped[s].n = (n + 2 * page - 1) / page * page; // two pages at least
            mapped[s].p = (char *)mmap(NULL, mapped[s].n, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            CHECK(mapped[s].p != MAP_FAILED);
            fill(mapped[s].p, page, s);
            fill(mapped[s].p + mapped[s].n - page, page, s + 1);
            continue;
        }
        if (block[s].p != NULL)
            CHECK(filled(block[s].p, block[s].n < 300 ? block[s].n : 300, s));
        if (r & 1024) {
            free(block[s].p);
            block[s].p = (char *)malloc(n);
        } else {
            block[s].p = (char *)realloc(block[s].p, n);
        }
        CHECK(block[s].p != NULL);
        block[s].n = n;
        memset(block[s].p, 0xEE, n);
        fill(block[s].p, n < 300 ? n : 300, s);
#ifdef __GLIBC__
        if (i % 500 == 0)
            malloc_trim(0);
#endif
    }
    for (int s = 0; s < MANY; s++) {
        free(block[s].p);
        if (mapped[s].p != NULL)
            CHECK(filled(mapped[s].p, page, s));
    }
    return 0;
}
