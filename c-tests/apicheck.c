/* apicheck-ffit, apicheck-buddy, apicheck-ebuddy: the contract of the headers
 * where it is hard to keep: areas of every size and alignment between guards,
 * areas beyond 4 GiB, threads, locks, damaged bookkeeping, and long random
 * work against a model. Each function is one promise. */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test.h"

static heap_t heap;

static heap_stats_t counted(void)
{
    heap_stats_t stats;
    heap_stats(&heap, &stats);
    return stats;
}

/* Pages between two that cannot be touched: what reads or writes past an area
 * that ends here dies. */
enum { FENCED = 64 << 10 };

static unsigned char *fenced(void)
{
    static unsigned char *pages;
    if (pages == NULL) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        unsigned char *map = mmap(NULL, FENCED + 2 * page, PROT_NONE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(map != MAP_FAILED);
        CHECK(mprotect(map + page, FENCED, PROT_READ | PROT_WRITE) == 0);
        pages = map + page;
    }
    return pages;
}

/* Random work on a heap against a model of it: what is live, and what it
 * holds. `often` asks for the whole check after every step. */
enum { MOST_HELD = 256 };

typedef struct {
    held_t held[MOST_HELD];
    size_t count;
    uint64_t random;
    unsigned refused;
} model_t;

static size_t model_random(model_t *model, size_t limit)
{
    return (size_t)(test_mix(&model->random) % limit);
}

static void model_step(heap_t *h, model_t *model, size_t largest)
{
    size_t what = model_random(model, 4), size = 1 + model_random(model, largest);
    if (what >= 2 && model->count < MOST_HELD) {
        size_t alignment = (size_t)1 << model_random(model, 9);
        held_t held = {NULL, size, test_mix(&model->random)};
        held.at = what == 2 ? heap_get_block(h, size) : heap_get_aligned(h, alignment, size);
        if (held.at == NULL) {
            model->refused++;
            return;
        }
        CHECK((uintptr_t)held.at % (what == 2 ? 16 : alignment) == 0);
        held.size = heap_usable_size(h, held.at);
        CHECK(held.size >= size);
        held_fill(&held);
        model->held[model->count++] = held;
    } else if (model->count > 0) {
        size_t i = model_random(model, model->count);
        held_t *held = &model->held[i];
        CHECK(held_intact(held, held->size));
        if (what == 0) {
            CHECK(heap_free_block(h, held->at) == HEAP_OK);
            *held = model->held[--model->count];
            return;
        }
        int rc = -1;
        unsigned char *at = heap_extend_block(h, held->at, size, &rc);
        CHECK(rc == HEAP_OK);
        if (at == NULL) {
            CHECK(held_intact(held, held->size));
            model->refused++;
            return;
        }
        held->at = at;
        CHECK(held_intact(held, held->size < size ? held->size : size));
        held->size = heap_usable_size(h, at);
        CHECK(held->size >= size);
        held_fill(held);
    }
}

static void model_end(heap_t *h, model_t *model)
{
    while (model->count > 0) {
        held_t *held = &model->held[--model->count];
        CHECK(held_intact(held, held->size));
        CHECK(heap_free_block(h, held->at) == HEAP_OK);
    }
}

static void random_work_agrees_with_a_model_at_every_step(void)
{
    static const size_t area[] = {1000, 4096, 20000, FENCED};
    for (int i = 0; i < 4; i++) {
        static model_t model;
        CHECK(heap_init(&heap, fenced() + FENCED - area[i], area[i]) == HEAP_OK);
        heap_stats_t before = counted();
        model.random = test_seed + (unsigned)i;
        for (int step = 0; step < 20000; step++) {
            model_step(&heap, &model, area[i] / (step % 3 == 0 ? 4 : 40));
            if (step % 8 == 0)
                CHECK(heap_sound(&heap));
            CHECK(counted().blocks == model.count);
        }
        CHECK(counted().failed == model.refused && model.refused > 0);
        model.refused = 0;
        model_end(&heap, &model);
        heap_stats_t after = counted();
        CHECK(after.used == 0 && after.free == before.free
              && after.largest_free == before.largest_free);
        CHECK(heap_sound(&heap));
    }
}

/* areas */

static void the_smallest_area_is_just_large_enough(void)
{
    size_t least = heap_minimum_size();
    int refused = 0;
    CHECK(least > 0 && least < 2048);
    for (size_t offset = 0; offset < 64; offset++) {
        CHECK(heap_init(&heap, fenced() + offset, least) == HEAP_OK);
        CHECK(heap_get_block(&heap, 1) != NULL);
        CHECK(heap_sound(&heap));
        refused += heap_init(&heap, fenced() + offset, least - 1) != HEAP_OK;
    }
    CHECK(refused > 0);
}

/* Everything that can be got is got, and every byte of it written. */
static void use_up(size_t size)
{
    static held_t held[1200];
    size_t count = 0;
    for (; size >= 1; size /= 2)
        for (;;) {
            held_t *one = &held[count];
            one->at = heap_get_block(&heap, size);
            if (one->at == NULL)
                break;
            one->size = heap_usable_size(&heap, one->at);
            one->tag = ++count;
            CHECK(count < sizeof held / sizeof *held);
            held_fill(one);
        }
    CHECK(heap_sound(&heap));
    for (size_t i = 0; i < count; i++) {
        CHECK(held_intact(&held[i], held[i].size));
        CHECK(heap_free_block(&heap, held[i].at) == HEAP_OK);
    }
    CHECK(counted().used == 0);
}

static void an_area_of_every_size_at_every_alignment_keeps_to_itself(void)
{
    static unsigned char room[4096];
    for (size_t bytes = 0; bytes < 1500; bytes++) {
        size_t offset = 64 + bytes % 32;
        memset(room, 0x5a, sizeof room);
        if (heap_init(&heap, room + offset, bytes) == HEAP_OK) {
            use_up(400);
        } else {
            CHECK(bytes < heap_minimum_size());
            CHECK(heap_get_block(&heap, 1) == NULL);
        }
        for (size_t i = 0; i < sizeof room; i++)
            CHECK((i >= offset && i < offset + bytes) || room[i] == 0x5a);
    }
}

static void an_area_against_a_wall_is_not_left(void)
{
    for (size_t bytes = heap_minimum_size(); bytes < 3000; bytes += 1 + bytes / 64) {
        CHECK(heap_init(&heap, fenced() + FENCED - bytes, bytes) == HEAP_OK);
        use_up(500);
        CHECK(heap_init(&heap, fenced(), bytes) == HEAP_OK);
        use_up(500);
    }
}

#if SIZE_MAX > 0xffffffff

/* An area that the system backs only where it is touched; NULL where it does
 * not give that much. */
static unsigned char *lazy_area(size_t bytes)
{
    void *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) {
        printf("%s: skipped: the system gives no %zu bytes\n", HEAP_NAME, bytes);
        return NULL;
    }
    return area;
}

static void an_area_beyond_four_gib_is_used_whole(void)
{
    const size_t gib = (size_t)1 << 30, bytes = 5 * gib + 12345;
    unsigned char *area = lazy_area(bytes);
    if (area == NULL)
        return;
    CHECK(heap_init(&heap, area, bytes) == HEAP_OK);
    CHECK(counted().size > bytes / 100 * 96);
    uint32_t mem = 0, usd = 0, fre = 0;
    heap_get_stats(&heap, &mem, &usd, &fre);
    CHECK(mem == UINT32_MAX && usd == 0 && fre == UINT32_MAX);

    /* Blocks of 64 MiB up to the end: none twice, the last beyond 4 GiB. */
    unsigned char *first = NULL, *last = NULL;
    size_t blocks = 0;
    for (unsigned char *at; (at = heap_get_block(&heap, 64 << 20)) != NULL; blocks++) {
        CHECK(at >= area && at + (64 << 20) <= area + bytes);
        CHECK(last == NULL || at >= last + (64 << 20) || HEAP_HAS_EMERGENCY);
        if (first == NULL)
            first = at;
        last = at;
        memset(at, 1, 64);
    }
    CHECK(blocks >= 70 && blocks <= 80);
    CHECK((size_t)(last - area) > 4 * gib);
    CHECK(counted().blocks == blocks && counted().used == blocks * (64 << 20));

    /* A block beyond 4 GiB is freed, got again, and moved down with its contents. */
    strcpy((char *)last, "beyond");
    CHECK(heap_free_block(&heap, first) == HEAP_OK);
    CHECK(heap_free_block(&heap, last + gib / 16 / 2) == HEAP_NOTFOUND);
    int rc = -1;
    CHECK(heap_extend_block(&heap, last, 64 << 20, &rc) == last && rc == HEAP_OK);
    CHECK(heap_free_block(&heap, last) == HEAP_OK);
    CHECK(heap_get_block(&heap, 32 << 20) == first);
    CHECK(munmap(area, bytes) == 0);
}

static void a_size_above_two_to_the_32_is_granted_and_not_cut(void)
{
    /* The buddy system rounds 4 GiB and a little up to 8; an emergency heap
     * takes a quarter of the area. */
    const size_t gib = (size_t)1 << 30, bytes = (HEAP_HAS_EMERGENCY ? 12 : HEAP_IS_BUDDY ? 9 : 5) * gib;
    unsigned char *area = lazy_area(bytes);
    if (area == NULL)
        return;
    CHECK(heap_init(&heap, area, bytes) == HEAP_OK);
    unsigned char *block = heap_get_block(&heap, 4 * gib + 8);
    CHECK(block != NULL && heap_usable_size(&heap, block) >= 4 * gib + 8);
    block[0] = 1;
    block[4 * gib + 7] = 2;
    unsigned char *next = heap_get_block(&heap, 64);
    CHECK(next != NULL && (next >= block + 4 * gib + 8 || next + 64 <= block));
    CHECK(counted().used >= 4 * gib + 8);
    CHECK(heap_free_block(&heap, block) == HEAP_OK && heap_free_block(&heap, next) == HEAP_OK);
    CHECK(counted().used == 0);
    CHECK(munmap(area, bytes) == 0);
}

#endif

static void init_does_not_touch_the_blocks(void)
{
    enum { BYTES = 64 << 20 };
    size_t page = (size_t)sysconf(_SC_PAGESIZE), resident = 0;
    static unsigned char in_core[BYTES / 4096];
    unsigned char *area = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED && page >= 4096);
    madvise(area, BYTES, MADV_NOHUGEPAGE); /* fails where there are none */
    CHECK(heap_init(&heap, area, BYTES) == HEAP_OK);
    CHECK(mincore(area, BYTES, in_core) == 0);
    for (size_t i = 0; i < BYTES / page; i++)
        resident += in_core[i] & 1;
    CHECK(resident <= BYTES / page / 20);
    CHECK(heap_fill(&heap, 4096) >= BYTES / 100 * 95);
    CHECK(munmap(area, BYTES) == 0);
}

/* the bounds */

/* Live blocks under a limit in bytes. A get within it must be granted. */
enum { MOST_BOUNDED = 4096 };

typedef struct {
    void *at[MOST_BOUNDED];
    size_t size[MOST_BOUNDED];
    size_t count, live, most_live;
} bounded_t;

static bounded_t bounded;

static int bounded_get(size_t size)
{
    if (bounded.live + size > bounded.most_live || bounded.count == MOST_BOUNDED)
        return 0;
    void *at = heap_get_block(&heap, size);
    CHECK(at != NULL);
    bounded.at[bounded.count] = at;
    bounded.size[bounded.count++] = size;
    bounded.live += size;
    return 1;
}

static void bounded_free(size_t i)
{
    CHECK(heap_free_block(&heap, bounded.at[i]) == HEAP_OK);
    bounded.live -= bounded.size[i];
    bounded.count--;
    bounded.at[i] = bounded.at[bounded.count];
    bounded.size[i] = bounded.size[bounded.count];
}

/* Attacks a fresh heap: all that may live in blocks of one size, then in every
 * second, fourth ... place a block stays as a stumbling block for the next,
 * larger size, as in Robson's proof of the lower bound; then random work. */
static void attack(size_t most_live, size_t largest, size_t smallest)
{
    memset(&bounded, 0, sizeof bounded);
    bounded.most_live = most_live;
    for (size_t size = smallest; size <= largest; size *= 2) {
        while (bounded_get(size))
            ;
        for (size_t i = bounded.count; i-- > 0;)
            if ((uintptr_t)bounded.at[i] / 16 % (2 * size / 16 + 1) != 0 && test_random(8) != 0)
                bounded_free(i);
    }
    for (int step = 0; step < 30000; step++)
        if (!bounded_get(smallest + test_random(test_random(8) == 0 ? largest - smallest + 1 : 1)))
            for (size_t i = bounded.count / 2; i > 0; i--)
                bounded_free(test_random(bounded.count));
    while (bounded_get(largest))
        ;
    CHECK(counted().failed == 0);
}

static void a_heap_of_the_required_size_never_refuses(void)
{
    static unsigned char room[1 << 20];
    static const size_t profile[][3] = {
        {8192, 256, 16}, {16384, 1024, 32}, {65536, 1024, 64}, {30000, 3000, 30}, {4096, 4096, 4096},
    };
    for (size_t i = 0; i < sizeof profile / sizeof *profile; i++) {
        const size_t *p = profile[i];
        size_t bytes = heap_required_size(p[0], p[1], p[2]);
        CHECK(bytes > p[0] && bytes < sizeof room - 16);
        CHECK(heap_init(&heap, room + i, bytes) == HEAP_OK);
        attack(p[0], p[1], p[2]);
        CHECK(heap_sound(&heap));
    }
}

static void a_profile_with_counts_needs_less_and_what_cannot_be_is_zero(void)
{
    const heap_sizes_t counts[2] = {{24, 24, 40}, {4096, 4096, 3}}, wrong = {100, 10, 1};
    size_t bytes = heap_required_for(counts, 2, SIZE_MAX);
    CHECK(bytes > 40 * 24 + 3 * 4096);
    CHECK(bytes < heap_required_size(40 * 24 + 3 * 4096, 4096, 24));
    CHECK(heap_required_for(&wrong, 1, SIZE_MAX) == 0);
    CHECK(heap_required_size(1000, 10, 100) == 0);
    CHECK(heap_required_size(SIZE_MAX, SIZE_MAX, 1) == 0);
#if !HEAP_HAS_EMERGENCY
    size_t live = HEAP_CALL(guaranteed_live)(65536, 1024, 16);
    CHECK(live >= 1024 && heap_required_size(live, 1024, 16) <= 65536);
    CHECK(heap_required_size(live + 1, 1024, 16) > 65536);
#endif
}

/* the checker */

static int end_of_block(void *context, const heap_block_t *block)
{
    const unsigned char **end = context;
    const unsigned char *at = (const unsigned char *)block->address + block->size;
    if (at > *end)
        *end = at;
    return 0;
}

static int count_block(void *context, const heap_block_t *block)
{
    *(uint64_t *)context += block->size;
    return 0;
}

/* A bit of the bookkeeping behind the blocks is turned over, one after the
 * other; most such damage contradicts the rest, and the check must see it. No
 * call may crash on it or leave the area. */
static void damaged_bookkeeping_is_noticed(void)
{
    enum { BYTES = 8192 };
    unsigned char *area = fenced() + FENCED - BYTES;
    static unsigned char intact[BYTES];
    unsigned noticed = 0, turned = 0;
    CHECK(heap_init(&heap, area, BYTES) == HEAP_OK);
    unsigned char *block[40];
    for (int i = 0; i < 40; i++)
        CHECK((block[i] = heap_get_block(&heap, 1 + test_random(150))) != NULL);
    for (int i = 0; i < 40; i += 3)
        CHECK(heap_free_block(&heap, block[i]) == HEAP_OK);
    const unsigned char *end = area;
    heap_walk(&heap, end_of_block, &end);
    memcpy(intact, area, BYTES);
    heap_t intact_heap = heap;
    for (size_t at = (size_t)(end - area); at < BYTES; at++)
        for (int bit = 0; bit < 8; bit++) {
            const char *what = NULL;
            const void *address = NULL;
            uint64_t bytes = 0;
            area[at] ^= (unsigned char)(1 << bit);
            turned++;
            if (heap_check(&heap, &what, &address) != 0) {
                noticed++;
                CHECK(what != NULL && strlen(what) > 5 && strlen(what) < 80);
                CHECK(address == NULL
                      || ((const unsigned char *)address >= area
                          && (const unsigned char *)address <= area + BYTES));
            }
            heap_walk(&heap, count_block, &bytes);
            for (int i = 0; i < 40; i++) {
                int rc = heap_free_block(&heap, block[i]);
                CHECK(rc == HEAP_OK || rc == HEAP_NOTFOUND || rc == HEAP_INTERNAL);
                heap_usable_size(&heap, block[i]);
            }
            for (int i = 0; i < 10; i++)
                heap_get_block(&heap, 1 + (size_t)i * 30);
            memcpy(area, intact, BYTES);
            heap = intact_heap;
        }
    CHECK(heap_sound(&heap));
    printf("%s: %u of %u turned bits were noticed\n", HEAP_NAME, noticed, turned);
    CHECK(noticed >= turned / 2);
}

/* threads and locks */

enum { THREADS = 4, STEPS = 30000 };

static void *worker(void *argument)
{
    model_t *model = argument;
    for (int step = 0; step < STEPS; step++)
        model_step(&heap, model, 700);
    model_end(&heap, model);
    return NULL;
}

static void run_threads(void)
{
    static model_t model[THREADS];
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        model[i].random = test_seed * 4 + (unsigned)i;
        CHECK(pthread_create(&thread[i], NULL, worker, &model[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    CHECK(counted().used == 0 && counted().blocks == 0 && counted().peak > 0);
    CHECK(heap_sound(&heap));
}

static void threads_may_share_a_descriptor(void)
{
    CHECK(heap_init(&heap, fenced(), FENCED) == HEAP_OK);
    run_threads();
}

typedef struct {
    pthread_mutex_t mutex;
    unsigned long long locked, unlocked;
} callback_lock_t;

static void callback_lock(void *context)
{
    callback_lock_t *lock = context;
    CHECK(pthread_mutex_lock(&lock->mutex) == 0);
    CHECK(lock->locked == lock->unlocked);
    lock->locked++;
}

static void callback_unlock(void *context)
{
    callback_lock_t *lock = context;
    lock->unlocked++;
    CHECK(lock->locked == lock->unlocked);
    CHECK(pthread_mutex_unlock(&lock->mutex) == 0);
}

static void a_lock_of_the_callers_is_used_for_every_call(void)
{
    callback_lock_t lock = {PTHREAD_MUTEX_INITIALIZER, 0, 0};
    heap_stats_t stats;
    uint64_t bytes = 0;
    CHECK(heap_init(&heap, fenced(), FENCED) == HEAP_OK);
    CHECK(heap_set_lock(&heap, callback_lock, NULL, &lock) == -1);
    CHECK(heap_set_lock(&heap, NULL, callback_unlock, &lock) == -1);
    CHECK(heap_set_lock(&heap, callback_lock, callback_unlock, &lock) == 0);
    void *block = heap_get_block(&heap, 10);
    CHECK(lock.unlocked == 1);
    block = heap_extend_block(&heap, block, 100, NULL);
    CHECK(lock.unlocked == 2);
    CHECK(heap_usable_size(&heap, block) >= 100 && lock.unlocked == 3);
    CHECK(heap_free_block(&heap, block) == HEAP_OK && lock.unlocked == 4);
    heap_stats(&heap, &stats);
    CHECK(lock.unlocked == 5);
    heap_walk(&heap, count_block, &bytes);
    CHECK(lock.unlocked == 6 && bytes == stats.size);
    CHECK(heap_check(&heap, NULL, NULL) == 0 && lock.unlocked == 7);
    heap_print(&heap);
    CHECK(lock.unlocked == 8);
    run_threads();
    CHECK(lock.locked == lock.unlocked && lock.locked > THREADS * STEPS / 2);

    unsigned long long before = lock.locked;
    CHECK(heap_set_lock(&heap, NULL, NULL, NULL) == 0);
    CHECK((block = heap_get_block(&heap, 10)) != NULL);
    CHECK(heap_free_block(&heap, block) == HEAP_OK && lock.locked == before);
}

/* the map */

static void the_map_shows_both_colours_and_the_totals_after_what_was_printed_before(void)
{
    static char text[1 << 16];
    CHECK(heap_init(&heap, fenced(), FENCED) == HEAP_OK);
    void *block[3];
    for (int i = 0; i < 3; i++)
        CHECK((block[i] = heap_get_block(&heap, 512)) != NULL);
    CHECK(heap_free_block(&heap, block[1]) == HEAP_OK);

    FILE *file = tmpfile();
    CHECK(file != NULL && fflush(stdout) == 0);
    int terminal = dup(1);
    CHECK(terminal >= 0 && dup2(fileno(file), 1) == 1);
    printf("before ");
    heap_print(&heap);
    printf("after");
    CHECK(fflush(stdout) == 0 && dup2(terminal, 1) == 1 && close(terminal) == 0);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);

    CHECK(strncmp(text, "before ", 7) == 0);
    CHECK(strcmp(text + strlen(text) - 5, "after") == 0);
    const char *red = strstr(text, "\x1b[31m512 "), *green = strstr(text, "\x1b[32m512 ");
    CHECK(red != NULL && green != NULL && red < green);
    CHECK(strstr(green, "\x1b[31m512 ") != NULL);
    char used[64];
    snprintf(used, sizeof used, "used %14d ", 1024);
    CHECK(strstr(text, used) != NULL && strstr(text, "blocks 2, largest 512") != NULL);
    CHECK((strstr(text, "emergency heap") != NULL) == HEAP_HAS_EMERGENCY);
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    PROMISE(random_work_agrees_with_a_model_at_every_step);
    PROMISE(the_smallest_area_is_just_large_enough);
    PROMISE(an_area_of_every_size_at_every_alignment_keeps_to_itself);
    PROMISE(an_area_against_a_wall_is_not_left);
#if SIZE_MAX > 0xffffffff
    PROMISE(an_area_beyond_four_gib_is_used_whole);
    PROMISE(a_size_above_two_to_the_32_is_granted_and_not_cut);
#endif
    PROMISE(init_does_not_touch_the_blocks);
    PROMISE(a_heap_of_the_required_size_never_refuses);
    PROMISE(a_profile_with_counts_needs_less_and_what_cannot_be_is_zero);
    PROMISE(damaged_bookkeeping_is_noticed);
    PROMISE(threads_may_share_a_descriptor);
    PROMISE(a_lock_of_the_callers_is_used_for_every_call);
    PROMISE(the_map_shows_both_colours_and_the_totals_after_what_was_printed_before);
    printf("PASSED\n");
    return 0;
}
