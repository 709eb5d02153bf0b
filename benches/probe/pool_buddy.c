// The plug-in for memman's buddy system; with EMERGENCY=1, for ebuddy.
#include "pool_plugin.h"
#include "buddy.h"

static buddy_heap_t heap;

const char *pool_name(void)
{
    return EMERGENCY ? "ebuddy" : "buddy";
}

int pool_init(void *area, size_t size)
{
    heap.mh = (uintptr_t)area;
    heap.hs = size;
    heap.e = EMERGENCY;
    if (buddy_init(&heap) != 0)
        return -1;
    // One thread, and no other manager here has a lock.
    return buddy_set_lock(&heap, NULL, NULL, NULL);
}

void *pool_get(size_t size)
{
    return buddy_get_block(&heap, size);
}

void pool_free(void *block)
{
    (void)buddy_free_block(&heap, block);
}
