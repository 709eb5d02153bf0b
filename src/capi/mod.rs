//! The C ABI of the heaps: what stands behind `include/ffit.h` and
//! `include/buddy.h`. A descriptor is the caller's struct; the state of the
//! heap lies in its reserved words, so that there is no global and no
//! allocation. May use: the managers, the bounds, the locks, and
//! the platform.
//!
//! ```text
//!   ffit_heap_t   [ mh | hs | reserved: magic, lock, manager ... ]
//! ```
//!
//! The functions are written once, here, over [`Manager`]; [`ffit`] and
//! [`buddy`] give them their C names and contracts.

#[allow(non_camel_case_types, reason = "the names are C's")]
pub mod buddy;
#[allow(non_camel_case_types, reason = "the names are C's")]
pub mod ffit;
mod print;

use core::ffi::{c_char, c_int, c_void};
use core::mem::MaybeUninit;
use core::ops::{ControlFlow, Deref, DerefMut};
use core::ptr::{NonNull, null_mut};

use lock_api::RawMutex;

use crate::heap::{Block, ExtendError, FreeError, Manager, Part, Stats};
use crate::sync::{CallbackLock, FutexLock, LockFunction};
use ffit::{FFIT_HEAP_INTERNAL, FFIT_HEAP_NOTFOUND, FFIT_HEAP_OK, ffit_block_t, ffit_stats_t};

/// What the reserved words of a descriptor hold. Zeros are no heap.
#[repr(C)]
struct State<M> {
    /// [`MAGIC`] while `manager` is initialised.
    magic: u64,
    lock: Lock,
    manager: MaybeUninit<M>,
}

const MAGIC: u64 = u64::from_be_bytes(*b"memman\x00\x01");

enum Lock {
    None,
    Futex(FutexLock),
    Callbacks(CallbackLock),
}

impl Lock {
    #[inline(always)]
    fn lock(&self) {
        match self {
            Lock::None => {}
            Lock::Futex(lock) => lock.lock(),
            Lock::Callbacks(lock) => lock.lock(),
        }
    }

    /// # Safety
    /// This thread holds the lock.
    #[inline(always)]
    unsafe fn unlock(&self) {
        match self {
            Lock::None => {}
            // SAFETY: passed on.
            Lock::Futex(lock) => unsafe { lock.unlock() },
            // SAFETY: passed on.
            Lock::Callbacks(lock) => unsafe { lock.unlock() },
        }
    }
}

/// The manager of a descriptor, locked.
struct Locked<'a, M> {
    lock: &'a Lock,
    manager: &'a mut M,
}

impl<M> Locked<'_, M> {
    /// `None` where `state` is null or holds no heap.
    ///
    /// # Safety
    /// `state` is null or lies in a valid descriptor that was initialised or
    /// is filled with zeros.
    #[inline(always)]
    unsafe fn new(state: *mut State<M>) -> Option<Self> {
        // SAFETY: the magic is plain bytes, written by init only, which runs
        // before the descriptor is shared.
        if state.is_null() || unsafe { (*state).magic } != MAGIC {
            return None;
        }
        // SAFETY: the magic says that the lock is initialised; it changes only
        // while nobody else uses the heap.
        let lock = unsafe { &(*state).lock };
        lock.lock();
        // SAFETY: the magic says that the manager is initialised, and the lock
        // makes it ours.
        let manager = unsafe { (*state).manager.assume_init_mut() };
        Some(Locked { lock, manager })
    }
}

impl<M> Drop for Locked<'_, M> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `new` locked it.
        unsafe { self.lock.unlock() }
    }
}

impl<M> Deref for Locked<'_, M> {
    type Target = M;
    fn deref(&self) -> &M {
        self.manager
    }
}

impl<M> DerefMut for Locked<'_, M> {
    fn deref_mut(&mut self) -> &mut M {
        self.manager
    }
}

/// # Safety
/// For this and every function below: `state` is null or lies in a valid
/// descriptor, and what is said in the C function's contract.
unsafe fn init<M>(state: *mut State<M>, manager: Option<M>) -> c_int {
    match manager {
        Some(manager) => {
            let lock = Lock::Futex(FutexLock::INIT);
            // SAFETY: a descriptor under init is nobody else's.
            unsafe { state.write(State { magic: MAGIC, lock, manager: MaybeUninit::new(manager) }) };
            FFIT_HEAP_OK
        }
        None => {
            // SAFETY: as above.
            unsafe { (*state).magic = 0 };
            FFIT_HEAP_INTERNAL
        }
    }
}

#[inline(always)]
fn pointer(block: Option<NonNull<u8>>) -> *mut c_void {
    block.map_or(null_mut(), |block| block.as_ptr().cast())
}

#[inline(always)]
unsafe fn get<M: Manager>(state: *mut State<M>, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    let heap = unsafe { Locked::new(state) };
    pointer(heap.and_then(|mut heap| heap.get(size)))
}

unsafe fn get_aligned<M: Manager>(state: *mut State<M>, alignment: usize, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    let heap = unsafe { Locked::new(state) };
    pointer(heap.and_then(|mut heap| heap.get_aligned(size, alignment)))
}

#[inline(always)]
fn code(result: Result<(), FreeError>) -> c_int {
    match result {
        Ok(()) => FFIT_HEAP_OK,
        Err(FreeError::NotFound) => FFIT_HEAP_NOTFOUND,
        Err(FreeError::Corrupted) => FFIT_HEAP_INTERNAL,
    }
}

#[inline(always)]
unsafe fn free<M: Manager>(state: *mut State<M>, ptr: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { Locked::new(state) } {
        // SAFETY: the caller gives the block up.
        Some(mut heap) => code(unsafe { heap.free(ptr.cast()) }),
        None => FFIT_HEAP_NOTFOUND,
    }
}

unsafe fn extend<M: Manager>(state: *mut State<M>, ptr: *mut c_void, size: usize, rc: *mut c_int) -> *mut c_void {
    // SAFETY: the caller's promise, for the calls below too.
    let (block, code) = unsafe {
        if ptr.is_null() {
            (get(state, size), FFIT_HEAP_OK)
        } else if size == 0 {
            (null_mut(), free(state, ptr))
        } else {
            match Locked::new(state).map(|mut heap| heap.extend(ptr.cast(), size)) {
                Some(Ok(block)) => (pointer(Some(block)), FFIT_HEAP_OK),
                Some(Err(ExtendError::NoRoom)) => (null_mut(), FFIT_HEAP_OK),
                Some(Err(ExtendError::Corrupted)) => (null_mut(), FFIT_HEAP_INTERNAL),
                Some(Err(ExtendError::NotFound)) | None => (null_mut(), FFIT_HEAP_NOTFOUND),
            }
        }
    };
    if !rc.is_null() {
        // SAFETY: the caller's promise.
        unsafe { rc.write(code) };
    }
    block
}

unsafe fn usable_size<M: Manager>(state: *mut State<M>, ptr: *const c_void) -> usize {
    // SAFETY: the caller's promise.
    let heap = unsafe { Locked::new(state) };
    heap.and_then(|heap| heap.usable_size(ptr.cast())).unwrap_or(0)
}

unsafe fn print<M: Manager>(state: *mut State<M>, title: &str) {
    // The flush may allocate, and so stands before the lock.
    let out = print::Stdout::new();
    // SAFETY: the caller's promise.
    match unsafe { Locked::new(state) } {
        Some(heap) => print::map(&*heap, title, out),
        None => print::nothing(title, out),
    }
}

unsafe fn get_stats<M: Manager>(state: *mut State<M>, mem: *mut u32, usd: *mut u32, fre: *mut u32) {
    // SAFETY: the caller's promise.
    let heap = unsafe { Locked::new(state) };
    let stats = heap.map(|heap| heap.stats()).unwrap_or_default();
    for (out, bytes) in [(mem, stats.size), (usd, stats.used), (fre, stats.free)] {
        if !out.is_null() {
            // SAFETY: the caller's promise.
            unsafe { out.write(u32::try_from(bytes).unwrap_or(u32::MAX)) };
        }
    }
}

/// Stores what `read` takes from the manager.
unsafe fn stats<M>(state: *mut State<M>, out: *mut ffit_stats_t, read: impl FnOnce(&M) -> Stats) {
    // SAFETY: the caller's promise.
    let heap = unsafe { Locked::new(state) };
    let stats = heap.map(|heap| read(&heap)).unwrap_or_default();
    if !out.is_null() {
        // SAFETY: the caller's promise.
        unsafe {
            out.write(ffit_stats_t {
                size: stats.size,
                used: stats.used,
                free: stats.free,
                peak: stats.peak,
                largest_free: stats.largest_free,
                blocks: stats.blocks,
                failed: stats.failed,
                largest_request: stats.largest_request,
            });
        }
    }
}

type Visit = unsafe extern "C" fn(context: *mut c_void, block: *const ffit_block_t) -> c_int;

unsafe fn walk<M: Manager>(state: *mut State<M>, visit: Option<Visit>, context: *mut c_void) -> c_int {
    let Some(visit) = visit else { return 0 };
    // SAFETY: the caller's promise.
    let Some(heap) = (unsafe { Locked::new(state) }) else { return 0 };
    let mut last = 0;
    heap.walk(&mut |block: Block| {
        let block = ffit_block_t {
            address: core::ptr::with_exposed_provenance_mut(block.address),
            size: block.size,
            used: block.used.into(),
            emergency: (block.part == Part::Emergency).into(),
        };
        // SAFETY: the caller's promise.
        last = unsafe { visit(context, &block) };
        if last == 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    last
}

unsafe fn check<M: Manager>(state: *mut State<M>, what: *mut *const c_char, address: *mut *const c_void) -> c_int {
    // SAFETY: the caller's promise.
    let (text, at) = match unsafe { Locked::new(state) }.map(|heap| heap.check()) {
        Some(Ok(())) => return 0,
        Some(Err(fault)) => (fault.what, fault.address),
        None => (c"the descriptor holds no heap", 0),
    };
    // SAFETY: the caller's promise.
    unsafe {
        if !what.is_null() {
            what.write(text.as_ptr());
        }
        if !address.is_null() {
            address.write(core::ptr::without_provenance(at));
        }
    }
    -1
}

unsafe fn set_lock<M>(
    state: *mut State<M>,
    lock: Option<LockFunction>,
    unlock: Option<LockFunction>,
    context: *mut c_void,
) -> c_int {
    if lock.is_some() != unlock.is_some() {
        return -1;
    }
    // SAFETY: the caller's promise, and that nobody else uses the heap.
    unsafe {
        if state.is_null() || (*state).magic != MAGIC {
            return -1;
        }
        (*state).lock = match lock {
            Some(_) => Lock::Callbacks(CallbackLock::new(lock, unlock, context)),
            None => Lock::None,
        };
    }
    0
}
