/* memman: the buddy system (Knuth, The Art of Computer Programming, vol. 1,
 * section 2.5), with or without an emergency heap. Blocks are powers of two, and
 * a request gets the leftmost window of its size that is free, in time bounded
 * by the number of sizes. What the buddy heap cannot give, for its size or its
 * fragmentation, is asked of the emergency heap, a first-fit heap in the same
 * area, where the descriptor's `e` says that there is one.
 *
 * A heap lives in a memory area that the caller gives, and is described by a
 * descriptor; there is no global state, and no limit on the number of heaps:
 *
 *     static char area[65536];
 *     static buddy_heap_t heap;
 *
 *     heap.mh = (uintptr_t)area;
 *     heap.hs = sizeof area;
 *     heap.e  = 1;
 *     if (buddy_init(&heap) != BUDDY_HEAP_OK) ...
 *     char *block = buddy_get_block(&heap, 100);
 *     buddy_free_block(&heap, block);
 *
 * Blocks have no headers: the bookkeeping stands outside them in the area, and
 * the contents of a block, used or free, are never read or written, but for
 * copying in buddy_extend_block. A NULL descriptor is an empty heap that refuses
 * everything. Unless told otherwise, calls from several threads are safe. No
 * function allocates or waits for anything but the heap's lock.
 *
 * Link with -lmemman, which is the program's malloc then, too; heaps on descriptors
 * take nothing from it. This file is made by build.rs from src/capi/buddy.rs. */

#ifndef MEMMAN_BUDDY_H
#define MEMMAN_BUDDY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include "ffit.h"

/**
 * Success.
 */
#define BUDDY_HEAP_OK 0

/**
 * The block was found; the same as BUDDY_HEAP_OK.
 */
#define BUDDY_HEAP_FOUND 0

/**
 * The pointer is not the start of an allocated block of this heap: it is
 * foreign, NULL, interior, odd, or freed already. Nothing was changed.
 */
#define BUDDY_HEAP_NOTFOUND 4

/**
 * The bookkeeping of the heap is damaged. Nothing was changed.
 */
#define BUDDY_HEAP_INTERNAL -1

/**
 * The descriptor of a heap. The caller sets `mh`, `hs` and `e` and calls
 * buddy_init; everything else belongs to the heap.
 *
 * A descriptor filled with zeros is an empty heap that refuses everything;
 * one that was neither initialised nor filled with zeros must not be used.
 * It may be moved to another address while no call is under way; of two
 * copies only one may be used.
 */
typedef struct buddy_heap_t {
    /**
     * Address of the memory area, at any alignment.
     */
    uintptr_t mh;
    /**
     * Size of the memory area in bytes.
     */
    size_t hs;
    /**
     * 0 for a buddy heap alone; otherwise a part of the area becomes an
     * emergency heap, a first-fit heap that gives what the buddy heap cannot.
     */
    uint8_t e;
    /**
     * The heap's own.
     */
    uint64_t reserved[128];
} buddy_heap_t;

/**
 * The counters of a heap, with those of its emergency heap in them.
 */
typedef ffit_stats_t buddy_stats_t;

/**
 * One block as buddy_walk shows it.
 */
typedef ffit_block_t buddy_block_t;

/**
 * One line of a profile for buddy_required_for.
 */
typedef ffit_sizes_t buddy_sizes_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a heap of the `hs` bytes at `mh`, with every byte of it free.
 *
 * The area must stay readable and writable, and nobody else's, as long as the
 * heap is used; nothing outside it is ever read or written. The heap begins
 * empty, whatever the descriptor held before. Calls from several threads are
 * safe afterwards (see buddy_set_lock).
 *
 * Returns 0, or -1 where `mh` is 0, the area is smaller than a heap can be
 * (see buddy_minimum_size), or it would reach past the end of the address
 * space; the descriptor then is an empty heap that refuses everything.
 * Time: proportional to the size of the heap's tables, about 1/60 of the area; the
 * rest of it is not touched.
 *
 * Requires: `h` is NULL or valid; the area is as said above.
 */
int buddy_init(struct buddy_heap_t *h);

/**
 * Gets a block of at least `size` bytes, with undefined contents, at a
 * multiple of 16: a power of two bytes, at the lowest address where that much
 * is free; where there is none, from the emergency heap, if there is one.
 *
 * Returns NULL where no free block is large enough, and for size 0.
 * Time: at most proportional to the logarithm of the heap's size.
 *
 * Requires: `h` is NULL or valid.
 */
void *buddy_get_block(struct buddy_heap_t *h, size_t size);

/**
 * Gets a block of at least `size` bytes, with undefined contents, at a
 * multiple of `alignment`, which must be a power of two.
 *
 * Returns NULL as buddy_get_block does, and where `alignment` is not a power
 * of two. Time: as buddy_get_block.
 *
 * Requires: `h` is NULL or valid.
 */
void *buddy_get_aligned(struct buddy_heap_t *h, size_t alignment, size_t size);

/**
 * Frees the block at `ptr`.
 *
 * Returns BUDDY_HEAP_OK, BUDDY_HEAP_NOTFOUND or BUDDY_HEAP_INTERNAL; the two
 * errors leave the heap as it was. Time: as buddy_get_block.
 *
 * Requires: `h` is NULL or valid; nobody uses the block after this call.
 */
int buddy_free_block(struct buddy_heap_t *h, void *ptr);

/**
 * Changes the size of the block at `ptr` to at least `size` bytes: in place
 * where that is possible, else by moving it. The contents are kept up to the
 * smaller of the two sizes; what a block grows by is undefined. With `ptr`
 * NULL it is buddy_get_block, with `size` 0 and a pointer buddy_free_block.
 *
 * Returns the block, whose old address is no longer valid where it moved.
 * Returns NULL after a free, and on failure, with the old block untouched.
 * `*rc`, unless `rc` is NULL, becomes BUDDY_HEAP_OK where the pointer was good,
 * also where there was no room; else what buddy_free_block would return.
 * Time: as buddy_get_block, and that of copying where the block moves.
 *
 * Requires: `h` and `rc` are NULL or valid; nobody uses a block that moved.
 */
void *buddy_extend_block(struct buddy_heap_t *h, void *ptr, size_t size, int *rc);

/**
 * The number of bytes that can be used in the block at `ptr`: at least as
 * many as were asked for. 0 where `ptr` is not the start of an allocated
 * block of this heap. Time: as buddy_get_block.
 *
 * Requires: `h` is NULL or valid.
 */
size_t buddy_usable_size(struct buddy_heap_t *h, const void *ptr);

/**
 * Prints a map of the heap on stdout: the size of every block in the order of
 * addresses, red where it is used and green where it is free, `64*3` for
 * three neighbours alike of 64 bytes each; then the totals. Allocates nothing.
 * The heap is locked meanwhile. Time: proportional to the number of blocks.
 *
 * Requires: `h` is NULL or valid.
 */
void buddy_print_heap(struct buddy_heap_t *h);

/**
 * Stores the bytes that blocks can occupy, those in allocated and those in
 * free blocks; `*mem` is `*usd + *fre`. What exceeds 32 bits is stored as
 * UINT32_MAX: buddy_stats says more. Each pointer may be NULL. Time: constant.
 *
 * Requires: All pointers are NULL or valid.
 */
void buddy_get_stats(struct buddy_heap_t *h, uint32_t *mem, uint32_t *usd, uint32_t *fre);

/**
 * Stores the counters of the heap in `*stats`; all are 0 for a descriptor
 * that holds no heap. Time: constant.
 *
 * Requires: Both pointers are NULL or valid.
 */
void buddy_stats(struct buddy_heap_t *h, buddy_stats_t *stats);

/**
 * Stores the counters of the emergency heap alone in `*stats`; what is left
 * of buddy_stats is the buddy part's. No request ends there: `failed` and
 * `largest_request` are 0. All are 0 where there is no emergency heap. Time:
 * constant.
 *
 * Requires: Both pointers are NULL or valid.
 */
void buddy_emergency_stats(struct buddy_heap_t *h, buddy_stats_t *stats);

/**
 * Shows every block to `visit`, used or free, in the order of addresses,
 * until it returns something other than 0. `context` is handed through.
 *
 * The heap is locked meanwhile: `visit` must not call a function on it.
 * Returns what `visit` returned last; 0 where there is no block, and where
 * `visit` is NULL. Time: proportional to the number of blocks.
 *
 * Requires: `h` is NULL or valid; `visit` keeps to what is said above.
 */
int buddy_walk(struct buddy_heap_t *h,
               int (*visit)(void *context, const buddy_block_t *block),
               void *context);

/**
 * Validates the whole bookkeeping of the heap.
 *
 * Returns 0 where all is well. Returns -1 where something is wrong, and
 * stores what was found first: a constant text in `*what`, and in `*address`
 * the block that it was found at. Each may be NULL; neither is touched where
 * all is well. A descriptor that holds no heap is wrong at NULL.
 * Time: proportional to the size of the tables.
 *
 * Requires: All pointers are NULL or valid.
 */
int buddy_check(struct buddy_heap_t *h, const char **what, const void **address);

/**
 * The smallest `hs`, in bytes, that buddy_init accepts with this `e` at every
 * alignment of the area. Time: constant.
 */
size_t buddy_minimum_size(uint8_t e);

/**
 * The smallest `hs`, in bytes, with which a heap with this `e` never refuses
 * a request; all else as in ffit_required_size. Time: microseconds; with an
 * emergency heap, some milliseconds.
 */
size_t buddy_required_size(uint8_t e, size_t max_live, size_t max_block, size_t min_block);

/**
 * As buddy_required_size, for a profile of `lines` lines; see
 * ffit_required_for.
 *
 * Requires: `profile` is NULL or has `lines` lines.
 */
size_t buddy_required_for(uint8_t e, const buddy_sizes_t *profile, size_t lines, size_t max_live);

/**
 * The inverse of buddy_required_size without an emergency heap; all else as
 * in ffit_guaranteed_live. Time: microseconds.
 */
size_t buddy_guaranteed_live(size_t hs, size_t max_block, size_t min_block);

/**
 * Replaces the lock of the heap. After init it is a futex: calls from several
 * threads are safe, and one without contention costs two atomic operations.
 *
 * With two functions, `lock(context)` is called before and `unlock(context)`
 * after every use of the heap: an RTOS's mutex, or disabling interrupts.
 * Neither may call a function on this heap. With both NULL there is no lock,
 * for a heap that one thread uses. To be called after init, and while no
 * other thread uses the heap.
 *
 * Returns 0, or -1 with the lock as it was where just one of the two is NULL
 * or the descriptor holds no heap. Time: constant.
 *
 * Requires: `h` is NULL or valid; the functions exclude each other, on every thread
 * that uses the heap.
 */
int buddy_set_lock(struct buddy_heap_t *h,
                   void (*lock)(void *context),
                   void (*unlock)(void *context),
                   void *context);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MEMMAN_BUDDY_H */
