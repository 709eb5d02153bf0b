// Conformance 3: what a new block happens to hold means nothing, wherever the
// program copies it: no trace of earlier blocks may make the library take a
// live block for a freed one.
#include "check.h"

enum { BYTES = 4 * MIB, SMALL = 16, LARGER = 64, PAGE_SIZE = 4096, PAGES = 100 };
static void *small[BYTES / SMALL];
static char *larger[BYTES / LARGER];

static void *free_all(void *unused) {
    for (size_t i = 0; i < LENGTH(larger); i++)
        free(larger[i]);
    return unused;
}

// A block of a page like one that was freed, and freed by the thread that got it, in a slab
// that still grows, more often than free takes note of.
static void pages(void) {
    char freed[PAGE_SIZE], *page;
    CHECK((page = (char *)malloc(PAGE_SIZE)) != NULL);
    free(page);
    memcpy(freed, launder(page), PAGE_SIZE);
    for (int i = 0; i < PAGES; i++) {
        CHECK((page = (char *)malloc(PAGE_SIZE)) != NULL);
        memcpy(page, freed, PAGE_SIZE);
        free(page);
    }
}

int main(void) {
    pages();
    for (size_t word = 0; word < LARGER; word += 8) {
        for (size_t i = 0; i < LENGTH(small); i++)
            CHECK((small[i] = malloc(SMALL)) != NULL);
        for (size_t i = 0; i < LENGTH(small); i++)
            free(small[i]);
        for (size_t i = 0; i < LENGTH(larger); i++) {
            CHECK((larger[i] = (char *)malloc(LARGER)) != NULL);
            char *from = (char *)launder(larger[i]) + word;
            for (size_t to = 0; to < LARGER; to += 8)
                memmove(larger[i] + to, from, 8);
            CHECK(malloc_usable_size(larger[i]) >= LARGER);
        }
        join(start(free_all, NULL));
    }
    return 0;
}
