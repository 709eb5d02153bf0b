//! The thread caches: for each thread, the slabs that it owns, and what other
//! threads sent back. May use: `blocks`, `classes`, `remote`, `slab`, `heaps`,
//! `process`, `config`, `message`, `region`, `platform`'s slot.
//!
//! A thread gets cells from, and frees them to, the slabs that it owns,
//! without locks. A slab in which other threads freed cells is in the *inbox* of
//! its owner's cache, who looks there before it takes anything new.
//!
//! A cache outlives its thread. What its thread leaves behind goes to the
//! *shared* cache, which has a lock: other threads take slabs from there before
//! they ask a heap, and threads that have no cache any more, as in the
//! destructors of others, use it directly.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use lock_api::{Mutex, RawMutex};

use super::classes::{CLASSES, span_of};
use super::config::Config;
use super::message::fatal;
use super::region::{header_of, mark_of};
use super::remote::{Cell, Inbox};
use super::slab::{Kind, NOBODY, Slab, link, unlink};
use super::{blocks, heaps, process};
use crate::platform::{self, PAGE};
use crate::sync::FutexLock;

/// How many slabs of its inbox one slow malloc looks at at most, so that its
/// time has a bound however many are there.
const SORT: usize = 256;

/// Every so many refills a thread looks at the clock.
const TICK_REFILLS: u32 = 8;
/// A class that has taken more slabs than this is growing.
const GROWING: u8 = 4;

/// A thread's cache. The fast path reads `current` only.
#[repr(C, align(64))]
pub(super) struct Cache {
    /// For each class the slab that cells come from.
    current: [*mut Slab; CLASSES],
    /// For each class the other slabs with free cells.
    partial: [*mut Slab; CLASSES],
    /// All slabs without.
    full: *mut Slab,
    /// For each class how many slabs it has taken from the heaps.
    taken: [u8; CLASSES],
    refills: u32,
    /// The next in the list of caches without a thread.
    next: *mut Cache,
    inbox: Inbox,
}

/// A static that is never written: what slots point to without a cache.
#[repr(transparent)]
struct Constant<T>(UnsafeCell<T>);

// SAFETY: nothing writes it.
unsafe impl<T> Sync for Constant<T> {}

static NO_SLAB: Constant<Slab> = Constant(UnsafeCell::new(Slab::NONE));
/// The cache of a thread that has not got one yet.
static NO_CACHE: Constant<Cache> = Constant(UnsafeCell::new(Cache::EMPTY));
/// The cache of a thread whose own has gone.
static NO_CACHE_ANY_MORE: Constant<Cache> = Constant(UnsafeCell::new(Cache::EMPTY));

platform::define_slot!(NO_CACHE);

/// The shared cache, and the caches that wait for a thread.
struct Shared {
    cache: UnsafeCell<Cache>,
    lock: Mutex<FutexLock, ()>,
    idle: Mutex<FutexLock, Idle>,
    /// For each class how many slabs with free cells there are, to be read
    /// without the lock.
    partial: [AtomicU32; CLASSES],
}

struct Idle(*mut Cache);

// SAFETY: under its lock.
unsafe impl Send for Idle {}
// SAFETY: the cache is used under the lock.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared {
    cache: UnsafeCell::new(Cache::EMPTY),
    lock: Mutex::from_raw(<FutexLock as RawMutex>::INIT, ()),
    idle: Mutex::from_raw(<FutexLock as RawMutex>::INIT, Idle(ptr::null_mut())),
    partial: [const { AtomicU32::new(0) }; CLASSES],
};

/// This thread's cache.
#[inline(always)]
pub(super) fn own() -> *mut Cache {
    platform::slot().cast()
}

/// Whether a cache is only a place holder.
fn is_none(cache: *mut Cache) -> bool {
    cache == NO_CACHE.0.get() || cache == NO_CACHE_ANY_MORE.0.get()
}

/// Gets a cell from a cache's current slab; null where that has none at hand.
///
/// # Safety
/// `cache` is [`own`], and `class` below `CLASSES`.
#[inline(always)]
pub(super) unsafe fn get_fast(cache: *mut Cache, class: usize) -> *mut u8 {
    // SAFETY: the current slab is the cache's, or NO_SLAB, which has no cell.
    unsafe {
        let slab = *(*cache).current.get_unchecked(class);
        let cell = (*slab).free;
        if !cell.is_null() {
            (*slab).free = (*cell).next;
            (*cell).mark = ptr::null_mut();
            (*slab).countdown = (*slab).countdown.wrapping_add(1);
        }
        cell.cast()
    }
}

/// Frees a cell of one of this thread's slabs; else [`free_slow`].
///
/// # Safety
/// Nobody uses the block any more.
#[inline(always)]
pub(super) unsafe fn free(block: *mut u8) {
    // SAFETY: a header is its owner's alone; without a slab it has no owner.
    unsafe {
        let slab = header_of(block);
        platform::unless_thread!((*slab).owner(), return unsafe { free_slow(block) });
        if (*block.cast::<Cell>()).mark == mark_of(block) {
            free_slow(block);
        } else if !push(slab, block) {
            attend_own(slab);
        }
    }
}

/// Puts a cell back in its slab; false where the slab wants attention.
///
/// # Safety
/// The slab is the caller's, and the cell one of it that is in use.
#[inline(always)]
unsafe fn push(slab: *mut Slab, cell: *mut u8) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let cell: *mut Cell = cell.cast();
        (*cell).next = (*slab).free;
        (*cell).mark = mark_of(cell.cast());
        (*slab).free = cell;
        (*slab).countdown = (*slab).countdown.wrapping_sub(1);
        (*slab).countdown != 0
    }
}

impl Cache {
    // What a cache is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    const EMPTY: Cache = Cache {
        current: [NO_SLAB.0.get(); CLASSES],
        partial: [ptr::null_mut(); CLASSES],
        full: ptr::null_mut(),
        taken: [0; CLASSES],
        refills: 0,
        next: ptr::null_mut(),
        inbox: Inbox::EMPTY,
    };

    /// Whether this is the shared cache, whose lock is then held.
    fn is_shared(&self) -> bool {
        ptr::eq(self, SHARED.cache.get())
    }

    fn link_partial(&mut self, slab: *mut Slab) {
        // SAFETY: cache and slab are the caller's.
        let class = unsafe {
            let class = usize::from((*slab).class);
            link(&mut self.partial[class], slab);
            class
        };
        if self.is_shared() {
            SHARED.partial[class].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn unlink_partial(&mut self, slab: *mut Slab) {
        // SAFETY: cache and slab are the caller's.
        let class = unsafe {
            let class = usize::from((*slab).class);
            unlink(&mut self.partial[class], slab);
            class
        };
        if self.is_shared() {
            SHARED.partial[class].fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn link_full(&mut self, slab: *mut Slab) {
        // SAFETY: cache and slab are the caller's; no cell of it is free.
        unsafe {
            (*slab).full = true;
            (*slab).countdown = 1;
            link(&mut self.full, slab);
        }
    }
}

/// Gets a cell when the current slab of its class has none at hand; null where
/// there is no memory. What was freed comes before what was never used.
///
/// # Safety
/// `cache` is [`own`] or the shared cache, locked; no place holder.
unsafe fn refill(config: &Config, cache: *mut Cache, class: usize) -> *mut u8 {
    // SAFETY: cache and slabs are the caller's.
    unsafe {
        if !(*cache).is_shared() {
            (*cache).refills = (*cache).refills.wrapping_add(1);
            if (*cache).refills.is_multiple_of(TICK_REFILLS) {
                heaps::tick(config);
            }
        }
        sort(config, cache, SORT);
        let current = (*cache).current[class];
        if current == NO_SLAB.0.get() || (*current).free.is_null() {
            let mut next = (*cache).partial[class];
            if !next.is_null() {
                (*cache).unlink_partial(next);
            } else {
                next = take_shared(config, cache, class);
                if next.is_null() {
                    if current != NO_SLAB.0.get() && (*current).extend() {
                        return get_fast(cache, class);
                    }
                    next = new_slab(config, cache, class);
                }
                if next.is_null() {
                    return ptr::null_mut();
                }
            }
            if current != NO_SLAB.0.get() {
                if (*current).used() == (*current).capacity() {
                    (*cache).link_full(current);
                } else {
                    (*cache).link_partial(current);
                }
            }
            (*cache).current[class] = next;
            if (*next).free.is_null() {
                (*next).extend();
            }
        }
        get_fast(cache, class)
    }
}

/// Takes a slab with free cells from the shared cache; null where it has none.
///
/// # Safety
/// `cache` is the caller's.
unsafe fn take_shared(config: &Config, cache: *mut Cache, class: usize) -> *mut Slab {
    // SAFETY: the shared cache is used under its lock.
    unsafe {
        let shared = SHARED.cache.get();
        let nothing = SHARED.partial[class].load(Ordering::Relaxed) == 0 && (*shared).inbox.is_empty();
        if (*cache).is_shared() || nothing {
            return ptr::null_mut();
        }
        let _lock = SHARED.lock.lock();
        sort(config, shared, SORT);
        let slab = (*shared).partial[class];
        if !slab.is_null() {
            (*shared).unlink_partial(slab);
            (*slab).set_owner(platform::thread(), &raw mut (*cache).inbox);
        }
        slab
    }
}

/// Founds a slab on a span from a heap; null where there is none.
///
/// # Safety
/// `cache` is the caller's.
unsafe fn new_slab(config: &Config, cache: *mut Cache, class: usize) -> *mut Slab {
    let span = span_of(class);
    // SAFETY: the caller's promise.
    let taken = unsafe {
        let taken = &mut (*cache).taken[class];
        *taken = taken.saturating_add(1);
        *taken
    };
    let growing = taken > GROWING;
    let Some(fresh) = heaps::get(config, span, span, growing) else { return ptr::null_mut() };
    // SAFETY: a new span, aligned to its size, and with it its headers.
    unsafe {
        let slab = header_of(fresh.block.as_ptr());
        let owner = if (*cache).is_shared() { NOBODY } else { platform::thread() };
        Slab::found(slab, fresh.block.as_ptr(), class, owner, &raw mut (*cache).inbox);
        if growing && fresh.zero {
            // A class that grows will use the whole slab: one system call instead
            // of a fault for each page.
            platform::populate(fresh.block.as_ptr(), (*slab).bytes());
        } else if taken == 1 && !fresh.zero && config.pool == 0 {
            // Most first slabs of a class are their only ones, and hardly used:
            // what a former block left there goes back, but for the first cell.
            let first = ((*slab).cell() as usize).next_multiple_of(PAGE);
            platform::purge(fresh.block.as_ptr().byte_add(first), span - first);
        }
        slab
    }
}

/// Looks after one of this thread's slabs.
///
/// # Safety
/// The slab is this thread's.
#[cold]
#[inline(never)]
unsafe fn attend_own(slab: *mut Slab) {
    // SAFETY: the caller's promise.
    unsafe { attend(process::config(), own(), slab) }
}

/// Looks after a slab whose countdown has come to 0.
///
/// # Safety
/// Cache and slab are the caller's.
#[cold]
unsafe fn attend(config: &Config, cache: *mut Cache, slab: *mut Slab) {
    // SAFETY: cache and slab are the caller's.
    unsafe {
        if (*slab).full {
            unlink(&mut (*cache).full, slab);
            (*slab).full = false;
            (*slab).countdown = (*slab).capacity() - 1;
            (*cache).link_partial(slab);
        } else if (*cache).current[usize::from((*slab).class)] != slab {
            (*cache).unlink_partial(slab);
            release(config, slab);
        }
    }
}

/// Gives the span of an empty slab back to its heap.
///
/// # Safety
/// The slab is the caller's, empty, and in no list.
unsafe fn release(config: &Config, slab: *mut Slab) {
    // SAFETY: the caller's promise; nobody has a cell of it.
    let freed = unsafe {
        let span = Slab::dissolve(slab);
        heaps::free(config, span)
    };
    debug_assert!(freed.is_ok());
}

/// Gets a cell by the slow path: gives the thread a cache, or takes from the
/// shared one. Null where there is no memory.
///
/// # Safety
/// `cache` is [`own`], and `class` below `CLASSES`.
#[cold]
pub(super) unsafe fn get_slow(config: &Config, cache: *mut Cache, class: usize) -> *mut u8 {
    // SAFETY: the caller's promise; the shared cache is used under its lock.
    unsafe {
        let cache = if cache == NO_CACHE.0.get() { adopt(config) } else { cache };
        if is_none(cache) {
            let _lock = SHARED.lock.lock();
            let shared = SHARED.cache.get();
            let cell = get_fast(shared, class);
            return if cell.is_null() { refill(config, shared, class) } else { cell };
        }
        refill(config, cache, class)
    }
}

/// Frees what is not a cell of this thread's slabs, or looks as if it were free
/// already.
///
/// # Safety
/// Nobody uses the block any more.
#[cold]
#[inline(never)]
pub(super) unsafe fn free_slow(block: *mut u8) {
    if block.is_null() {
        return;
    }
    // SAFETY: the caller's promise; a block keeps its slab in being.
    unsafe {
        let header = header_of(block);
        if (*header).kind == Kind::None {
            return blocks::free(block);
        }
        let slab = Slab::head(header);
        if !(*slab).is_cell(block) {
            fatal("free", "invalid pointer", block);
        }
        if is_freed(slab, block) {
            fatal("free", "double free of", block);
        }
        let config = process::config();
        if (*slab).owner() == platform::thread() {
            // In another unit than the slab's first; or its contents are by
            // chance the mark of a free cell.
            if !push(slab, block) {
                attend(config, own(), slab);
            }
            return;
        }
        (*block.cast::<Cell>()).mark = mark_of(block);
        Slab::free_remotely(slab, block.cast());
    }
}

/// Whether a cell was freed before. Its mark says so; in a slab of this thread
/// it must also stand in the list, as a cell's contents may be the mark by
/// chance.
///
/// # Safety
/// A cell of the slab, which is in being.
pub(super) unsafe fn is_freed(slab: *mut Slab, cell: *mut u8) -> bool {
    // SAFETY: the caller's promise; the list is read by its owner only.
    unsafe {
        (*cell.cast::<Cell>()).mark == mark_of(cell) && ((*slab).owner() != platform::thread() || (*slab).is_free(cell))
    }
}

/// Looks at no more than `most` slabs of the inbox: takes the cells that others
/// freed in them.
///
/// # Safety
/// `cache` is the caller's.
unsafe fn sort(config: &Config, cache: *mut Cache, most: usize) {
    // SAFETY: the caller's promise; what the inbox has received is the cache's.
    unsafe {
        Inbox::sort(&raw mut (*cache).inbox, most, |others| take_remote(config, cache, Slab::of(others)));
    }
}

/// Adds a slab's remote cells to its free ones.
///
/// # Safety
/// Cache and slab are the caller's, and the slab was in its inbox.
unsafe fn take_remote(config: &Config, cache: *mut Cache, slab: *mut Slab) {
    // SAFETY: the caller's promise.
    unsafe {
        let chain = (*slab).take_remote();
        let used = (*slab).used() - chain.count;
        (*chain.tail).next = (*slab).free;
        (*slab).free = chain.head;
        (*slab).countdown = used;
        if (*slab).full {
            unlink(&mut (*cache).full, slab);
            (*slab).full = false;
            (*cache).link_partial(slab);
        }
        if used == 0 && (*cache).current[usize::from((*slab).class)] != slab {
            (*cache).unlink_partial(slab);
            release(config, slab);
        }
    }
}

/// Gives this thread a cache: one that a thread left, or a new one. Without
/// memory for it, the place holder that it has.
fn adopt(config: &Config) -> *mut Cache {
    let idle = {
        let mut idle = SHARED.idle.lock();
        let cache = idle.0;
        if !cache.is_null() {
            // SAFETY: caches in the list are nobody's, under its lock.
            idle.0 = unsafe { (*cache).next };
        }
        cache
    };
    let cache = if idle.is_null() {
        let Some(fresh) = heaps::get(config, size_of::<Cache>(), align_of::<Cache>(), false) else {
            return NO_CACHE.0.get();
        };
        let cache: *mut Cache = fresh.block.as_ptr().cast();
        // SAFETY: a new block, large and aligned enough.
        unsafe { cache.write(Cache::EMPTY) };
        cache
    } else {
        // SAFETY: the cache is this thread's from here on, and `leave` closed it.
        unsafe { (*idle).inbox.open() };
        idle
    };
    // First the slot, as the rest may call malloc.
    platform::set_slot(cache.cast());
    process::thread_starts(cache.cast());
    cache
}

/// Ends a thread's cache: its slabs go to the shared one, and it waits for
/// another thread. From then on this thread uses the shared cache.
///
/// # Safety
/// `cache` is [`own`], given by `adopt`.
pub(super) unsafe fn leave(config: &Config, cache: *mut Cache) {
    // SAFETY: the cache and its slabs are this thread's.
    unsafe {
        platform::set_slot(NO_CACHE_ANY_MORE.0.get().cast());
        sort(config, cache, usize::MAX);
        sort(config, cache, usize::MAX);
        {
            let _lock = SHARED.lock.lock();
            for class in 0..CLASSES {
                let current = core::mem::replace(&mut (*cache).current[class], NO_SLAB.0.get());
                if current != NO_SLAB.0.get() {
                    share(config, current);
                }
                while !(*cache).partial[class].is_null() {
                    let slab = (*cache).partial[class];
                    unlink(&mut (*cache).partial[class], slab);
                    share(config, slab);
                }
            }
            while !(*cache).full.is_null() {
                let slab = (*cache).full;
                unlink(&mut (*cache).full, slab);
                share(config, slab);
            }
        }
        (*cache).inbox.close();
        let mut idle = SHARED.idle.lock();
        (*cache).next = idle.0;
        idle.0 = cache;
    }
}

/// Puts a slab that has lost its thread into the shared cache.
///
/// # Safety
/// The slab is the caller's and in no list; the shared cache's lock is held.
unsafe fn share(config: &Config, slab: *mut Slab) {
    // SAFETY: the caller's promise.
    unsafe {
        let shared = &mut *SHARED.cache.get();
        if (*slab).used() == 0 {
            return release(config, slab);
        }
        (*slab).set_owner(NOBODY, &raw mut shared.inbox);
        if (*slab).used() == (*slab).capacity() {
            shared.link_full(slab);
        } else {
            shared.link_partial(slab);
        }
    }
}

/// Takes what others freed, and gives back the spans of this thread's empty
/// slabs.
///
/// # Safety
/// `cache` is [`own`].
pub(super) unsafe fn trim(config: &Config, cache: *mut Cache) {
    if is_none(cache) {
        return;
    }
    // SAFETY: the cache and its slabs are this thread's.
    unsafe {
        {
            let _lock = SHARED.lock.lock();
            sort(config, SHARED.cache.get(), usize::MAX);
        }
        sort(config, cache, usize::MAX);
        sort(config, cache, usize::MAX);
        for current in &mut (*cache).current {
            if *current != NO_SLAB.0.get() && (**current).used() == 0 {
                release(config, core::mem::replace(current, NO_SLAB.0.get()));
            }
        }
    }
}

/// The bytes in free cells of this thread's own slabs.
///
/// # Safety
/// `cache` is [`own`].
pub(super) unsafe fn free_bytes(cache: *mut Cache) -> usize {
    let mut bytes = 0;
    // SAFETY: the cache and its slabs are this thread's.
    unsafe {
        for class in 0..CLASSES {
            let mut slab = (*cache).partial[class];
            let current = (*cache).current[class];
            while !slab.is_null() {
                bytes += ((*slab).capacity() - (*slab).used()) as usize * (*slab).cell() as usize;
                slab = (*slab).next;
            }
            if current != NO_SLAB.0.get() {
                bytes += ((*current).capacity() - (*current).used()) as usize * (*current).cell() as usize;
            }
        }
    }
    bytes
}

/// Locks the shared cache and the list of idle ones before a fork.
pub(super) fn lock() {
    core::mem::forget(SHARED.idle.lock());
    core::mem::forget(SHARED.lock.lock());
}

/// Unlocks them in the parent.
///
/// # Safety
/// This thread called `lock`.
pub(super) unsafe fn unlock() {
    // SAFETY: the caller's promise.
    unsafe {
        SHARED.lock.force_unlock();
        SHARED.idle.force_unlock();
    }
}

/// Makes the locks new in the child. The caches of the threads that are not
/// there any more stay as they were, unused: a thread may have been anywhere
/// in its own.
///
/// # Safety
/// The only thread of a child that was forked under `lock`.
pub(super) unsafe fn reset_locks() {
    // SAFETY: the caller's promise.
    unsafe {
        SHARED.lock.raw().reset();
        SHARED.idle.raw().reset();
    }
}
