//! The C functions of the buddy heap, with and without an emergency heap;
//! cbindgen makes `include/buddy.h` of this file, so every comment on a public
//! item is written for C. May use: what stands in [`super`], the managers,
//! and the bounds.

use core::ffi::{c_char, c_int, c_void};
use core::mem::{align_of, size_of};
use core::ops::ControlFlow;
use core::ptr::NonNull;

use libc::size_t;

use super::State;
use super::ffit::{ffit_block_t, ffit_sizes_t, ffit_stats_t};
use crate::analysis::bounds;
use crate::heap::{Block, Buddy, Ebuddy, ExtendError, Fault, FreeError, Manager, Stats};

/// Success.
pub const BUDDY_HEAP_OK: c_int = 0;
/// The block was found; the same as BUDDY_HEAP_OK.
pub const BUDDY_HEAP_FOUND: c_int = 0;
/// The pointer is not the start of an allocated block of this heap: it is
/// foreign, NULL, interior, odd, or freed already. Nothing was changed.
pub const BUDDY_HEAP_NOTFOUND: c_int = 4;
/// The bookkeeping of the heap is damaged. Nothing was changed.
pub const BUDDY_HEAP_INTERNAL: c_int = -1;

/// The descriptor of a heap. The caller sets `mh`, `hs` and `e` and calls
/// buddy_init; everything else belongs to the heap.
///
/// A descriptor filled with zeros is an empty heap that refuses everything;
/// one that was neither initialised nor filled with zeros must not be used.
/// It may be moved to another address while no call is under way; of two
/// copies only one may be used.
#[repr(C)]
pub struct buddy_heap_t {
    /// Address of the memory area, at any alignment.
    pub mh: usize,
    /// Size of the memory area in bytes.
    pub hs: size_t,
    /// 0 for a buddy heap alone; otherwise a part of the area becomes an
    /// emergency heap, a first-fit heap that gives what the buddy heap cannot.
    pub e: u8,
    /// The heap's own.
    pub reserved: [u64; 128],
}

const _: () = assert!(
    size_of::<State<Either>>() <= size_of::<[u64; 128]>() && align_of::<State<Either>>() <= align_of::<u64>(),
    "the descriptor has too little room for the heap"
);

/// The counters of a heap, with those of its emergency heap in them.
pub type buddy_stats_t = ffit_stats_t;

/// One block as buddy_walk shows it.
pub type buddy_block_t = ffit_block_t;

/// One line of a profile for buddy_required_for.
pub type buddy_sizes_t = ffit_sizes_t;

/// What the descriptor's `e` chose.
enum Either {
    Buddy(Buddy),
    Ebuddy(Ebuddy),
}

/// The same expression for both managers.
macro_rules! either {
    ($self:ident, $heap:ident => $call:expr) => {
        match $self {
            Either::Buddy($heap) => $call,
            Either::Ebuddy($heap) => $call,
        }
    };
}

impl Manager for Either {
    #[inline(always)]
    fn get(&mut self, size: usize) -> Option<NonNull<u8>> {
        either!(self, heap => heap.get(size))
    }

    fn get_aligned(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        either!(self, heap => heap.get_aligned(size, align))
    }

    #[inline(always)]
    unsafe fn free(&mut self, block: *mut u8) -> Result<(), FreeError> {
        // SAFETY: passed on.
        either!(self, heap => unsafe { heap.free(block) })
    }

    unsafe fn extend(&mut self, block: *mut u8, size: usize) -> Result<NonNull<u8>, ExtendError> {
        // SAFETY: passed on.
        either!(self, heap => unsafe { heap.extend(block, size) })
    }

    fn usable_size(&self, block: *const u8) -> Option<usize> {
        either!(self, heap => heap.usable_size(block))
    }

    fn stats(&self) -> Stats {
        either!(self, heap => heap.stats())
    }

    fn walk(&self, visit: &mut dyn FnMut(Block) -> ControlFlow<()>) {
        either!(self, heap => heap.walk(visit))
    }

    fn check(&self) -> Result<(), Fault> {
        either!(self, heap => heap.check())
    }
}

/// The state behind `h`.
#[inline(always)]
fn state(h: *mut buddy_heap_t) -> *mut State<Either> {
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
/// safe afterwards (see buddy_set_lock).
///
/// Returns 0, or -1 where `mh` is 0, the area is smaller than a heap can be
/// (see buddy_minimum_size), or it would reach past the end of the address
/// space; the descriptor then is an empty heap that refuses everything.
/// Time: proportional to the size of the heap's tables, about 1/60 of the area; the
/// rest of it is not touched.
///
/// # Safety
/// `h` is NULL or valid; the area is as said above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn buddy_init(h: *mut buddy_heap_t) -> c_int {
    if h.is_null() {
        return BUDDY_HEAP_INTERNAL;
    }
    // SAFETY: `h` is valid, and the area is what the caller promises it to be.
    unsafe {
        let area = core::ptr::with_exposed_provenance_mut((*h).mh);
        let heap = match (*h).e {
            0 => Buddy::from_raw(area, (*h).hs).map(Either::Buddy),
            _ => Ebuddy::from_raw(area, (*h).hs).map(Either::Ebuddy),
        };
        super::init(state(h), heap)
    }
}

/// Gets a block of at least `size` bytes, with undefined contents, at a
/// multiple of 16: a power of two bytes, at the lowest address where that much
/// is free; where there is none, from the emergency heap, if there is one.
///
/// Returns NULL where no free block is large enough, and for size 0.
/// Time: at most proportional to the logarithm of the heap's size.
///
/// # Safety
/// `h` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn buddy_get_block(h: *mut buddy_heap_t, size: size_t) -> *mut c_void {
    // SAFETY: passed on.
    unsafe { super::get(state(h), size) }
}

/// Gets a block of at least `size` bytes, with undefined contents, at a
/// multiple of `alignment`, which must be a power of two.
///
/// Returns NULL as buddy_get_block does, and where `alignment` is not a power
/// of two. Time: as buddy_get_block.
///
/// # Safety
/// `h` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn buddy_get_aligned(h: *mut buddy_heap_t, alignment: size_t, size: size_t) -> *mut c_void {
    // SAFETY: passed on.
    unsafe { super::get_aligned(state(h), alignment, size) }
}

/// Frees the block at `ptr`.
///
/// Returns BUDDY_HEAP_OK, BUDDY_HEAP_NOTFOUND or BUDDY_HEAP_INTERNAL; the two
/// errors leave the heap as it was. Time: as buddy_get_block.
///
/// # Safety
/// `h` is NULL or valid; nobody uses the block after this call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn buddy_free_block(h: *mut buddy_heap_t, ptr: *mut c_void) -> c_int {
    // SAFETY: passed on.
    unsafe { super::free(state(h), ptr) }
}

/// Changes the size of the block at `ptr` to at least `size` bytes: in place
/// where that is possible, else by moving it. The contents are kept up to the
/// smaller of the two sizes; what a block grows by is undefined. With `ptr`
/// NULL it is buddy_get_block, with `size` 0 and a pointer buddy_free_block.
///
/// Returns the block, whose old address is no longer valid where it moved.
/// Returns NULL after a free, and on failure, with the old block untouched.
/// `*rc`, unless `rc` is NULL, becomes BUDDY_HEAP_OK where the pointer was good,
/// also where there was no room; else what buddy_free_block would return.
/// Time: as buddy_get_block, and that of copying where the block moves.
///
/// # Safety
/// `h` and `rc` are NULL or valid; nobody uses a block that moved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn buddy_extend_block(
    h: *mut buddy_heap_t,
    ptr: *mut c_void,
    size: size_t,
    rc: *mut c_int,
) -> *mut c_void {
    // SAFETY: passed on.
    unsafe { super::extend(state(h), ptr, size, rc) }
}

/// The number of bytes that can be used in the block at `ptr`: at least as
/// many as were asked for. 0 where `ptr` is not the start of an allocated
/// block of this heap. Time: as buddy_get_block.
///
/// # Safety
/// `h` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn buddy_usable_size(h: *mut buddy_heap_t, ptr: *const c_void) -> size_t {
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
pub unsafe extern "C" fn buddy_print_heap(h: *mut buddy_heap_t) {
    // SAFETY: passed on.
    unsafe { super::print(state(h), "buddy heap") }
}

/// Stores the bytes that blocks can occupy, those in allocated and those in
/// free blocks; `*mem` is `*usd + *fre`. What exceeds 32 bits is stored as
/// UINT32_MAX: buddy_stats says more. Each pointer may be NULL. Time: constant.
///
/// # Safety
/// All pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn buddy_get_stats(h: *mut buddy_heap_t, mem: *mut u32, usd: *mut u32, fre: *mut u32) {
    // SAFETY: passed on.
    unsafe { super::get_stats(state(h), mem, usd, fre) }
}

/// Stores the counters of the heap in `*stats`; all are 0 for a descriptor
/// that holds no heap. Time: constant.
///
/// # Safety
/// Both pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn buddy_stats(h: *mut buddy_heap_t, stats: *mut buddy_stats_t) {
    // SAFETY: passed on.
    unsafe { super::stats(state(h), stats, Manager::stats) }
}

/// Stores the counters of the emergency heap alone in `*stats`; what is left
/// of buddy_stats is the buddy part's. No request ends there: `failed` and
/// `largest_request` are 0. All are 0 where there is no emergency heap. Time:
/// constant.
///
/// # Safety
/// Both pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn buddy_emergency_stats(h: *mut buddy_heap_t, stats: *mut buddy_stats_t) {
    let read = |heap: &Either| match heap {
        Either::Buddy(_) => Stats::default(),
        Either::Ebuddy(heap) => heap.parts().1,
    };
    // SAFETY: passed on.
    unsafe { super::stats(state(h), stats, read) }
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
pub unsafe extern "C" fn buddy_walk(
    h: *mut buddy_heap_t,
    visit: Option<unsafe extern "C" fn(context: *mut c_void, block: *const buddy_block_t) -> c_int>,
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
pub unsafe extern "C" fn buddy_check(
    h: *mut buddy_heap_t,
    what: *mut *const c_char,
    address: *mut *const c_void,
) -> c_int {
    // SAFETY: passed on.
    unsafe { super::check(state(h), what, address) }
}

/// The smallest `hs`, in bytes, that buddy_init accepts with this `e` at every
/// alignment of the area. Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn buddy_minimum_size(e: u8) -> size_t {
    match e {
        0 => Buddy::minimum_area(),
        _ => Ebuddy::minimum_area(),
    }
}

/// The smallest `hs`, in bytes, with which a heap with this `e` never refuses
/// a request; all else as in ffit_required_size. Time: microseconds; with an
/// emergency heap, some milliseconds.
#[unsafe(no_mangle)]
pub extern "C" fn buddy_required_size(e: u8, max_live: size_t, max_block: size_t, min_block: size_t) -> size_t {
    match e {
        0 => bounds::buddy_required_size(max_live, max_block, min_block),
        _ => bounds::ebuddy_required_size(max_live, max_block, min_block),
    }
    .unwrap_or(0)
}

/// As buddy_required_size, for a profile of `lines` lines; see
/// ffit_required_for.
///
/// # Safety
/// `profile` is NULL or has `lines` lines.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn buddy_required_for(
    e: u8,
    profile: *const buddy_sizes_t,
    lines: size_t,
    max_live: size_t,
) -> size_t {
    // SAFETY: passed on.
    let profile = unsafe { super::ffit::profile(profile, lines) };
    match e {
        0 => bounds::buddy_profile_size(profile, max_live),
        _ => bounds::ebuddy_profile_size(profile, max_live),
    }
    .unwrap_or(0)
}

/// The inverse of buddy_required_size without an emergency heap; all else as
/// in ffit_guaranteed_live. Time: microseconds.
#[unsafe(no_mangle)]
pub extern "C" fn buddy_guaranteed_live(hs: size_t, max_block: size_t, min_block: size_t) -> size_t {
    bounds::buddy_guaranteed_live(hs, max_block, min_block)
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
pub unsafe extern "C" fn buddy_set_lock(
    h: *mut buddy_heap_t,
    lock: Option<unsafe extern "C" fn(context: *mut c_void)>,
    unlock: Option<unsafe extern "C" fn(context: *mut c_void)>,
    context: *mut c_void,
) -> c_int {
    // SAFETY: passed on.
    unsafe { super::set_lock(state(h), lock, unlock, context) }
}
