//! The core heaps: one for each core, each with its lock and its regions. A
//! block comes from the heap of the core that the thread runs on, goes back to
//! the heap that it came from, and the other heaps' free memory is taken before
//! the OS is asked for more. May use: `config`, `huge`, `region`, `sync`, `platform`.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use lock_api::{Mutex, MutexGuard, RawMutex};

use super::config::{Config, MAX_HEAPS};
use super::huge;
use super::region::{CHUNK, Fresh, Plan, Region, region_of};
use crate::heap::{ALIGNMENT, ExtendError, FreeError};
use crate::platform::{self, PAGE};
use crate::sync::FutexLock;

/// The most regions of one heap; each is as large as all before it together.
const MAX_REGIONS: usize = 32;

/// One heap.
pub(super) struct Heap {
    regions: [Option<NonNull<Region>>; MAX_REGIONS],
    count: usize,
    /// Requests of threads at home here that nobody could serve.
    pub failed: u64,
    /// The largest size that was ever requested of it.
    pub largest_request: usize,
    /// The smallest; 0 before the first.
    pub smallest_request: usize,
    /// Requests at multiples of more than `ALIGNMENT`.
    pub over_aligned: u64,
}

// SAFETY: regions are reached under the heap's lock.
unsafe impl Send for Heap {}

static HEAPS: [Mutex<FutexLock, Heap>; MAX_HEAPS] = [const {
    Mutex::from_raw(
        <FutexLock as RawMutex>::INIT,
        Heap {
            regions: [None; MAX_REGIONS],
            count: 0,
            failed: 0,
            largest_request: 0,
            smallest_request: 0,
            over_aligned: 0,
        },
    )
}; MAX_HEAPS];

/// For each heap the memory in its free blocks, to be read without the lock.
static DIRTY: [AtomicUsize; MAX_HEAPS] = [const { AtomicUsize::new(0) }; MAX_HEAPS];

/// Whether there was ever a second thread: until then all comes from heap 0.
static THREADED: AtomicBool = AtomicBool::new(false);

/// Says that there is more than one thread.
pub(super) fn set_threaded() {
    THREADED.store(true, Ordering::Relaxed);
}

impl Heap {
    /// The regions, in the order they came.
    pub fn regions(&mut self) -> impl Iterator<Item = &mut Region> {
        // SAFETY: under the heap's lock, as `self` shows; regions stay.
        self.regions[..self.count].iter().flatten().map(|region| unsafe { &mut *region.as_ptr() })
    }

    /// Notes the size of a request.
    fn requested(&mut self, size: usize) {
        self.largest_request = self.largest_request.max(size);
        if size < self.smallest_request || self.smallest_request == 0 {
            self.smallest_request = size;
        }
    }

    fn get(&mut self, size: usize, align: usize, dense: bool) -> Option<Fresh> {
        self.requested(size);
        self.over_aligned += u64::from(align > ALIGNMENT);
        let (number, block) = self.regions().find_map(|region| Some((region.heap, region.get(size, align, dense)?)))?;
        self.tell_dirty(number);
        Some(block)
    }

    /// Tells the others what this heap, of that number, has in free blocks.
    fn tell_dirty(&mut self, number: usize) {
        let dirty = self.regions().map(|region| region.dirty()).sum();
        DIRTY[number].store(dirty, Ordering::Relaxed);
    }

    fn push(&mut self, region: NonNull<Region>) {
        self.regions[self.count] = Some(region);
        self.count += 1;
    }

    /// Takes a new region from the OS and gets the block from it.
    fn grow(&mut self, plan: Plan, size: usize, align: usize) -> Option<Fresh> {
        if self.count == MAX_REGIONS {
            return None;
        }
        // Where addresses are few, a region takes few of them.
        let wish = (CHUNK << self.count.saturating_sub(1)).min(platform::address_limit() / 32);
        let need = size.checked_add(if align > PAGE { align } else { 0 })?;
        let region = Region::grow(plan, need, wish)?;
        self.push(region);
        // SAFETY: just made, for this heap.
        unsafe { (*region.as_ptr()).get(size, align, false) }
    }
}

fn plan(config: &Config, heap: usize) -> Plan {
    let shift = if config.cache { PAGE.trailing_zeros() } else { ALIGNMENT.trailing_zeros() };
    Plan { kind: config.heap, shift, slabs: config.cache, heap, huge_pages: config.huge_pages }
}

/// Takes a fixed pool; false where the OS does not give it.
pub(super) fn take_pool(config: &Config) -> bool {
    (0..config.heaps).all(|heap| {
        let region = Region::pool(plan(config, heap), config.pool / config.heaps);
        region.map(|region| HEAPS[heap].lock().push(region)).is_some()
    })
}

/// The heap of the core that this thread runs on.
fn home(config: &Config) -> usize {
    if config.heaps == 1 || !THREADED.load(Ordering::Relaxed) { 0 } else { platform::core() % config.heaps }
}

/// The heap to ask first: the thread's own, or another where only that has
/// memory at hand.
fn first(config: &Config, size: usize) -> usize {
    let home = home(config);
    let at_hand = |heap: &usize| DIRTY[*heap].load(Ordering::Relaxed) >= size;
    if config.heaps == 1 || at_hand(&home) { home } else { (0..config.heaps).find(at_hand).unwrap_or(home) }
}

/// Gets a block: from the thread's own heap, from another where that one is
/// locked or has no room, from the OS at last. `dense` says that all of it will
/// be used soon.
pub(super) fn get(config: &Config, size: usize, align: usize, dense: bool) -> Option<Fresh> {
    let home = first(config, size);
    let heaps = || (0..config.heaps).map(|n| &HEAPS[(home + n) % config.heaps]);
    let unlocked = heaps().find_map(|heap| heap.try_lock()?.get(size, align, dense));
    let found = unlocked.or_else(|| {
        let mut own = HEAPS[home].lock();
        own.get(size, align, dense)
            .or_else(|| if config.pool == 0 { own.grow(plan(config, home), size, align) } else { None })
    });
    // Somebody may have had a lock with the only room there is.
    found.or_else(|| heaps().find_map(|heap| heap.lock().get(size, align, dense)))
}

/// Counts a request that was refused.
#[cold]
pub(super) fn refused(config: &Config) {
    HEAPS[home(config)].lock().failed += 1;
}

/// The heap that a region belongs to.
fn heap_of(region: NonNull<Region>) -> MutexGuard<'static, FutexLock, Heap> {
    // SAFETY: regions stay, and the number of its heap never changes.
    HEAPS[unsafe { (*region.as_ptr()).heap }].lock()
}

/// What went wrong with a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// In no region.
    Foreign,
    /// In a free block of a region.
    Freed,
    /// In an allocated block or in bookkeeping, but not the start of a block.
    Interior,
    /// The bookkeeping contradicts itself there.
    Corrupted,
}

/// Runs `action` on the region of a block, under its heap's lock; `size` is what
/// it is to be resized to.
fn in_region<T>(block: *const u8, size: Option<usize>, action: impl FnOnce(&mut Region) -> T) -> Result<T, Bad> {
    let region = region_of(block).ok_or(Bad::Foreign)?;
    let mut heap = heap_of(region);
    if let Some(size) = size {
        heap.requested(size);
    }
    // SAFETY: the heap's lock is held.
    let (number, result) = unsafe { ((*region.as_ptr()).heap, action(&mut *region.as_ptr())) };
    heap.tell_dirty(number);
    Ok(result)
}

fn why(region: &Region, block: *const u8, error: FreeError) -> Bad {
    match error {
        FreeError::Corrupted => Bad::Corrupted,
        FreeError::NotFound if region.is_free(block.addr()) => Bad::Freed,
        FreeError::NotFound => Bad::Interior,
    }
}

/// Gives a block back to the heap that it came from.
///
/// # Safety
/// Nobody uses the block after this call.
pub(super) unsafe fn free(config: &Config, block: *mut u8) -> Result<(), Bad> {
    in_region(block, None, |region| {
        // SAFETY: the caller's promise.
        unsafe { region.free(block) }.map_err(|error| why(region, block, error))?;
        let used = || region.stats().used as usize;
        if config.pool == 0 && region.dirty() > config.retain && region.dirty() > used() {
            region.purge(config.retain.max(used()) / 2);
        }
        Ok(())
    })?
}

/// How long free memory is kept for use again, in milliseconds: at least this,
/// at most twice as long.
pub(super) const TICK: u64 = 250;
/// How many pages a step of decay gives back at most, so that none takes long.
const DECAY_PAGES: usize = 8192;

/// When the next step of decay is due.
static DUE: AtomicU64 = AtomicU64::new(0);

/// Does a step of decay where one is due; whether it was. Called from the slow
/// paths, every some dozen operations of a thread.
pub(super) fn tick(config: &Config) -> bool {
    let now = platform::milliseconds();
    let due = DUE.load(Ordering::Relaxed);
    if now < due || config.pool != 0 {
        return false;
    }
    if DUE.compare_exchange(due, now + TICK, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return false;
    }
    let mut done = huge::decay(now);
    for (number, heap) in HEAPS[..config.heaps].iter().enumerate() {
        if let Some(mut heap) = heap.try_lock() {
            for region in heap.regions() {
                done &= region.decay(DECAY_PAGES);
            }
            heap.tell_dirty(number);
        }
    }
    if !done {
        DUE.store(now, Ordering::Relaxed);
    }
    true
}

/// The size of a block.
pub(super) fn usable_size(block: *const u8) -> Result<usize, Bad> {
    in_region(block, None, |region| region.usable_size(block).ok_or_else(|| why(region, block, FreeError::NotFound)))?
}

/// Extends a block; in a pool it may move, else it stays or there is no room.
///
/// # Safety
/// Where the result differs from `block`, nobody uses `block` afterwards.
pub(super) unsafe fn extend(config: &Config, block: *mut u8, size: usize) -> Result<Option<NonNull<u8>>, Bad> {
    in_region(block, Some(size), |region| {
        let result = if config.pool != 0 {
            // SAFETY: the caller's promise.
            unsafe { region.extend(block, size) }.map(Some)
        } else {
            region.extend_in_place(block, size).map(|()| NonNull::new(block))
        };
        match result {
            Ok(block) => Ok(block),
            Err(ExtendError::NoRoom) => Ok(None),
            Err(ExtendError::NotFound) => Err(why(region, block, FreeError::NotFound)),
            Err(ExtendError::Corrupted) => Err(Bad::Corrupted),
        }
    })?
}

/// Gives the memory of all free blocks back to the OS, but for `keep` bytes a
/// region; whether there was any.
pub(super) fn trim(config: &Config, keep: usize) -> bool {
    let mut any = false;
    for (number, heap) in HEAPS[..config.heaps].iter().enumerate() {
        let mut heap = heap.lock();
        for region in heap.regions() {
            any |= region.dirty() > keep;
            region.purge(keep);
        }
        heap.tell_dirty(number);
    }
    any
}

/// Shows each heap, locked, to `visit`.
pub(super) fn each(config: &Config, mut visit: impl FnMut(usize, &mut Heap)) {
    for (number, heap) in HEAPS[..config.heaps].iter().enumerate() {
        visit(number, &mut heap.lock());
    }
}

/// Locks all heaps, in the order of their numbers, before a fork.
pub(super) fn lock_all(config: &Config) {
    for heap in &HEAPS[..config.heaps] {
        core::mem::forget(heap.lock());
    }
}

/// Unlocks all heaps, in the parent after a fork.
///
/// # Safety
/// This thread called `lock_all`.
pub(super) unsafe fn unlock_all(config: &Config) {
    for heap in &HEAPS[..config.heaps] {
        // SAFETY: the caller's promise.
        unsafe { heap.force_unlock() };
    }
}

/// Makes all locks new, in the child of a fork.
///
/// # Safety
/// The only thread of a child that was forked under `lock_all`.
pub(super) unsafe fn reset_locks(config: &Config) {
    for heap in &HEAPS[..config.heaps] {
        // SAFETY: the caller's promise.
        unsafe { heap.raw().reset() };
    }
}
