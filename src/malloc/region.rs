//! Regions: the areas that the OS gives a core's heap, and the table that
//! finds the region of an address. May use: `config`, `huge_pages`, `slab`'s header,
//! `tables`, `threads`, `heap`, `platform`.
//!
//! A region is one area under one manager. It starts at a multiple of
//! [`CHUNK`], and its first block holds what is known of it:
//!
//! ```text
//!   region  [ Region | tables | dirty, aging, touched | directories |  blocks ... ]
//!             first block, of the manager's own                       committed in steps
//! ```
//!
//! The directories of the region's chunks are what `tables` finds by address.

mod away;

use core::mem::MaybeUninit;
use core::ops::ControlFlow;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicUsize, Ordering};

use super::config::HeapKind;
use super::slab::Slab;
use super::tables::{self, CHUNK, CHUNK_SHIFT, CHUNKS, DIRECTORY, REACH};
use super::{huge_pages, threads};
use crate::heap::{ALIGNMENT, Block, Buddy, Ebuddy, ExtendError, Ffit, FreeError, MAX_GRANULES, Manager, Stats};
use crate::platform::{self, HUGE_PAGE, NotMapped, PAGE};

/// For each chunk the number of its region, from 1.
static NUMBERS: [AtomicU16; CHUNKS] = [const { AtomicU16::new(0) }; CHUNKS];
/// The regions by number, less 1, and how many there are.
static REGIONS: [AtomicPtr<Region>; MAX_REGIONS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_REGIONS];
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Each region is as large as all before it together: this is enough.
const MAX_REGIONS: usize = 2048;

/// The region that `address` may lie in.
pub(super) fn region_of(address: *const u8) -> Option<NonNull<Region>> {
    let chunk = address.addr() >> CHUNK_SHIFT;
    let number = NUMBERS.get(chunk)?.load(Ordering::Acquire);
    let region = NonNull::new(REGIONS.get(usize::from(number).checked_sub(1)?)?.load(Ordering::Acquire))?;
    // SAFETY: what is said of a region stays, also where it is away.
    let (base, bytes) = unsafe { ((*region.as_ptr()).base.addr().get(), (*region.as_ptr()).bytes) };
    (address.addr().wrapping_sub(base) < bytes).then_some(region)
}

/// Keeps the table of numbers small.
pub(super) fn keep_plain() {
    platform::keep_plain(&NUMBERS);
}

/// A manager chosen when the process starts.
#[derive(Debug)]
pub(super) enum Any {
    Ffit(Ffit),
    Buddy(Buddy),
    Ebuddy(Ebuddy),
}

macro_rules! each {
    ($any:expr, $manager:ident => $call:expr) => {
        match $any {
            Any::Ffit($manager) => $call,
            Any::Buddy($manager) => $call,
            Any::Ebuddy($manager) => $call,
        }
    };
}

impl Any {
    #[inline(always)]
    fn used(&self) -> usize {
        each!(self, manager => manager.used())
    }

    fn largest_free(&self) -> usize {
        each!(self, manager => manager.stats()).largest_free as usize
    }

    fn tables_bytes(kind: HeapKind, granules: usize) -> usize {
        match kind {
            HeapKind::Ffit => Ffit::tables_bytes(granules),
            HeapKind::Buddy => Buddy::tables_bytes(granules),
            HeapKind::Ebuddy => Ebuddy::tables_bytes(granules),
        }
    }

    /// # Safety
    /// As [`Buddy::over`].
    unsafe fn over(kind: HeapKind, origin: NonNull<u8>, granules: usize, shift: u32, tables: NonNull<u8>) -> Any {
        // SAFETY: the caller's promise.
        unsafe {
            match kind {
                HeapKind::Ffit => Any::Ffit(Ffit::over(origin, granules, shift, tables)),
                HeapKind::Buddy => Any::Buddy(Buddy::over(origin, granules, shift, tables)),
                HeapKind::Ebuddy => Any::Ebuddy(Ebuddy::over(origin, granules, shift, tables)),
            }
        }
    }
}

/// Notes that the program comes to use bytes of a block or of cells at `address`, which are
/// as the OS gave them. Some may be lost.
pub(super) fn note_filled(address: *const u8, bytes: usize) {
    if let Some(region) = region_of(address) {
        // SAFETY: regions stay, and the tally of its heap never changes.
        let Tally { filled, .. } = unsafe { (*region.as_ptr()).tally };
        add(filled, bytes);
    }
}

/// What is counted of all regions of a heap together, in bytes. Anyone may read it; on a line
/// of its own, as caches write there without the heap's lock.
#[repr(align(64))]
pub(super) struct Tally {
    /// What blocks take, without the first one of each region.
    used: AtomicUsize,
    /// Memory in free blocks.
    dirty: AtomicUsize,
    /// What came to be used: see [`note_filled`].
    filled: AtomicUsize,
}

impl Tally {
    // What a tally begins as, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const NOTHING: Tally =
        Tally { used: AtomicUsize::new(0), dirty: AtomicUsize::new(0), filled: AtomicUsize::new(0) };

    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub fn dirty(&self) -> usize {
        self.dirty.load(Ordering::Relaxed)
    }
}

/// Adds to a count that nobody else writes to, or that may lose some.
fn add(count: &AtomicUsize, more: usize) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// A region grows in a burst where so many parts of it in a row became memory, or, where there
/// are several threads, so few of them ...
const BURST: usize = 5;
const BURST_OF_MANY: usize = 2;
/// ... in no more time than this for each MiB, in microseconds. To fault a MiB of plain
/// pages in takes 60 to 300.
const BURST_MIB: u64 = 700;

/// A step of decay gives back such a part of the pages of free blocks, but at least and at
/// most so many pages. Malloc waits for it: 4 MiB take 250 us.
const DECAY_PART: usize = 32;
const DECAY_LEAST: usize = 1024;
const DECAY_MOST: usize = 8192;

/// How a new region is to be.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub kind: HeapKind,
    /// The manager's granule: 16 bytes where every request comes here, a page
    /// under the slabs.
    pub shift: u32,
    /// Whether slabs will stand on it.
    pub slabs: bool,
    /// The heap that it belongs to, and where that is counted.
    pub heap: usize,
    pub tally: &'static Tally,
    pub huge_pages: Option<bool>,
    /// Whether its first blocks are worth huge pages.
    pub dense: bool,
}

/// An area under one manager.
pub(super) struct Region {
    base: NonNull<u8>,
    bytes: usize,
    pub heap: usize,
    tally: &'static Tally,
    manager: Any,
    /// The counters when nothing but the first block was there.
    own: Stats,
    /// The 64 parts of the region that are memory, and how large a part is.
    committed: u64,
    step: usize,
    /// So many bytes from the base on are all memory.
    memory: usize,
    /// What was handed out since the last part became memory: bytes that are
    /// worth huge pages, and all bytes.
    dense: usize,
    handed: usize,
    huge_pages: Option<bool>,
    /// The parts that huge pages were asked for in.
    huge: u64,
    /// When the latest parts became memory, in microseconds, and what was filled of
    /// the heap then; the last first.
    grown: [(u64, usize); BURST],
    /// Pages of free blocks that may hold memory.
    dirty: Bits,
    dirty_pages: usize,
    /// Those of them that were so at the last tick already.
    aging: Bits,
    /// The page that the present tick has come to.
    cursor: usize,
    /// Pages that were in a block since the OS gave them: not known zeros.
    touched: Bits,
    /// What the manager refused since a block was freed or got another size: without an
    /// alignment, and with one. It would refuse again what asks for as much or more.
    refused: [Refused; 2],
    /// For each doubling of sizes a bit where the lowest room, since then, was new memory.
    would_grow: u64,
    /// Blocks that got another size where they stood.
    pub resized_in_place: u64,
    /// Its number, from 1; 0 before it has one.
    number: u16,
    /// Where in it the directories of its chunks are, if there are slabs.
    directories: Option<usize>,
    /// The next of its heap's that are [`away`].
    pub next: Option<NonNull<Region>>,
}

/// A request that was refused.
#[derive(Clone, Copy)]
struct Refused {
    size: usize,
    align: usize,
}

impl Refused {
    /// No request is as large.
    const NOTHING: [Refused; 2] = [Refused { size: usize::MAX, align: 0 }; 2];
}

/// The part of a region that a guarantee is of, in bytes: all of it, or under
/// ebuddy the buddy part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground {
    pub bytes: usize,
    /// What bookkeeping has of it for ever, at its start.
    pub taken: usize,
    /// Whether the part ever refused a request, which the other then had.
    pub helped: bool,
}

/// A block as the manager gave it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh {
    pub block: NonNull<u8>,
    /// Whether the pages that it has alone are zeros, as the OS gave them.
    pub zero: bool,
}

/// One bit a page of the region.
struct Bits(NonNull<u64>);

impl Bits {
    /// Calls `each` with the words, and the bits in them, of pages
    /// `first..end`.
    fn over(&self, first: usize, end: usize, mut each: impl FnMut(&mut u64, u64)) {
        let mut page = first;
        while page < end {
            let len = (64 - page % 64).min(end - page);
            let mask = (!0 >> (64 - len)) << (page % 64);
            // SAFETY: a word of this region's pages; the caller holds the
            // heap's lock.
            each(unsafe { &mut *self.0.as_ptr().add(page / 64) }, mask);
            page += len;
        }
    }
}

/// Zeroes the first `size` bytes of a new block, but for pages that are zeros
/// already.
///
/// # Safety
/// The block has as many bytes, and is the caller's.
pub(super) unsafe fn zero(fresh: Fresh, size: usize) {
    let block = fresh.block.as_ptr();
    // SAFETY: the caller's promise.
    unsafe {
        if !fresh.zero {
            block.write_bytes(0, size);
            return;
        }
        let start = block.addr().next_multiple_of(PAGE) - block.addr();
        let end = ((block.addr() + size) & !(PAGE - 1)).saturating_sub(block.addr());
        if start >= end {
            block.write_bytes(0, size);
        } else {
            block.write_bytes(0, start);
            block.byte_add(end).write_bytes(0, size - end);
        }
    }
}

impl Region {
    /// Where the parts of the first block begin, and how long it is.
    fn plan(plan: Plan, bytes: usize) -> [usize; 6] {
        let tables = size_of::<Region>().next_multiple_of(64);
        let dirty = tables + Any::tables_bytes(plan.kind, bytes >> plan.shift);
        let words = bytes.div_ceil(PAGE).div_ceil(64) * 8;
        let aging = dirty + words;
        let touched = aging + words;
        let directories = (touched + words).next_multiple_of(align_of::<Slab>());
        let chunks = if plan.slabs { bytes.div_ceil(CHUNK) } else { 0 };
        let end = directories + chunks * DIRECTORY;
        [tables, dirty, aging, touched, directories, end.next_multiple_of(PAGE)]
    }

    /// A region in `bytes` addresses at `base`, of which all are memory, zeroed, if they are
    /// `committed`; `None` where they are too few or too many, or memory is refused. Nobody
    /// can find it yet.
    ///
    /// # Safety
    /// The addresses are reserved, or memory, for the region alone, and it
    /// starts at a multiple of `CHUNK`.
    unsafe fn found(plan: Plan, base: NonNull<u8>, bytes: usize, committed: bool) -> Option<NonNull<Region>> {
        let granules = bytes >> plan.shift;
        let [tables, dirty, aging, touched, directories, end] = Self::plan(plan, bytes);
        if end >= bytes || granules > MAX_GRANULES || (base.addr().get() + bytes - 1) >> CHUNK_SHIFT >= CHUNKS {
            return None;
        }
        let step = bytes.div_ceil(64).next_multiple_of(HUGE_PAGE);
        let first = end.div_ceil(step);
        // SAFETY: the caller's promise.
        if !unsafe { Self::prepare(plan, base, bytes, 0, (!committed).then_some((first * step).min(bytes))) } {
            return None;
        }
        let parts = if committed { !0 } else { !0 >> (64 - first.min(64)) };
        let huge = match plan.huge_pages {
            Some(true) => !0,
            // SAFETY: as above, and nobody uses it yet.
            None if plan.dense && unsafe { huge_pages::ask(base, 0, (first * step).min(bytes)) } => parts,
            _ => 0,
        };
        let mut grown = [(0, 0); BURST];
        grown[0] = (platform::microseconds(), plan.tally.filled.load(Ordering::Relaxed));
        // SAFETY: zeroed memory for all parts, at the alignments of each; the
        // first block, which holds them, is the manager's lowest.
        unsafe {
            let region = base.cast::<MaybeUninit<Region>>().as_ptr();
            let region = NonNull::from((*region).write(Region {
                base,
                bytes,
                heap: plan.heap,
                tally: plan.tally,
                own: Stats::default(),
                manager: Any::over(plan.kind, base, granules, plan.shift, base.byte_add(tables)),
                committed: parts,
                step,
                memory: if committed { bytes } else { (first * step).min(bytes) },
                dense: 0,
                handed: 0,
                huge_pages: plan.huge_pages,
                huge,
                grown,
                dirty: Bits(base.byte_add(dirty).cast()),
                dirty_pages: 0,
                aging: Bits(base.byte_add(aging).cast()),
                cursor: 0,
                touched: Bits(base.byte_add(touched).cast()),
                refused: Refused::NOTHING,
                would_grow: 0,
                resized_in_place: 0,
                number: 0,
                directories: plan.slabs.then_some(directories),
                next: None,
            }));
            let own = each!(&mut (*region.as_ptr()).manager, manager => manager.get(end));
            if own != Some(base) {
                return None;
            }
            (*region.as_ptr()).own = (*region.as_ptr()).stats();
            let pages = (*region.as_ptr()).pages(base, end, true);
            (*region.as_ptr()).touched.over(pages.0, pages.1, |word, mask| *word |= mask);
            Some(region)
        }
    }

    /// Gives it a number, so that who has an address in it finds it; false where there are no
    /// more.
    fn register(&mut self) -> bool {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        if number >= MAX_REGIONS {
            return false;
        }
        REGIONS[number].store(self, Ordering::Release);
        self.number = number as u16 + 1;
        self.show();
        true
    }

    /// Makes the addresses of a region, from the byte `from` on, ready for blocks; false where
    /// memory is refused. Before the byte `memory`, if there is one, they become memory now,
    /// later as they are needed.
    ///
    /// # Safety
    /// They are the region's, and nobody uses them.
    unsafe fn prepare(plan: Plan, base: NonNull<u8>, bytes: usize, from: usize, memory: Option<usize>) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let start = base.as_ptr().byte_add(from);
            if let Some(memory) = memory {
                if !platform::commit(start, memory - from) {
                    return false;
                }
                let [.., end] = Self::plan(plan, bytes);
                let read = (end + REACH).min(bytes);
                if plan.slabs && read > memory {
                    platform::let_read(base.as_ptr().byte_add(memory), read - memory);
                }
            }
            platform::advise_huge(start, bytes - from, plan.huge_pages.unwrap_or(false));
            true
        }
    }

    /// The chunks that it lies in, each with its number among its own.
    fn chunks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let first = self.base.addr().get() >> CHUNK_SHIFT;
        (0..self.bytes.div_ceil(CHUNK)).map(move |chunk| (first + chunk, chunk))
    }

    /// Lets it be found by the addresses in it, and the slabs there.
    fn show(&self) {
        for (index, chunk) in self.chunks() {
            if let Some(directories) = self.directories {
                // SAFETY: the chunk's own, in the first block, which stays.
                unsafe { tables::set_directory(index, self.base.byte_add(directories + chunk * DIRECTORY)) };
            }
            NUMBERS[index].store(self.number, Ordering::Release);
        }
    }

    /// A new region with a block: of `wish` bytes if the OS gives so many addresses, else of
    /// fewer. `None` where it does not give as many as the block takes, or no memory for it.
    pub fn grow(plan: Plan, size: usize, align: usize, wish: usize) -> Option<(NonNull<Region>, Fresh)> {
        let need = size.checked_add(if align > PAGE { align } else { 0 })?;
        let region = Self::found_for(plan, need, wish)?;
        // SAFETY: just made, and nobody else's.
        unsafe {
            let this = &mut *region.as_ptr();
            match this.get(size, align, plan.dense, true) {
                Some(fresh) if this.register() => return Some((region, fresh)),
                Some(fresh) => {
                    // Only for what is counted of the heap.
                    let _ = this.free(fresh.block.as_ptr());
                    this.set_dirty(0);
                }
                None => {}
            }
            platform::unmap(this.base.as_ptr(), this.bytes);
            None
        }
    }

    /// A new region with room for a block of `need` bytes, which nobody can find yet.
    fn found_for(plan: Plan, need: usize, wish: usize) -> Option<NonNull<Region>> {
        // A window of the buddy system lies beside the first block, and with an
        // emergency heap in three quarters of the region.
        let window = need.checked_next_power_of_two()?;
        let least = match plan.kind {
            HeapKind::Ffit => {
                let [.., tables] = Self::plan(plan, need.checked_add(need / 8)?);
                need.checked_add(tables)?.checked_add(1 << 20)?
            }
            HeapKind::Buddy => window.checked_mul(2)?,
            HeapKind::Ebuddy => window.checked_mul(3)?,
        };
        let least = least.checked_next_multiple_of(1 << 20)?;
        let mut bytes = wish.max(least).checked_next_multiple_of(1 << 20)?;
        loop {
            if let Some(base) = Self::reserve(bytes) {
                // SAFETY: just reserved, at a multiple of CHUNK.
                let region = unsafe { Self::found(plan, base, bytes, false) };
                if region.is_none() {
                    // SAFETY: our own, and unused.
                    unsafe { platform::unmap(base.as_ptr(), bytes) };
                }
                if region.is_some() || bytes <= least {
                    return region;
                }
            } else if bytes <= least {
                return None;
            }
            bytes = (bytes / 2).max(least).next_multiple_of(1 << 20);
        }
    }

    fn reserve(bytes: usize) -> Option<NonNull<u8>> {
        platform::reserve(bytes, CHUNK).or_else(|| {
            // Too many addresses for the limit: the few can still start at a
            // multiple of CHUNK, if we find a free one ourselves.
            let probe = platform::reserve(PAGE, PAGE)?;
            // SAFETY: our own, and unused.
            unsafe { platform::unmap(probe.as_ptr(), PAGE) };
            let top = probe.addr().get() & !(CHUNK - 1);
            let mut places = (1..64).map_while(|below| top.checked_sub(below * CHUNK));
            places.find_map(|place| match platform::reserve_at(place, bytes) {
                Err(NotMapped::Taken) => None,
                reserved => Some(reserved.ok()),
            })?
        })
    }

    /// The region of a fixed pool: `bytes` bytes of memory, and never more.
    pub fn pool(plan: Plan, bytes: usize) -> Option<NonNull<Region>> {
        let bytes = bytes & !(PAGE - 1);
        let base = Self::reserve(bytes)?;
        // SAFETY: just reserved, at a multiple of CHUNK.
        unsafe {
            if !platform::commit(base.as_ptr(), bytes) {
                return None;
            }
            Self::found(plan, base, bytes, true).filter(|region| (*region.as_ptr()).register())
        }
    }

    /// The pages that `bytes` bytes at `block` lie in: all that they touch, or
    /// only those that they fill.
    fn pages(&self, block: NonNull<u8>, bytes: usize, touched: bool) -> (usize, usize) {
        let offset = block.addr().get() - self.base.addr().get();
        if touched {
            (offset / PAGE, (offset + bytes).div_ceil(PAGE))
        } else {
            let first = offset.div_ceil(PAGE);
            (first, ((offset + bytes) / PAGE).max(first))
        }
    }

    /// Makes the steps that a block lies in memory.
    fn commit(&mut self, block: NonNull<u8>, bytes: usize) -> bool {
        let offset = block.addr().get() - self.base.addr().get();
        if offset + bytes <= self.memory {
            return true;
        }
        let (first, end) = (offset / self.step, (offset + bytes).div_ceil(self.step));
        let wanted = (!0 >> (64 - (end - first))) << first;
        if self.committed & wanted == wanted {
            return true;
        }
        let from = first * self.step;
        let to = (end * self.step).min(self.bytes);
        let new = (wanted & !self.committed).trailing_zeros() as usize;
        let count = ((self.committed >> new).trailing_zeros() as usize).min(end - new);
        // SAFETY: the region's own addresses; what is memory already stays.
        let done = unsafe { platform::commit(self.base.as_ptr().byte_add(from), to - from) };
        if done {
            self.committed |= wanted;
            self.memory = (self.committed.trailing_ones() as usize * self.step).min(self.bytes);
            if self.huge_pages.is_none() && (self.grows_in_a_burst() || self.dense > self.handed / 4 * 3) {
                let (from, to) = (new * self.step, to.min((new + count) * self.step));
                // SAFETY: as above; nobody uses new parts yet.
                if unsafe { huge_pages::ask(self.base.byte_add(from), 0, to - from) } {
                    self.huge |= (!0 >> (64 - count)) << new;
                }
            }
            (self.dense, self.handed) = (0, 0);
        }
        done
    }

    /// Notes that the region grows; whether it does so in a burst, by slabs and blocks
    /// that the program comes to use: a tenth of them already. Of a slab with a page in
    /// use it is a sixteenth.
    fn grows_in_a_burst(&mut self) -> bool {
        let now = platform::microseconds();
        let filled = self.tally.filled.load(Ordering::Relaxed);
        let parts = if threads::are_many() { BURST_OF_MANY } else { BURST };
        let (since, before) = self.grown[parts - 1];
        self.grown.rotate_right(1);
        self.grown[0] = (now, filled);
        let bytes = parts * self.step;
        now - since <= (bytes >> 20) as u64 * BURST_MIB && filled.wrapping_sub(before) >= bytes / 10
    }

    /// Notes how many pages are dirty.
    fn set_dirty(&mut self, pages: usize) {
        add(&self.tally.dirty, pages.wrapping_sub(self.dirty_pages).wrapping_mul(PAGE));
        self.dirty_pages = pages;
    }

    /// Runs `action` on the manager, and counts what it changes.
    #[inline(always)]
    fn counted<T>(&mut self, action: impl FnOnce(&mut Any) -> T) -> T {
        let before = self.manager.used();
        let result = action(&mut self.manager);
        add(&self.tally.used, self.manager.used().wrapping_sub(before));
        result
    }

    /// Whether any of the pages `first..end` never was in a block since the OS gave it.
    fn is_new(&self, first: usize, end: usize) -> bool {
        let mut new = 0;
        self.touched.over(first, end, |word, mask| new |= !*word & mask);
        new != 0
    }

    /// Notes that pages are in use; whether those that the block has alone are
    /// as the OS gave them.
    fn touch(&mut self, block: NonNull<u8>, bytes: usize) -> bool {
        let (first, end) = self.pages(block, bytes, true);
        self.touch_pages(block, bytes, first, end, self.is_new(first, end))
    }

    /// The same for the pages `first..end`, some of which are `new` or none.
    fn touch_pages(&mut self, block: NonNull<u8>, bytes: usize, first: usize, end: usize, new: bool) -> bool {
        let zero = new && {
            let (inner, inner_end) = self.pages(block, bytes, false);
            let mut old = 0;
            self.touched.over(inner, inner_end, |word, mask| old |= *word & mask);
            self.touched.over(first, end, |word, mask| *word |= mask);
            old == 0
        };
        if self.dirty_pages > 0 {
            let mut cleaned = 0;
            self.dirty.over(first, end, |word, mask| {
                cleaned += (*word & mask).count_ones();
                *word &= !mask;
            });
            self.set_dirty(self.dirty_pages - cleaned as usize);
        }
        zero
    }

    /// Gets a block; `None` where the region has no room, or where it would be of
    /// new memory and is not to `grow`. `dense` says that it is worth huge
    /// pages.
    pub fn get(&mut self, size: usize, align: usize, dense: bool, grow: bool) -> Option<Fresh> {
        let order = 1 << ((size | align).wrapping_sub(1)).checked_ilog2().unwrap_or(0);
        if self.refused.iter().any(|refused| size >= refused.size && align >= refused.align)
            || !grow && self.would_grow & order != 0
        {
            return None;
        }
        let (block, taken) = each!(&mut self.manager, manager => {
            let used = manager.used();
            let block = if align <= ALIGNMENT { manager.get(size) } else { manager.get_aligned(size, align) };
            (block, manager.used() - used)
        });
        let Some(block) = block else {
            self.refused[usize::from(align > ALIGNMENT)] = Refused { size, align };
            return None;
        };
        // What is more aligned than the region may stand within its window.
        let bytes = if align <= CHUNK { taken } else { self.usable_size(block.as_ptr())? };
        let (first, end) = self.pages(block, bytes, true);
        let new = self.is_new(first, end);
        let wanted = grow || !new;
        if wanted {
            self.handed += size;
            self.dense += if dense { size } else { 0 };
        } else {
            self.would_grow |= order;
        }
        if !wanted || new && !self.commit(block, bytes) {
            // SAFETY: nobody has seen the block.
            let _ = unsafe { each!(&mut self.manager, manager => manager.free(block.as_ptr())) };
            return None;
        }
        add(&self.tally.used, taken);
        Some(Fresh { block, zero: self.touch_pages(block, bytes, first, end, new) })
    }

    /// Frees a block; see [`Manager::free`].
    ///
    /// # Safety
    /// As there.
    pub unsafe fn free(&mut self, block: *mut u8) -> Result<(), FreeError> {
        let freed = self.counted(|manager| each!(manager, manager => manager.release(block)))?;
        self.forget_refused();
        // Of the pages that the block had a part of, those that are now wholly
        // free.
        let start = (block.addr() & !(PAGE - 1)).max(freed.hole.next_multiple_of(PAGE));
        let end =
            (block.addr() + freed.bytes).next_multiple_of(PAGE).min((freed.hole + freed.hole_bytes) & !(PAGE - 1));
        if start < end {
            let base = self.base.addr().get();
            let mut dirtied = 0;
            self.dirty.over((start - base) / PAGE, (end - base) / PAGE, |word, mask| {
                dirtied += (!*word & mask).count_ones();
                *word |= mask;
            });
            self.set_dirty(self.dirty_pages + dirtied as usize);
        }
        Ok(())
    }

    /// Forgets what was refused, as there may be room now.
    fn forget_refused(&mut self) {
        self.refused = Refused::NOTHING;
        self.would_grow = 0;
    }

    /// Extends a block where it stands; see [`Manager::extend`].
    pub fn extend_in_place(&mut self, block: *mut u8, size: usize) -> Result<(), ExtendError> {
        self.forget_refused();
        let old = each!(&self.manager, manager => manager.usable_size(block)).ok_or(ExtendError::NotFound)?;
        let same = self.counted(|manager| each!(manager, manager => manager.extend_in_place(block, size)))?;
        let bytes = self.usable_size(block).ok_or(ExtendError::NotFound)?;
        if bytes > old {
            if !self.commit(same, bytes) {
                let _ = self.counted(|manager| each!(manager, manager => manager.extend_in_place(block, old)));
                return Err(ExtendError::NoRoom);
            }
            self.touch(same, bytes);
        }
        Ok(())
    }

    /// Extends a block, in place or moving it within the region, all of which
    /// is memory.
    ///
    /// # Safety
    /// As [`Manager::extend`].
    pub unsafe fn extend(&mut self, block: *mut u8, size: usize) -> Result<NonNull<u8>, ExtendError> {
        self.forget_refused();
        let old = self.usable_size(block);
        // SAFETY: the caller's promise.
        let new = self.counted(|manager| unsafe { each!(manager, manager => manager.extend(block, size)) })?;
        let bytes = self.usable_size(new.as_ptr()).ok_or(ExtendError::NotFound)?;
        self.resized_in_place += u64::from(new.as_ptr() == block && old != Some(bytes));
        self.touch(new, bytes);
        Ok(new)
    }

    /// See [`Manager::usable_size`].
    pub fn usable_size(&self, block: *const u8) -> Option<usize> {
        each!(&self.manager, manager => manager.usable_size(block))
    }

    /// Whether an address lies in a free block: how a block freed twice is
    /// told from a pointer that never was one.
    pub fn is_free(&self, address: usize) -> bool {
        let mut free = false;
        each!(&self.manager, manager => manager.walk(&mut |block: Block| {
            if address - block.address < block.size {
                free = !block.used;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }));
        free
    }

    /// The bytes in blocks, without the first one.
    pub fn used(&self) -> usize {
        self.manager.used() - self.own.used as usize
    }

    /// The manager's counters, without the first block.
    pub fn stats(&self) -> Stats {
        let all = each!(&self.manager, manager => manager.stats());
        Stats {
            size: all.size - self.own.used,
            used: all.used - self.own.used,
            peak: all.peak - self.own.used,
            blocks: all.blocks - self.own.blocks,
            ..all
        }
    }

    /// What a guarantee is of.
    pub fn ground(&self) -> Ground {
        let (part, helped) = match &self.manager {
            Any::Ffit(ffit) => (ffit.stats(), false),
            Any::Buddy(buddy) => (buddy.stats(), false),
            Any::Ebuddy(ebuddy) => {
                let (main, emergency) = ebuddy.parts();
                (main, emergency.peak > 0)
            }
        };
        Ground { bytes: part.size as usize, taken: self.own.used as usize, helped }
    }

    /// Memory in free blocks, in bytes.
    pub fn dirty(&self) -> usize {
        self.dirty_pages * PAGE
    }

    /// The addresses that the region takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives the memory of free blocks back to the OS, but for about `keep`
    /// bytes at the lowest addresses, as those are the first to be used again.
    pub fn purge(&mut self, keep: usize) {
        let mut kept = 0;
        let mut page = 0;
        while let Some((first, end)) = self.next_run(page, false) {
            let spare = (keep / PAGE).saturating_sub(kept).min(end - first);
            kept += spare;
            self.purge_run(first + spare, end);
            page = end;
        }
    }

    /// One step of decay: gives back pages that have been free since the tick
    /// before, a part of them. True where the tick is done; the pages that are
    /// free now are then a tick old.
    pub fn decay(&mut self) -> bool {
        let mut left = (self.dirty_pages / DECAY_PART).clamp(DECAY_LEAST, DECAY_MOST);
        while let Some((first, end)) = self.next_run(self.cursor, true) {
            if left == 0 {
                return false;
            }
            // A huge page goes as a whole.
            let end = end.min((first + left).next_multiple_of(HUGE_PAGE / PAGE));
            self.purge_run(first, end);
            left = left.saturating_sub(end - first);
            self.cursor = end;
        }
        self.cursor = 0;
        for word in 0..self.words() {
            // SAFETY: words of this region's pages.
            unsafe { *self.aging.0.as_ptr().add(word) = *self.dirty.0.as_ptr().add(word) };
        }
        true
    }

    fn words(&self) -> usize {
        self.bytes.div_ceil(PAGE).div_ceil(64)
    }

    /// The next run of dirty pages from `page` on, or of those that are aging
    /// too.
    fn next_run(&self, page: usize, aging: bool) -> Option<(usize, usize)> {
        let word = |index: usize| {
            // SAFETY: a word of this region's pages.
            unsafe {
                let dirty = *self.dirty.0.as_ptr().add(index);
                if aging { dirty & *self.aging.0.as_ptr().add(index) } else { dirty }
            }
        };
        let mut index = page / 64;
        let mut bits = if index < self.words() { word(index) & !0 << (page % 64) } else { 0 };
        while bits == 0 {
            index += 1;
            if index >= self.words() {
                return None;
            }
            bits = word(index);
        }
        let first = index * 64 + bits.trailing_zeros() as usize;
        let mut gaps = !bits & !0 << (first % 64);
        while gaps == 0 {
            index += 1;
            if index == self.words() {
                return Some((first, index * 64));
            }
            gaps = !word(index);
        }
        Some((first, index * 64 + gaps.trailing_zeros() as usize))
    }

    /// Whether a page may be memory that was in no block, as the huge page that it is of
    /// was asked for.
    fn is_rest(&self, page: usize) -> bool {
        // SAFETY: words of this region's pages.
        let noted = unsafe { *self.touched.0.as_ptr().add(page / 64) | *self.dirty.0.as_ptr().add(page / 64) };
        self.huge >> (page * PAGE / self.step) & 1 != 0 && noted >> (page % 64) & 1 == 0
    }

    /// Gives the memory of a run of dirty pages back, and with it what their huge pages
    /// have beside it.
    fn purge_run(&mut self, first: usize, end: usize) {
        const PAGES: usize = HUGE_PAGE / PAGE;
        if first >= end {
            return;
        }
        let start = (first / PAGES * PAGES..first).rev().take_while(|page| self.is_rest(*page)).last().unwrap_or(first);
        let most = end.next_multiple_of(PAGES).min(self.bytes / PAGE);
        let stop = (end..most).take_while(|page| self.is_rest(*page)).last().map_or(end, |page| page + 1);
        // SAFETY: whole pages of free blocks: none is in a block that never was.
        let purged = unsafe { platform::purge(self.base.as_ptr().byte_add(start * PAGE), (stop - start) * PAGE) };
        self.dirty.over(first, end, |word, mask| *word &= !mask);
        self.set_dirty(self.dirty_pages - (end - first));
        if purged {
            self.touched.over(first, end, |word, mask| *word &= !mask);
        }
    }
}
