//! What threads leave behind: the *shared* cache, with the slabs of those that
//! have ended, and the caches that wait for a thread. May use: `cache`, `classes`,
//! `config`, `currents`, `entry`, `slab`, `sync`.

use core::sync::atomic::{AtomicU64, Ordering};
use core::{mem, ptr};

use lock_api::{Mutex, MutexGuard, RawMutex};

use super::cache::{Cache, SORT, release};
use super::classes::CLASSES;
use super::config::Config;
use super::currents::Currents;
use super::entry::Entry;
use super::slab::Slab;
use crate::sync::FutexLock;

/// As many free cells to be counted are as much work as a slab.
const CELLS: usize = 64;

/// The latest of the caches that wait for a thread; each leads to the next.
struct Idle(*const Cache);

// SAFETY: caches are never given back.
unsafe impl Send for Idle {}

static CACHE: Cache = Cache::EMPTY;
/// Its current slabs.
static CURRENTS: Currents = Currents::NONE;
/// The shared cache is its holder's.
static LOCK: Mutex<FutexLock, ()> = Mutex::from_raw(<FutexLock as RawMutex>::INIT, ());
/// When the next tick was due at the last [`tidy_once`].
static TIDIED: AtomicU64 = AtomicU64::new(0);
static IDLE: Mutex<FutexLock, Idle> = Mutex::from_raw(<FutexLock as RawMutex>::INIT, Idle(ptr::null()));

/// Whether this is the shared cache, whose lock is then held.
pub(super) fn is_shared(cache: &Cache) -> bool {
    ptr::eq(cache, &CACHE)
}

/// The current slabs of the shared cache, whose lock is held.
pub(super) fn currents() -> &'static Currents {
    &CURRENTS
}

/// The shared cache, the caller's until the guard goes.
pub(super) fn lock() -> (MutexGuard<'static, FutexLock, ()>, &'static Cache) {
    (LOCK.lock(), &CACHE)
}

/// Takes a slab with free cells out, for another cache, which then owns it;
/// null where there is none.
pub(super) fn take(config: &Config, class: usize, cache: &'static Cache) -> *mut Slab {
    if !CACHE.lists.has_partial(class) && CACHE.has_received_nothing(class) {
        return ptr::null_mut();
    }
    let (_lock, shared) = lock();
    // SAFETY: the shared cache, under its lock.
    unsafe {
        shared.sort(config, class, SORT);
        let slab = shared.lists.take_partial(class);
        if !slab.is_null() {
            cache.claim(slab);
        }
        slab
    }
}

/// Whether the shared cache has the slab with that entry; it may be taken at once.
#[inline(always)]
pub(super) fn has(entry: &Entry) -> bool {
    entry.is_in(CACHE.address())
}

/// Takes this slab out, for another cache, which then owns it; false where it is
/// not there any more, or its cells are not counted.
///
/// # Safety
/// The slab is in being, and has that entry.
pub(super) unsafe fn take_this(slab: *mut Slab, entry: &Entry, cache: &'static Cache) -> bool {
    let (_lock, shared) = lock();
    // SAFETY: the caller's promise, and the shared cache's lock.
    unsafe {
        // One that is not counted is for who wants a cell at once, as is the current
        // one.
        if !has(entry) || !(*slab).is_counted() {
            return false;
        }
        shared.lists.remove(slab);
        cache.claim(slab);
        true
    }
}

/// Takes over all slabs of a cache, of which none is current.
///
/// # Safety
/// `cache` is the caller's.
pub(super) unsafe fn take_over(cache: &Cache) {
    let (_lock, shared) = lock();
    // SAFETY: the caller's promise, and the shared cache's lock.
    unsafe {
        let take = |slab: *mut Slab| {
            if !slab.is_null() {
                shared.claim(slab);
                shared.lists.add(slab);
            }
            !slab.is_null()
        };
        for class in cache.classes() {
            while take(cache.lists.take_partial(class)) {}
        }
        while take(cache.lists.take_full()) {}
    }
}

/// Takes what others freed, and counts slabs whose threads had no time to, no more than
/// `most` slabs in all, or fewer where they have many free cells, and gives back the spans of
/// the empty ones.
pub(super) fn tidy(config: &Config, most: usize) {
    let (_lock, shared) = lock();
    let mut left = most;
    // SAFETY: the shared cache, under its lock.
    unsafe {
        for class in 0..CLASSES {
            left -= shared.sort(config, class, left);
            while let Some(slab) = shared.lists.partial(class).next().filter(|&slab| !(*slab).is_counted()) {
                if left == 0 {
                    return;
                }
                shared.lists.remove_partial(slab);
                left = left.saturating_sub(1 + (*slab).count() as usize / CELLS);
                if (*slab).is_idle() {
                    release(config, slab);
                } else {
                    shared.lists.add(slab);
                }
            }
        }
    }
}

/// The same, once between two ticks, whichever thread comes first: the next is `due` at
/// that time.
pub(super) fn tidy_once(config: &Config, most: usize, due: u64) {
    if TIDIED.swap(due, Ordering::Relaxed) != due {
        tidy(config, most);
    }
}

/// Keeps an empty cache for another thread.
///
/// # Safety
/// The cache is the caller's, and nobody's from here on.
pub(super) unsafe fn keep_idle(cache: &'static Cache) {
    let mut idle = IDLE.lock();
    cache.next.set(idle.0);
    idle.0 = cache;
}

/// Takes a cache that a thread left; it is the caller's.
pub(super) fn take_idle() -> Option<&'static Cache> {
    let mut idle = IDLE.lock();
    // SAFETY: caches are never given back.
    let cache = unsafe { idle.0.as_ref() }?;
    idle.0 = cache.next.get();
    Some(cache)
}

/// Locks all that is here before a fork.
pub(super) fn lock_all() {
    mem::forget(IDLE.lock());
    mem::forget(LOCK.lock());
}

/// Unlocks it in the parent.
///
/// # Safety
/// This thread called `lock_all`.
pub(super) unsafe fn unlock_all() {
    // SAFETY: the caller's promise.
    unsafe {
        LOCK.force_unlock();
        IDLE.force_unlock();
    }
}

/// Makes the locks new in the child. The caches of the threads that are not
/// there any more stay as they were, unused: a thread may have been anywhere
/// in its own.
///
/// # Safety
/// The only thread of a child that was forked under `lock_all`.
pub(super) unsafe fn reset_locks() {
    // SAFETY: the caller's promise.
    unsafe {
        LOCK.raw().reset();
        IDLE.raw().reset();
    }
}
