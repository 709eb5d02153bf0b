// The plug-in for memman's first fit.
#include "pool_plugin.h"
#include "ffit.h"

static ffit_heap_t heap;

const char *pool_name(void)
{
    return "ffit";
}

int pool_init(void *area, size_t size)
{
    heap.mh = (uintptr_t)area;
    heap.hs = size;
    if (ffit_init(&heap) != 0)
        return -1;
    // One thread, and no other manager here has a lock.
    return ffit_set_lock(&heap, NULL, NULL, NULL);
}

void *pool_get(size_t size)
{
    return ffit_get_block(&heap, size);
}

void pool_free(void *block)
{
    (void)ffit_free_block(&heap, block);
}
