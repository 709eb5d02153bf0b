//! First fit (Knuth, TAOCP vol. 1, sec. 2.5, Algorithms A and C): a request
//! goes to the lowest-addressed free block that is large enough, exactly. May
//! use: `area`, `bits`.
//!
//! The boundary tags stand in a table instead of in the blocks, per bucket of
//! 64 granules: the granules where a block starts, which of those blocks are
//! used, and two sizes for what leaves the bucket.
//!
//! ```text
//!   granule  0 . . . . . . 63 | 64 . . . . . . 127 | 128 . .
//!   blocks   [ a ][ b ][    c       ][      d                 ][ e ..
//!   starts   1     1    1      | 0    1             | 0         1
//!   tail      size of c        |  size of d         |  size of e      the last block to start
//!   cover            -         |  start of c        |  start of d     whose block ends here,
//!                                                                     having started earlier
//! ```
//!
//! So the size of a block, and the block before it, are found in constant
//! time, as with Knuth's tags, but a free block is never touched and nothing
//! that a program writes beyond its block hits a tag. [`tree`] finds the
//! lowest bucket with a free block that is large enough.

mod tree;

#[cfg(test)]
mod tests;

use core::ffi::CStr;
use core::hint::select_unpredictable;
use core::ops::ControlFlow;
use core::ptr::{self, NonNull};

use self::tree::{MaxTree, Way};
use super::area::Area;
use super::bits::{BUCKET, Holes};
use super::{Block, Counters, ExtendError, Fault, FreeError, Freed, Manager, Part, Stats};

/// The boundary tags of one bucket.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Tags {
    /// The granules where a block starts.
    starts: u64,
    /// Those of them where a used block starts.
    used: u64,
    /// The size of the last block that starts here, in granules, where it
    /// reaches the end of the bucket or beyond.
    tail: u32,
    /// Where the block starts that ends here and started in an earlier bucket.
    cover: u32,
}

impl Tags {
    /// The granules where a free block starts.
    #[inline(always)]
    fn holes(&self) -> u64 {
        self.starts & !self.used
    }

    /// The size of the free block that leaves the bucket, or 0.
    #[inline(always)]
    fn leaving(&self) -> u32 {
        select_unpredictable(self.holes() > self.used, self.tail, 0)
    }
}

/// A run of granules: a block, used or free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    at: usize,
    len: usize,
}

impl Run {
    fn end(self) -> usize {
        self.at + self.len
    }
}

/// A heap under address-ordered first fit.
///
/// Get, free and extend cost a path of a tree over the area's buckets of 64
/// granules, sixteen or more children a node, at most seven steps, and the free blocks of at most three
/// buckets, whatever the heap holds. The bound that first fit keeps is in
/// [`crate::analysis`].
#[derive(Debug)]
pub struct Ffit {
    origin: NonNull<u8>,
    granules: usize,
    shift: u32,
    tags: *mut Tags,
    tree: MaxTree,
    counters: Counters,
}

// SAFETY: the pointers lead into the area, which is the heap's alone.
unsafe impl Send for Ffit {}

/// How many free blocks an aligned get looks at before it takes one that is
/// large enough at any address.
const ALIGNED_TRIES: usize = 16;

impl Ffit {
    /// A heap in `area`; `None` where the area cannot hold one. Writes the
    /// tables, 1/36 of the area, and nothing else.
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
    /// zeroed bytes at `tables`, 8-aligned, are the heap's alone. The tables
    /// may lie in the blocks where the first block keeps them, for ever.
    pub unsafe fn over(origin: NonNull<u8>, granules: usize, shift: u32, tables: NonNull<u8>) -> Self {
        let count = granules.div_ceil(BUCKET);
        let tags = tables.as_ptr().cast::<Tags>();
        // SAFETY: the tree's nodes follow the tags.
        let tree = unsafe { MaxTree::new(tags.add(count).cast(), granules, count) };
        let mut heap = Ffit { origin, granules, shift, tags, tree, counters: Counters::default() };
        if heap.is_fenced() {
            let fence = 1 << (granules % BUCKET);
            let last = heap.tags_mut(count - 1);
            (last.starts, last.used) = (fence, fence);
        }
        heap.add_hole(Run { at: 0, len: granules });
        heap
    }

    /// The bytes of tables that `granules` granules need.
    pub const fn tables_bytes(granules: usize) -> usize {
        let buckets = granules.div_ceil(BUCKET);
        buckets * size_of::<Tags>() + MaxTree::bytes(granules, buckets)
    }

    /// The fewest bytes that hold a heap, at any alignment of the area.
    pub const fn minimum_area() -> usize {
        super::minimum_area(Self::tables_bytes(1))
    }

    #[inline]
    fn tags(&self, index: usize) -> &Tags {
        debug_assert!(index < self.granules.div_ceil(BUCKET));
        // SAFETY: index < the number of buckets.
        unsafe { &*self.tags.add(index) }
    }

    #[inline]
    fn tags_mut(&mut self, index: usize) -> &mut Tags {
        debug_assert!(index < self.granules.div_ceil(BUCKET));
        // SAFETY: index < the number of buckets; self is borrowed mutably.
        unsafe { &mut *self.tags.add(index) }
    }

    /// Whether the last bucket has granules that the heap has not. Then the
    /// first of them is tagged as a used block: the last block of the heap does
    /// not leave its bucket.
    fn is_fenced(&self) -> bool {
        !self.granules.is_multiple_of(BUCKET)
    }

    fn pointer(&self, granule: usize) -> NonNull<u8> {
        // SAFETY: granule <= self.granules.
        unsafe { self.origin.byte_add(granule << self.shift) }
    }

    /// The granules that hold `size` bytes.
    #[inline(always)]
    fn granules_for(&self, size: usize) -> Option<usize> {
        let last = size.wrapping_sub(1);
        if last >= self.granules << self.shift {
            return None;
        }
        Some((last >> self.shift) + 1)
    }

    /// The length of the block that starts at `at`.
    #[inline(always)]
    fn len_at(&self, at: usize) -> usize {
        let tags = self.tags(at / BUCKET);
        let behind = tags.starts >> (at % BUCKET) >> 1;
        if behind != 0 { behind.trailing_zeros() as usize + 1 } else { tags.tail as usize }
    }

    /// As [`len_at`](Self::len_at), and that the tags around it agree.
    #[inline(always)]
    fn checked_len_at(&self, at: usize) -> Option<usize> {
        let tags = self.tags(at / BUCKET);
        let behind = tags.starts >> (at % BUCKET) >> 1;
        if behind != 0 {
            // The start of the next block is all there is to agree.
            let len = behind.trailing_zeros() as usize + 1;
            return (at + len <= self.granules).then_some(len);
        }
        let len = tags.tail as usize;
        let end = at + len;
        let bounded = len > 0 && (end == self.granules || end < self.granules && self.starts_at(end));
        let tagged = || (end - 1) / BUCKET == at / BUCKET || self.tags((end - 1) / BUCKET).cover as usize == at;
        (bounded && tagged()).then_some(len)
    }

    #[inline(always)]
    fn starts_at(&self, at: usize) -> bool {
        self.tags(at / BUCKET).starts >> (at % BUCKET) & 1 != 0
    }

    #[inline(always)]
    fn is_used(&self, at: usize) -> bool {
        self.tags(at / BUCKET).used >> (at % BUCKET) & 1 != 0
    }

    /// Where the block starts that ends before `at`, above 0; `None` where the
    /// tags disagree.
    #[inline(always)]
    fn checked_before(&self, at: usize) -> Option<usize> {
        let last = at - 1;
        let tags = self.tags(last / BUCKET);
        let starts = tags.starts << (BUCKET - 1 - last % BUCKET);
        if starts != 0 {
            // It is the last to start before `at`, and so reaches as far.
            return Some(last - starts.leading_zeros() as usize);
        }
        let before = tags.cover as usize;
        (before < at && self.starts_at(before) && self.len_at(before) == at - before).then_some(before)
    }

    /// Writes the tags of a block.
    #[inline(always)]
    fn tag(&mut self, run: Run, used: bool) {
        let bit = 1 << (run.at % BUCKET);
        let tags = self.tags_mut(run.at / BUCKET);
        tags.starts |= bit;
        tags.used = if used { tags.used | bit } else { tags.used & !bit };
        self.tag_end(run);
    }

    /// Writes the sizes in the tags of a block, where it leaves its bucket.
    #[inline(always)]
    fn tag_end(&mut self, run: Run) {
        let (first, last) = (run.at / BUCKET, (run.end() - 1) / BUCKET);
        if run.end() >= (first + 1) * BUCKET {
            self.tags_mut(first).tail = run.len as u32;
            if last != first {
                self.tags_mut(last).cover = run.at as u32;
            }
        }
    }

    /// Makes a run a free block.
    #[inline(always)]
    fn add_hole(&mut self, run: Run) {
        self.tag(run, false);
        self.hole_grew(run);
    }

    /// Tells the tree of a free block that is new or has become larger.
    #[inline(always)]
    fn hole_grew(&mut self, run: Run) {
        let bucket = run.at / BUCKET;
        if run.len as u32 > self.tree.get(bucket) {
            self.tree.raise(bucket, run.len as u32);
        }
    }

    /// Tells the tree that a free block of `len`, whose tags are gone, was
    /// there.
    #[inline(always)]
    fn hole_gone(&mut self, bucket: usize, len: usize) {
        if self.tree.get(bucket) as usize == len {
            let largest = self.largest_in(bucket);
            if largest < len as u32 {
                self.tree.lower(bucket, len as u32, largest);
            }
        }
    }

    /// The size of the largest free block that starts in a bucket.
    #[inline(never)]
    fn largest_in(&self, bucket: usize) -> u32 {
        let tags = self.tags(bucket);
        Holes::new(tags.holes(), tags.used).largest().max(tags.leaving())
    }

    /// The first free block of at least `len` in a bucket, from bit `from` on.
    #[inline(never)]
    fn hole_in(&self, bucket: usize, from: usize, len: usize) -> Option<Run> {
        let tags = self.tags(bucket);
        let behind = u64::MAX.checked_shl(from as u32).unwrap_or(0);
        let cut = Holes::new(tags.holes() & behind, tags.used).cut(len)?;
        let hole = Run { at: bucket * BUCKET + cut.at, len: cut.of.unwrap_or(tags.tail as usize) };
        // Beyond the end only where the tags were overwritten.
        (hole.len >= len && hole.end() <= self.granules).then_some(hole)
    }

    /// The lowest free block of at least `len`.
    #[inline(never)]
    fn lowest(&self, len: usize) -> Option<Run> {
        let bucket = self.tree.find(len as u32, &mut Way::default())?;
        self.hole_in(bucket, 0, len)
    }

    /// The next free block of at least `len` behind `hole`.
    fn next(&self, hole: Run, len: usize) -> Option<Run> {
        let bucket = hole.at / BUCKET;
        self.hole_in(bucket, hole.at % BUCKET + 1, len)
            .or_else(|| self.hole_in(self.tree.find_behind(bucket, len as u32)?, 0, len))
    }

    /// Makes `block` within the free `hole` used; what is left on either side
    /// stays free.
    #[inline(never)]
    fn carve(&mut self, hole: Run, block: Run) {
        debug_assert!(hole.at <= block.at && block.end() <= hole.end());
        let bucket = hole.at / BUCKET;
        if hole.end() < (bucket + 1) * BUCKET {
            // Another block starts behind the hole in the bucket: what is left
            // of the hole needs no more than a start.
            let tags = self.tags_mut(bucket);
            tags.starts |= 1 << (block.at % BUCKET) | 1 << (block.end() % BUCKET);
            tags.used |= 1 << (block.at % BUCKET);
        } else {
            self.tag(block, true);
            if block.end() < hole.end() {
                self.add_hole(Run { at: block.end(), len: hole.end() - block.end() });
            }
            if hole.at < block.at {
                self.tag(Run { at: hole.at, len: block.at - hole.at }, false);
            }
        }
        self.hole_gone(bucket, hole.len);
    }

    /// Makes a used run free, together with its free neighbours; the hole that
    /// is made of them. `None` where the tags make no sense; then nothing has
    /// changed.
    #[inline(always)]
    fn coalesce(&mut self, block: Run) -> Option<Run> {
        let mut hole = block;
        if block.at > 0 {
            let before = self.checked_before(block.at)?;
            if !self.is_used(before) {
                hole = Run { at: before, len: block.end() - before };
            }
        }
        let end = block.end();
        if end < self.granules && !self.is_used(end) {
            let len = self.checked_len_at(end)?;
            self.tags_mut(end / BUCKET).starts &= !(1 << (end % BUCKET));
            // In the hole's own bucket the tree is told of the hole itself.
            if end / BUCKET != hole.at / BUCKET {
                self.hole_gone(end / BUCKET, len);
            }
            hole.len += len;
        }
        let bit = 1 << (block.at % BUCKET);
        let tags = self.tags_mut(block.at / BUCKET);
        tags.used &= !bit;
        if hole.at != block.at {
            tags.starts &= !bit;
        }
        if hole != block {
            self.tag_end(hole);
        }
        self.hole_grew(hole);
        Some(hole)
    }

    /// Allocates the lowest block for `size` bytes, without counting a
    /// failure.
    #[inline(never)]
    pub(super) fn place(&mut self, size: usize) -> Option<NonNull<u8>> {
        let len = self.granules_for(size)?;
        let mut way = Way::default();
        let bucket = self.tree.find(len as u32, &mut way)?;
        let block = self.cut(bucket, &way, len)?;
        self.grown(len);
        Some(self.pointer(block.at))
    }

    /// Makes the first `len` granules used of the lowest free block that has as
    /// many, which is in `bucket`, found that `way`. `None` where the tags
    /// contradict the tree.
    #[inline(always)]
    fn cut(&mut self, bucket: usize, way: &Way, len: usize) -> Option<Run> {
        let tags = self.tags_mut(bucket);
        let leaving = tags.leaving();
        let cut = Holes::new(tags.holes(), tags.used).cut(len)?;
        let block = Run { at: bucket * BUCKET + cut.at, len };
        if let Some(size) = cut.of {
            if size < len {
                return None;
            }
            // Another block starts behind it in the bucket.
            tags.used |= 1 << cut.at;
            tags.starts |= 1 << (cut.at + len);
            self.tree.lower_on(way, bucket, cut.largest.max(leaving));
            return Some(block);
        }
        let end = block.at + leaving as usize;
        if block.end() > end || end > self.granules {
            return None;
        }
        self.tag(block, true);
        if block.end() == end {
            self.tree.lower_on(way, bucket, cut.largest);
            return Some(block);
        }
        let rest = Run { at: block.end(), len: end - block.end() };
        self.tag(rest, false);
        if rest.at / BUCKET == bucket {
            self.tree.lower_on(way, bucket, cut.largest.max(rest.len as u32));
        } else {
            self.tree.lower_on(way, bucket, cut.largest);
            self.hole_grew(rest);
        }
        Some(block)
    }

    /// As [`place`](Self::place), at a multiple of `align`, a power of two.
    pub(super) fn place_aligned(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let granule = 1 << self.shift;
        let len = self.granules_for(size)?;
        let fit = |hole: Run| {
            let address = self.pointer(hole.at).addr().get();
            let skip = address.checked_next_multiple_of(align)? - address;
            // Exact: the origin is aligned to the granule.
            let at = hole.at + (skip >> self.shift);
            (at + len <= hole.end()).then_some((hole, Run { at, len }))
        };
        let mut hole = self.lowest(len);
        let mut found = None;
        for _ in 0..ALIGNED_TRIES {
            let Some(candidate) = hole else { break };
            found = fit(candidate);
            if found.is_some() {
                break;
            }
            hole = self.next(candidate, len);
        }
        if found.is_none() {
            let room = size.checked_add(align.saturating_sub(granule))?;
            found = fit(self.lowest(self.granules_for(room)?)?);
        }
        let (hole, block) = found?;
        self.carve(hole, block);
        self.grown(len);
        Some(self.pointer(block.at))
    }

    /// The bytes in allocated blocks.
    pub(crate) fn used(&self) -> usize {
        self.counters.used
    }

    #[inline(always)]
    fn grown(&mut self, len: usize) {
        self.counters.blocks += 1;
        self.counters.grown(len << self.shift);
    }

    /// The run of an allocated block.
    #[inline(always)]
    fn locate(&self, block: *const u8) -> Result<Run, FreeError> {
        let offset = block.addr().wrapping_sub(self.origin.addr().get());
        // What is odd, or before or behind the blocks, is no granule.
        let at = offset.rotate_right(self.shift);
        if at >= self.granules {
            return Err(FreeError::NotFound);
        }
        if !self.is_used(at) {
            return Err(FreeError::NotFound);
        }
        if !self.starts_at(at) {
            return Err(FreeError::Corrupted);
        }
        let len = self.checked_len_at(at).ok_or(FreeError::Corrupted)?;
        Ok(Run { at, len })
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
        let old = self.locate(block)?;
        let len = self.granules_for(size).ok_or(ExtendError::NoRoom)?;
        if len == old.len {
            return Ok(self.pointer(old.at));
        }
        // As if it were freed first: a block may move into its own old room,
        // so there is never need of both at once.
        let own = self.coalesce(old).ok_or(ExtendError::Corrupted)?;
        let (hole, new) = if old.at + len <= own.end() {
            (own, Run { at: old.at, len })
        } else if let Some(hole) = self.lowest(len).filter(|_| may_move) {
            (hole, Run { at: hole.at, len })
        } else {
            self.carve(own, old);
            return Err(ExtendError::NoRoom);
        };
        self.carve(hole, new);
        self.counters.used -= old.len << self.shift;
        self.counters.grown(len << self.shift);
        let to = self.pointer(new.at);
        if new.at != old.at {
            // SAFETY: the old length fits in both, as a block only moves to
            // grow; nothing of a block is written when it is freed, so the
            // contents still stand.
            unsafe { ptr::copy(block, to.as_ptr(), old.len << self.shift) };
        }
        Ok(to)
    }

    /// Frees a block, and says what became of it; see [`Manager::free`].
    #[inline(always)]
    pub(crate) fn release(&mut self, block: *mut u8) -> Result<Freed, FreeError> {
        let run = self.locate(block)?;
        let hole = self.coalesce(run).ok_or(FreeError::Corrupted)?;
        self.counters.blocks -= 1;
        self.counters.used -= run.len << self.shift;
        Ok(Freed {
            bytes: run.len << self.shift,
            hole: self.pointer(hole.at).addr().get(),
            hole_bytes: hole.len << self.shift,
        })
    }

    /// The blocks in the order of addresses. Stops where the tags make no
    /// sense, with the granule.
    fn each(&self, visit: &mut dyn FnMut(Run, bool) -> ControlFlow<()>) -> Result<(), (&'static CStr, usize)> {
        let mut at = 0;
        while at < self.granules {
            if !self.starts_at(at) {
                return Err((c"no block starts where the last one ended", at));
            }
            let len = self.checked_len_at(at).ok_or((c"the tags of a block disagree", at))?;
            if visit(Run { at, len }, self.is_used(at)).is_break() {
                return Ok(());
            }
            at += len;
        }
        Ok(())
    }

    fn check_blocks(&self) -> Result<(usize, usize), (&'static CStr, usize)> {
        let (mut blocks, mut used, mut starts) = (0, 0, u32::from(self.is_fenced()));
        let mut last_free = false;
        let mut wrong = Ok(());
        self.each(&mut |run, is_used| {
            starts += 1;
            if is_used {
                blocks += 1;
                used += run.len;
            } else if last_free {
                wrong = Err((c"two free blocks lie side by side", run.at));
                return ControlFlow::Break(());
            }
            last_free = !is_used;
            ControlFlow::Continue(())
        })?;
        wrong?;
        let mut bits = 0;
        for bucket in 0..self.granules.div_ceil(BUCKET) {
            let tags = self.tags(bucket);
            bits += tags.starts.count_ones();
            if tags.used & !tags.starts != 0 {
                return Err((c"a block is used that does not start", bucket * BUCKET));
            }
        }
        if self.is_fenced() && !self.is_used(self.granules) {
            return Err((c"the end of the heap is free", self.granules));
        }
        if bits != starts {
            return Err((c"a block starts inside another", 0));
        }
        Ok((blocks, used << self.shift))
    }
}

impl Manager for Ffit {
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
        Some(self.locate(block).ok()?.len << self.shift)
    }

    fn stats(&self) -> Stats {
        let largest = (self.tree.largest() as usize) << self.shift;
        self.counters.stats(self.granules << self.shift, largest)
    }

    fn walk(&self, visit: &mut dyn FnMut(Block) -> ControlFlow<()>) {
        // What makes no sense ends the walk; check() says what it is.
        let _ = self.each(&mut |run, used| {
            visit(Block {
                address: self.pointer(run.at).addr().get(),
                size: run.len << self.shift,
                used,
                part: Part::Main,
            })
        });
    }

    fn check(&self) -> Result<(), Fault> {
        let fault = |what, granule| Fault { what, address: self.pointer(granule).addr().get() };
        let (blocks, used) = self.check_blocks().map_err(|(what, at)| fault(what, at))?;
        if let Some(bucket) = self.tree.first_fault(|bucket| self.largest_in(bucket)) {
            return Err(fault(c"the tree contradicts the blocks", bucket * BUCKET));
        }
        if (blocks, used) != (self.counters.blocks, self.counters.used) {
            return Err(fault(c"the counters contradict the blocks", 0));
        }
        Ok(())
    }
}
