/* memman: the first-fit heap (Knuth, The Art of Computer Programming, vol. 1,
 * section 2.5): address-ordered, and exact: a request gets the lowest-addressed
 * free block that is large enough, in time bounded by the logarithm of the heap.
 *
 * A heap lives in a memory area that the caller gives, and is described by a
 * descriptor; there is no global state, and no limit on the number of heaps:
 *
 *     static char area[65536];
 *     static ffit_heap_t heap;
 *
 *     heap.mh = (uintptr_t)area;
 *     heap.hs = sizeof area;
 *     if (ffit_init(&heap) != FFIT_HEAP_OK) ...
 *     char *block = ffit_get_block(&heap, 100);
 *     ffit_free_block(&heap, block);
 *
 * Blocks have no headers: the bookkeeping stands at the end of the area, and the
 * contents of a block, used or free, are never read or written, but for copying
 * in ffit_extend_block. A NULL descriptor is an empty heap that refuses
 * everything. Unless told otherwise, calls from several threads are safe. No
 * function allocates or waits for anything but the heap's lock.
 *
 * Link with -lmemman, which is the program's malloc then, too; heaps on descriptors
 * take nothing from it. This file is made by build.rs from src/capi/ffit.rs. */

#ifndef MEMMAN_FFIT_H
#define MEMMAN_FFIT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/**
 * Success.
 */
#define FFIT_HEAP_OK 0

/**
 * The block was found; the same as FFIT_HEAP_OK.
 */
#define FFIT_HEAP_FOUND 0

/**
 * The pointer is not the start of an allocated block of this heap: it is
 * foreign, NULL, interior, odd, or freed already. Nothing was changed.
 */
#define FFIT_HEAP_NOTFOUND 4

/**
 * The bookkeeping of the heap is damaged. Nothing was changed.
 */
#define FFIT_HEAP_INTERNAL -1

/**
 * The descriptor of a heap. The caller sets `mh` and `hs` and calls
 * ffit_init; everything else belongs to the heap.
 *
 * A descriptor filled with zeros is an empty heap that refuses everything;
 * one that was neither initialised nor filled with zeros must not be used.
 * It may be moved to another address while no call is under way; of two
 * copies only one may be used.
 */
typedef struct ffit_heap_t {
    /**
     * Address of the memory area, at any alignment.
     */
    uintptr_t mh;
    /**
     * Size of the memory area in bytes.
     */
    size_t hs;
    /**
     * The heap's own.
     */
    uint64_t reserved[64];
} ffit_heap_t;

/**
 * The counters of a heap. Sizes are bytes and gross: a request of 1 byte
 * counts as the block that it got.
 */
typedef struct ffit_stats_t {
    /**
     * What blocks can occupy: the area without the heap's own tables.
     */
    uint64_t size;
    /**
     * In allocated blocks.
     */
    uint64_t used;
    /**
     * In free blocks: `size - used`.
     */
    uint64_t free;
    /**
     * The largest `used` since init.
     */
    uint64_t peak;
    /**
     * The largest request that would be granted now.
     */
    uint64_t largest_free;
    /**
     * How many blocks are allocated.
     */
    uint64_t blocks;
    /**
     * How many requests were refused for want of room since init.
     */
    uint64_t failed;
    /**
     * The largest request since init, refused ones included.
     */
    uint64_t largest_request;
} ffit_stats_t;

/**
 * One block as ffit_walk shows it.
 */
typedef struct ffit_block_t {
    /**
     * Its first byte.
     */
    void *address;
    /**
     * Its size in bytes.
     */
    size_t size;
    /**
     * 1 where it is allocated, 0 where it is free.
     */
    int used;
    /**
     * 1 where it lies in the emergency heap of a buddy heap, else 0.
     */
    int emergency;
} ffit_block_t;

/**
 * Sizes of blocks, and how many of them are allocated at once: one line of a
 * profile for ffit_required_for and buddy_required_for.
 */
typedef struct ffit_sizes_t {
    /**
     * The smallest of these sizes, in bytes; 0 means 1.
     */
    size_t min;
    /**
     * The largest of these sizes, in bytes.
     */
    size_t max;
    /**
     * The most blocks of these sizes at once; SIZE_MAX for no limit.
     */
    size_t count;
} ffit_sizes_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a heap of the `hs` bytes at `mh`, with every byte of it free.
 *
 * The area must stay readable and writable, and nobody else's, as long as the
 * heap is used; nothing outside it is ever read or written. The heap begins
 * empty, whatever the descriptor held before. Calls from several threads are
 * safe afterwards (see ffit_set_lock).
 *
 * Returns 0, or -1 where `mh` is 0, the area is smaller than a heap can be
 * (see ffit_minimum_size), or it would reach past the end of the address
 * space; the descriptor then is an empty heap that refuses everything.
 * Time: proportional to the size of the heap's tables, about 1/40 of the area; the
 * rest of it is not touched.
 *
 * Requires: `h` is NULL or valid; the area is as said above.
 */
int ffit_init(struct ffit_heap_t *h);

/**
 * Gets a block of at least `size` bytes, with undefined contents, at a
 * multiple of 16: the lowest-addressed one that is large enough.
 *
 * Returns NULL where no free block is large enough, and for size 0.
 * Time: at most proportional to the logarithm of the heap's size.
 *
 * Requires: `h` is NULL or valid.
 */
void *ffit_get_block(struct ffit_heap_t *h, size_t size);

/**
 * Gets a block of at least `size` bytes, with undefined contents, at a
 * multiple of `alignment`, which must be a power of two. Every alignment of
 * up to 16 is free; larger ones are tried in the free blocks that are large
 * enough for the size and the alignment together.
 *
 * Returns NULL as ffit_get_block does, and where `alignment` is not a power
 * of two. Time: as ffit_get_block.
 *
 * Requires: `h` is NULL or valid.
 */
void *ffit_get_aligned(struct ffit_heap_t *h, size_t alignment, size_t size);

/**
 * Frees the block at `ptr`.
 *
 * Returns FFIT_HEAP_OK, FFIT_HEAP_NOTFOUND or FFIT_HEAP_INTERNAL; the two
 * errors leave the heap as it was. Time: as ffit_get_block.
 *
 * Requires: `h` is NULL or valid; nobody uses the block after this call.
 */
int ffit_free_block(struct ffit_heap_t *h, void *ptr);

/**
 * Changes the size of the block at `ptr` to at least `size` bytes: in place
 * where that is possible, else by moving it. The contents are kept up to the
 * smaller of the two sizes; what a block grows by is undefined. With `ptr`
 * NULL it is ffit_get_block, with `size` 0 and a pointer ffit_free_block.
 *
 * Returns the block, whose old address is no longer valid where it moved.
 * Returns NULL after a free, and on failure, with the old block untouched.
 * `*rc`, unless `rc` is NULL, becomes FFIT_HEAP_OK where the pointer was good,
 * also where there was no room; else what ffit_free_block would return.
 * Time: as ffit_get_block, and that of copying where the block moves.
 *
 * Requires: `h` and `rc` are NULL or valid; nobody uses a block that moved.
 */
void *ffit_extend_block(struct ffit_heap_t *h, void *ptr, size_t size, int *rc);

/**
 * The number of bytes that can be used in the block at `ptr`: at least as
 * many as were asked for. 0 where `ptr` is not the start of an allocated
 * block of this heap. Time: as ffit_get_block.
 *
 * Requires: `h` is NULL or valid.
 */
size_t ffit_usable_size(struct ffit_heap_t *h, const void *ptr);

/**
 * Prints a map of the heap on stdout: the size of every block in the order of
 * addresses, red where it is used and green where it is free, `64*3` for
 * three neighbours alike of 64 bytes each; then the totals. Allocates nothing.
 * The heap is locked meanwhile. Time: proportional to the number of blocks.
 *
 * Requires: `h` is NULL or valid.
 */
void ffit_print_heap(struct ffit_heap_t *h);

/**
 * Stores the bytes that blocks can occupy, those in allocated and those in
 * free blocks; `*mem` is `*usd + *fre`. What exceeds 32 bits is stored as
 * UINT32_MAX: ffit_stats says more. Each pointer may be NULL. Time: constant.
 *
 * Requires: All pointers are NULL or valid.
 */
void ffit_get_stats(struct ffit_heap_t *h, uint32_t *mem, uint32_t *usd, uint32_t *fre);

/**
 * Stores the counters of the heap in `*stats`; all are 0 for a descriptor
 * that holds no heap. Time: constant.
 *
 * Requires: Both pointers are NULL or valid.
 */
void ffit_stats(struct ffit_heap_t *h, struct ffit_stats_t *stats);

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
int ffit_walk(struct ffit_heap_t *h,
              int (*visit)(void *context, const struct ffit_block_t *block),
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
int ffit_check(struct ffit_heap_t *h, const char **what, const void **address);

/**
 * The smallest `hs`, in bytes, that ffit_init accepts at every alignment of
 * the area. Time: constant.
 */
size_t ffit_minimum_size(void);

/**
 * The smallest `hs`, in bytes, with which a heap never refuses a request, at
 * any alignment of the area, as long as no more than `max_live` requested
 * bytes are allocated at once, in blocks of `min_block` to `max_block` bytes,
 * the request that is served included. A theorem, not an estimate; the heap's
 * own tables are part of the figure.
 *
 * It holds for get and free in every order, from every thread. A block that
 * extend moves counts twice while it moves; extend in place, and shrinking,
 * are not covered. A request at a multiple of an alignment above 16 counts as
 * one of `size + alignment - 16` bytes.
 *
 * Returns 0 where no bound fits into an area, and where `max_block` is less
 * than `min_block`. Time: about a millisecond.
 */
size_t ffit_required_size(size_t max_live, size_t max_block, size_t min_block);

/**
 * As ffit_required_size, for a profile of `lines` lines: what is known of the
 * sizes, and of the most blocks of each at once, makes the figure smaller.
 * `max_live` may be SIZE_MAX where the counts say how much can be allocated.
 *
 * Requires: `profile` is NULL or has `lines` lines.
 */
size_t ffit_required_for(const struct ffit_sizes_t *profile, size_t lines, size_t max_live);

/**
 * The inverse of ffit_required_size: the most requested bytes that may be
 * allocated at once in a heap on `hs` bytes so that it never refuses a block
 * of `min_block` to `max_block` bytes. 0 where it cannot promise one block of
 * `max_block` bytes. Time: up to 64 times that of ffit_required_size.
 */
size_t ffit_guaranteed_live(size_t hs, size_t max_block, size_t min_block);

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
int ffit_set_lock(struct ffit_heap_t *h,
                  void (*lock)(void *context),
                  void (*unlock)(void *context),
                  void *context);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MEMMAN_FFIT_H */
