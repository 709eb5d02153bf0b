/* testffit1, testbuddy1, testebuddy1: the rules of the heaps, one by one, and
 * beside them every mistake that their C forerunner made. Each function is one
 * promise. */
#include "test.h"

enum { AREA = 1 << 20 };

static unsigned char area[AREA];
static heap_t heap;

/* A fresh heap over the whole area. */
static void fresh(void)
{
    CHECK(heap_init(&heap, area, AREA) == HEAP_OK);
}

static heap_stats_t counted(void)
{
    heap_stats_t stats;
    heap_stats(&heap, &stats);
    return stats;
}

static unsigned char *get(size_t size)
{
    unsigned char *block = heap_get_block(&heap, size);
    CHECK(block != NULL);
    return block;
}

/* get, and free */

static void a_block_is_got_and_freed(void)
{
    fresh();
    heap_stats_t before = counted();
    unsigned char *block = get(100);
    CHECK(block >= area && block + 100 <= area + AREA);
    CHECK(counted().blocks == 1 && counted().used >= 100);
    memset(block, 0xa5, 100);
    CHECK(heap_free_block(&heap, block) == HEAP_OK);
    CHECK(counted().blocks == 0 && counted().used == 0 && counted().free == before.free);
    CHECK(heap_sound(&heap));
}

static void a_size_of_zero_gets_nothing(void)
{
    fresh();
    CHECK(heap_get_block(&heap, 0) == NULL);
    CHECK(heap_get_aligned(&heap, 16, 0) == NULL);
    CHECK(counted().blocks == 0);
}

static void every_block_is_aligned_to_sixteen(void)
{
    fresh();
    for (size_t size = 1; size < 300; size++)
        CHECK((uintptr_t)get(size) % 16 == 0);
    CHECK(heap_sound(&heap));
}

static void any_power_of_two_can_be_asked_for_as_alignment(void)
{
    for (size_t alignment = 1; alignment <= 1 << 16; alignment *= 2) {
        fresh();
        get(24);
        for (size_t size = 1; size <= 5000; size = size * 3 + 1) {
            held_t held = {heap_get_aligned(&heap, alignment, size), size, alignment};
            CHECK(held.at != NULL && (uintptr_t)held.at % alignment == 0);
            CHECK(heap_usable_size(&heap, held.at) >= size);
            held_fill(&held);
            CHECK(heap_sound(&heap));
            CHECK(held_intact(&held, size));
            CHECK(heap_free_block(&heap, held.at) == HEAP_OK);
        }
    }
    CHECK(heap_get_aligned(&heap, 0, 16) == NULL);
    CHECK(heap_get_aligned(&heap, 24, 16) == NULL);
    CHECK(heap_get_aligned(&heap, SIZE_MAX, 16) == NULL);
    CHECK(heap_get_aligned(&heap, (SIZE_MAX >> 1) + 1, 16) == NULL);
    CHECK(heap_get_aligned(&heap, 4096, SIZE_MAX) == NULL);
}

static void the_usable_size_is_at_least_the_size_and_all_of_it_is_usable(void)
{
    held_t held[200];
    fresh();
    for (size_t i = 0; i < 200; i++) {
        size_t size = 1 + test_random(3000);
        held[i].at = get(size);
        held[i].size = heap_usable_size(&heap, held[i].at);
        held[i].tag = i;
        CHECK(held[i].size >= size);
        held_fill(&held[i]);
    }
    for (size_t i = 0; i < 200; i++)
        CHECK(held_intact(&held[i], held[i].size));
    CHECK(heap_sound(&heap));
}

/* The size of the blocks is such that no manager rounds it. */
static void a_request_gets_the_lowest_place_where_it_fits_not_the_tightest(void)
{
    fresh();
    unsigned char *block[6];
    static const size_t size[6] = {1024, 16, 1024, 16, 256, 1024};
    for (int i = 0; i < 6; i++)
        block[i] = get(size[i]);
    CHECK(heap_free_block(&heap, block[2]) == HEAP_OK);
    CHECK(heap_free_block(&heap, block[4]) == HEAP_OK);
    CHECK(heap_free_block(&heap, block[0]) == HEAP_OK);
    /* A hole of 256 bytes fits exactly; two of 1024 lie below it. */
    CHECK(heap_get_block(&heap, 256) == block[0]);
    CHECK(heap_get_block(&heap, 1024) == block[2]);
    CHECK(heap_sound(&heap));
}

static void neighbours_that_are_free_become_one(void)
{
    static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 6; i++) {
        fresh();
        uint64_t whole = counted().largest_free;
        unsigned char *block[3];
        for (int k = 0; k < 3; k++)
            block[k] = get(4096);
        for (int k = 0; k < 3; k++) {
            CHECK(heap_free_block(&heap, block[order[i][k]]) == HEAP_OK);
            CHECK(heap_sound(&heap));
        }
        CHECK(counted().largest_free == whole && counted().used == 0);
    }
}

/* extend */

static void extend_of_null_gets(void)
{
    fresh();
    int rc = 77;
    void *block = heap_extend_block(&heap, NULL, 100, &rc);
    CHECK(block != NULL && rc == HEAP_OK && counted().blocks == 1);
    rc = 77;
    CHECK(heap_extend_block(&heap, NULL, 0, &rc) == NULL && rc == HEAP_OK);
    CHECK(counted().blocks == 1);
}

static void extend_to_zero_frees(void)
{
    fresh();
    int rc = 77;
    CHECK(heap_extend_block(&heap, get(100), 0, &rc) == NULL && rc == HEAP_OK);
    CHECK(counted().blocks == 0);
}

static void extend_without_rc_is_allowed(void)
{
    fresh();
    void *block = heap_extend_block(&heap, NULL, 10, NULL);
    CHECK(block != NULL);
    block = heap_extend_block(&heap, block, 1000, NULL);
    CHECK(block != NULL);
    CHECK(heap_extend_block(&heap, block, 0, NULL) == NULL && counted().blocks == 0);
}

static void extend_keeps_every_byte_up_to_the_smaller_size(void)
{
    for (int round = 0; round < 200; round++) {
        fresh();
        held_t held = {NULL, 1 + test_random(20000), (uint64_t)round};
        held.at = get(held.size);
        held_fill(&held);
        if (round % 2)
            get(16);
        size_t size = 1 + test_random(20000);
        int rc = 77;
        held.at = heap_extend_block(&heap, held.at, size, &rc);
        CHECK(held.at != NULL && rc == HEAP_OK);
        CHECK(held_intact(&held, size < held.size ? size : held.size));
        CHECK(heap_usable_size(&heap, held.at) >= size);
        CHECK(heap_sound(&heap));
    }
}

static void extend_within_the_usable_size_stays_in_place(void)
{
    fresh();
    for (size_t size = 1; size < 3000; size += 7) {
        unsigned char *block = get(size);
        int rc = 77;
        CHECK(heap_extend_block(&heap, block, heap_usable_size(&heap, block), &rc) == block);
        CHECK(rc == HEAP_OK);
        CHECK(heap_extend_block(&heap, block, size, &rc) == block && rc == HEAP_OK);
        CHECK(heap_free_block(&heap, block) == HEAP_OK);
    }
}

static void a_block_grows_in_place_where_what_follows_is_free(void)
{
    fresh();
    held_t held = {get(64), 64, 3};
    held_fill(&held);
    int rc = 77;
    CHECK(heap_extend_block(&heap, held.at, 4096, &rc) == held.at && rc == HEAP_OK);
    CHECK(held_intact(&held, 64));
    CHECK(heap_sound(&heap));
}

static void a_block_moves_where_what_follows_is_used(void)
{
    fresh();
    held_t held = {get(64), 64, 3};
    unsigned char *next = get(64);
    held_fill(&held);
    int rc = 77;
    unsigned char *moved = heap_extend_block(&heap, held.at, 4096, &rc);
    CHECK(moved != NULL && moved != held.at && rc == HEAP_OK);
    CHECK(heap_usable_size(&heap, held.at) == 0);
    CHECK(heap_free_block(&heap, held.at) == HEAP_NOTFOUND);
    held.at = moved;
    CHECK(held_intact(&held, 64));
    CHECK(heap_free_block(&heap, moved) == HEAP_OK);
    CHECK(heap_free_block(&heap, next) == HEAP_OK);
    CHECK(counted().used == 0);
}

static void an_extend_that_fails_leaves_the_block_untouched(void)
{
    fresh();
    held_t held = {get(500), 500, 9};
    held_fill(&held);
    heap_fill(&heap, 16);
    heap_stats_t before = counted();
    int rc = 77;
    CHECK(heap_extend_block(&heap, held.at, 5000, &rc) == NULL && rc == HEAP_OK);
    CHECK(held_intact(&held, 500));
    CHECK(counted().used == before.used && counted().blocks == before.blocks);
    CHECK(heap_free_block(&heap, held.at) == HEAP_OK);
    CHECK(heap_sound(&heap));
}

static void a_heap_rejoins_after_shrinking(void)
{
    fresh();
    uint64_t whole = counted().largest_free;
    for (size_t from = 40000; from > 16; from = from * 2 / 3) {
        unsigned char *block[4];
        for (int i = 0; i < 4; i++)
            block[i] = get(from);
        for (int i = 0; i < 4; i++) {
            int rc = 77;
            block[i] = heap_extend_block(&heap, block[i], 1 + test_random(from), &rc);
            CHECK(block[i] != NULL && rc == HEAP_OK);
            CHECK(heap_sound(&heap));
        }
        for (int i = 0; i < 4; i++)
            CHECK(heap_free_block(&heap, block[(i + 2) % 4]) == HEAP_OK);
        CHECK(counted().used == 0 && counted().largest_free == whole);
    }
}

static void what_shrinking_gives_back_can_be_used(void)
{
    fresh();
    unsigned char *block = get(65536);
    uint64_t used = counted().used;
    int rc = 77;
    CHECK(heap_extend_block(&heap, block, 16, &rc) == block && rc == HEAP_OK);
    CHECK(counted().used <= used - 60000);
    unsigned char *other = get(16);
    CHECK(other > block && other < block + 65536);
}

/* sizes that are too large */

static void a_size_that_cannot_be_is_refused_and_not_cut(void)
{
    static const size_t size[] = {
        SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 16, SIZE_MAX - 4096,
        SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 9, SIZE_MAX / 4 + 8, AREA, AREA + 1,
#if SIZE_MAX > 0xffffffff
        (size_t)1 << 31, (size_t)1 << 32, ((size_t)1 << 32) + 8, ((size_t)1 << 36) + 16,
        ((size_t)1 << 63) + 8,
#endif
    };
    fresh();
    held_t held = {get(100), 100, 5};
    held_fill(&held);
    heap_stats_t before = counted();
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        int rc = 77;
        CHECK(heap_get_block(&heap, size[i]) == NULL);
        CHECK(heap_get_aligned(&heap, 64, size[i]) == NULL);
        CHECK(heap_extend_block(&heap, NULL, size[i], &rc) == NULL && rc == HEAP_OK);
        CHECK(heap_extend_block(&heap, held.at, size[i], &rc) == NULL && rc == HEAP_OK);
    }
    CHECK(held_intact(&held, 100));
    CHECK(counted().used == before.used && counted().blocks == 1);
    CHECK(counted().failed == 4 * (sizeof size / sizeof *size));
    CHECK(counted().largest_request == SIZE_MAX);
    CHECK(heap_sound(&heap));
}

/* bad pointers */

/* Everything that can be done to a pointer that is no block: each is answered
 * with NOTFOUND, and neither the counters nor the area change. */
static void refused(void *pointer)
{
    static unsigned char copy[AREA];
    heap_stats_t before = counted();
    memcpy(copy, area, AREA);
    int rc = 77;
    CHECK(heap_free_block(&heap, pointer) == HEAP_NOTFOUND);
    CHECK(heap_usable_size(&heap, pointer) == 0);
    if (pointer != NULL) {
        CHECK(heap_extend_block(&heap, pointer, 100, &rc) == NULL && rc == HEAP_NOTFOUND);
        CHECK(heap_extend_block(&heap, pointer, 0, &rc) == NULL && rc == HEAP_NOTFOUND);
    }
    heap_stats_t after = counted();
    CHECK(before.used == after.used && before.free == after.free && before.blocks == after.blocks
          && before.largest_free == after.largest_free);
    CHECK(memcmp(copy, area, AREA) == 0);
    CHECK(heap_sound(&heap));
}

static void a_null_pointer_is_refused(void)
{
    fresh();
    refused(NULL);
}

static void a_foreign_pointer_is_refused(void)
{
    static unsigned char below_or_above[64];
    unsigned char on_the_stack[64];
    fresh();
    get(100);
    refused(below_or_above);
    refused(on_the_stack);
    const uintptr_t at = (uintptr_t)area;
    const uintptr_t foreign[] = {at - 16, at - 1, at + AREA, at + AREA + 16, 16, 1,
                                 UINTPTR_MAX - 15, UINTPTR_MAX};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        refused((void *)foreign[i]);
}

static void a_pointer_into_the_tables_is_refused(void)
{
    fresh();
    get(100);
    for (size_t back = 1; back < 600; back++)
        refused(area + AREA - back);
}

static void a_pointer_into_a_block_is_refused(void)
{
    fresh();
    unsigned char *block = get(4096);
    for (size_t in = 1; in < 100; in++)
        refused(block + in);
    for (size_t in = 128; in < 4096; in += 128)
        refused(block + in);
    CHECK(heap_free_block(&heap, block) == HEAP_OK);
}

static void a_free_place_is_refused(void)
{
    fresh();
    unsigned char *block = get(16);
    for (size_t past = 16; past < 500; past++)
        refused(block + past);
}

static void a_double_free_is_refused(void)
{
    fresh();
    unsigned char *block[3] = {get(100), get(100), get(100)};
    CHECK(heap_free_block(&heap, block[1]) == HEAP_OK);
    refused(block[1]);
    CHECK(heap_free_block(&heap, block[0]) == HEAP_OK);
    refused(block[1]);
    refused(block[0]);
    CHECK(heap_free_block(&heap, block[2]) == HEAP_OK);
    for (int i = 0; i < 3; i++)
        refused(block[i]);
}

/* descriptors and areas */

static void a_zeroed_or_null_descriptor_is_an_empty_heap(void)
{
    static heap_t zero;
    heap_t *none[2] = {&zero, NULL};
    unsigned char block[64];
    for (int i = 0; i < 2; i++) {
        heap_t *h = none[i];
        heap_stats_t stats;
        uint32_t mem = 7, usd = 7, fre = 7;
        const char *what = NULL;
        int rc = 77;
        CHECK(heap_get_block(h, 1) == NULL);
        CHECK(heap_get_aligned(h, 64, 1) == NULL);
        CHECK(heap_free_block(h, block) == HEAP_NOTFOUND);
        CHECK(heap_free_block(h, NULL) == HEAP_NOTFOUND);
        CHECK(heap_extend_block(h, NULL, 1, &rc) == NULL && rc == HEAP_OK);
        CHECK(heap_extend_block(h, block, 1, &rc) == NULL && rc == HEAP_NOTFOUND);
        CHECK(heap_extend_block(h, block, 0, &rc) == NULL && rc == HEAP_NOTFOUND);
        CHECK(heap_usable_size(h, block) == 0);
        heap_get_stats(h, &mem, &usd, &fre);
        CHECK(mem == 0 && usd == 0 && fre == 0);
        memset(&stats, 1, sizeof stats);
        heap_stats(h, &stats);
        CHECK(stats.size == 0 && stats.blocks == 0 && stats.largest_request == 0);
        CHECK(heap_check(h, &what, NULL) == -1 && what != NULL && *what != '\0');
        CHECK(heap_set_lock(h, NULL, NULL, NULL) == -1);
        heap_print(h);
    }
    CHECK(HEAP_CALL(init)(NULL) == HEAP_INTERNAL);
}

static void an_area_that_cannot_hold_a_heap_is_refused(void)
{
    heap_t small = {0};
    CHECK(heap_init(&small, area, 0) == -1);
    CHECK(heap_init(&small, area, 1) == -1);
    CHECK(heap_init(&small, area, 15) == -1);
    CHECK(heap_init(&small, NULL, AREA) == -1);
    CHECK(heap_init(&small, area, SIZE_MAX) == -1);
    CHECK(heap_init(&small, (void *)(UINTPTR_MAX - 99), 4096) == -1);
    CHECK(heap_get_block(&small, 1) == NULL);
    /* A heap whose second init fails is gone, not what it was. */
    fresh();
    get(1);
    CHECK(heap_init(&heap, area, 1) == -1);
    CHECK(heap_get_block(&heap, 1) == NULL);
}

static void init_does_not_care_what_the_descriptor_held(void)
{
    memset(&heap, 0xff, sizeof heap);
    fresh();
    get(100);
    CHECK(heap_sound(&heap));
    fresh();
    CHECK(counted().used == 0 && counted().blocks == 0 && counted().peak == 0);
}

static void two_heaps_do_not_know_of_each_other(void)
{
    heap_t one, two;
    CHECK(heap_init(&one, area, AREA / 2) == HEAP_OK);
    CHECK(heap_init(&two, area + AREA / 2, AREA / 2) == HEAP_OK);
    void *in_one = heap_get_block(&one, 100);
    void *in_two = heap_get_block(&two, 100);
    CHECK(heap_free_block(&one, in_two) == HEAP_NOTFOUND);
    CHECK(heap_free_block(&two, in_one) == HEAP_NOTFOUND);
    CHECK(heap_free_block(&one, in_one) == HEAP_OK);
    CHECK(heap_free_block(&two, in_two) == HEAP_OK);
}

static void a_descriptor_may_be_moved(void)
{
    fresh();
    void *block = get(100);
    heap_t moved;
    memcpy(&moved, &heap, sizeof heap);
    memset(&heap, 0, sizeof heap);
    CHECK(heap_usable_size(&moved, block) >= 100);
    CHECK(heap_free_block(&moved, block) == HEAP_OK);
    CHECK(heap_sound(&moved));
}

static void an_area_of_any_size_is_used_nearly_whole(void)
{
    static const size_t size[] = {10000, 65536, 100000, 300001, 750000, AREA};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        CHECK(heap_init(&heap, area, size[i]) == HEAP_OK);
        size_t obtained = heap_fill(&heap, 64);
        CHECK(obtained >= size[i] / 100 * 85);
        CHECK(heap_sound(&heap));
    }
}

/* counters */

static void the_old_counters_are_set_and_not_added_to(void)
{
    uint32_t mem = 1, usd = 2, fre = 3, again[3] = {1, 2, 3};
    fresh();
    get(1000);
    heap_get_stats(&heap, &mem, &usd, &fre);
    heap_get_stats(&heap, &again[0], &again[1], &again[2]);
    CHECK(again[0] == mem && again[1] == usd && again[2] == fre);
    CHECK(mem == usd + fre && mem <= AREA && usd >= 1000 && usd < 2000);
    heap_get_stats(&heap, NULL, NULL, NULL);
    heap_stats(&heap, NULL);
}

static void the_counters_tell_what_happened(void)
{
    fresh();
    CHECK(counted().size > AREA / 100 * 85 && counted().size < AREA);
    CHECK(counted().free == counted().size && counted().peak == 0);
    unsigned char *block = get(4096);
    get(16);
    CHECK(counted().used == 4112 && counted().peak == 4112 && counted().blocks == 2);
    CHECK(heap_free_block(&heap, block) == HEAP_OK);
    CHECK(counted().used == 16 && counted().peak == 4112 && counted().blocks == 1);
    CHECK(counted().failed == 0 && counted().largest_request == 4096);
    CHECK(heap_get_block(&heap, AREA) == NULL);
    CHECK(counted().failed == 1 && counted().largest_request == AREA);
    uint64_t largest = counted().largest_free;
    CHECK(heap_get_block(&heap, (size_t)largest + 1) == NULL);
    CHECK(heap_get_block(&heap, (size_t)largest) != NULL);
}

typedef struct {
    int seen, stop_at;
    uint64_t bytes;
} visited_t;

static int visit(void *context, const heap_block_t *block)
{
    visited_t *visited = context;
    visited->seen++;
    visited->bytes += block->size;
    return visited->seen == visited->stop_at ? 42 : 0;
}

static void a_walk_shows_every_block_and_stops_when_told(void)
{
    fresh();
    for (int i = 0; i < 10; i++)
        get(64);
    visited_t all = {0, 0, 0}, three = {0, 3, 0};
    CHECK(heap_walk(&heap, visit, &all) == 0);
    CHECK(all.seen >= 10 && all.bytes == counted().size);
    CHECK(heap_walk(&heap, visit, &three) == 42 && three.seen == 3 && three.bytes == 192);
    CHECK(heap_walk(&heap, NULL, NULL) == 0);
}

/* the emergency heap */

#if HEAP_HAS_EMERGENCY

static int largest_free(void *context, const heap_block_t *block)
{
    size_t *largest = context;
    int part = block->emergency != 0;
    if (!block->used && block->size > largest[part])
        largest[part] = block->size;
    return 0;
}

typedef struct {
    const void *address;
    int emergency;
} place_t;

static int find_place(void *context, const heap_block_t *block)
{
    place_t *place = context;
    if (block->address != place->address)
        return 0;
    place->emergency = block->emergency;
    return 1;
}

static int in_emergency_heap(const void *address)
{
    place_t place = {address, 0};
    CHECK(heap_walk(&heap, find_place, &place) == 1);
    return place.emergency;
}

/* Uses up the buddy part, so that only the emergency heap is left. */
static void use_up_the_buddy_part(void)
{
    size_t largest[2];
    for (;;) {
        largest[0] = largest[1] = 0;
        heap_walk(&heap, largest_free, largest);
        if (largest[0] == 0)
            break;
        CHECK(!in_emergency_heap(get(largest[0])));
    }
}

static void the_emergency_heap_gives_what_the_buddy_part_cannot(void)
{
    fresh();
    use_up_the_buddy_part();
    void *block = get(1000);
    CHECK(in_emergency_heap(block));
    CHECK(heap_usable_size(&heap, block) >= 1000);
    CHECK(heap_sound(&heap));
    CHECK(heap_free_block(&heap, block) == HEAP_OK);
    refused(block);
}

static void the_emergency_heap_is_asked_for_what_the_buddy_part_never_could(void)
{
    fresh();
    size_t largest[2] = {0, 0};
    heap_walk(&heap, largest_free, largest);
    CHECK(largest[0] > 0 && largest[1] > 0);
    CHECK(counted().largest_free == (largest[0] > largest[1] ? largest[0] : largest[1]));
    /* One byte more than a power of two wastes half a buddy block: a heap
     * whose largest buddy block is in use must still find it room. */
    get(largest[0]);
    CHECK(get(largest[1]) != NULL);
    CHECK(heap_sound(&heap));
}

static void the_emergency_heap_is_asked_when_a_block_cannot_grow(void)
{
    fresh();
    held_t held = {get(500), 500, 11};
    held_fill(&held);
    use_up_the_buddy_part();
    int rc = 77;
    held.at = heap_extend_block(&heap, held.at, 5000, &rc);
    CHECK(held.at != NULL && rc == HEAP_OK && in_emergency_heap(held.at));
    CHECK(held_intact(&held, 500));
    CHECK(heap_sound(&heap));
}

static void a_block_of_the_emergency_heap_may_grow_into_the_buddy_part(void)
{
    fresh();
    unsigned char *first = get(65536);
    use_up_the_buddy_part();
    held_t held = {get(500), 500, 12};
    held_fill(&held);
    CHECK(in_emergency_heap(held.at));
    while (heap_get_block(&heap, 16) != NULL)
        ;
    CHECK(heap_free_block(&heap, first) == HEAP_OK);
    int rc = 77;
    held.at = heap_extend_block(&heap, held.at, 5000, &rc);
    CHECK(held.at != NULL && rc == HEAP_OK && !in_emergency_heap(held.at));
    CHECK(held_intact(&held, 500));
    CHECK(heap_sound(&heap));
}

static void the_emergency_heap_has_counters_of_its_own(void)
{
    fresh();
    buddy_stats_t emergency;
    buddy_emergency_stats(&heap, &emergency);
    CHECK(emergency.size > 0 && emergency.size < counted().size && emergency.used == 0);
    use_up_the_buddy_part();
    CHECK(counted().used == counted().size - emergency.size);
    get(1000);
    buddy_emergency_stats(&heap, &emergency);
    CHECK(emergency.used >= 1000 && emergency.used == emergency.peak && emergency.blocks == 1);
    CHECK(emergency.free == emergency.largest_free && emergency.free == counted().free);
    CHECK(emergency.failed == 0 && emergency.largest_request == 0);
    buddy_emergency_stats(NULL, &emergency);
    CHECK(emergency.size == 0);
}

#elif HEAP_IS_BUDDY

static void without_an_emergency_heap_its_counters_are_zero(void)
{
    buddy_stats_t emergency;
    fresh();
    get(1000);
    memset(&emergency, 1, sizeof emergency);
    buddy_emergency_stats(&heap, &emergency);
    CHECK(emergency.size == 0 && emergency.used == 0 && emergency.free == 0);
    buddy_emergency_stats(&heap, NULL);
}

#endif

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    PROMISE(a_block_is_got_and_freed);
    PROMISE(a_size_of_zero_gets_nothing);
    PROMISE(every_block_is_aligned_to_sixteen);
    PROMISE(any_power_of_two_can_be_asked_for_as_alignment);
    PROMISE(the_usable_size_is_at_least_the_size_and_all_of_it_is_usable);
    PROMISE(a_request_gets_the_lowest_place_where_it_fits_not_the_tightest);
    PROMISE(neighbours_that_are_free_become_one);
    PROMISE(extend_of_null_gets);
    PROMISE(extend_to_zero_frees);
    PROMISE(extend_without_rc_is_allowed);
    PROMISE(extend_keeps_every_byte_up_to_the_smaller_size);
    PROMISE(extend_within_the_usable_size_stays_in_place);
    PROMISE(a_block_grows_in_place_where_what_follows_is_free);
    PROMISE(a_block_moves_where_what_follows_is_used);
    PROMISE(an_extend_that_fails_leaves_the_block_untouched);
    PROMISE(a_heap_rejoins_after_shrinking);
    PROMISE(what_shrinking_gives_back_can_be_used);
    PROMISE(a_size_that_cannot_be_is_refused_and_not_cut);
    PROMISE(a_null_pointer_is_refused);
    PROMISE(a_foreign_pointer_is_refused);
    PROMISE(a_pointer_into_the_tables_is_refused);
    PROMISE(a_pointer_into_a_block_is_refused);
    PROMISE(a_free_place_is_refused);
    PROMISE(a_double_free_is_refused);
    PROMISE(a_zeroed_or_null_descriptor_is_an_empty_heap);
    PROMISE(an_area_that_cannot_hold_a_heap_is_refused);
    PROMISE(init_does_not_care_what_the_descriptor_held);
    PROMISE(two_heaps_do_not_know_of_each_other);
    PROMISE(a_descriptor_may_be_moved);
    PROMISE(an_area_of_any_size_is_used_nearly_whole);
    PROMISE(the_old_counters_are_set_and_not_added_to);
    PROMISE(the_counters_tell_what_happened);
    PROMISE(a_walk_shows_every_block_and_stops_when_told);
#if HEAP_HAS_EMERGENCY
    PROMISE(the_emergency_heap_gives_what_the_buddy_part_cannot);
    PROMISE(the_emergency_heap_is_asked_for_what_the_buddy_part_never_could);
    PROMISE(the_emergency_heap_is_asked_when_a_block_cannot_grow);
    PROMISE(a_block_of_the_emergency_heap_may_grow_into_the_buddy_part);
    PROMISE(the_emergency_heap_has_counters_of_its_own);
#elif HEAP_IS_BUDDY
    PROMISE(without_an_emergency_heap_its_counters_are_zero);
#endif
    printf("PASSED\n");
    return 0;
}
