//! The binary buddy system (Knuth, TAOCP vol. 1, sec. 2.5, Algorithms R and
//! S), with **leftmost** placement: a request goes to the lowest free aligned
//! window of its order, over all sufficient orders. May use: `area`, `bits`.
//!
//! A block of order `k` is `2^k` granules at a multiple of `2^k`. Since free
//! buddies always coalesce, which windows are free follows from which granules
//! are used; so there are no free lists, only
//!
//! - per bucket of 64 granules two words: the granules in *used* blocks, and
//!   the last granule, the *end*, of each;
//! - a tree over the buckets that says where large windows are ([`tree`]).
//!
//! ```text
//!   granule   0 1 2 3 4 5 6 7 8 9 ..
//!   used      1 1 1 1 1 0 1 1 0 0        orders 2, 0, 1; free: 5, 8..
//!   end       0 0 0 1 1 0 0 1 0 0
//! ```
//!
//! A block of more than a bucket (order 7 and up) leaves the used words of its
//! buckets 0 and writes its order into the first end word, where no bit may
//! stand without its used bit. An operation thus costs a few paths of the tree
//! at most, each a sixth of the logarithm of the heap, not its size, and the
//! tables 2.13 bits a granule.
//!
//! The granules of an area need not be a power of two: what lies beyond the
//! last one counts as used for ever, and the rest is the trees it makes.

mod tree;

#[cfg(test)]
mod tests;

use core::ffi::CStr;
use core::ops::ControlFlow;
use core::ptr::{self, NonNull};

use self::tree::{BUCKET_ORDER, FAN_LOG, WindowTree};
use super::area::Area;
use super::bits::{BUCKET, Granules};
use super::{Block, Counters, ExtendError, Fault, FreeError, Freed, Manager, Part, Stats};

/// The words of one bucket.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Bucket {
    used: u64,
    ends: u64,
}

/// The end word of a bucket without used bits that a large block starts in:
/// its order in the low byte, `OFFSET` where its pointer is not its first
/// granule, then that granule in the upper half.
const OFFSET: u64 = 1 << 8;
/// The end word of the bucket such a pointer lies in, if it is another one; in
/// the upper half the first granule of the window.
const POINTER: u64 = 1 << 9;

/// A window: `2^order` granules from `at` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    at: usize,
    order: u32,
}

impl Window {
    fn granules(self) -> usize {
        1 << self.order
    }

    fn bucket(self) -> usize {
        self.at / BUCKET
    }

    fn is_large(self) -> bool {
        self.order > BUCKET_ORDER
    }
}

/// A heap under the binary buddy system.
///
/// Get, free and extend cost at most one path up a tree of `log64` of the area's
/// 64-granule buckets, and one down for each order, of thirteen, of which its
/// lowest node lost all windows: at most five steps each, whatever the heap holds. The
/// bound that leftmost placement keeps is in [`crate::analysis`].
#[derive(Debug)]
pub struct Buddy {
    origin: NonNull<u8>,
    granules: usize,
    shift: u32,
    buckets: *mut Bucket,
    tree: WindowTree,
    counters: Counters,
}

// SAFETY: the pointers lead into the area, which is the heap's alone.
unsafe impl Send for Buddy {}

impl Buddy {
    /// A heap in `area`; `None` where the area cannot hold one. Writes the
    /// tables, 1/60 of the area, and nothing else.
    pub fn new(area: Area) -> Option<Self> {
        let division = area.divide(Self::tables_bytes)?;
        // SAFETY: the division leaves room for the tables, in an area that is
        // ours alone.
        unsafe {
            division.tables.write_bytes(0, Self::tables_bytes(division.granules));
            Some(Self::over(division.origin, division.granules, division.shift, division.tables))
        }
    }

    /// A heap in the `bytes` bytes at `base`.
    ///
    /// # Safety
    /// As [`Area::from_raw`].
    pub unsafe fn from_raw(base: *mut u8, bytes: usize) -> Option<Self> {
        // SAFETY: the caller's promise.
        Self::new(unsafe { Area::from_raw(base, bytes) }?)
    }

    /// A heap on blocks and zeroed tables that may lie apart.
    ///
    /// # Safety
    /// `granules << shift` bytes at `origin` and `tables_bytes(granules)`
    /// zeroed bytes at `tables`, 16-aligned, are the heap's alone. The tables
    /// may lie in the blocks where the first block keeps them, for ever.
    pub unsafe fn over(origin: NonNull<u8>, granules: usize, shift: u32, tables: NonNull<u8>) -> Self {
        let count = granules.div_ceil(BUCKET);
        let buckets = tables.as_ptr().cast::<Bucket>();
        let beyond = count * BUCKET - granules;
        let mut last = Granules(!0);
        if beyond > 0 {
            let absent = Granules::run(BUCKET - beyond, beyond).0;
            last = Granules(!absent);
            // SAFETY: the last bucket.
            unsafe { (*buckets.add(count - 1)).used = absent };
        }
        // SAFETY: the tree's words follow the buckets.
        let tree = unsafe { WindowTree::new(buckets.add(count).cast(), count, last.windows()) };
        Buddy { origin, granules, shift, buckets, tree, counters: Counters::default() }
    }

    /// The bytes of tables that `granules` granules need.
    pub const fn tables_bytes(granules: usize) -> usize {
        let buckets = granules.div_ceil(BUCKET);
        buckets * size_of::<Bucket>() + WindowTree::bytes(buckets)
    }

    /// The fewest bytes that hold a heap, at any alignment of the area.
    pub const fn minimum_area() -> usize {
        super::minimum_area(Self::tables_bytes(1))
    }

    #[inline]
    fn bucket(&self, index: usize) -> &Bucket {
        debug_assert!(index < self.granules.div_ceil(BUCKET));
        // SAFETY: index < the number of buckets.
        unsafe { &*self.buckets.add(index) }
    }

    #[inline]
    fn bucket_mut(&mut self, index: usize) -> &mut Bucket {
        debug_assert!(index < self.granules.div_ceil(BUCKET));
        // SAFETY: index < the number of buckets; self is borrowed mutably.
        unsafe { &mut *self.buckets.add(index) }
    }

    fn pointer(&self, granule: usize) -> NonNull<u8> {
        // SAFETY: granule <= self.granules.
        unsafe { self.origin.byte_add(granule << self.shift) }
    }

    fn bytes(&self, order: u32) -> usize {
        1 << (order + self.shift)
    }

    /// The least order whose blocks hold `size` bytes.
    #[inline(always)]
    fn order_for(&self, size: usize) -> Option<u32> {
        let last = size.wrapping_sub(1);
        if last >= self.granules << self.shift {
            return None;
        }
        Some((last | 1).ilog2().saturating_sub(self.shift - 1))
    }

    /// The lowest free window of `order`.
    #[inline(always)]
    fn lowest(&self, order: u32) -> Option<Window> {
        let at = if order <= BUCKET_ORDER {
            let bucket = self.tree.find_bucket(order)?;
            bucket * BUCKET + Granules(!self.bucket(bucket).used).lowest_window(order)?
        } else {
            self.tree.find_window(order)? * BUCKET
        };
        // Beyond the end only where the tree was overwritten.
        (at + (1 << order) <= self.granules).then_some(Window { at, order })
    }

    /// Whether `window`, which holds no part of a larger block, is free.
    fn is_free(&self, window: Window) -> bool {
        if window.order <= BUCKET_ORDER {
            let run = Granules::run(window.at % BUCKET, window.granules()).0;
            self.bucket(window.bucket()).used & run == 0
        } else {
            self.tree.is_free(window.bucket(), window.order)
        }
    }

    /// Makes a free window a block. `is_lowest` where it is known to be the
    /// lowest free one of its order.
    #[inline(always)]
    fn allocate(&mut self, window: Window, is_lowest: bool) {
        let index = window.bucket();
        if window.is_large() {
            self.bucket_mut(index).ends = u64::from(window.order);
            return self.tree.window_taken(index, window.order);
        }
        let run = Granules::window(window.at % BUCKET, window.order).0;
        let bucket = self.bucket_mut(index);
        let free = Granules(!bucket.used);
        bucket.used |= run;
        bucket.ends |= run & !(run >> 1);
        let left = if is_lowest { free.windows().without(Granules(run)) } else { Granules(!bucket.used).windows() };
        self.tree.bucket_taken(index, free == Granules::ALL, left);
    }

    /// Makes a block free; the order of the largest free window around it.
    #[inline(always)]
    fn vacate(&mut self, window: Window) -> u32 {
        let index = window.bucket();
        if window.is_large() {
            self.bucket_mut(index).ends = 0;
            return self.tree.window_freed(index, window.order);
        }
        let bucket = self.bucket_mut(index);
        let run = Granules(bucket.ends).through_lowest(window.at % BUCKET).0;
        bucket.used &= !run;
        bucket.ends &= !run;
        let around = Granules(!bucket.used).window_around(window.at % BUCKET);
        self.tree.bucket_freed(index, around + 1).unwrap_or(around)
    }

    /// Allocates the lowest window for `size` bytes, without counting a
    /// failure.
    #[inline(always)]
    pub(super) fn place(&mut self, size: usize) -> Option<NonNull<u8>> {
        let order = self.order_for(size)?;
        if order > BUCKET_ORDER {
            return self.place_window(order);
        }
        let window = self.lowest(order)?;
        self.grown(order);
        let block = self.pointer(window.at);
        self.allocate(window, true);
        Some(block)
    }

    /// Allocates the lowest window of `order`.
    #[inline(never)]
    fn place_window(&mut self, order: u32) -> Option<NonNull<u8>> {
        let window = self.lowest(order)?;
        self.allocate(window, true);
        self.grown(order);
        Some(self.pointer(window.at))
    }

    /// As [`place`](Self::place), at a multiple of `align`, a power of two.
    pub(super) fn place_aligned(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let own = 1 << self.origin.addr().get().trailing_zeros();
        if align <= own {
            let least = align.trailing_zeros().saturating_sub(self.shift);
            let window = self.lowest(self.order_for(size)?.max(least))?;
            self.allocate(window, true);
            self.grown(window.order);
            return Some(self.pointer(window.at));
        }
        // The area is less aligned than that, and so are all windows: take one
        // with room for an aligned place, and note the place.
        let room = size.checked_add(align - own)?;
        let order = self.order_for(size).and(self.order_for(room))?.max(BUCKET_ORDER + 1);
        let window = self.lowest(order)?;
        self.allocate(window, true);
        self.grown(order);
        let address = self.pointer(window.at).addr().get();
        let start = window.at + ((address.next_multiple_of(align) - address) >> self.shift);
        if start != window.at {
            self.bucket_mut(window.bucket()).ends |= OFFSET | (start as u64) << 32;
            if start / BUCKET != window.bucket() {
                self.bucket_mut(start / BUCKET).ends = POINTER | (window.at as u64) << 32;
            }
        }
        Some(self.pointer(start))
    }

    #[inline(always)]
    fn grown(&mut self, order: u32) {
        self.counters.blocks += 1;
        self.counters.grown(self.bytes(order));
    }

    /// The window of an allocated block, and the granule its pointer names.
    #[inline(always)]
    fn locate(&self, block: *const u8) -> Result<(Window, usize), FreeError> {
        let offset = block.addr().wrapping_sub(self.origin.addr().get());
        // What is odd, or before or behind the blocks, is no granule.
        let start = offset.rotate_right(self.shift);
        if start >= self.granules {
            return Err(FreeError::NotFound);
        }
        let bit = start % BUCKET;
        let &Bucket { used, ends } = self.bucket(start / BUCKET);
        if used >> bit & 1 == 0 {
            return self.locate_large(start, used, ends);
        }
        // A block starts where the granule before is free or an end.
        if (used & !ends) << 1 >> bit & 1 != 0 {
            return Err(FreeError::NotFound);
        }
        let last = (ends >> bit).trailing_zeros() as usize;
        let len = last + 1;
        // A power of two, and a multiple of it.
        if (len | bit) & last != 0 || !Granules(used).contains(Granules(ends).through_lowest(bit)) {
            return Err(FreeError::Corrupted);
        }
        Ok((Window { at: start, order: len.trailing_zeros() }, start))
    }

    fn locate_large(&self, start: usize, used: u64, ends: u64) -> Result<(Window, usize), FreeError> {
        if used != 0 || ends == 0 {
            return Err(FreeError::NotFound);
        }
        let (mut at, mut word) = (start / BUCKET * BUCKET, ends);
        if word & POINTER != 0 {
            at = (word >> 32) as usize;
            if at >= self.granules || at % BUCKET != 0 {
                return Err(FreeError::Corrupted);
            }
            word = self.bucket(at / BUCKET).ends;
        }
        let window = Window { at, order: (word & 0xFF) as u32 };
        if !window.is_large()
            || window.order > self.tree.full_order()
            || at & (window.granules() - 1) != 0
            || at + window.granules() > self.granules
        {
            return Err(FreeError::Corrupted);
        }
        let named = if word & OFFSET != 0 { (word >> 32) as usize } else { at };
        if named == start { Ok((window, start)) } else { Err(FreeError::NotFound) }
    }

    /// Frees a block, and says what became of it; see [`Manager::free`].
    #[inline(always)]
    pub(crate) fn release(&mut self, block: *mut u8) -> Result<Freed, FreeError> {
        let (window, start) = self.locate(block)?;
        let hole = self.forget(window, start);
        Ok(Freed {
            bytes: self.bytes(window.order),
            hole: self.pointer(hole.at).addr().get(),
            hole_bytes: self.bytes(hole.order),
        })
    }

    /// The window of twice the size around a free one, where that is free.
    fn joined(&self, window: Window) -> Option<Window> {
        let order = window.order + 1;
        let whole = Window { at: window.at >> order << order, order };
        let present = order <= self.tree.full_order() && whole.at + whole.granules() <= self.granules;
        (present && self.is_free(whole)).then_some(whole)
    }

    /// Frees a block that `locate` found; the free window that it is part of.
    #[inline(always)]
    fn forget(&mut self, window: Window, start: usize) -> Window {
        self.clear_offset(window, start);
        let order = self.vacate(window);
        self.counters.blocks -= 1;
        self.counters.used -= self.bytes(window.order);
        Window { at: window.at >> order << order, order }
    }

    #[inline(always)]
    fn clear_offset(&mut self, window: Window, start: usize) {
        if start / BUCKET != window.bucket() {
            self.bucket_mut(start / BUCKET).ends = 0;
        }
    }

    /// Extends a block where it stands, or says no. See [`Manager::extend`].
    pub(crate) fn extend_in_place(&mut self, block: *mut u8, size: usize) -> Result<NonNull<u8>, ExtendError> {
        // SAFETY: the block does not move.
        unsafe { self.resize(block, size, false) }
    }

    /// As [`Manager::extend`], without counting a failure; `may_move` or not.
    ///
    /// # Safety
    /// As [`Manager::extend`].
    pub(super) unsafe fn resize(
        &mut self,
        block: *mut u8,
        size: usize,
        may_move: bool,
    ) -> Result<NonNull<u8>, ExtendError> {
        let (old, start) = self.locate(block)?;
        let capacity = (old.at + old.granules() - start) << self.shift;
        let order = self.order_for(size).ok_or(ExtendError::NoRoom)?;
        let unchanged = Ok(self.pointer(start));
        if order == old.order && start == old.at {
            return unchanged;
        }
        if start != old.at {
            // An over-aligned block stays whole, or moves.
            if size <= capacity {
                return unchanged;
            }
            if !may_move {
                return Err(ExtendError::NoRoom);
            }
            let new = self.place(size).ok_or(ExtendError::NoRoom)?;
            // SAFETY: both are allocated blocks with room for `capacity`.
            unsafe { new.as_ptr().copy_from_nonoverlapping(block, capacity) };
            self.forget(old, start);
            return Ok(new);
        }
        // As if it were freed first: a block may move into its own old room,
        // so there is never need of both at once.
        self.vacate(old);
        let mut new = Window { at: old.at, order };
        if old.at & (new.granules() - 1) != 0 || order > old.order && !self.is_free(new) {
            let Some(lowest) = self.lowest(order).filter(|_| may_move) else {
                self.allocate(old, false);
                return Err(ExtendError::NoRoom);
            };
            new = lowest;
        }
        self.allocate(new, false);
        self.counters.used -= self.bytes(old.order);
        self.counters.grown(self.bytes(new.order));
        let to = self.pointer(new.at);
        if new.at != old.at {
            // SAFETY: `capacity` bytes fit in both; nothing of a block is
            // written when it is freed, so the contents still stand.
            unsafe { ptr::copy(block, to.as_ptr(), capacity) };
        }
        Ok(to)
    }

    /// The bytes in allocated blocks.
    pub(crate) fn used(&self) -> usize {
        self.counters.used
    }

    /// Whether `address` lies among the blocks.
    pub(super) fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.origin.addr().get()) < self.granules << self.shift
    }

    /// The blocks in the order of addresses, free windows as large as they
    /// are. Stops where the bookkeeping makes no sense, with the granule.
    fn each(&self, visit: &mut dyn FnMut(Window, bool) -> ControlFlow<()>) -> Result<(), (&'static CStr, usize)> {
        let mut at = 0;
        while at < self.granules {
            let &Bucket { used, ends } = self.bucket(at / BUCKET);
            let bit = at % BUCKET;
            let (window, is_used) = if bit == 0 && used == 0 && ends != 0 {
                let window = Window { at, order: (ends & 0xFF) as u32 };
                if !window.is_large()
                    || window.order > self.tree.full_order()
                    || at & (window.granules() - 1) != 0
                    || at + window.granules() > self.granules
                {
                    return Err((c"the order of a block is impossible", at));
                }
                (window, true)
            } else if used >> bit & 1 != 0 {
                match self.locate(self.pointer(at).as_ptr()) {
                    Ok((window, _)) => (window, true),
                    Err(_) => return Err((c"a block has no valid end", at)),
                }
            } else {
                // The largest free window that starts here.
                let mut window = Window { at, order: 0 };
                while let Some(whole) = self.joined(window).filter(|whole| whole.at == at) {
                    window = whole;
                }
                (window, false)
            };
            if visit(window, is_used).is_break() {
                return Ok(());
            }
            at += window.granules();
        }
        Ok(())
    }

    fn check_granules(&self) -> Result<(usize, usize), (&'static CStr, usize)> {
        let (mut blocks, mut used) = (0, 0);
        let mut wrong = Ok(());
        self.each(&mut |window, is_used| {
            if is_used {
                blocks += 1;
                used += self.bytes(window.order);
                if window.is_large() {
                    wrong = self.check_large(window);
                }
            } else {
                let run = if window.is_large() { !0 } else { Granules::run(window.at % BUCKET, window.granules()).0 };
                let buckets = window.bucket()..(window.at + window.granules()).div_ceil(BUCKET);
                if let Some(index) = buckets.into_iter().find(|&index| self.bucket(index).ends & run != 0) {
                    wrong = Err((c"a free block has an end", (index * BUCKET).max(window.at)));
                }
            }
            if wrong.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        wrong?;
        let beyond = self.granules % BUCKET;
        if beyond > 0 {
            let absent = Granules::run(beyond, BUCKET - beyond).0;
            let last = self.bucket(self.granules / BUCKET);
            if last.used & absent != absent || last.ends & absent != 0 && last.used != 0 {
                return Err((c"what lies behind the last granule is not used", self.granules));
            }
        }
        Ok((blocks, used))
    }

    /// The inner buckets of a large block hold nothing, but the note of an
    /// over-aligned pointer.
    fn check_large(&self, window: Window) -> Result<(), (&'static CStr, usize)> {
        let first = window.bucket();
        let word = self.bucket(first).ends;
        let named = if word & OFFSET != 0 { (word >> 32) as usize } else { window.at };
        let note = if word & OFFSET != 0 { OFFSET | (named as u64) << 32 } else { 0 };
        if word != u64::from(window.order) | note
            || !(window.at..window.at + window.granules()).contains(&named)
            || word & OFFSET != 0 && named == window.at
        {
            return Err((c"the note of an over-aligned block is impossible", window.at));
        }
        for index in first..first + window.granules() / BUCKET {
            let &Bucket { used, ends } = self.bucket(index);
            let expected = if index == first {
                word
            } else if index == named / BUCKET {
                POINTER | (window.at as u64) << 32
            } else {
                0
            };
            if used != 0 || ends != expected {
                return Err((c"another block lies in a block", index * BUCKET));
            }
        }
        Ok(())
    }

    /// What the blocks say of the orders of a stretch: see
    /// [`WindowTree::first_fault`].
    fn expected_orders(&self, level: usize, index: usize) -> Option<u32> {
        for log in 0..=FAN_LOG {
            let order = BUCKET_ORDER + FAN_LOG * level as u32 + log;
            let first = (index >> log << log) << (FAN_LOG as usize * level);
            let &Bucket { used, ends } = self.bucket(first);
            let is_large = order > BUCKET_ORDER && used == 0 && ends & POINTER == 0;
            if is_large && ends & 0xFF == u64::from(order) && self.tree.level_of(order).0 == level {
                return Some(0);
            }
        }
        (level == 0).then(|| Granules(!self.bucket(index).used).windows().orders())
    }
}

impl Manager for Buddy {
    #[inline(always)]
    fn get(&mut self, size: usize) -> Option<NonNull<u8>> {
        self.counters.requested(size);
        let block = self.place(size);
        if block.is_none() {
            self.counters.refused(size);
        }
        block
    }

    fn get_aligned(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        if !align.is_power_of_two() {
            return None;
        }
        self.counters.requested(size);
        let block = self.place_aligned(size, align);
        if block.is_none() {
            self.counters.refused(size);
        }
        block
    }

    #[inline(always)]
    unsafe fn free(&mut self, block: *mut u8) -> Result<(), FreeError> {
        self.release(block).map(|_| ())
    }

    unsafe fn extend(&mut self, block: *mut u8, size: usize) -> Result<NonNull<u8>, ExtendError> {
        self.counters.requested(size);
        // SAFETY: the caller's promise.
        let result = unsafe { self.resize(block, size, true) };
        if result == Err(ExtendError::NoRoom) {
            self.counters.refused(size);
        }
        result
    }

    fn usable_size(&self, block: *const u8) -> Option<usize> {
        let (window, start) = self.locate(block).ok()?;
        Some((window.at + window.granules() - start) << self.shift)
    }

    fn stats(&self) -> Stats {
        let largest = self.tree.largest().map_or(0, |order| self.bytes(order));
        self.counters.stats(self.granules << self.shift, largest)
    }

    fn walk(&self, visit: &mut dyn FnMut(Block) -> ControlFlow<()>) {
        // What makes no sense ends the walk; check() says what it is.
        let _ = self.each(&mut |window, used| {
            visit(Block {
                address: self.pointer(window.at).addr().get(),
                size: self.bytes(window.order),
                used,
                part: Part::Main,
            })
        });
    }

    fn check(&self) -> Result<(), Fault> {
        let fault = |what, granule| Fault { what, address: self.pointer(granule).addr().get() };
        let (blocks, used) = self.check_granules().map_err(|(what, at)| fault(what, at))?;
        if let Some((level, index)) = self.tree.first_fault(|l, i| self.expected_orders(l, i)) {
            return Err(fault(c"the tree contradicts the blocks", (index << (FAN_LOG as usize * level)) * BUCKET));
        }
        if (blocks, used) != (self.counters.blocks, self.counters.used) {
            return Err(fault(c"the counters contradict the blocks", 0));
        }
        Ok(())
    }
}
