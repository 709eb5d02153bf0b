//! The C functions of the first-fit heap; cbindgen makes `include/ffit.h` of
//! this file, so every comment on a public item is written for C. May use:
//! what stands in [`super`], the managers, and the bounds.

use core::ffi::{c_char, c_int, c_void};
use core::mem::{align_of, offset_of, size_of};

use libc::size_t;

use super::State;
use crate::analysis::bounds::{self, SizeRange};
use crate::heap::{Ffit, Manager};

/// Success.
pub const FFIT_HEAP_OK: c_int = 0;
/// The block was found; the same as FFIT_HEAP_OK.
pub const FFIT_HEAP_FOUND: c_int = 0;
/// The pointer is not the start of an allocated block of this heap: it is
/// foreign, NULL, interior, odd, or freed already. Nothing was changed.
pub const FFIT_HEAP_NOTFOUND: c_int = 4;
/// The bookkeeping of the heap is damaged. Nothing was changed.
pub const FFIT_HEAP_INTERNAL: c_int = -1;

/// The descriptor of a heap. The caller sets `mh` and `hs` and calls
/// ffit_init; everything else belongs to the heap.
///
/// A descriptor filled with zeros is an empty heap that refuses everything;
/// one that was neither initialised nor filled with zeros must not be used.
/// It may be moved to another address while no call is under way; of two
/// copies only one may be used.
#[repr(C)]
pub struct ffit_heap_t {
    /// Address of the memory area, at any alignment.
    pub mh: usize,
    /// Size of the memory area in bytes.
    pub hs: size_t,
    /// The heap's own.
    pub reserved: [u64; 64],
}

const _: () = assert!(
    size_of::<State<Ffit>>() <= size_of::<[u64; 64]>() && align_of::<State<Ffit>>() <= align_of::<u64>(),
    "the descriptor has too little room for the heap"
);

/// The counters of a heap. Sizes are bytes and gross: a request of 1 byte
/// counts as the block that it got.
#[repr(C)]
pub struct ffit_stats_t {
    /// What blocks can occupy: the area without the heap's own tables.
    pub size: u64,
    /// In allocated blocks.
    pub used: u64,
    /// In free blocks: `size - used`.
    pub free: u64,
    /// The largest `used` since init.
    pub peak: u64,
    /// The largest request that would be granted now.
    pub largest_free: u64,
    /// How many blocks are allocated.
    pub blocks: u64,
    /// How many requests were refused for want of room since init.
    pub failed: u64,
    /// The largest request since init, refused ones included.
    pub largest_request: u64,
}

/// One block as ffit_walk shows it.
#[repr(C)]
pub struct ffit_block_t {
    /// Its first byte.
    pub address: *mut c_void,
    /// Its size in bytes.
    pub size: size_t,
    /// 1 where it is allocated, 0 where it is free.
    pub used: c_int,
    /// 1 where it lies in the emergency heap of a buddy heap, else 0.
    pub emergency: c_int,
}

/// Sizes of blocks, and how many of them are allocated at once: one line of a
/// profile for ffit_required_for and buddy_required_for.
#[repr(C)]
pub struct ffit_sizes_t {
    /// The smallest of these sizes, in bytes; 0 means 1.
    pub min: size_t,
    /// The largest of these sizes, in bytes.
    pub max: size_t,
    /// The most blocks of these sizes at once; SIZE_MAX for no limit.
    pub count: size_t,
}

const _: () = assert!(
    size_of::<ffit_sizes_t>() == size_of::<SizeRange>()
        && offset_of!(ffit_sizes_t, min) == offset_of!(SizeRange, min)
        && offset_of!(ffit_sizes_t, max) == offset_of!(SizeRange, max)
        && offset_of!(ffit_sizes_t, count) == offset_of!(SizeRange, count),
    "a profile is handed through as it is"
);

/// # Safety
/// `profile` is NULL or has `lines` lines that outlive the slice.
pub(super) unsafe fn profile<'a>(profile: *const ffit_sizes_t, lines: size_t) -> &'a [SizeRange] {
    if profile.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise; the layouts are the same.
    unsafe { core::slice::from_raw_parts(profile.cast(), lines) }
}

/// The state behind `h`.
#[inline(always)]
fn state(h: *mut ffit_heap_t) -> *mut State<Ffit> {
    if h.is_null() {
        return core::ptr::null_mut();
    }
    // SAFETY: a descriptor that is not NULL is the caller's valid struct.
    unsafe { (&raw mut (*h).reserved).cast() }
}

/// Makes a heap of the `hs` bytes at `mh`, with every byte of it free.
///
/// The area must stay readable and writable, and nobody else's, as long as the
/// heap is used; nothing outside it is ever read or written. The heap begins
/// empty, whatever the descriptor held before. Calls from several threads are
/// safe afterwards (see ffit_set_lock).
///
/// Returns 0, or -1 where `mh` is 0, the area is smaller than a heap can be
/// (see ffit_minimum_size), or it would reach past the end of the address
/// space; the descriptor then is an empty heap that refuses everything.
/// Time: proportional to the size of the heap's tables, about 1/40 of the area; the
/// rest of it is not touched.
///
/// # Safety
/// `h` is NULL or valid; the area is as said above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_init(h: *mut ffit_heap_t) -> c_int {
    if h.is_null() {
        return FFIT_HEAP_INTERNAL;
    }
    // SAFETY: `h` is valid, and the area is what the caller promises it to be.
    unsafe {
        let area = core::ptr::with_exposed_provenance_mut((*h).mh);
        super::init(state(h), Ffit::from_raw(area, (*h).hs))
    }
}

/// Gets a block of at least `size` bytes, with undefined contents, at a
/// multiple of 16: the lowest-addressed one that is large enough.
///
/// Returns NULL where no free block is large enough, and for size 0.
/// Time: at most proportional to the logarithm of the heap's size.
///
/// # Safety
/// `h` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_get_block(h: *mut ffit_heap_t, size: size_t) -> *mut c_void {
    // SAFETY: passed on.
    unsafe { super::get(state(h), size) }
}

/// Gets a block of at least `size` bytes, with undefined contents, at a
/// multiple of `alignment`, which must be a power of two. Every alignment of
/// up to 16 is free; larger ones are tried in the free blocks that are large
/// enough for the size and the alignment together.
///
/// Returns NULL as ffit_get_block does, and where `alignment` is not a power
/// of two. Time: as ffit_get_block.
///
/// # Safety
/// `h` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_get_aligned(h: *mut ffit_heap_t, alignment: size_t, size: size_t) -> *mut c_void {
    // SAFETY: passed on.
    unsafe { super::get_aligned(state(h), alignment, size) }
}

/// Frees the block at `ptr`.
///
/// Returns FFIT_HEAP_OK, FFIT_HEAP_NOTFOUND or FFIT_HEAP_INTERNAL; the two
/// errors leave the heap as it was. Time: as ffit_get_block.
///
/// # Safety
/// `h` is NULL or valid; nobody uses the block after this call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_free_block(h: *mut ffit_heap_t, ptr: *mut c_void) -> c_int {
    // SAFETY: passed on.
    unsafe { super::free(state(h), ptr) }
}

/// Changes the size of the block at `ptr` to at least `size` bytes: in place
/// where that is possible, else by moving it. The contents are kept up to the
/// smaller of the two sizes; what a block grows by is undefined. With `ptr`
/// NULL it is ffit_get_block, with `size` 0 and a pointer ffit_free_block.
///
/// Returns the block, whose old address is no longer valid where it moved.
/// Returns NULL after a free, and on failure, with the old block untouched.
/// `*rc`, unless `rc` is NULL, becomes FFIT_HEAP_OK where the pointer was good,
/// also where there was no room; else what ffit_free_block would return.
/// Time: as ffit_get_block, and that of copying where the block moves.
///
/// # Safety
/// `h` and `rc` are NULL or valid; nobody uses a block that moved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_extend_block(
    h: *mut ffit_heap_t,
    ptr: *mut c_void,
    size: size_t,
    rc: *mut c_int,
) -> *mut c_void {
    // SAFETY: passed on.
    unsafe { super::extend(state(h), ptr, size, rc) }
}

/// The number of bytes that can be used in the block at `ptr`: at least as
/// many as were asked for. 0 where `ptr` is not the start of an allocated
/// block of this heap. Time: as ffit_get_block.
///
/// # Safety
/// `h` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_usable_size(h: *mut ffit_heap_t, ptr: *const c_void) -> size_t {
    // SAFETY: passed on.
    unsafe { super::usable_size(state(h), ptr) }
}

/// Prints a map of the heap on stdout: the size of every block in the order of
/// addresses, red where it is used and green where it is free, `64*3` for
/// three neighbours alike of 64 bytes each; then the totals. Allocates nothing.
/// The heap is locked meanwhile. Time: proportional to the number of blocks.
///
/// # Safety
/// `h` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_print_heap(h: *mut ffit_heap_t) {
    // SAFETY: passed on.
    unsafe { super::print(state(h), "first-fit heap") }
}

/// Stores the bytes that blocks can occupy, those in allocated and those in
/// free blocks; `*mem` is `*usd + *fre`. What exceeds 32 bits is stored as
/// UINT32_MAX: ffit_stats says more. Each pointer may be NULL. Time: constant.
///
/// # Safety
/// All pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_get_stats(h: *mut ffit_heap_t, mem: *mut u32, usd: *mut u32, fre: *mut u32) {
    // SAFETY: passed on.
    unsafe { super::get_stats(state(h), mem, usd, fre) }
}

/// Stores the counters of the heap in `*stats`; all are 0 for a descriptor
/// that holds no heap. Time: constant.
///
/// # Safety
/// Both pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_stats(h: *mut ffit_heap_t, stats: *mut ffit_stats_t) {
    // SAFETY: passed on.
    unsafe { super::stats(state(h), stats, Manager::stats) }
}

/// Shows every block to `visit`, used or free, in the order of addresses,
/// until it returns something other than 0. `context` is handed through.
///
/// The heap is locked meanwhile: `visit` must not call a function on it.
/// Returns what `visit` returned last; 0 where there is no block, and where
/// `visit` is NULL. Time: proportional to the number of blocks.
///
/// # Safety
/// `h` is NULL or valid; `visit` keeps to what is said above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_walk(
    h: *mut ffit_heap_t,
    visit: Option<unsafe extern "C" fn(context: *mut c_void, block: *const ffit_block_t) -> c_int>,
    context: *mut c_void,
) -> c_int {
    // SAFETY: passed on.
    unsafe { super::walk(state(h), visit, context) }
}

/// Validates the whole bookkeeping of the heap.
///
/// Returns 0 where all is well. Returns -1 where something is wrong, and
/// stores what was found first: a constant text in `*what`, and in `*address`
/// the block that it was found at. Each may be NULL; neither is touched where
/// all is well. A descriptor that holds no heap is wrong at NULL.
/// Time: proportional to the size of the tables.
///
/// # Safety
/// All pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_check(
    h: *mut ffit_heap_t,
    what: *mut *const c_char,
    address: *mut *const c_void,
) -> c_int {
    // SAFETY: passed on.
    unsafe { super::check(state(h), what, address) }
}

/// The smallest `hs`, in bytes, that ffit_init accepts at every alignment of
/// the area. Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn ffit_minimum_size() -> size_t {
    Ffit::minimum_area()
}

/// The smallest `hs`, in bytes, with which a heap never refuses a request, at
/// any alignment of the area, as long as no more than `max_live` requested
/// bytes are allocated at once, in blocks of `min_block` to `max_block` bytes,
/// the request that is served included. A theorem, not an estimate; the heap's
/// own tables are part of the figure.
///
/// It holds for get and free in every order, from every thread. A block that
/// extend moves counts twice while it moves; extend in place, and shrinking,
/// are not covered. A request at a multiple of an alignment above 16 counts as
/// one of `size + alignment - 16` bytes.
///
/// Returns 0 where no bound fits into an area, and where `max_block` is less
/// than `min_block`. Time: about a millisecond.
#[unsafe(no_mangle)]
pub extern "C" fn ffit_required_size(max_live: size_t, max_block: size_t, min_block: size_t) -> size_t {
    bounds::ffit_required_size(max_live, max_block, min_block).unwrap_or(0)
}

/// As ffit_required_size, for a profile of `lines` lines: what is known of the
/// sizes, and of the most blocks of each at once, makes the figure smaller.
/// `max_live` may be SIZE_MAX where the counts say how much can be allocated.
///
/// # Safety
/// `profile` is NULL or has `lines` lines.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_required_for(profile: *const ffit_sizes_t, lines: size_t, max_live: size_t) -> size_t {
    // SAFETY: passed on.
    bounds::ffit_profile_size(unsafe { self::profile(profile, lines) }, max_live).unwrap_or(0)
}

/// The inverse of ffit_required_size: the most requested bytes that may be
/// allocated at once in a heap on `hs` bytes so that it never refuses a block
/// of `min_block` to `max_block` bytes. 0 where it cannot promise one block of
/// `max_block` bytes. Time: up to 64 times that of ffit_required_size.
#[unsafe(no_mangle)]
pub extern "C" fn ffit_guaranteed_live(hs: size_t, max_block: size_t, min_block: size_t) -> size_t {
    bounds::ffit_guaranteed_live(hs, max_block, min_block)
}

/// Replaces the lock of the heap. After init it is a futex: calls from several
/// threads are safe, and one without contention costs two atomic operations.
///
/// With two functions, `lock(context)` is called before and `unlock(context)`
/// after every use of the heap: an RTOS's mutex, or disabling interrupts.
/// Neither may call a function on this heap. With both NULL there is no lock,
/// for a heap that one thread uses. To be called after init, and while no
/// other thread uses the heap.
///
/// Returns 0, or -1 with the lock as it was where just one of the two is NULL
/// or the descriptor holds no heap. Time: constant.
///
/// # Safety
/// `h` is NULL or valid; the functions exclude each other, on every thread
/// that uses the heap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffit_set_lock(
    h: *mut ffit_heap_t,
    lock: Option<unsafe extern "C" fn(context: *mut c_void)>,
    unlock: Option<unsafe extern "C" fn(context: *mut c_void)>,
    context: *mut c_void,
) -> c_int {
    // SAFETY: passed on.
    unsafe { super::set_lock(state(h), lock, unlock, context) }
}
