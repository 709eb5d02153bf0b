// Conformance 3 and 4: any mix of calls from several threads, blocks handed
// from one to another, keeps every block's contents, alignment and size.
//
// The model is the contents: each block is full of bytes that only its seed
// gives, so that an overlap, a lost byte or memory that is not there shows in
// one of the two. Looked at whenever a block is touched: its beginning and its
// end, now and then all of it, and all of it when it moves and at the end. An
// argument is the seed of the run; without one it is a new one, printed.
// run: timeout=120
#include "check.h"

enum { THREADS = 4, SLOTS = 300, CALLS = 150000, SAMPLE = 256 };

struct block { unsigned char *p; size_t n; uint64_t seed; };
static struct block handed[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t run;

static size_t random_size(uint64_t *state) {
    uint64_t r = next_random(state), kind = r % 10000;
    unsigned log = (r >> 16) % 64;
    if (kind >= 9997)
        return next_random(state) % (6 * MIB); // beyond what is a mapping of its own
    if (kind >= 9950) // at the borders of spans and regions' steps
        return ((size_t)32 * KIB << log % 5) - 16 + (r >> 32) % 33;
    if (kind >= 9900)
        return next_random(state) % ((size_t)1 << (14 + log % 6));
    return next_random(state) % ((size_t)2 << (kind < 8000 ? log % 10 : log % 14));
}

static void make(struct block *b, uint64_t *state) {
    size_t n = random_size(state), align = (size_t)1 << next_random(state) % 13;
    void *p = NULL;
    uint64_t r = next_random(state);
    switch (r % 8) {
    case 0: p = calloc(n / 8 + 1, 8); n = (n / 8 + 1) * 8; CHECK(p != NULL && all_zero(p, n)); break;
    case 1: p = aligned_alloc(align, n); CHECK((uintptr_t)p % align == 0); break;
    case 2: p = memalign(align, n); CHECK((uintptr_t)p % align == 0); break;
    case 3: CHECK(posix_memalign(&p, align * 8, n) == 0 && (uintptr_t)p % (align * 8) == 0); break;
    case 4: p = realloc(NULL, n); break;
    default: p = malloc(n);
    }
    CHECK(p != NULL && (uintptr_t)p % 16 == 0, "size %zu", n);
    size_t usable = malloc_usable_size(p);
    CHECK(usable >= n, "%zu of %zu bytes are usable", usable, n);
    if (r & 256)
        n = usable;
    b->p = (unsigned char *)p;
    b->n = n;
    b->seed = r;
    fill(b->p, n, r);
}

static void look(const struct block *b, bool all) {
    bool whole = all || b->n <= 2 * SAMPLE;
    CHECK(filled(b->p, whole ? b->n : SAMPLE, b->seed), "a block of %zu bytes was overwritten", b->n);
    if (!whole)
        CHECK(filled_from(b->p, b->n - SAMPLE, b->n, b->seed), "the end of a block of %zu bytes was overwritten", b->n);
}

static void *work(void *argument) {
    uint64_t state = (run ^ 0x9E3779B97F4A7C15u * ((uintptr_t)argument + 1)) | 1;
    static __thread struct block own[SLOTS];
    for (int i = 0; i < CALLS; i++) {
        uint64_t r = next_random(&state);
        struct block *b = &own[r % SLOTS];
        if (b->p == NULL) {
            make(b, &state);
            continue;
        }
        look(b, (r & 0xF0000) == 0);
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
            CHECK(p != NULL && (uintptr_t)p % 16 == 0 && malloc_usable_size(p) >= n);
            CHECK(filled(p, kept, b->seed), "%zu -> %zu", b->n, n);
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
            look(&own[i], true);
            free(own[i].p);
        }
    return NULL;
}

int main(int count, char **arguments) {
    run = count > 1 ? strtoull(arguments[1], NULL, 0) : (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    printf("seed %#llx\n", (unsigned long long)run);
    fflush(stdout);
    pthread_t threads[THREADS];
    for (int round = 0; round < 2; round++) { // the second finds what ended threads left
        for (int i = 0; i < THREADS; i++)
            threads[i] = start(work, (void *)(intptr_t)(round * THREADS + i));
        for (int i = 0; i < THREADS; i++)
            join(threads[i]);
    }
    for (int i = 0; i < SLOTS; i++)
        if (handed[i].p != NULL) {
            look(&handed[i], true);
            free(handed[i].p);
        }
    return 0;
}
