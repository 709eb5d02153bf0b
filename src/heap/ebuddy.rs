//! The buddy system with an emergency heap: what the buddy part cannot give,
//! for its size or for its fragmentation, first fit gives from its own part
//! of the area. May use: `buddy`, `ffit`.
//!
//! ```text
//!   area  [ buddy: blocks | tables ][ emergency: blocks | tables ]
//!           3/4                       1/4
//! ```
//!
//! With a quarter the largest block that a heap of `2^k` bytes can give is
//! `2^(k-1)`, as it would be with a half, and the buddy part keeps the most.

use core::ops::ControlFlow;
use core::ptr::NonNull;

use super::area::Area;
use super::{Block, Buddy, Counters, ExtendError, Fault, Ffit, FreeError, Freed, Manager, Part, Stats};

/// One part in this many of the area is the emergency heap's.
const EMERGENCY_SHARE: usize = 4;

/// A buddy heap with an emergency heap under first fit.
///
/// Costs what [`Buddy`] costs, and where that refuses, what [`Ffit`] costs.
/// No worst-case gain over the better part alone is proved (T4 of the bounds):
/// it degrades gracefully, where the buddy system fails at once.
#[derive(Debug)]
pub struct Ebuddy {
    main: Buddy,
    emergency: Ffit,
    counters: Counters,
}

impl Ebuddy {
    /// A heap in `area`; `None` where the area cannot hold both parts. Writes
    /// the tables, 1/50 of the area, and nothing else.
    pub fn new(area: Area) -> Option<Self> {
        let emergency = Self::emergency_bytes(area.bytes());
        let (main, emergency) = area.split_off(emergency)?;
        Some(Ebuddy { main: Buddy::new(main)?, emergency: Ffit::new(emergency)?, counters: Counters::default() })
    }

    /// A heap on blocks and zeroed tables that may lie apart.
    ///
    /// # Safety
    /// As [`Buddy::over`].
    pub unsafe fn over(origin: NonNull<u8>, granules: usize, shift: u32, tables: NonNull<u8>) -> Self {
        let (main, emergency) = Self::shares(granules);
        // SAFETY: the caller's promise; the parts do not overlap.
        unsafe {
            let border = origin.byte_add(main << shift);
            let behind = tables.byte_add(Buddy::tables_bytes(main));
            Ebuddy {
                main: Buddy::over(origin, main, shift, tables),
                emergency: Ffit::over(border, emergency, shift, behind),
                counters: Counters::default(),
            }
        }
    }

    /// The bytes of tables that `granules` granules need.
    pub const fn tables_bytes(granules: usize) -> usize {
        let (main, emergency) = Self::shares(granules);
        Buddy::tables_bytes(main) + Ffit::tables_bytes(emergency)
    }

    /// The granules of the buddy part and of the emergency heap.
    pub(crate) const fn shares(granules: usize) -> (usize, usize) {
        let emergency = granules / EMERGENCY_SHARE;
        (granules - emergency, emergency)
    }

    /// A heap in the `bytes` bytes at `base`.
    ///
    /// # Safety
    /// As [`Area::from_raw`].
    pub unsafe fn from_raw(base: *mut u8, bytes: usize) -> Option<Self> {
        // SAFETY: the caller's promise.
        Self::new(unsafe { Area::from_raw(base, bytes) }?)
    }

    /// What of an area of `bytes` bytes goes to the emergency heap, alignment
    /// included.
    pub(crate) fn emergency_bytes(bytes: usize) -> usize {
        (bytes / EMERGENCY_SHARE).max(Ffit::minimum_area())
    }

    /// The fewest bytes that hold a heap, at any alignment of the area.
    pub const fn minimum_area() -> usize {
        // One pad only: the emergency heap begins at a multiple of ALIGNMENT.
        let main = Buddy::minimum_area() - (super::ALIGNMENT - 1);
        main.next_multiple_of(super::ALIGNMENT) + Ffit::minimum_area()
    }

    /// The counters of the buddy part and of the emergency heap. Their failed
    /// requests stay 0, as no request ends there.
    pub fn parts(&self) -> (Stats, Stats) {
        (self.main.stats(), self.emergency.stats())
    }

    /// Frees a block, and says what became of it; see [`Manager::free`].
    pub(crate) fn release(&mut self, block: *mut u8) -> Result<Freed, FreeError> {
        if self.main.contains(block.addr()) { self.main.release(block) } else { self.emergency.release(block) }
    }

    /// Extends a block where it stands, or says no. See [`Manager::extend`].
    pub(crate) fn extend_in_place(&mut self, block: *mut u8, size: usize) -> Result<NonNull<u8>, ExtendError> {
        let result = if self.main.contains(block.addr()) {
            self.main.extend_in_place(block, size)
        } else {
            self.emergency.extend_in_place(block, size)
        };
        self.count_peak();
        result
    }

    /// Counts what a request asked for and what became of it.
    fn counted(&mut self, size: usize, block: Option<NonNull<u8>>) -> Option<NonNull<u8>> {
        self.counters.requested(size);
        if block.is_none() {
            self.counters.refused(size);
        }
        self.count_peak();
        block
    }

    /// The bytes in allocated blocks.
    pub(crate) fn used(&self) -> usize {
        self.main.used() + self.emergency.used()
    }

    fn count_peak(&mut self) {
        self.counters.used = self.used();
        self.counters.peak = self.counters.peak.max(self.counters.used);
    }

    /// Moves a block from one part to the other.
    ///
    /// # Safety
    /// As [`Manager::extend`]; `to` is an allocated block of at least `len`
    /// bytes, and `from` one of exactly `len`.
    unsafe fn moved(
        from: &mut dyn Manager,
        block: *mut u8,
        len: usize,
        to: NonNull<u8>,
    ) -> Result<NonNull<u8>, ExtendError> {
        // SAFETY: the caller's promise; the parts do not overlap.
        unsafe {
            to.as_ptr().copy_from_nonoverlapping(block, len);
            from.free(block)?;
        }
        Ok(to)
    }
}

impl Manager for Ebuddy {
    fn get(&mut self, size: usize) -> Option<NonNull<u8>> {
        let block = self.main.place(size).or_else(|| self.emergency.place(size));
        self.counted(size, block)
    }

    fn get_aligned(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        if !align.is_power_of_two() {
            return None;
        }
        let block = self.main.place_aligned(size, align).or_else(|| self.emergency.place_aligned(size, align));
        self.counted(size, block)
    }

    unsafe fn free(&mut self, block: *mut u8) -> Result<(), FreeError> {
        // SAFETY: the caller's promise.
        unsafe { if self.main.contains(block.addr()) { self.main.free(block) } else { self.emergency.free(block) } }
    }

    unsafe fn extend(&mut self, block: *mut u8, size: usize) -> Result<NonNull<u8>, ExtendError> {
        let len = self.usable_size(block);
        // SAFETY: the caller's promise; a refused resize leaves the block.
        let result = unsafe {
            if self.main.contains(block.addr()) {
                match (self.main.resize(block, size, true), len) {
                    (Err(ExtendError::NoRoom), Some(len)) => match self.emergency.place(size) {
                        Some(to) => Self::moved(&mut self.main, block, len, to),
                        None => Err(ExtendError::NoRoom),
                    },
                    (result, _) => result,
                }
            } else {
                match (self.emergency.resize(block, size, true), len) {
                    (Err(ExtendError::NoRoom), Some(len)) => match self.main.place(size) {
                        Some(to) => Self::moved(&mut self.emergency, block, len, to),
                        None => Err(ExtendError::NoRoom),
                    },
                    (result, _) => result,
                }
            }
        };
        self.counters.requested(size);
        if result == Err(ExtendError::NoRoom) {
            self.counters.refused(size);
        }
        self.count_peak();
        result
    }

    fn usable_size(&self, block: *const u8) -> Option<usize> {
        if self.main.contains(block.addr()) { self.main.usable_size(block) } else { self.emergency.usable_size(block) }
    }

    fn stats(&self) -> Stats {
        let (main, emergency) = self.parts();
        let mut counters = self.counters;
        counters.used = (main.used + emergency.used) as usize;
        counters.blocks = (main.blocks + emergency.blocks) as usize;
        counters.stats((main.size + emergency.size) as usize, main.largest_free.max(emergency.largest_free) as usize)
    }

    fn walk(&self, visit: &mut dyn FnMut(Block) -> ControlFlow<()>) {
        let mut flow = ControlFlow::Continue(());
        self.main.walk(&mut |block| {
            flow = visit(block);
            flow
        });
        if flow.is_continue() {
            self.emergency.walk(&mut |block| visit(Block { part: Part::Emergency, ..block }));
        }
    }

    fn check(&self) -> Result<(), Fault> {
        self.main.check()?;
        self.emergency.check()
    }
}
