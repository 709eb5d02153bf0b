//! Huge blocks: each a mapping of its own. What they are is kept in a hash
//! table beside them, by address. May use: `config`, `region`'s
//! `Fresh`, `sync`, `platform`.
//!
//! A mapping that was freed is kept for a while, as its pages cost a fault
//! each: a request takes as much of it as it needs, and where none is large
//! enough the largest grows by moving its pages.

use core::ptr::{self, NonNull};

use lock_api::{Mutex, RawMutex};

use super::config::Config;
use super::region::Fresh;
use crate::platform::{self, PAGE};
use crate::sync::FutexLock;

/// A huge block.
#[derive(Clone, Copy)]
struct Huge {
    /// Its address; 0 for a slot that is free.
    block: usize,
    bytes: usize,
}

/// A mapping that nobody uses.
#[derive(Clone, Copy)]
struct Spare {
    base: NonNull<u8>,
    bytes: usize,
    /// When it was freed, in milliseconds.
    since: u64,
}

/// How many spare mappings are kept at most.
const SPARES: usize = 32;
/// What a spare mapping may be larger than a request, and go with it whole.
const SLACK: usize = 16 * PAGE;
/// New blocks from this size on are asked to be of huge pages; not for calloc,
/// as who asks for zeros may leave most of them as they are.
const HUGE_PAGES: usize = 4 << 20;
/// How long a spare mapping is kept, in milliseconds.
const KEPT: u64 = 250;

/// Open addressing with linear probing, at most half full, and no tombstones:
/// a removal moves what follows.
struct Table {
    slots: *mut Huge,
    capacity: usize,
    count: usize,
    live: usize,
    /// In the order they were freed.
    spares: [Option<Spare>; SPARES],
    spare_bytes: usize,
}

// SAFETY: the slots are the table's alone.
unsafe impl Send for Table {}

static TABLE: Mutex<FutexLock, Table> = Mutex::from_raw(
    <FutexLock as RawMutex>::INIT,
    Table { slots: ptr::null_mut(), capacity: 0, count: 0, live: 0, spares: [None; SPARES], spare_bytes: 0 },
);

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
        let capacity = (self.capacity * 2).max(PAGE / size_of::<Huge>());
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
        self.live += huge.bytes;
    }

    fn remove(&mut self, slot: *mut Huge) {
        // SAFETY: slots of the table; see Knuth, vol. 3, 6.4, Algorithm R.
        unsafe {
            self.live -= (*slot).bytes;
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

impl Table {
    /// Takes a spare mapping for `bytes`: the smallest that is large enough,
    /// or the largest, grown.
    fn take_spare(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        let sizes = || self.spares.iter().enumerate().filter_map(|(n, spare)| Some((n, spare.as_ref()?.bytes)));
        let enough = sizes().filter(|&(_, size)| size >= bytes).min_by_key(|&(_, size)| size);
        let (index, size) = enough.or_else(|| sizes().max_by_key(|&(_, size)| size))?;
        let spare = self.spares[index]?;
        self.spare_bytes -= size;
        if size > bytes + SLACK {
            // SAFETY: bytes < size.
            let base = unsafe { spare.base.byte_add(bytes) };
            self.spares[index] = Some(Spare { base, bytes: size - bytes, ..spare });
            self.spare_bytes += size - bytes;
            return Some(spare.base);
        }
        self.spares[index] = None;
        if size == bytes {
            return Some(spare.base);
        }
        // SAFETY: a mapping of ours that nobody uses.
        let fitted = unsafe { platform::remap(spare.base.as_ptr(), size, bytes) };
        if fitted.is_none() {
            // SAFETY: as above.
            unsafe { platform::unmap(spare.base.as_ptr(), size) };
        }
        fitted
    }

    /// Keeps a mapping that was freed, in place of the oldest ones where there
    /// are too many, or they are more than `most` bytes.
    fn keep(&mut self, base: NonNull<u8>, bytes: usize, most: usize) {
        while self.spare_bytes + bytes > most || self.spares.iter().all(Option::is_some) {
            let oldest = self.spares.iter_mut().filter(|spare| spare.is_some());
            let Some(oldest) = oldest.min_by_key(|spare| spare.map(|spare| spare.since)) else { break };
            if let Some(spare) = oldest.take() {
                self.spare_bytes -= spare.bytes;
                give_back(spare.base.as_ptr(), spare.bytes);
            }
        }
        let since = platform::milliseconds();
        match self.spares.iter_mut().find(|spare| spare.is_none()) {
            Some(place) if bytes <= most => {
                *place = Some(Spare { base, bytes, since });
                self.spare_bytes += bytes;
            }
            _ => give_back(base.as_ptr(), bytes),
        }
    }

    /// Gives spare mappings back that were freed before `limit`; whether there
    /// were any.
    fn drop_spares(&mut self, limit: u64) -> bool {
        let mut any = false;
        for place in &mut self.spares {
            if let Some(spare) = place.take_if(|spare| spare.since <= limit) {
                self.spare_bytes -= spare.bytes;
                give_back(spare.base.as_ptr(), spare.bytes);
                any = true;
            }
        }
        any
    }
}

/// Unmaps what nobody uses. At the kernel's limit of mappings the addresses
/// must stay; the memory need not.
fn give_back(base: *mut u8, bytes: usize) {
    // SAFETY: a mapping of ours that nobody uses.
    unsafe {
        if !platform::unmap(base, bytes) {
            platform::purge(base, bytes);
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
    let spare = if align <= PAGE && !zero { table.take_spare(bytes) } else { None };
    let is_new = spare.is_none();
    let block = match spare {
        Some(block) => block,
        None if align <= PAGE => platform::map_memory(bytes).or_else(|| {
            // What is kept may be what is missing.
            table.drop_spares(u64::MAX).then(|| platform::map_memory(bytes)).flatten()
        })?,
        None => {
            let block = platform::reserve(bytes, align)?;
            // SAFETY: just reserved.
            if !unsafe { platform::commit(block.as_ptr(), bytes) } {
                give_back(block.as_ptr(), bytes);
                return None;
            }
            block
        }
    };
    if is_new && config.huge_pages.unwrap_or(bytes >= HUGE_PAGES && !zero) {
        // SAFETY: just mapped.
        unsafe { platform::advise_huge(block.as_ptr(), bytes, true) };
    }
    table.insert(Huge { block: block.addr().get(), bytes });
    Some(Fresh { block, zero: is_new })
}

/// Frees a huge block; false where it is none. Of spare mappings, `retain`
/// bytes are kept, or half as many as are in use.
///
/// # Safety
/// Nobody uses the block after this call.
pub(super) unsafe fn free(block: *mut u8, retain: usize) -> bool {
    let mut table = TABLE.lock();
    let Some(slot) = table.find(block.addr()) else { return false };
    // SAFETY: find() gives a valid slot.
    let bytes = unsafe { (*slot).bytes };
    table.remove(slot);
    if let Some(base) = NonNull::new(block) {
        let most = retain.max(table.live / 2);
        table.keep(base, bytes, most);
    }
    true
}

/// Gives back what was freed a while before `now`; true, as it is done at once.
pub(super) fn decay(now: u64) -> bool {
    if let Some(mut table) = TABLE.try_lock() {
        table.drop_spares(now.saturating_sub(KEPT));
    }
    true
}

/// Gives all spare mappings back; whether there were any.
pub(super) fn trim() -> bool {
    TABLE.lock().drop_spares(u64::MAX)
}

/// The size of a huge block.
pub(super) fn usable_size(block: *const u8) -> Option<usize> {
    let table = TABLE.lock();
    // SAFETY: find() gives a valid slot.
    table.find(block.addr()).map(|slot| unsafe { (*slot).bytes })
}

/// Changes the size of a huge block by moving its pages, not its bytes;
/// `None` where the kernel refuses.
///
/// # Safety
/// Where the result differs from `block`, nobody uses `block` afterwards.
pub(super) unsafe fn extend(block: *mut u8, size: usize) -> Option<NonNull<u8>> {
    let bytes = size.checked_next_multiple_of(PAGE)?;
    let mut table = TABLE.lock();
    let slot = table.find(block.addr())?;
    // SAFETY: find() gives a valid slot.
    let old = unsafe { (*slot).bytes };
    // SAFETY: the caller's promise.
    let new = unsafe { platform::remap(block, old, bytes) }?;
    table.remove(slot);
    table.insert(Huge { block: new.addr().get(), bytes });
    Some(new)
}

/// How many huge blocks there are, and their bytes.
pub(super) fn totals() -> (usize, usize) {
    let table = TABLE.lock();
    (table.count, table.live)
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
