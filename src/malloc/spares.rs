//! Spare blocks: those that were freed in a heap just now, kept as they are for
//! the next requests of their sizes. Most programs free a block and soon want
//! another such, and neither then costs the manager anything: to it they are
//! allocated all the time. May use: nothing.

use core::ptr;

/// How many a heap keeps at most.
const MOST: usize = 16;
/// How many bytes a heap keeps at most in them.
const MOST_BYTES: usize = 2 << 20;

/// A block that nobody uses.
#[derive(Clone, Copy)]
struct Spare {
    block: *mut u8,
    bytes: usize,
}

/// The spare blocks of a heap.
pub(super) struct Spares {
    /// The first `count` are in the order they were freed.
    spares: [Spare; MOST],
    count: usize,
    bytes: usize,
}

// SAFETY: nobody else uses the blocks.
unsafe impl Send for Spares {}

impl Spares {
    pub const NONE: Spares = Spares { spares: [Spare { block: ptr::null_mut(), bytes: 0 }; MOST], count: 0, bytes: 0 };
    /// The largest block that is kept, in bytes.
    pub const LARGEST: usize = MOST_BYTES / 2;

    fn all(&self) -> &[Spare] {
        // SAFETY: count <= MOST.
        unsafe { self.spares.get_unchecked(..self.count) }
    }

    /// The bytes in all of them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether this is one of them.
    pub fn contain(&self, block: *const u8) -> bool {
        self.all().iter().any(|spare| spare.block.cast_const() == block)
    }

    /// Whether an address lies in one of them.
    pub fn cover(&self, address: usize) -> bool {
        self.all().iter().any(|spare| address.wrapping_sub(spare.block.addr()) < spare.bytes)
    }

    /// Takes the one freed last of `least` to `most` bytes at a multiple of
    /// `align`, a power of two.
    pub fn take(&mut self, least: usize, most: usize, align: usize) -> Option<*mut u8> {
        let fits = |spare: &Spare| spare.bytes >= least && spare.bytes <= most && spare.block.addr() & (align - 1) == 0;
        let index = self.all().iter().rposition(fits)?;
        Some(self.remove(index))
    }

    /// Keeps a block of at most `LARGEST` bytes; false where first others have
    /// to go.
    pub fn keep(&mut self, block: *mut u8, bytes: usize) -> bool {
        if self.count == MOST || self.bytes + bytes > MOST_BYTES {
            return false;
        }
        self.spares[self.count] = Spare { block, bytes };
        self.count += 1;
        self.bytes += bytes;
        true
    }

    /// Takes the one that was freed first.
    pub fn take_oldest(&mut self) -> Option<*mut u8> {
        if self.count == 0 { None } else { Some(self.remove(0)) }
    }

    fn remove(&mut self, index: usize) -> *mut u8 {
        let spare = self.spares[index];
        for next in index + 1..self.count {
            self.spares[next - 1] = self.spares[next];
        }
        self.count -= 1;
        self.bytes -= spare.bytes;
        spare.block
    }
}
