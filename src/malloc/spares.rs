//! Spare blocks: those that were freed in a heap just now, kept as they are for
//! the next requests of their sizes. Most programs free a block and soon want
//! another such, and neither then costs the manager anything: to it they are
//! allocated all the time. May use: `platform`.

use core::{mem, ptr};

use crate::platform::PAGE;

/// How many a heap keeps at most.
const MOST: usize = 32;
/// How many bytes a heap keeps at most in them.
const MOST_BYTES: usize = 4 << 20;
const _: () = assert!(MOST_BYTES <= i32::MAX as usize);

/// The spare blocks of a heap, in a ring; of each of its arrays, what a block has at its
/// place. In the place of one that is taken comes the newest, so that there are no gaps.
///
/// ```text
///   [ .. | oldest | ... | newest | .. ]
///                                  ^ next
/// ```
pub(super) struct Spares {
    /// Null where there is none.
    blocks: [*mut u8; MOST],
    /// Their sizes, in bytes, and their tags, apart: whether any will do is asked of all,
    /// side by side.
    sizes: [i32; MOST],
    tags: [u32; MOST],
    next: usize,
    count: usize,
    bytes: usize,
}

// SAFETY: nobody else uses the blocks.
unsafe impl Send for Spares {}

impl Spares {
    pub const NONE: Spares =
        Spares { blocks: [ptr::null_mut(); MOST], sizes: [0; MOST], tags: [0; MOST], next: 0, count: 0, bytes: 0 };
    /// The largest block that is kept, in bytes.
    pub const LARGEST: usize = MOST_BYTES / 2;

    /// The bytes in all of them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether `block`, which is not null, is one of them.
    pub fn contain(&self, block: *const u8) -> bool {
        let tag = tag(block);
        let perhaps = self.tags.iter().fold(false, |found, &other| found | (other == tag));
        perhaps && self.blocks.contains(&block.cast_mut())
    }

    /// Whether an address lies in one of them.
    pub fn cover(&self, address: usize) -> bool {
        self.blocks.iter().zip(&self.sizes).any(|(block, &size)| address.wrapping_sub(block.addr()) < size as usize)
    }

    /// Takes the one freed last of `least` to `most` bytes, which are not 0, at a multiple
    /// of `align`, a power of two.
    #[inline(always)]
    pub fn take(&mut self, least: usize, most: usize, align: usize) -> Option<*mut u8> {
        let least = i32::try_from(least).ok()?;
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let fits = |size: i32| (least <= size) & (size <= most);
        if !self.sizes.iter().fold(false, |found, &size| found | fits(size)) {
            return None;
        }
        let mut newest_first = (1..=self.count).map(|back| self.before(back));
        let place =
            newest_first.find(|&place| fits(self.sizes[place]) && self.blocks[place].addr() & (align - 1) == 0)?;
        let newest = self.before(1);
        if place != newest {
            self.blocks.swap(place, newest);
            self.sizes.swap(place, newest);
            self.tags[place] = self.tags[newest];
        }
        self.next = newest;
        Some(self.remove(newest))
    }

    /// Whether the oldest has to go before one of `bytes` bytes can be kept.
    pub fn is_full(&self, bytes: usize) -> bool {
        self.count == MOST || self.bytes + bytes > MOST_BYTES
    }

    /// Keeps a block of at most `LARGEST` bytes, for which there is room.
    pub fn keep(&mut self, block: *mut u8, bytes: usize) {
        let place = self.before(0);
        self.blocks[place] = block;
        self.sizes[place] = bytes as i32;
        self.tags[place] = tag(block);
        self.next = place + 1;
        self.count += 1;
        self.bytes += bytes;
    }

    /// Takes the one that was freed first.
    pub fn take_oldest(&mut self) -> Option<*mut u8> {
        if self.count == 0 { None } else { Some(self.remove(self.before(self.count))) }
    }

    /// The place so many before the next.
    fn before(&self, back: usize) -> usize {
        self.next.wrapping_sub(back) % MOST
    }

    /// Takes the one at an end of the row.
    fn remove(&mut self, place: usize) -> *mut u8 {
        self.tags[place] = 0;
        self.count -= 1;
        self.bytes -= mem::take(&mut self.sizes[place]) as usize;
        mem::replace(&mut self.blocks[place], ptr::null_mut())
    }
}

/// Of the bits of a page's address those that differ most.
fn tag(block: *const u8) -> u32 {
    (block.addr() / PAGE) as u32
}
