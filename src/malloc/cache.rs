//! The thread caches: for each thread, the slabs that it owns, and what other
//! threads sent back. May use: `blocks`, `classes`, `outbox`, `remote`, `slab`,
//! `heaps`, `process`, `config`, `message`, `region`, `platform`.
//!
//! A thread gets cells from, and frees them to, the slabs that it owns,
//! without locks. For each class one slab is *current*: its free cells are in the
//! cache's list, from which malloc takes them and to which free puts them back.
//! A slab in which other threads freed cells is in the *inbox* of its owner's
//! cache, who looks there before it takes anything new.
//!
//! No cell is given out that does not bear the mark of a free one, and none that
//! is in use does: whatever was freed twice, no block gets two owners.
//!
//! A cache outlives its thread. What its thread leaves behind goes to the
//! *shared* cache, which has a lock: other threads take slabs from there before
//! they ask a heap, and threads that have no cache any more, as in the
//! destructors of others, use it directly.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};
use core::{mem, ptr};

use lock_api::{Mutex, RawMutex};

use super::classes::{CLASSES, span_of};
use super::config::Config;
use super::message::fatal;
use super::outbox::Outbox;
use super::region::{header_of, header_parts};
use super::remote::{Cell, Inbox};
use super::slab::{FREED_TWICE, Kind, OLD, OWNER, Slab, link, link_first, unlink};
use super::{blocks, heaps, process};
use crate::platform::{self, PAGE};
use crate::sync::FutexLock;

/// How many free cells of a current slab a thread that ends counts at most.
const COUNT: u32 = 64;
/// How many slabs a tick counts at most.
const TIDY: usize = 16;
/// How many slabs of its inbox one slow malloc looks at at most, so that its
/// time has a bound however many are there: before it takes cells that were
/// never used, and before a new slab.
const SORT_FEW: usize = 8;
const SORT: usize = 256;

/// Every so many refills a thread looks at the clock: a program whose slabs are
/// nearly empty has few.
const TICK_REFILLS: u32 = 2;
/// Every so many refills a thread sends what is in its outbox, and looks at a
/// few slabs of its inbox, as those of other classes may be empty.
const SEND_REFILLS: u32 = 8;
/// A class that has taken more slabs than this is growing.
const GROWING: u8 = 4;

/// A thread's cache. The fast paths use `at_hand` only.
#[repr(C, align(64))]
pub(super) struct Cache {
    /// For each class the free cells of the current slab.
    at_hand: [*mut Cell; CLASSES],
    /// For each class the slab that cells come from; null without one.
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
    outbox: Outbox,
}

/// A static that is never written: what slots point to without a cache.
#[repr(transparent)]
struct Constant<T>(UnsafeCell<T>);

// SAFETY: nothing writes it.
unsafe impl<T> Sync for Constant<T> {}

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

/// Gets a cell that a cache has at hand; null where it has none, or one that
/// does not bear the mark.
///
/// # Safety
/// `cache` is [`own`], and `class` below `CLASSES`.
#[inline(always)]
pub(super) unsafe fn get_fast(cache: *mut Cache, class: usize) -> *mut u8 {
    // SAFETY: the cells are the cache's; a place holder has none.
    unsafe {
        let list = (*cache).at_hand.as_mut_ptr().add(class);
        let cell = *list;
        if cell.is_null() || !(*cell).is_marked() {
            return ptr::null_mut();
        }
        *list = (*cell).next;
        platform::prefetch((*cell).next);
        (*cell).mark = ptr::null();
        cell.cast()
    }
}

/// Frees a cell of one of this thread's slabs; else [`free_slow`]. Whether it was
/// freed before it sees in a young slab only: in others the cell's memory may have
/// gone cold and be long in coming, so that free only writes there, and malloc
/// sees it.
///
/// # Safety
/// Nobody uses the block any more.
#[inline(always)]
pub(super) unsafe fn free(block: *mut u8) {
    // SAFETY: a header is its owner's alone; without a slab it has no owner.
    unsafe {
        let (cache, cell) = (own(), block.cast::<Cell>());
        let (unit, chunk) = header_parts(block);
        platform::unless_equal!(unit, chunk, OWNER, cache.addr(), return unsafe { free_old(unit, chunk, cache, cell) });
        if (*cell).is_marked() {
            return free_slow(block);
        }
        let slab = unit.wrapping_byte_add(chunk);
        Cell::push((*cache).at_hand.as_mut_ptr().add(usize::from((*slab).class)), cell);
    }
}

/// Frees a cell of a slab that is not young, whose header is in two parts.
///
/// # Safety
/// As [`free`].
#[inline(always)]
unsafe fn free_old(unit: *mut Slab, chunk: usize, cache: *mut Cache, cell: *mut Cell) {
    // SAFETY: as in `free`.
    unsafe {
        platform::unless_equal!(unit, chunk, OWNER, cache.addr() + OLD, return unsafe { free_slow(cell.cast()) });
        let slab = unit.wrapping_byte_add(chunk);
        if !(*slab).free(cell) {
            attend_own(slab);
        }
    }
}

impl Cache {
    // What a cache is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    const EMPTY: Cache = Cache {
        at_hand: [ptr::null_mut(); CLASSES],
        current: [ptr::null_mut(); CLASSES],
        partial: [ptr::null_mut(); CLASSES],
        full: ptr::null_mut(),
        taken: [0; CLASSES],
        refills: 0,
        next: ptr::null_mut(),
        inbox: Inbox::EMPTY,
        outbox: Outbox::EMPTY,
    };

    /// Whether this is the shared cache, whose lock is then held.
    fn is_shared(&self) -> bool {
        ptr::eq(self, SHARED.cache.get())
    }

    fn link_partial(&mut self, slab: *mut Slab) {
        // SAFETY: cache and slab are the caller's.
        let class = unsafe {
            let class = usize::from((*slab).class);
            if (*slab).is_counted() {
                link(&mut self.partial[class], slab);
            } else {
                link_first(&mut self.partial[class], slab);
            }
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

    /// Takes the slab of a class that has waited longest; null without one.
    fn take_partial(&mut self, class: usize) -> *mut Slab {
        let slab = self.partial[class];
        if !slab.is_null() {
            self.unlink_partial(slab);
        }
        slab
    }

    fn link_full(&mut self, slab: *mut Slab) {
        // SAFETY: cache and slab are the caller's; no cell of it is free.
        unsafe {
            (*slab).set_full();
            link(&mut self.full, slab);
        }
    }

    /// Takes a full slab in which cells were freed to those with free cells.
    fn unlink_full(&mut self, slab: *mut Slab) {
        // SAFETY: cache and slab are the caller's.
        unsafe { unlink(&mut self.full, slab) };
        self.link_partial(slab);
    }

    /// Takes a slab that is not current into the lists.
    fn link(&mut self, slab: *mut Slab) {
        // SAFETY: the slab is the caller's and in no list.
        if unsafe { (*slab).used() == (*slab).capacity } {
            self.link_full(slab);
        } else {
            self.link_partial(slab);
        }
    }

    /// Puts the free cells of a class's current slab back, and counts no more than
    /// `most`: that slab, which is in no list then, or null.
    fn put_aside(&mut self, class: usize, most: u32) -> *mut Slab {
        let slab = mem::replace(&mut self.current[class], ptr::null_mut());
        if !slab.is_null() {
            // SAFETY: the cache's own slab.
            unsafe { (*slab).put_aside(most) };
        }
        slab
    }
}

/// Gets a cell when none is at hand; null where there is no memory. What was
/// freed comes before what was never used.
///
/// # Safety
/// `cache` is [`own`] or the shared cache, locked; no place holder.
unsafe fn refill(config: &Config, cache: *mut Cache, class: usize) -> *mut u8 {
    // SAFETY: cache and slabs are the caller's.
    unsafe {
        if !(*cache).is_shared() {
            (*cache).refills = (*cache).refills.wrapping_add(1);
            if (*cache).refills.is_multiple_of(TICK_REFILLS) && heaps::tick(config) {
                tidy(config, TIDY);
            }
            if (*cache).refills.is_multiple_of(SEND_REFILLS) {
                (*cache).outbox.send();
                sort(config, cache, SORT_FEW);
            }
        }
        if (*cache).at_hand[class].is_null() {
            let mut next = (*cache).take_partial(class);
            if next.is_null() {
                next = find_cells(config, cache, class);
            }
            if !next.is_null() {
                let last = (*cache).put_aside(class, 0);
                if !last.is_null() {
                    (*cache).link(last);
                }
                (*cache).current[class] = next;
                (*next).make_current(&raw mut (*cache).at_hand[class]);
            }
        }
        let cell = get_fast(cache, class);
        let first = (*cache).at_hand[class];
        if cell.is_null() && !first.is_null() {
            fatal("malloc", FREED_TWICE, first.cast());
        }
        cell
    }
}

/// Finds cells of a class of which the thread knows none in its slabs: the slab
/// that they are in; null where that is the current one, or there is no memory.
/// What others freed in the current slab comes first: that takes one look, and
/// the inbox one for each slab.
///
/// # Safety
/// `cache` is the caller's.
unsafe fn find_cells(config: &Config, cache: *mut Cache, class: usize) -> *mut Slab {
    // SAFETY: the caller's promise.
    unsafe {
        let current = (*cache).current[class];
        if !current.is_null() && (*current).collect_early() {
            return ptr::null_mut();
        }
        if let Some(slab) = find_received(config, cache, class, SORT_FEW) {
            return slab;
        }
        let slab = take_shared(config, cache, class);
        if !slab.is_null() || !current.is_null() && (*current).extend() {
            return slab;
        }
        find_received(config, cache, class, SORT).unwrap_or_else(|| new_slab(config, cache, class))
    }
}

/// Sorts the inbox and says as [`find_cells`] where cells of the class are then,
/// if there are any.
///
/// # Safety
/// `cache` is the caller's.
unsafe fn find_received(config: &Config, cache: *mut Cache, class: usize, most: usize) -> Option<*mut Slab> {
    // SAFETY: the caller's promise.
    unsafe {
        sort(config, cache, most);
        if !(*cache).at_hand[class].is_null() {
            return Some(ptr::null_mut());
        }
        let slab = (*cache).take_partial(class);
        (!slab.is_null()).then_some(slab)
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
        let slab = (*shared).take_partial(class);
        if !slab.is_null() {
            (*slab).set_owner(cache.addr(), &raw mut (*cache).inbox);
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
        Slab::found(slab, fresh.block.as_ptr(), class);
        (*slab).set_owner(cache.addr(), &raw mut (*cache).inbox);
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
        if (*slab).is_current() {
            (*slab).rest();
        } else if (*slab).is_full() {
            (*slab).set_partial((*slab).capacity - 1);
            (*cache).unlink_full(slab);
        } else if (*slab).is_idle() {
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
/// `class` is below `CLASSES`.
#[cold]
pub(super) unsafe fn get_slow(config: &Config, class: usize) -> *mut u8 {
    // SAFETY: the caller's promise; the shared cache is used under its lock.
    unsafe {
        let cache = with_cache(config);
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
        if (*slab).is_young() && is_freed(slab, block) {
            fatal("free", "double free of", block);
        }
        // This thread's own are here that stand in another unit than the slab's
        // first, or whose contents are by chance the mark of a free cell.
        if !(*slab).is_in(own().addr()) {
            let cache = with_cache(process::config());
            Slab::free_remotely(slab, block.cast(), if is_none(cache) { None } else { Some(&mut (*cache).outbox) });
        } else if !(*slab).free(block.cast()) {
            attend_own(slab);
        }
    }
}

/// Whether a cell was freed before. Its mark says so; in a slab of this thread
/// it must also stand in a list, as a cell's contents may be the mark by
/// chance.
///
/// # Safety
/// A cell of the slab, which is in being.
pub(super) unsafe fn is_freed(slab: *mut Slab, cell: *const u8) -> bool {
    // SAFETY: the caller's promise; the lists are read by their owner only.
    unsafe {
        let cell = cell.cast::<Cell>();
        (*cell).is_marked() && (!(*slab).is_in(own().addr()) || (*slab).has_free(cell))
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
        let was_full = (*slab).is_full();
        (*slab).collect();
        if was_full && !(*slab).is_full() {
            (*cache).unlink_full(slab);
        }
        if !(*slab).is_current() && (*slab).is_idle() {
            (*cache).unlink_partial(slab);
            release(config, slab);
        }
    }
}

/// This thread's cache, which it now gets if it had none yet; a place holder
/// where it can have none.
#[inline(always)]
fn with_cache(config: &Config) -> *mut Cache {
    let cache = own();
    if cache == NO_CACHE.0.get() { adopt(config) } else { cache }
}

/// Gives this thread a cache: one that a thread left, or a new one. Without
/// memory for it, the place holder that it has.
#[cold]
#[inline(never)]
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
        (*cache).outbox.send();
        sort(config, cache, usize::MAX);
        sort(config, cache, usize::MAX);
        put_all_aside(config, cache, COUNT);
        {
            let _lock = SHARED.lock.lock();
            for class in 0..CLASSES {
                while !(*cache).partial[class].is_null() {
                    let slab = (*cache).partial[class];
                    unlink(&mut (*cache).partial[class], slab);
                    share(slab);
                }
            }
            while !(*cache).full.is_null() {
                let slab = (*cache).full;
                unlink(&mut (*cache).full, slab);
                share(slab);
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
unsafe fn share(slab: *mut Slab) {
    // SAFETY: the caller's promise.
    unsafe {
        let shared = &mut *SHARED.cache.get();
        (*slab).set_owner((&raw const *shared).addr(), &raw mut shared.inbox);
        shared.link(slab);
    }
}

/// Ends each slab's being current, and gives back the spans of those that are
/// empty and have no more than `most` free cells.
///
/// # Safety
/// The cache is the caller's.
unsafe fn put_all_aside(config: &Config, cache: *mut Cache, most: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        for class in 0..CLASSES {
            let slab = (*cache).put_aside(class, most);
            if slab.is_null() {
                continue;
            }
            if (*slab).is_idle() {
                release(config, slab);
            } else {
                (*cache).link(slab);
            }
        }
    }
}

/// Counts slabs in the shared cache whose threads had no time to, no more than
/// `most`, and gives back the spans of the empty ones.
fn tidy(config: &Config, most: usize) {
    let _lock = SHARED.lock.lock();
    // SAFETY: the shared cache is used under its lock.
    unsafe {
        let shared = SHARED.cache.get();
        let mut left = most;
        for class in 0..CLASSES {
            loop {
                let slab = (*shared).partial[class];
                if slab.is_null() || (*slab).is_counted() {
                    break;
                }
                if left == 0 {
                    return;
                }
                left -= 1;
                (*shared).unlink_partial(slab);
                (*slab).count();
                if (*slab).is_idle() {
                    release(config, slab);
                } else {
                    (*shared).link(slab);
                }
            }
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
        (*cache).outbox.send();
        {
            let _lock = SHARED.lock.lock();
            sort(config, SHARED.cache.get(), usize::MAX);
        }
        tidy(config, usize::MAX);
        sort(config, cache, usize::MAX);
        sort(config, cache, usize::MAX);
        put_all_aside(config, cache, u32::MAX - 1);
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
            let current = (*cache).current[class];
            if !current.is_null() {
                bytes += ((*current).unused() * (*current).cell()) as usize;
            }
            let mut slab = (*cache).partial[class];
            while !slab.is_null() {
                bytes += (((*slab).capacity - (*slab).used()) * (*slab).cell()) as usize;
                slab = (*slab).next;
            }
        }
    }
    bytes
}

/// Locks the shared cache and the list of idle ones before a fork.
pub(super) fn lock() {
    mem::forget(SHARED.idle.lock());
    mem::forget(SHARED.lock.lock());
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
