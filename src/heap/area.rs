//! The memory that a heap lives in, and how it divides into blocks and tables.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::ALIGNMENT;

/// The least granule: 16 bytes.
pub(super) const MIN_SHIFT: u32 = ALIGNMENT.trailing_zeros();

/// No heap has more granules than this, so that an index fits in 31 bits. An
/// area for which 16-byte granules would be more (32 GiB) gets larger ones.
pub(crate) const MAX_GRANULES: usize = (1 << 31) - 64;

/// A piece of memory that is the heap's alone: it may be read and written for
/// as long as the heap is used, and nobody else does.
#[derive(Debug)]
pub struct Area {
    base: NonNull<u8>,
    bytes: usize,
}

impl Area {
    /// The area of `bytes` bytes at `base`, at any alignment; `None` where
    /// `base` is null or the area would wrap around the address space.
    ///
    /// # Safety
    /// The memory is valid for reads and writes as long as a heap made of it
    /// is used, and nothing else uses it.
    pub unsafe fn from_raw(base: *mut u8, bytes: usize) -> Option<Self> {
        let base = NonNull::new(base)?;
        base.addr().get().checked_add(bytes)?;
        Some(Area { base, bytes })
    }

    /// The largest heap that the area can hold, when `n` granules need
    /// `tables(n)` bytes of tables; `None` where not even one granule fits.
    pub(super) fn divide(self, tables: fn(usize) -> usize) -> Option<Division> {
        let mut shift = MIN_SHIFT;
        while self.bytes >> shift > MAX_GRANULES {
            shift += 1;
        }
        let pad = self.base.as_ptr().align_offset(1 << shift);
        let room = self.bytes.checked_sub(pad)?;
        // SAFETY: pad <= bytes, so the origin lies in the area or at its end.
        let origin = unsafe { self.base.byte_add(pad) };
        let granules = most_granules(room, shift, tables);
        if granules == 0 {
            return None;
        }
        // SAFETY: granules << shift <= room.
        let tables = unsafe { origin.byte_add(granules << shift) };
        Some(Division { origin, granules, shift, tables })
    }

    /// Cuts the area in two; the second begins at a multiple of
    /// [`ALIGNMENT`] and has about `bytes` bytes.
    pub(super) fn split_off(self, bytes: usize) -> Option<(Area, Area)> {
        let at = self.bytes.checked_sub(bytes)?;
        // SAFETY: at <= self.bytes.
        let cut = unsafe { self.base.byte_add(at) };
        let pad = cut.as_ptr().align_offset(ALIGNMENT);
        let at = at.checked_add(pad).filter(|&at| at <= self.bytes)?;
        // SAFETY: at <= self.bytes.
        let base = unsafe { self.base.byte_add(at) };
        Some((Area { base: self.base, bytes: at }, Area { base, bytes: self.bytes - at }))
    }

    /// The size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl From<&'static mut [MaybeUninit<u8>]> for Area {
    fn from(memory: &'static mut [MaybeUninit<u8>]) -> Self {
        Area { base: NonNull::from(&mut *memory).cast(), bytes: memory.len() }
    }
}

/// An area divided: `granules << shift` bytes of blocks from `origin`, the
/// tables behind them.
pub(super) struct Division {
    pub origin: NonNull<u8>,
    pub granules: usize,
    pub shift: u32,
    pub tables: NonNull<u8>,
}

/// The most granules that `room` bytes can hold together with their tables.
fn most_granules(room: usize, shift: u32, tables: fn(usize) -> usize) -> usize {
    let fits = |n: usize| (n << shift).checked_add(tables(n)).is_some_and(|bytes| bytes <= room);
    let (mut low, mut high) = (0, room >> shift);
    while low < high {
        let middle = high - (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}
