//! What a program calls: malloc and its family, as C, POSIX and glibc have
//! them. May use: all of `malloc`.
//!
//! The fast path of [`malloc`] stands in `currents`, that of [`free`] in `free`;
//! what is here decides where a request goes, checks what callers may get wrong,
//! and sets errno.

use core::ffi::{c_char, c_int, c_void};
use core::fmt::Write;
use core::ptr;

use super::classes::{CELL, MAX_SMALL};
use super::message::{Line, fatal};
use super::region::{Fresh, zero};
use super::slab::Slab;
use super::tables::{aligned_class_of, class_of};
use super::{blocks, cache, currents, free, heaps, huge, process, report};
use crate::heap::ALIGNMENT;
use crate::platform::{self, PAGE, set_errno};

/// No object may be larger: the difference of two pointers must be a number.
const LARGEST: usize = isize::MAX as usize;

#[cold]
fn out_of_memory() -> *mut c_void {
    set_errno(libc::ENOMEM);
    ptr::null_mut()
}

/// A block that is no cell of the fast path; `zero` says that it had better be
/// of zeros.
#[cold]
fn get_slow(size: usize, zero: bool) -> Option<Fresh> {
    if size > LARGEST {
        return None;
    }
    let config = process::config();
    // The managers refuse 0 bytes; malloc gives a block of its own for them.
    let size = size.max(1);
    if size <= MAX_SMALL && config.cache {
        // SAFETY: this thread's own cache.
        let cell = unsafe { cache::get_slow(config, class_of(size)) };
        if let Some(block) = ptr::NonNull::new(cell) {
            return Some(Fresh { block, zero: false });
        }
    }
    blocks::get(size, ALIGNMENT, zero)
}

/// What [`malloc`] does, and [`free`] and [`realloc`] below. The exported functions do not
/// call each other: what the loader finds under such a name may be another library's.
#[inline(always)]
fn get(size: usize) -> *mut c_void {
    if size <= MAX_SMALL {
        // SAFETY: a class.
        let cell = unsafe { currents::get(class_of(size)) };
        if !cell.is_null() {
            return cell.cast();
        }
    }
    malloc_slow(size)
}

/// C's malloc: `size` bytes with undefined contents, aligned to 16. NULL and
/// ENOMEM where there are none; for 0 bytes a block of its own.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(size: usize) -> *mut c_void {
    get(size)
}

#[cold]
#[inline(never)]
extern "C" fn malloc_slow(size: usize) -> *mut c_void {
    if size <= MAX_SMALL {
        // SAFETY: a class.
        let cell = unsafe { cache::get_by_turn(class_of(size)) };
        if !cell.is_null() {
            return cell.cast();
        }
    }
    get_slow(size, false).map_or_else(out_of_memory, |fresh| fresh.block.as_ptr().cast())
}

/// # Safety
/// As [`free`].
#[inline(always)]
unsafe fn give_back(block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { free::free(block.cast()) }
}

/// C's free; errno stays as it was.
///
/// # Safety
/// NULL, or a block of this malloc that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { give_back(block) }
}

/// Old systems' other name of free.
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { give_back(block) }
}

/// C23's free with the size that was asked for, which is not needed.
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(block: *mut c_void, _size: usize) {
    // SAFETY: the caller's promise.
    unsafe { give_back(block) }
}

/// C23's free with alignment and size, which are not needed.
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(block: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: the caller's promise.
    unsafe { give_back(block) }
}

/// C's calloc: `count * size` zeroed bytes. Pages fresh from the OS are not
/// written.
#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(size) else { return out_of_memory() };
    if bytes <= MAX_SMALL {
        let block = get(bytes);
        if !block.is_null() {
            // SAFETY: a new block of at least as many bytes.
            unsafe { block.cast::<u8>().write_bytes(0, bytes) };
        }
        return block;
    }
    let Some(fresh) = get_slow(bytes, true) else { return out_of_memory() };
    // SAFETY: as above.
    unsafe { zero(fresh, bytes) };
    fresh.block.as_ptr().cast()
}

/// The size of a cell that `function` was called with; `None` where it is none.
///
/// # Safety
/// A pointer below 2^47.
#[inline(always)]
unsafe fn size_of_cell(function: &str, block: *mut u8) -> Option<usize> {
    // SAFETY: the caller's promise; a block keeps its slab in being.
    unsafe {
        let (slab, entry) = Slab::find(block)?;
        if !entry.is_cell(block) || free::is_freed(slab, entry, block) {
            fatal(function, "invalid pointer", block);
        }
        Some(entry.cell() as usize)
    }
}

/// # Safety
/// As [`realloc`].
#[inline(always)]
unsafe fn change(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return get(size);
    }
    // SAFETY: the caller's promise.
    unsafe { resize(block.cast(), size) }
}

/// C's realloc. `realloc(p, 0)` frees and returns NULL, as glibc's does. On
/// failure NULL and ENOMEM, and the old block is as it was.
///
/// # Safety
/// As [`free`], where the result is not `block` or NULL for a size above 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { change(block, size) }
}

/// The rest of [`realloc`], apart, so that what only is a malloc does no more.
///
/// # Safety
/// As there; `block` is not null.
#[inline(never)]
unsafe extern "C" fn resize(block: *mut u8, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe {
        if size == 0 {
            give_back(block.cast());
            return ptr::null_mut();
        }
        match size_of_cell("realloc", block) {
            // Not worth a move: it fits, and would fill more than half.
            Some(usable) if size <= usable && size > usable / 2 => block.cast(),
            Some(usable) => resize_by_copy(block, usable, size),
            None => resize_large(block, size),
        }
    }
}

/// Changes the size of a block that is no cell.
///
/// # Safety
/// As [`realloc`], for a size above 0.
#[inline(never)]
unsafe fn resize_large(block: *mut u8, size: usize) -> *mut c_void {
    let usable = blocks::usable_size("realloc", block);
    if size > LARGEST {
        return out_of_memory();
    }
    let may_extend = size > MAX_SMALL || !process::config().cache;
    // SAFETY: the caller's promise; what was not extended is as it was.
    unsafe {
        let extend = || if may_extend { blocks::extend(block, usable, size) } else { None };
        if let Some(extended) = extend() {
            return extended.as_ptr().cast();
        }
        let moved = platform::keeping_errno(|| resize_by_copy(block, usable, size));
        if !moved.is_null() {
            return moved;
        }
        // Where there was no room for both, there may be now for the difference.
        extend().map_or_else(out_of_memory, |extended| extended.as_ptr().cast())
    }
}

/// Moves what is in a block of `usable` bytes to one for `size`.
///
/// # Safety
/// As [`realloc`], for a size above 0.
#[inline]
unsafe fn resize_by_copy(block: *mut u8, usable: usize, size: usize) -> *mut c_void {
    let new = get(if size > usable { blocks::roomy(size) } else { size });
    if new.is_null() {
        // What only was to shrink may stay.
        return if size <= usable { block.cast() } else { new };
    }
    // SAFETY: the caller's promise, and a new block.
    unsafe {
        new.cast::<u8>().copy_from_nonoverlapping(block, usable.min(size));
        give_back(block.cast());
    }
    new
}

/// BSD's realloc of an array: NULL and ENOMEM where the product overflows.
///
/// # Safety
/// As [`realloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise.
        Some(bytes) => unsafe { change(block, bytes) },
        None => out_of_memory(),
    }
}

/// A block at a multiple of `align`, a power of two.
fn get_aligned(align: usize, size: usize) -> *mut c_void {
    if align <= ALIGNMENT {
        return get(size);
    }
    if size > LARGEST || align > LARGEST {
        return out_of_memory();
    }
    let config = process::config();
    let size = size.max(1);
    // A slab is aligned to 64 KiB, and its first cell stands at its start.
    if config.cache
        && align <= MAX_SMALL
        && let Some(class) = aligned_class_of(size, align)
    {
        // SAFETY: a class.
        let cell = unsafe { currents::get(class) };
        if !cell.is_null() {
            return cell.cast();
        }
        // SAFETY: as above.
        let cell = unsafe { cache::get_slow(config, class) };
        if !cell.is_null() {
            debug_assert!(CELL[class] as usize >= size);
            return cell.cast();
        }
    }
    blocks::get(size, align, false).map_or_else(out_of_memory, |fresh| fresh.block.as_ptr().cast())
}

/// C11's aligned_alloc: any power of two is an alignment, any size will do;
/// else NULL and EINVAL.
#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        set_errno(libc::EINVAL);
        return ptr::null_mut();
    }
    get_aligned(align, size)
}

/// The old memalign: other alignments are rounded up to a power of two, as
/// glibc does.
#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    match align.checked_next_power_of_two() {
        Some(align) => get_aligned(align, size),
        None => {
            set_errno(libc::EINVAL);
            ptr::null_mut()
        }
    }
}

/// POSIX's: returns EINVAL or ENOMEM and then leaves `*result` alone.
///
/// # Safety
/// `result` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(result: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    let block = platform::keeping_errno(|| get_aligned(align, size));
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's promise.
    unsafe { *result = block };
    0
}

/// A block at the start of a page.
#[unsafe(no_mangle)]
pub extern "C" fn valloc(size: usize) -> *mut c_void {
    get_aligned(PAGE, size)
}

/// Whole pages.
#[unsafe(no_mangle)]
pub extern "C" fn pvalloc(size: usize) -> *mut c_void {
    match size.checked_next_multiple_of(PAGE) {
        Some(size) => get_aligned(PAGE, size.max(PAGE)),
        None => out_of_memory(),
    }
}

/// How many bytes of a block may be used, all of them; 0 for NULL.
///
/// # Safety
/// NULL or a block of this malloc.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    if block.is_null() {
        return 0;
    }
    const NAME: &str = "malloc_usable_size";
    // SAFETY: the caller's promise.
    unsafe { size_of_cell(NAME, block.cast()) }.unwrap_or_else(|| blocks::usable_size(NAME, block.cast()))
}

/// glibc's knobs mean nothing here; all are taken.
#[unsafe(no_mangle)]
pub extern "C" fn mallopt(_parameter: c_int, _value: c_int) -> c_int {
    1
}

/// Gives free memory back to the OS, but for `keep` bytes a region; 1 where
/// there was any.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_trim(keep: usize) -> c_int {
    let config = process::config();
    cache::trim(config);
    c_int::from(config.pool == 0 && (huge::trim() | heaps::trim(config, keep)))
}

/// glibc's struct mallinfo2.
#[repr(C)]
pub struct MallInfo2 {
    arena: usize,
    ordblks: usize,
    smblks: usize,
    hblks: usize,
    hblkhd: usize,
    usmblks: usize,
    fsmblks: usize,
    uordblks: usize,
    fordblks: usize,
    keepcost: usize,
}

/// The sums over all heaps. Cells that lie free in the caches of other threads
/// count as used.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo2() -> MallInfo2 {
    information()
}

#[inline(always)]
fn information() -> MallInfo2 {
    let totals = report::totals();
    MallInfo2 {
        arena: totals.used + totals.dirty,
        ordblks: totals.blocks,
        smblks: 0,
        hblks: totals.huge_blocks,
        hblkhd: totals.huge_bytes,
        usmblks: totals.peak,
        fsmblks: totals.free_cells,
        uordblks: totals.used.saturating_sub(totals.free_cells),
        fordblks: totals.dirty + totals.free_cells,
        keepcost: totals.dirty,
    }
}

/// glibc's struct mallinfo, whose numbers are too small for large heaps.
#[repr(C)]
pub struct MallInfo {
    arena: c_int,
    ordblks: c_int,
    smblks: c_int,
    hblks: c_int,
    hblkhd: c_int,
    usmblks: c_int,
    fsmblks: c_int,
    uordblks: c_int,
    fordblks: c_int,
    keepcost: c_int,
}

/// As [`mallinfo2`], cut to what fits.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo() -> MallInfo {
    let all = information();
    let cut = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
    MallInfo {
        arena: cut(all.arena),
        ordblks: cut(all.ordblks),
        smblks: cut(all.smblks),
        hblks: cut(all.hblks),
        hblkhd: cut(all.hblkhd),
        usmblks: cut(all.usmblks),
        fsmblks: cut(all.fsmblks),
        uordblks: cut(all.uordblks),
        fordblks: cut(all.fordblks),
        keepcost: cut(all.keepcost),
    }
}

/// The table of all heaps, on standard error.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_stats() {
    report::table();
}

unsafe extern "C" {
    fn fputs(text: *const c_char, stream: *mut c_void) -> c_int;
}

/// The sums as XML, on a stream; EINVAL for options other than 0.
///
/// # Safety
/// `stream` is a `FILE *` that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_info(options: c_int, stream: *mut c_void) -> c_int {
    if options != 0 || stream.is_null() {
        return libc::EINVAL;
    }
    let all = report::totals();
    let mut text = Line::new();
    let _ = write!(
        text,
        "<malloc version=\"1\">\n<total type=\"used\" count=\"{}\" size=\"{}\"/>\n\
         <total type=\"free\" size=\"{}\"/>\n<total type=\"mmap\" count=\"{}\" size=\"{}\"/>\n\
         <system type=\"current\" size=\"{}\"/>\n<aspace type=\"total\" size=\"{}\"/>\n</malloc>\n\0",
        all.blocks,
        all.used,
        all.free,
        all.huge_blocks,
        all.huge_bytes,
        all.used + all.dirty,
        all.regions,
    );
    // SAFETY: the text ends with a null byte; the stream is the caller's.
    unsafe { fputs(text.as_bytes().as_ptr().cast(), stream) };
    0
}
