//! The managers: first fit, the buddy system, and the buddy system with an
//! emergency heap. Each lives in one memory area that the caller gives and
//! keeps its whole state there and in its descriptor: no globals, no OS, no
//! allocation. May use: nothing of this crate but [`crate::sync`].
//!
//! All bookkeeping stands *outside* the blocks, in tables at the end of the
//! area: a block has no header, a free block is never touched, and whatever a
//! program writes past the end of a block, it does not hit the heap.
//!
//! ```text
//!   area  [ pad |  blocks: n granules                       |  tables  ]
//!                ^ 16-aligned, every block a run of granules
//! ```

mod area;
mod bits;
mod buddy;
mod ebuddy;
mod ffit;
mod shared;
#[cfg(test)]
mod testing;

pub use area::Area;
pub(crate) use area::MAX_GRANULES;
pub use buddy::Buddy;
pub use ebuddy::Ebuddy;
pub use ffit::Ffit;
pub use shared::Shared;

use core::ffi::CStr;
use core::fmt;
use core::ops::ControlFlow;
use core::ptr::NonNull;

/// Every block starts on a multiple of this many bytes.
pub const ALIGNMENT: usize = 16;

/// A dynamic storage manager over one memory area.
///
/// Sizes are bytes. No operation takes time that grows with the number of
/// blocks, except [`walk`](Manager::walk) and [`check`](Manager::check), which
/// see every one.
pub trait Manager {
    /// Gets a block of at least `size` bytes, aligned to [`ALIGNMENT`], with
    /// undefined contents.
    ///
    /// `None` where no free block is large enough, and for size 0.
    fn get(&mut self, size: usize) -> Option<NonNull<u8>>;

    /// Gets a block of at least `size` bytes at a multiple of `align`.
    ///
    /// `None` as for [`get`](Manager::get), and where `align` is not a power
    /// of two.
    fn get_aligned(&mut self, size: usize, align: usize) -> Option<NonNull<u8>>;

    /// Frees `block`. A pointer that is not the start of an allocated block
    /// of this heap is refused, and the heap stays as it was.
    ///
    /// # Safety
    /// Nobody uses the block after this call.
    unsafe fn free(&mut self, block: *mut u8) -> Result<(), FreeError>;

    /// Changes the size of `block` to at least `size` bytes, in place where
    /// that is possible, else by moving its contents. On an error the block is
    /// as it was. `size` 0 is refused with [`ExtendError::NoRoom`]; a caller
    /// that wants C's meaning of it calls [`free`](Manager::free).
    ///
    /// # Safety
    /// Where the result differs from `block`, nobody uses `block` afterwards.
    unsafe fn extend(&mut self, block: *mut u8, size: usize) -> Result<NonNull<u8>, ExtendError>;

    /// The number of bytes that can be used in `block`; `None` where it is
    /// not the start of an allocated block of this heap.
    fn usable_size(&self, block: *const u8) -> Option<usize>;

    /// The counters, read in constant time.
    fn stats(&self) -> Stats;

    /// Shows every block to `visit`, in the order of addresses, until it
    /// breaks.
    fn walk(&self, visit: &mut dyn FnMut(Block) -> ControlFlow<()>);

    /// Validates the whole bookkeeping, and says what is wrong first.
    fn check(&self) -> Result<(), Fault>;
}

/// Why a block could not be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// The pointer is not the start of an allocated block of this heap: it is
    /// foreign, interior, odd, or freed already.
    NotFound,
    /// The bookkeeping contradicts itself at this block.
    Corrupted,
}

/// Why a block could not be extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendError {
    /// No room for that size.
    NoRoom,
    /// As [`FreeError::NotFound`].
    NotFound,
    /// As [`FreeError::Corrupted`].
    Corrupted,
}

impl From<FreeError> for ExtendError {
    fn from(error: FreeError) -> Self {
        match error {
            FreeError::NotFound => ExtendError::NotFound,
            FreeError::Corrupted => ExtendError::Corrupted,
        }
    }
}

/// The counters of a heap. All sizes are gross: whole granules, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Stats {
    /// Bytes that blocks can occupy: the area without the tables.
    pub size: u64,
    /// Bytes in allocated blocks.
    pub used: u64,
    /// Bytes in free blocks; `size - used`.
    pub free: u64,
    /// The largest `used` since init.
    pub peak: u64,
    /// The largest free block: the largest size that a get would be given now.
    pub largest_free: u64,
    /// Allocated blocks.
    pub blocks: u64,
    /// Requests refused for want of room since init.
    pub failed: u64,
    /// The largest size ever requested, refused requests included.
    pub largest_request: u64,
}

/// Which part of a heap a block lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The heap itself.
    Main,
    /// The emergency heap of an [`Ebuddy`].
    Emergency,
}

/// One block as [`Manager::walk`] shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The address of its first byte.
    pub address: usize,
    /// Its size in bytes.
    pub size: usize,
    /// Whether it is allocated.
    pub used: bool,
    /// The part of the heap that it lies in.
    pub part: Part,
}

/// What [`Manager::check`] found wrong first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: &'static CStr,
    /// The address of the block, or of the stretch of blocks, it is wrong at.
    pub address: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:#x}", self.what.to_bytes().escape_ascii(), self.address)
    }
}

/// What a block became when it was freed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freed {
    /// Its size.
    pub bytes: usize,
    /// The free block that it is part of: address and size.
    pub hole: usize,
    pub hole_bytes: usize,
}

/// The counters that a manager keeps itself; the others follow from them.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    used: usize,
    peak: usize,
    blocks: usize,
    failed: u64,
    largest_request: usize,
}

impl Counters {
    #[inline(always)]
    fn requested(&mut self, size: usize) {
        if size > self.largest_request {
            self.set_largest_request(size);
        }
    }

    #[cold]
    fn set_largest_request(&mut self, size: usize) {
        self.largest_request = size;
    }

    #[cold]
    fn refused(&mut self, size: usize) {
        self.failed += u64::from(size != 0);
    }

    #[inline(always)]
    fn grown(&mut self, bytes: usize) {
        self.used += bytes;
        if self.used > self.peak {
            self.set_peak();
        }
    }

    #[cold]
    fn set_peak(&mut self) {
        self.peak = self.used;
    }

    fn stats(&self, size: usize, largest_free: usize) -> Stats {
        Stats {
            size: size as u64,
            used: self.used as u64,
            free: (size - self.used) as u64,
            peak: self.peak as u64,
            largest_free: largest_free as u64,
            blocks: self.blocks as u64,
            failed: self.failed,
            largest_request: self.largest_request as u64,
        }
    }
}

/// The fewest bytes that hold a heap of one granule, at any alignment.
const fn minimum_area(tables: usize) -> usize {
    2 * ALIGNMENT - 1 + tables
}
