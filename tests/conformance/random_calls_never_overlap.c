// Conformance 3 and 4: any mix of calls from several threads, blocks handed
// from one to another, keeps every block's contents, alignment and size.
#include "check.h"

enum { THREADS = 4, SLOTS = 300, CALLS = 60000 };

struct block { unsigned char *p; size_t n; uint64_t seed; };
static struct block handed[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t random_size(uint64_t *state) {
    uint64_t r = next_random(state);
    unsigned log = r % 100 < 80 ? 1 + (r >> 8) % 10 : r % 100 < 98 ? 1 + (r >> 8) % 14 : 1 + (r >> 8) % 19;
    return next_random(state) % ((size_t)1 << log);
}

static void make(struct block *b, uint64_t *state) {
    size_t n = random_size(state), align = (size_t)1 << next_random(state) % 13;
    void *p = NULL;
    uint64_t r = next_random(state);
    switch (r % 8) {
    case 0: p = calloc(n / 8 + 1, 8); n = (n / 8 + 1) * 8; CHECK(all_zero(p, n)); break;
    case 1: p = aligned_alloc(align, n); CHECK((uintptr_t)p % align == 0); break;
    case 2: p = memalign(align, n); CHECK((uintptr_t)p % align == 0); break;
    case 3: CHECK(posix_memalign(&p, align * 8, n) == 0 && (uintptr_t)p % (align * 8) == 0); break;
    case 4: p = realloc(NULL, n); break;
    default: p = malloc(n);
    }
    CHECK(p != NULL, "size %zu", n);
    if (r & 256)
        n = malloc_usable_size(p);
    b->p = (unsigned char *)p;
    b->n = n;
    b->seed = r;
    fill(b->p, n, r);
}

static void *work(void *argument) {
    uint64_t state = 0x9E3779B97F4A7C15u * ((uintptr_t)argument + 1);
    static __thread struct block own[SLOTS];
    for (int i = 0; i < CALLS; i++) {
        uint64_t r = next_random(&state);
        struct block *b = &own[r % SLOTS];
        if (b->p == NULL) {
            make(b, &state);
            continue;
        }
        size_t sample = r & 0x70000 && b->n > 512 ? 512 : b->n; // in full now and then
        CHECK(filled(b->p, sample, b->seed), "a block of %zu bytes was overwritten", b->n);
        switch ((r >> 32) % 8) {
        case 0: { // hand it on, and take what another thread left
            pthread_mutex_lock(&lock);
            struct block *other = &handed[r % SLOTS], swap = *other;
            *other = *b;
            pthread_mutex_unlock(&lock);
            *b = swap;
            break;
        }
        case 1:
        case 2: {
            size_t n = random_size(&state) + 1, kept = n < b->n ? n : b->n;
            unsigned char *p = (unsigned char *)realloc(b->p, n);
            CHECK(p != NULL && filled(p, kept, b->seed), "%zu -> %zu", b->n, n);
            b->p = p;
            b->n = n;
            b->seed = r;
            fill(p, n, r);
            break;
        }
        default:
            free(b->p);
            b->p = NULL;
        }
    }
    for (int i = 0; i < SLOTS; i++)
        if (own[i].p != NULL) {
            CHECK(filled(own[i].p, own[i].n, own[i].seed));
            free(own[i].p);
        }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(work, (void *)(intptr_t)i);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    for (int i = 0; i < SLOTS; i++)
        if (handed[i].p != NULL) {
            CHECK(filled(handed[i].p, handed[i].n, handed[i].seed));
            free(handed[i].p);
        }
    return 0;
}
