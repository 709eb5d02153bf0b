//! Spare blocks: those that were freed in a heap just now, kept as they are for
//! the next requests of their sizes. Most programs free a block and soon want
//! another such, and neither then costs the manager anything: to it they are
//! allocated all the time. May use: nothing.

use core::ptr;

/// How many a heap keeps at most.
const MOST: usize = 16;
/// How many bytes a heap keeps at most in them.
const MOST_BYTES: usize = 4 << 20;

/// The spare blocks of a heap: a ring.
///
/// ```text
///   [ oldest | ... | newest | next .. ]      null where one was taken
/// ```
pub(super) struct Spares {
    blocks: [*mut u8; MOST],
    /// Their sizes in bytes; 0 where there is none.
    sizes: [usize; MOST],
    /// The place of the next one, modulo `MOST`.
    next: usize,
    bytes: usize,
}

// SAFETY: nobody else uses the blocks.
unsafe impl Send for Spares {}

impl Spares {
    pub const NONE: Spares = Spares { blocks: [ptr::null_mut(); MOST], sizes: [0; MOST], next: 0, bytes: 0 };
    /// The largest block that is kept, in bytes.
    pub const LARGEST: usize = MOST_BYTES / 2;

    /// The bytes in all of them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether `block`, which is not null, is one of them.
    pub fn contain(&self, block: *const u8) -> bool {
        // All are compared, side by side.
        self.blocks.iter().fold(false, |found, &spare| found | (spare.cast_const() == block))
    }

    /// Whether an address lies in one of them.
    pub fn cover(&self, address: usize) -> bool {
        let mut all = self.blocks.iter().zip(&self.sizes);
        all.any(|(block, &size)| address.wrapping_sub(block.addr()) < size)
    }

    /// Takes the one freed last of `least` to `most` bytes at a multiple of
    /// `align`, a power of two; `least` is not 0.
    #[inline(always)]
    pub fn take(&mut self, least: usize, most: usize, align: usize) -> Option<*mut u8> {
        let mut newest_first = (1..=MOST).map(|back| self.next.wrapping_sub(back) % MOST);
        let place = newest_first.find(|&place| {
            (least..=most).contains(&self.sizes[place]) && self.blocks[place].addr() & (align - 1) == 0
        })?;
        if place == self.next.wrapping_sub(1) % MOST {
            self.next = place;
        }
        Some(self.remove(place))
    }

    /// Whether the oldest has to go before one of `bytes` bytes can be kept.
    pub fn is_full(&self, bytes: usize) -> bool {
        self.sizes[self.next % MOST] != 0 || self.bytes + bytes > MOST_BYTES
    }

    /// Keeps a block of at most `LARGEST` bytes, for which there is room.
    pub fn keep(&mut self, block: *mut u8, bytes: usize) {
        let place = self.next % MOST;
        (self.blocks[place], self.sizes[place]) = (block, bytes);
        self.next = place + 1;
        self.bytes += bytes;
    }

    /// Takes the one that was freed first.
    pub fn take_oldest(&mut self) -> Option<*mut u8> {
        let mut oldest_first = (self.next..self.next + MOST).map(|place| place % MOST);
        let place = oldest_first.find(|&place| self.sizes[place] != 0)?;
        Some(self.remove(place))
    }

    fn remove(&mut self, place: usize) -> *mut u8 {
        self.bytes -= core::mem::take(&mut self.sizes[place]);
        core::mem::replace(&mut self.blocks[place], ptr::null_mut())
    }
}
