/* Which heap a test program is about. Every program of this directory is
 * compiled once with each of -DHEAP_FFIT, -DHEAP_BUDDY and -DHEAP_EBUDDY; here
 * the three become one: heap_t, and heap_*, which stands for ffit_* or buddy_*.
 */
#ifndef HEAP_H
#define HEAP_H

#if defined HEAP_FFIT

#include <ffit.h>

typedef ffit_heap_t heap_t;
typedef ffit_stats_t heap_stats_t;
typedef ffit_block_t heap_block_t;

#define HEAP_NAME "ffit"
#define HEAP_OK FFIT_HEAP_OK
#define HEAP_NOTFOUND FFIT_HEAP_NOTFOUND
#define HEAP_INTERNAL FFIT_HEAP_INTERNAL
#define HEAP_IS_BUDDY 0
#define HEAP_HAS_EMERGENCY 0
#define HEAP_CALL(name) ffit_##name

#elif defined HEAP_BUDDY || defined HEAP_EBUDDY

#include <buddy.h>

typedef buddy_heap_t heap_t;
typedef buddy_stats_t heap_stats_t;
typedef buddy_block_t heap_block_t;

#ifdef HEAP_EBUDDY
#define HEAP_NAME "ebuddy"
#define HEAP_HAS_EMERGENCY 1
#else
#define HEAP_NAME "buddy"
#define HEAP_HAS_EMERGENCY 0
#endif
#define HEAP_OK BUDDY_HEAP_OK
#define HEAP_NOTFOUND BUDDY_HEAP_NOTFOUND
#define HEAP_INTERNAL BUDDY_HEAP_INTERNAL
#define HEAP_IS_BUDDY 1
#define HEAP_CALL(name) buddy_##name

#else
#error "define HEAP_FFIT, HEAP_BUDDY or HEAP_EBUDDY"
#endif

#define heap_get_block HEAP_CALL(get_block)
#define heap_get_aligned HEAP_CALL(get_aligned)
#define heap_free_block HEAP_CALL(free_block)
#define heap_extend_block HEAP_CALL(extend_block)
#define heap_usable_size HEAP_CALL(usable_size)
#define heap_print HEAP_CALL(print_heap)
#define heap_get_stats HEAP_CALL(get_stats)
#define heap_stats HEAP_CALL(stats)
#define heap_walk HEAP_CALL(walk)
#define heap_check HEAP_CALL(check)
#define heap_set_lock HEAP_CALL(set_lock)

static inline int heap_init(heap_t *heap, void *area, size_t bytes)
{
    heap->mh = (uintptr_t)area;
    heap->hs = bytes;
#if HEAP_IS_BUDDY
    heap->e = HEAP_HAS_EMERGENCY;
#endif
    return HEAP_CALL(init)(heap);
}

#if HEAP_IS_BUDDY
typedef buddy_sizes_t heap_sizes_t;
#define heap_required_size(...) buddy_required_size(HEAP_HAS_EMERGENCY, __VA_ARGS__)
#define heap_required_for(...) buddy_required_for(HEAP_HAS_EMERGENCY, __VA_ARGS__)
#else
typedef ffit_sizes_t heap_sizes_t;
#define heap_required_size ffit_required_size
#define heap_required_for ffit_required_for
#endif

static inline size_t heap_minimum_size(void)
{
#if HEAP_IS_BUDDY
    return buddy_minimum_size(HEAP_HAS_EMERGENCY);
#else
    return ffit_minimum_size();
#endif
}

#endif
