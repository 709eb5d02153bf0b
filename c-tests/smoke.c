/* ffitsmoke, buddysmoke, ebuddysmoke: hello world. Strings are put into a heap,
 * grown and freed, and the map is printed each time; then a thousand random
 * calls, after which no two blocks may overlap. */
#include "test.h"

enum { AREA = 1 << 20, SLOTS = 400, CALLS = 1000, LARGEST = 8192 };

static unsigned char area[AREA];
static heap_t heap;
static held_t held[SLOTS];

static void hello(void)
{
    int rc = -1;
    char *hello = heap_get_block(&heap, 6);
    char *world = heap_get_block(&heap, 6);
    CHECK(hello != NULL && world != NULL && hello != world);
    strcpy(hello, "hello");
    strcpy(world, "world");
    printf("\n%s, %s: two blocks\n", hello, world);
    heap_print(&heap);

    hello = heap_extend_block(&heap, hello, 1000, &rc);
    CHECK(hello != NULL && rc == HEAP_OK && strcmp(hello, "hello") == 0);
    printf("\n%s, %s: the first grew to 1000 bytes\n", hello, world);
    heap_print(&heap);

    CHECK(heap_free_block(&heap, world) == HEAP_OK);
    CHECK(heap_extend_block(&heap, hello, 0, &rc) == NULL && rc == HEAP_OK);
    printf("\nboth are free\n");
    heap_print(&heap);
    CHECK(heap_sound(&heap));
}

static size_t a_size(void)
{
    static const size_t limit[] = {64, 64, 64, 64, 128, 256, 512, 1024, LARGEST};
    return 1 + test_random(limit[test_random(sizeof limit / sizeof *limit)]);
}

static void one_call(unsigned call)
{
    held_t *slot = &held[test_random(SLOTS)];
    size_t size = a_size();
    if (slot->at == NULL) {
        slot->at = heap_get_block(&heap, size);
        CHECK(slot->at != NULL);
    } else if (test_random(3) == 0) {
        CHECK(heap_free_block(&heap, slot->at) == HEAP_OK);
        slot->at = NULL;
        return;
    } else {
        int rc = -1;
        slot->at = heap_extend_block(&heap, slot->at, size, &rc);
        CHECK(slot->at != NULL && rc == HEAP_OK);
        CHECK(held_intact(slot, size < slot->size ? size : slot->size));
    }
    slot->size = size;
    slot->tag = call;
    held_fill(slot);
}

static void nothing_overlaps(void)
{
    for (int i = 0; i < SLOTS; i++) {
        if (held[i].at == NULL)
            continue;
        CHECK(held[i].at >= area && held[i].at + held[i].size <= area + AREA);
        CHECK(held_intact(&held[i], held[i].size));
        for (int k = i + 1; k < SLOTS; k++)
            CHECK(held[k].at == NULL || held[i].at + held[i].size <= held[k].at
                  || held[k].at + held[k].size <= held[i].at);
    }
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    CHECK(heap_init(&heap, area, AREA) == HEAP_OK);
    hello();
    for (unsigned call = 0; call < CALLS; call++)
        one_call(call);
    nothing_overlaps();
    CHECK(heap_sound(&heap));
    printf("\nafter %d random calls\n", CALLS);
    heap_print(&heap);
    printf("PASSED\n");
    return 0;
}
