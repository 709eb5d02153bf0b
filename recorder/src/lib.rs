//! libmemman_record.so: preloaded before libmemman.so.1, or before any other
//! malloc, it sees every request first, hands it on, and writes what became of
//! it to the file that MEMMAN_RECORD names. Here stand the functions that a
//! program calls; `file` writes. May use: `file`.
//!
//! A request is noted after it was served, a free before: so a block's address is
//! not seen anew before it is seen freed, whichever threads are at it.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

mod file;
mod slot;

use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use file::{note, now, ticks};
use memman_trace::Record;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}

// ---- the malloc behind -----------------------------------------------------------

/// A function of the next library, looked up once.
struct Next {
    name: &'static CStr,
    address: AtomicUsize,
}

impl Next {
    const fn new(name: &'static CStr) -> Self {
        Next { name, address: AtomicUsize::new(0) }
    }

    #[inline(always)]
    fn get(&self) -> usize {
        self.address.load(Ordering::Relaxed)
    }
}

static MALLOC: Next = Next::new(c"malloc");
static CALLOC: Next = Next::new(c"calloc");
static REALLOC: Next = Next::new(c"realloc");
static FREE: Next = Next::new(c"free");
static ALIGNED: Next = Next::new(c"aligned_alloc");
static MEMALIGN: Next = Next::new(c"memalign");
static POSIX_MEMALIGN: Next = Next::new(c"posix_memalign");

/// 0, 1 while the functions are looked up, 2 when they are known.
static LOOKED_UP: AtomicU32 = AtomicU32::new(0);

/// Whether the malloc behind is known. It is looked up by the first request;
/// what the look-up itself requests is served from the `Early` blocks.
#[inline(always)]
fn known() -> bool {
    LOOKED_UP.load(Ordering::Acquire) == 2 || look_up()
}

#[cold]
fn look_up() -> bool {
    if LOOKED_UP.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        for next in [&CALLOC, &REALLOC, &FREE, &ALIGNED, &MEMALIGN, &POSIX_MEMALIGN, &MALLOC] {
            // SAFETY: a name that ends.
            let address = unsafe { libc::dlsym(libc::RTLD_NEXT, next.name.as_ptr()) };
            if address.is_null() {
                // SAFETY: ends the process: no program can do without malloc.
                unsafe { libc::abort() };
            }
            next.address.store(address.addr(), Ordering::Relaxed);
        }
        LOOKED_UP.store(2, Ordering::Release);
    }
    LOOKED_UP.load(Ordering::Acquire) == 2
}

/// Calls a function of the malloc behind.
macro_rules! next {
    ($next:ident as fn($($argument:ty),*) $(-> $result:ty)?; $($value:expr),*) => {{
        // SAFETY: the address of a function of this name, whose type C fixes; it
        // is known where this is called.
        let function = unsafe { transmute::<usize, unsafe extern "C" fn($($argument),*) $(-> $result)?>($next.get()) };
        // SAFETY: the caller's promises are handed on.
        unsafe { function($($value),*) }
    }};
}

// ---- before it is known ----------------------------------------------------------

/// Memory for the few blocks that the look-up of malloc itself requests. They
/// are never given back, and not in the trace.
#[repr(C, align(16))]
struct Early([u8; 16 << 10]);

static EARLY: EarlyCell = EarlyCell(core::cell::UnsafeCell::new(Early([0; 16 << 10])));
static EARLY_USED: AtomicUsize = AtomicUsize::new(0);

struct EarlyCell(core::cell::UnsafeCell<Early>);

// SAFETY: every block of it is given once.
unsafe impl Sync for EarlyCell {}

/// A zeroed early block, or null; its size stands 16 bytes before it.
fn early(size: usize) -> *mut c_void {
    let bytes = size_of::<Early>();
    let Some(need) = size.checked_next_multiple_of(16).and_then(|size| size.checked_add(16)).filter(|&n| n <= bytes)
    else {
        return null_mut();
    };
    let at = EARLY_USED.fetch_add(need, Ordering::Relaxed);
    if at > bytes - need {
        EARLY_USED.store(bytes, Ordering::Relaxed);
        return null_mut();
    }
    // SAFETY: within EARLY, and nobody else's.
    unsafe {
        let block = EARLY.0.get().cast::<u8>().add(at);
        block.cast::<usize>().write(size);
        block.add(16).cast()
    }
}

#[inline(always)]
fn is_early(block: *mut c_void) -> bool {
    block.addr().wrapping_sub(EARLY.0.get().addr()) < size_of::<Early>()
}

// ---- what programs call ----------------------------------------------------------

#[inline(always)]
fn got(size: usize, block: *mut c_void, zeroed: bool) -> *mut c_void {
    note(Record::Get { size: size as u64, address: block.addr() as u64, zeroed }, now());
    block
}

fn got_aligned(align: usize, size: usize, block: *mut c_void) -> *mut c_void {
    let align = align.checked_next_power_of_two().map_or(0, usize::trailing_zeros) as u8;
    note(Record::Aligned { size: size as u64, address: block.addr() as u64, align }, now());
    block
}

/// As C's.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(size: usize) -> *mut c_void {
    if !known() {
        return early(size);
    }
    got(size, next!(MALLOC as fn(usize) -> *mut c_void; size), false)
}

/// As C's.
#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let bytes = count.saturating_mul(size);
    if !known() {
        return early(bytes);
    }
    got(bytes, next!(CALLOC as fn(usize, usize) -> *mut c_void; count, size), true)
}

/// As C's.
///
/// # Safety
/// NULL, or a block of this malloc that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() || is_early(block) || !known() {
        return;
    }
    note(Record::Free { address: block.addr() as u64 }, now());
    next!(FREE as fn(*mut c_void); block)
}

/// As C's.
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return malloc(size);
    }
    if is_early(block) {
        let new = malloc(size);
        if !new.is_null() {
            // SAFETY: its size stands before an early block.
            unsafe {
                let old = block.cast::<usize>().sub(2).read();
                new.cast::<u8>().copy_from_nonoverlapping(block.cast(), old.min(size));
            }
        }
        return new;
    }
    let old = block.addr() as u64;
    let began = ticks();
    if size == 0 {
        note(Record::Free { address: old }, began);
        let new = next!(REALLOC as fn(*mut c_void, usize) -> *mut c_void; block, size);
        return if new.is_null() { new } else { got(0, new, false) };
    }
    let new = next!(REALLOC as fn(*mut c_void, usize) -> *mut c_void; block, size);
    let took = ticks().saturating_sub(began);
    note(Record::Resize { took, old, size: size as u64, address: new.addr() as u64 }, began);
    new
}

/// As BSD's.
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise.
        Some(bytes) => unsafe { realloc(block, bytes) },
        None => {
            // SAFETY: errno is this thread's.
            unsafe { *libc::__errno_location() = libc::ENOMEM };
            null_mut()
        }
    }
}

/// As C's.
#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if !known() {
        return null_mut();
    }
    got_aligned(align, size, next!(ALIGNED as fn(usize, usize) -> *mut c_void; align, size))
}

/// As old systems'.
#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    if !known() {
        return null_mut();
    }
    got_aligned(align, size, next!(MEMALIGN as fn(usize, usize) -> *mut c_void; align, size))
}

/// As POSIX's.
///
/// # Safety
/// `result` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(result: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !known() {
        return libc::ENOMEM;
    }
    let code = next!(POSIX_MEMALIGN as fn(*mut *mut c_void, usize, usize) -> c_int; result, align, size);
    // A bad alignment is no request.
    if code != libc::EINVAL {
        // SAFETY: the caller's promise.
        got_aligned(align, size, if code == 0 { unsafe { *result } } else { null_mut() });
    }
    code
}

const PAGE: usize = 4096;

/// A block at the start of a page.
#[unsafe(no_mangle)]
pub extern "C" fn valloc(size: usize) -> *mut c_void {
    memalign(PAGE, size)
}

/// Whole pages.
#[unsafe(no_mangle)]
pub extern "C" fn pvalloc(size: usize) -> *mut c_void {
    memalign(PAGE, size.checked_next_multiple_of(PAGE).unwrap_or(usize::MAX).max(PAGE))
}

/// As [`free`].
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { free(block) }
}

/// As [`free`].
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(block: *mut c_void, _size: usize) {
    // SAFETY: the caller's promise.
    unsafe { free(block) }
}

/// As [`free`].
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(block: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: the caller's promise.
    unsafe { free(block) }
}
