//! The core heaps: one for each core, each with its lock and its regions. A
//! block comes from the heap of the core that the thread runs on, goes back to
//! the heap that it came from, and the other heaps' free memory is taken before
//! the OS is asked for more. May use: `config`, `huge`, `pace`, `region`, `spares`, `tables`,
//! `threads`, `sync`, `platform`.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use lock_api::{Mutex, MutexGuard, RawMutex};

use super::config::{Config, HeapKind, MAX_HEAPS};
use super::pace::Pace;
use super::region::{Fresh, Plan, Region, Tally, region_of};
use super::spares::Spares;
use super::tables::CHUNK;
use super::{huge, threads};
use crate::heap::{ALIGNMENT, ExtendError, FreeError};
use crate::platform::{self, PAGE};
use crate::sync::FutexLock;

/// The most regions of one heap; each is as large as all before it together.
const MAX_REGIONS: usize = 32;

/// One heap.
pub(super) struct Heap {
    regions: [Option<NonNull<Region>>; MAX_REGIONS],
    count: usize,
    /// The first of the regions that are away, which the others do not count.
    away: Option<NonNull<Region>>,
    /// What [`Heap::peak`] last said.
    peak: u64,
    spares: Spares,
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

/// A heap, and what may be read or written of it without the lock.
#[repr(align(64))]
struct CoreHeap {
    heap: Mutex<FutexLock, Heap>,
    /// What is counted of its regions.
    tally: Tally,
    /// Memory in its free and spare blocks, in bytes.
    at_hand: AtomicUsize,
    /// How often requests look at the clock.
    pace: Pace,
}

static HEAPS: [CoreHeap; MAX_HEAPS] = [const {
    CoreHeap {
        heap: Mutex::from_raw(
            <FutexLock as RawMutex>::INIT,
            Heap {
                regions: [None; MAX_REGIONS],
                count: 0,
                away: None,
                peak: 0,
                spares: Spares::NONE,
                failed: 0,
                largest_request: 0,
                smallest_request: 0,
                over_aligned: 0,
            },
        ),
        tally: Tally::NOTHING,
        at_hand: AtomicUsize::new(0),
        pace: Pace::START,
    }
}; MAX_HEAPS];

/// With so many bytes in use a heap that grows by what will be used does so in
/// huge pages; or with twice as many, where those of huge blocks are counted, too.
/// What the last huge page leaves unused is at most an eighth. In a burst a region does
/// so with less.
const GROWS_HUGE: usize = 16 << 20;

/// How many spare blocks go back to the manager before it is asked again; twice as many the
/// next time.
const FEW_SPARES: usize = 4;

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

    #[inline]
    fn get(&mut self, config: &Config, size: usize, align: usize, dense: bool) -> Option<Fresh> {
        self.requested(size);
        self.over_aligned += u64::from(align > ALIGNMENT);
        // As large as the manager's own would be; under first fit a little
        // larger will do.
        let most = if config.heap == HeapKind::Ffit { size + size / 8 } else { size.next_power_of_two() };
        match self.spares.take(size, most, align).and_then(NonNull::new) {
            Some(block) => Some(Fresh { block, zero: false }),
            None => self.get_from_regions(config, size, align, dense),
        }
    }

    /// Gets a block from a manager; where that needs new memory or has no room,
    /// what is spare is given back to it first: a few blocks, the oldest, and more by and by.
    #[inline(never)]
    fn get_from_regions(&mut self, config: &Config, size: usize, align: usize, dense: bool) -> Option<Fresh> {
        let mut few = FEW_SPARES;
        while self.spares.bytes() > 0 {
            let found = self.regions().find_map(|region| region.get(size, align, dense, false));
            if found.is_some() {
                if few > FEW_SPARES {
                    self.spares.restrict();
                }
                return found;
            }
            for _ in 0..few {
                self.drop_spare(config);
            }
            few *= 2;
        }
        self.regions().find_map(|region| region.get(size, align, dense, true))
    }

    fn push(&mut self, region: NonNull<Region>) {
        self.regions[self.count] = Some(region);
        self.count += 1;
    }

    /// Takes a region that is away back, or a new one from the OS, and gets the block from it.
    fn grow(&mut self, plan: Plan, size: usize, align: usize) -> Option<Fresh> {
        if self.count == MAX_REGIONS {
            return None;
        }
        let mut place = &mut self.away;
        while let Some(region) = *place {
            // SAFETY: under the heap's lock; regions stay, and what is in the list is away.
            unsafe {
                if let Some(fresh) = (*region.as_ptr()).come_back(plan, size, align) {
                    *place = (*region.as_ptr()).next.take();
                    self.push(region);
                    return Some(fresh);
                }
                place = &mut (*region.as_ptr()).next;
            }
        }
        // Where addresses are few, a region takes few of them.
        let wish = (CHUNK << self.count.saturating_sub(1)).min(platform::address_limit() / 32);
        let (region, fresh) = Region::grow(plan, size, align, wish)?;
        self.push(region);
        Some(fresh)
    }

    /// Lets the regions without blocks give their addresses back.
    fn make_room(&mut self) {
        self.peak();
        let mut left = 0;
        for index in 0..self.count {
            let Some(region) = self.regions[index].take() else { continue };
            // SAFETY: under the heap's lock; regions stay.
            unsafe {
                if (*region.as_ptr()).leave() {
                    (*region.as_ptr()).next = self.away.replace(region);
                } else {
                    self.regions[left] = Some(region);
                    left += 1;
                }
            }
        }
        self.count = left;
    }

    /// The sum of what was in blocks of each region at most, in bytes: now, or before some left.
    pub fn peak(&mut self) -> u64 {
        let now = self.regions().map(|region| region.stats().peak).sum();
        self.peak = self.peak.max(now);
        self.peak
    }
}

fn plan(config: &Config, heap: usize, dense: bool) -> Plan {
    let shift = if config.cache { PAGE.trailing_zeros() } else { ALIGNMENT.trailing_zeros() };
    let tally = &HEAPS[heap].tally;
    Plan { kind: config.heap, shift, slabs: config.cache, heap, tally, huge_pages: config.huge_pages, dense }
}

/// Takes a fixed pool; false where the OS does not give it.
pub(super) fn take_pool(config: &Config) -> bool {
    (0..config.heaps).all(|heap| {
        let region = Region::pool(plan(config, heap, false), config.pool / config.heaps);
        region.map(|region| HEAPS[heap].heap.lock().push(region)).is_some()
    })
}

impl CoreHeap {
    /// Runs `action` on the heap under its lock.
    fn locked<T>(&self, action: impl FnOnce(&mut Heap) -> T) -> T {
        self.tell(self.heap.lock(), action)
    }

    /// The same, unless the heap is locked.
    fn if_unlocked<T>(&self, action: impl FnOnce(&mut Heap) -> T) -> Option<T> {
        Some(self.tell(self.heap.try_lock()?, action))
    }

    #[inline(always)]
    fn tell<T>(&self, mut heap: MutexGuard<FutexLock, Heap>, action: impl FnOnce(&mut Heap) -> T) -> T {
        let result = action(&mut heap);
        debug_assert_eq!(self.tally.used(), heap.regions().map(|region| region.used()).sum());
        debug_assert_eq!(self.tally.dirty(), heap.regions().map(|region| region.dirty()).sum());
        self.at_hand.store(self.tally.dirty() + heap.spares.bytes(), Ordering::Relaxed);
        result
    }

    /// Whether so much is in use that huge pages are worth their while.
    fn is_large(&self) -> bool {
        let used = self.tally.used();
        used >= GROWS_HUGE || used + huge::bytes() >= 2 * GROWS_HUGE
    }

    /// Gets a block, unless the heap is locked.
    fn get_if_unlocked(&self, config: &Config, size: usize, align: usize, dense: bool) -> Option<Fresh> {
        self.if_unlocked(|heap| heap.get(config, size, align, dense && self.is_large()))?
    }
}

/// The heap of the core that this thread runs on; the first as long as there is one thread.
fn home(config: &Config) -> usize {
    if config.heaps == 1 || !threads::are_many() { 0 } else { platform::core() % config.heaps }
}

/// The heap to ask first: the thread's own, or another where only that has
/// memory at hand.
fn first(config: &Config, size: usize) -> usize {
    let home = home(config);
    let at_hand = |heap: &usize| HEAPS[*heap].at_hand.load(Ordering::Relaxed) >= size;
    if config.heaps == 1 || at_hand(&home) { home } else { (0..config.heaps).find(at_hand).unwrap_or(home) }
}

/// Gets a block: from the thread's own heap, from another where that one is
/// locked or has no room, from the OS at last. `dense` says that all of it will
/// be used soon. Every some calls it does a step of decay where one is due; and one of
/// freed mappings, early, where the block is new memory.
#[inline]
pub(super) fn get(config: &Config, size: usize, align: usize, dense: bool) -> Option<Fresh> {
    let home = first(config, size);
    let pace = &HEAPS[home].pace;
    if pace.is_due() {
        tick(config, pace.look(MOST_CALLS));
    } else {
        pace.count();
    }
    let found = HEAPS[home].get_if_unlocked(config, size, align, dense);
    let found = found.or_else(|| get_elsewhere(config, home, size, align, dense));
    if found.is_some_and(|fresh| fresh.zero) {
        huge::decay_early();
    }
    found
}

/// Gets a block that the heap `home` does not have at once.
#[inline(never)]
fn get_elsewhere(config: &Config, home: usize, size: usize, align: usize, dense: bool) -> Option<Fresh> {
    ask_all(config, home, size, align, dense).or_else(|| {
        // What is kept of freed mappings may be what is missing.
        (config.pool == 0 && huge::trim()).then(|| ask_all(config, home, size, align, dense))?
    })
}

/// Asks every heap, `home` last and to grow; and then each, however long that takes.
fn ask_all(config: &Config, home: usize, size: usize, align: usize, dense: bool) -> Option<Fresh> {
    let heaps = |first: usize| (first..config.heaps).map(move |n| &HEAPS[(home + n) % config.heaps]);
    let unlocked = heaps(1).find_map(|heap| heap.get_if_unlocked(config, size, align, dense));
    let found = unlocked.or_else(|| {
        HEAPS[home].locked(|own| {
            let dense = dense && HEAPS[home].is_large();
            own.get(config, size, align, dense)
                .or_else(|| if config.pool == 0 { own.grow(plan(config, home, dense), size, align) } else { None })
        })
    });
    // Somebody may have had a lock with the only room there is.
    found.or_else(|| {
        heaps(0).find_map(|core| core.locked(|heap| heap.get(config, size, align, dense && core.is_large())))
    })
}

/// Gets a block without taking a new region for it, whatever the size.
#[cold]
pub(super) fn get_present(config: &Config, size: usize, align: usize) -> Option<Fresh> {
    HEAPS[..config.heaps].iter().find_map(|core| core.locked(|heap| heap.get(config, size, align, false)))
}

/// Counts a request that was refused.
#[cold]
pub(super) fn refused(config: &Config) {
    HEAPS[home(config)].heap.lock().failed += 1;
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

/// Runs `action` on the heap and the region of a block, under the heap's lock,
/// unless it is a spare one.
fn in_region<T>(block: *const u8, action: impl FnOnce(&mut Heap, NonNull<Region>) -> Result<T, Bad>) -> Result<T, Bad> {
    let region = region_of(block).ok_or(Bad::Foreign)?;
    // SAFETY: regions stay, and the number of its heap never changes.
    let number = unsafe { (*region.as_ptr()).heap };
    HEAPS[number].locked(|heap| if heap.spares.contain(block) { Err(Bad::Freed) } else { action(heap, region) })
}

impl Heap {
    #[cold]
    fn why(&self, region: NonNull<Region>, block: *const u8, error: FreeError) -> Bad {
        // SAFETY: the heap's lock is held.
        let is_free = || self.spares.cover(block.addr()) || unsafe { (*region.as_ptr()).is_free(block.addr()) };
        match error {
            FreeError::Corrupted => Bad::Corrupted,
            FreeError::NotFound if is_free() => Bad::Freed,
            FreeError::NotFound => Bad::Interior,
        }
    }

    /// Keeps a block of at most `Spares::LARGEST` bytes as a spare one, in place
    /// of the oldest where there are too many.
    ///
    /// # Safety
    /// As [`free`]; the block is this heap's, and in use.
    unsafe fn keep(&mut self, config: &Config, block: *mut u8, bytes: usize) {
        while self.spares.is_full(bytes) && self.drop_spare(config) {}
        self.spares.keep(block, bytes);
    }

    /// Gives the spare block that was freed first back to its manager; false
    /// where there is none.
    fn drop_spare(&mut self, config: &Config) -> bool {
        let Some(spare) = self.spares.take_oldest() else { return false };
        if let Some(region) = region_of(spare) {
            // SAFETY: nobody uses a spare block.
            let freed = unsafe { self.release(config, region, spare) };
            debug_assert!(freed.is_ok());
        }
        true
    }

    /// Gives all spare blocks back.
    fn drop_spares(&mut self, config: &Config) {
        while self.drop_spare(config) {}
    }

    /// Gives a block back to its manager, and where free blocks have too much
    /// memory, some of that to the OS.
    ///
    /// # Safety
    /// As [`free`]; the region is this heap's.
    unsafe fn release(&mut self, config: &Config, region: NonNull<Region>, block: *mut u8) -> Result<(), FreeError> {
        // SAFETY: the caller's promise; the heap's lock is held.
        unsafe {
            let region = &mut *region.as_ptr();
            let before = region.dirty();
            region.free(block)?;
            let most = config.retain.max(region.used());
            if config.pool == 0 && region.dirty() > most {
                // Of a block larger than all that may be kept the program hardly wants the pieces.
                region.purge(if region.dirty() - before > most { 0 } else { most / 2 });
            }
        }
        Ok(())
    }
}

/// Gives a block back to the heap that it came from.
///
/// # Safety
/// Nobody uses the block after this call.
pub(super) unsafe fn free(config: &Config, block: *mut u8) -> Result<(), Bad> {
    in_region(block, |heap, region| {
        // In a pool the bound of the manager holds, or is to be near.
        let may_keep = config.cache && config.pool == 0;
        // SAFETY: the heap's lock is held.
        let bytes = if may_keep { unsafe { (*region.as_ptr()).usable_size(block) } } else { None };
        // SAFETY: the caller's promise.
        unsafe {
            match bytes {
                Some(bytes) if bytes <= Spares::LARGEST => {
                    heap.keep(config, block, bytes);
                    Ok(())
                }
                _ => heap.release(config, region, block).map_err(|error| heap.why(region, block, error)),
            }
        }
    })
}

/// How long free memory is kept for use again, in milliseconds: at least this,
/// at most twice as long.
pub(super) const TICK: u64 = 250;
/// One in so many requests to a heap looks at the clock at least: see [`Pace`].
const MOST_CALLS: u32 = 64;

/// How many spans are cleaned between two ticks at most: as many as a program has
/// classes of cells, but not as many as threads come and go.
const CLEANED: u32 = 96;

/// When the next step of decay is due.
static DUE: AtomicU64 = AtomicU64::new(0);
/// How many spans were cleaned since the last.
static CLEAN: AtomicU32 = AtomicU32::new(0);

/// Whether a span may be cleaned of what a former block left there, now that the
/// caller asks; or too many were since the last tick.
pub(super) fn may_clean() -> bool {
    CLEAN.load(Ordering::Relaxed) < CLEANED && CLEAN.fetch_add(1, Ordering::Relaxed) < CLEANED
}

/// When the next step of decay is due, in milliseconds: another time than before
/// where there was one since.
pub(super) fn due() -> u64 {
    DUE.load(Ordering::Relaxed)
}

/// Does a step of decay where one is due, at `now` milliseconds. Called from the slow
/// paths, every some dozen operations of a thread.
pub(super) fn tick(config: &Config, now: u64) {
    let due = due();
    if now < due || config.pool != 0 {
        return;
    }
    if DUE.compare_exchange(due, now + TICK, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return;
    }
    CLEAN.store(0, Ordering::Relaxed);
    let mut done = huge::decay(now);
    for heap in &HEAPS[..config.heaps] {
        done &= heap
            .if_unlocked(|heap| {
                heap.drop_spares(config);
                heap.spares.relax();
                heap.regions().fold(true, |done, region| done & region.decay())
            })
            .unwrap_or(true);
    }
    if !done {
        DUE.store(now, Ordering::Relaxed);
    }
}

/// The size of a block.
pub(super) fn usable_size(block: *const u8) -> Result<usize, Bad> {
    in_region(block, |heap, region| {
        // SAFETY: the heap's lock is held.
        let size = unsafe { (*region.as_ptr()).usable_size(block) };
        size.ok_or_else(|| heap.why(region, block, FreeError::NotFound))
    })
}

/// Extends a block; in a pool it may move, else it stays or there is no room.
///
/// # Safety
/// Where the result differs from `block`, nobody uses `block` afterwards.
pub(super) unsafe fn extend(config: &Config, block: *mut u8, size: usize) -> Result<Option<NonNull<u8>>, Bad> {
    in_region(block, |heap, region| {
        heap.requested(size);
        // SAFETY: the caller's promise; the heap's lock is held.
        let result = unsafe {
            let region = &mut *region.as_ptr();
            if config.pool != 0 {
                region.extend(block, size).map(Some)
            } else {
                region.extend_in_place(block, size).map(|()| NonNull::new(block))
            }
        };
        match result {
            Ok(block) => Ok(block),
            Err(ExtendError::NoRoom) => Ok(None),
            Err(ExtendError::NotFound) => Err(heap.why(region, block, FreeError::NotFound)),
            Err(ExtendError::Corrupted) => Err(Bad::Corrupted),
        }
    })
}

/// Gives the memory of all free blocks back to the OS, but for `keep` bytes a
/// region; whether there was any.
pub(super) fn trim(config: &Config, keep: usize) -> bool {
    let mut any = false;
    for heap in &HEAPS[..config.heaps] {
        heap.locked(|heap| {
            heap.drop_spares(config);
            for region in heap.regions() {
                any |= region.dirty() > keep;
                region.purge(keep);
            }
        });
    }
    any
}

/// Gives the addresses of regions without blocks back to the OS.
pub(super) fn make_room(config: &Config) {
    each(config, |_, heap| heap.make_room());
}

/// Shows each heap, locked and without spare blocks, to `visit`.
pub(super) fn each(config: &Config, mut visit: impl FnMut(usize, &mut Heap)) {
    for (number, heap) in HEAPS[..config.heaps].iter().enumerate() {
        heap.locked(|heap| {
            heap.drop_spares(config);
            visit(number, heap);
        });
    }
}

/// Locks all heaps, in the order of their numbers, before a fork.
pub(super) fn lock_all(config: &Config) {
    for heap in &HEAPS[..config.heaps] {
        core::mem::forget(heap.heap.lock());
    }
}

/// Unlocks all heaps, in the parent after a fork.
///
/// # Safety
/// This thread called `lock_all`.
pub(super) unsafe fn unlock_all(config: &Config) {
    for heap in &HEAPS[..config.heaps] {
        // SAFETY: the caller's promise.
        unsafe { heap.heap.force_unlock() };
    }
}

/// Makes all locks new, in the child of a fork.
///
/// # Safety
/// The only thread of a child that was forked under `lock_all`.
pub(super) unsafe fn reset_locks(config: &Config) {
    for heap in &HEAPS[..config.heaps] {
        // SAFETY: the caller's promise.
        unsafe { heap.heap.raw().reset() };
    }
}
