//! Huge blocks: each a mapping of its own. What they are is kept in a hash
//! table beside them, by address. May use: `config`, `huge_pages`, `mappings`,
//! `region`'s `Fresh`, `sync`, `platform`.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use lock_api::{Mutex, RawMutex};

use super::config::Config;
use super::huge_pages;
use super::mappings::{Ask, Mapping, Pages, SpareMappings};
use super::region::Fresh;
use crate::platform::{self, PAGE};
use crate::sync::FutexLock;

/// A huge block.
#[derive(Clone, Copy)]
struct Huge {
    /// Its address; 0 for a slot that is free.
    block: usize,
    bytes: usize,
    /// See [`Mapping`].
    joins: bool,
    asks: bool,
}

impl From<Mapping> for Huge {
    fn from(Mapping { base, bytes, joins, asks }: Mapping) -> Huge {
        Huge { block: base.addr().get(), bytes, joins, asks }
    }
}

/// The slots of the first table.
const SLOTS: usize = 128;
/// How long a spare mapping is kept, in milliseconds; and how long at most where a heap grows.
const KEPT: u64 = 250;
const KEPT_BESIDE_GROWTH: u64 = KEPT / 8;

/// New blocks from this size on are asked to be of huge pages; not for calloc, as
/// who asks for zeros may leave most of them as they are.
const HUGE_BLOCK: usize = 4 << 20;
/// And only where there are others already, or all come to so many bytes: what a program
/// leaves unused of its only one is much beside the little that it has. With so many they
/// begin where a huge page does; what lies before, as it is in no block yet, is much beside less.
const HUGE_BLOCKS: usize = 20 << 20;

/// Open addressing with linear probing, at most half full, and no tombstones:
/// a removal moves what follows.
struct Table {
    slots: *mut Huge,
    capacity: usize,
    count: usize,
    spares: SpareMappings,
}

// SAFETY: the slots are the table's alone.
unsafe impl Send for Table {}

static TABLE: Mutex<FutexLock, Table> = Mutex::from_raw(
    <FutexLock as RawMutex>::INIT,
    Table { slots: ptr::null_mut(), capacity: 0, count: 0, spares: SpareMappings::NONE },
);

/// The bytes of all huge blocks, as the table's holder says.
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// The bytes of all huge blocks; anyone may ask.
pub(super) fn bytes() -> usize {
    BYTES.load(Ordering::Relaxed)
}

impl Table {
    fn slot(&self, index: usize) -> *mut Huge {
        // SAFETY: below the capacity, a power of two.
        unsafe { self.slots.add(index & (self.capacity - 1)) }
    }

    fn home(&self, block: usize) -> usize {
        (block / PAGE).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - self.capacity.trailing_zeros())
    }

    /// The slot of a block, or the free one where it would be.
    fn probe(&self, block: usize) -> *mut Huge {
        let mut index = self.home(block);
        loop {
            let slot = self.slot(index);
            // SAFETY: slot() is valid; half of the slots are free.
            if unsafe { (*slot).block == block || (*slot).block == 0 } {
                return slot;
            }
            index += 1;
        }
    }

    fn find(&self, block: usize) -> Option<*mut Huge> {
        if self.capacity == 0 || block == 0 {
            return None;
        }
        let slot = self.probe(block);
        // SAFETY: probe() gives a valid slot.
        (unsafe { (*slot).block } == block).then_some(slot)
    }

    /// Makes room for one more; false where there is no memory for it.
    fn reserve(&mut self) -> bool {
        if (self.count + 1) * 2 <= self.capacity {
            return true;
        }
        let capacity = (self.capacity * 2).max(SLOTS);
        let Some(slots) = platform::map_memory(capacity * size_of::<Huge>()) else { return false };
        let (old, len) = (self.slots, self.capacity);
        self.slots = slots.as_ptr().cast();
        self.capacity = capacity;
        for index in 0..len {
            // SAFETY: the old slots, read once more, and then given back.
            unsafe {
                let huge = *old.add(index);
                if huge.block != 0 {
                    *self.probe(huge.block) = huge;
                }
            }
        }
        if len > 0 {
            // SAFETY: a mapping of ours.
            unsafe { platform::unmap(old.cast(), len * size_of::<Huge>()) };
        }
        true
    }

    /// Notes a block; there is room.
    fn insert(&mut self, huge: Huge) {
        // SAFETY: probe() gives a free slot, as the block is new.
        unsafe { *self.probe(huge.block) = huge };
        self.count += 1;
        BYTES.fetch_add(huge.bytes, Ordering::Relaxed);
    }

    fn remove(&mut self, slot: *mut Huge) {
        // SAFETY: slots of the table; see Knuth, vol. 3, 6.4, Algorithm R.
        unsafe {
            BYTES.fetch_sub((*slot).bytes, Ordering::Relaxed);
            self.count -= 1;
            (*slot).block = 0;
            let mut index = slot.offset_from(self.slots) as usize;
            loop {
                index = (index + 1) & (self.capacity - 1);
                let next = *self.slot(index);
                if next.block == 0 {
                    return;
                }
                (*self.slot(index)).block = 0;
                *self.probe(next.block) = next;
            }
        }
    }
}

/// Gives a block of at least `size` bytes at a multiple of `align`; of zeros,
/// where `zero` asks for them.
pub(super) fn get(config: &Config, size: usize, align: usize, zero: bool) -> Option<Fresh> {
    let bytes = size.checked_next_multiple_of(PAGE)?;
    let mut table = TABLE.lock();
    if !table.reserve() {
        return None;
    }
    let others = self::bytes();
    let large = bytes >= HUGE_BLOCK;
    let many = others + bytes >= HUGE_BLOCKS;
    let worthwhile = large && !zero && (many || others >= HUGE_BLOCK);
    let huge = match config.huge_pages {
        Some(true) => Ask::Always,
        None if worthwhile => Ask::IfCheap,
        _ => Ask::Never,
    };
    let pages = Pages { huge, whole: large && many };
    let spares = &mut table.spares;
    let spare = if align <= PAGE && !zero { spares.take(bytes, pages) } else { None };
    let is_new = spare.is_none();
    if zero {
        // Instead of memory that would have to be cleaned it gets new.
        spares.make_room(bytes);
    }
    let mapping = spare.or_else(|| spares.map(bytes, align, zero, pages)).or_else(|| {
        // What is kept may be what is missing.
        spares.drop_before(u64::MAX).then(|| spares.map(bytes, align, zero, pages)).flatten()
    })?;
    table.insert(mapping.into());
    Some(Fresh { block: mapping.base, zero: is_new })
}

/// Frees a huge block; false where it is none. Of spare mappings, `retain`
/// bytes are kept, or as many as are in use.
///
/// # Safety
/// Nobody uses the block after this call.
pub(super) unsafe fn free(block: *mut u8, retain: usize) -> bool {
    let mut table = TABLE.lock();
    let Some(slot) = table.find(block.addr()) else { return false };
    // SAFETY: find() gives a valid slot.
    let Huge { bytes, joins, asks, .. } = unsafe { *slot };
    table.remove(slot);
    if let Some(base) = NonNull::new(block) {
        let most = retain.max(self::bytes());
        table.spares.keep(Mapping { base, bytes, joins, asks }, most);
    }
    true
}

/// Gives back what was freed a while before `now`; true, as it is done at once.
pub(super) fn decay(now: u64) -> bool {
    drop_older(now, KEPT);
    true
}

/// Gives back what has been spare for a shorter while, as a heap has just grown: the program
/// wants its memory elsewhere now, and is to have it once.
#[cold]
pub(super) fn decay_early() {
    drop_older(platform::milliseconds(), KEPT_BESIDE_GROWTH);
}

/// Gives back what at `now` has been spare for `kept` milliseconds; nothing where another
/// thread has the table.
fn drop_older(now: u64, kept: u64) {
    if let Some(mut table) = TABLE.try_lock() {
        table.spares.drop_before(now.saturating_sub(kept));
    }
}

/// Gives all spare mappings back; whether there were any.
pub(super) fn trim() -> bool {
    TABLE.lock().spares.drop_before(u64::MAX)
}

/// The size of a huge block.
pub(super) fn usable_size(block: *const u8) -> Option<usize> {
    let table = TABLE.lock();
    // SAFETY: find() gives a valid slot.
    table.find(block.addr()).map(|slot| unsafe { (*slot).bytes })
}

/// Changes the size of a huge block by moving its pages, not its bytes;
/// `None` where the kernel refuses, as for what it does not have as one mapping.
///
/// # Safety
/// Where the result differs from `block`, nobody uses `block` afterwards.
pub(super) unsafe fn extend(block: *mut u8, size: usize) -> Option<NonNull<u8>> {
    let bytes = size.checked_next_multiple_of(PAGE)?;
    let mut table = TABLE.lock();
    let slot = table.find(block.addr())?;
    // SAFETY: find() gives a valid slot.
    let old = unsafe { *slot };
    // SAFETY: the caller's promise.
    let base = unsafe { platform::remap(block, old.bytes, bytes) }?;
    table.remove(slot);
    table.insert(Mapping { base, bytes, joins: old.joins && base.as_ptr() == block, asks: old.asks }.into());
    if old.asks && bytes > old.bytes {
        // SAFETY: what was added is new.
        unsafe { huge_pages::ask(base, old.bytes, bytes) };
    }
    Some(base)
}

/// How many huge blocks there are, and their bytes.
pub(super) fn totals() -> (usize, usize) {
    let table = TABLE.lock();
    (table.count, bytes())
}

/// Locks the table before a fork.
pub(super) fn lock() {
    core::mem::forget(TABLE.lock());
}

/// Unlocks it in the parent.
///
/// # Safety
/// This thread called `lock`.
pub(super) unsafe fn unlock() {
    // SAFETY: the caller's promise.
    unsafe { TABLE.force_unlock() };
}

/// Makes the lock new in the child.
///
/// # Safety
/// The only thread of a child that was forked under `lock`.
pub(super) unsafe fn reset_lock() {
    // SAFETY: the caller's promise.
    unsafe { TABLE.raw().reset() };
}
