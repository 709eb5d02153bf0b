//! Spare blocks: those that were freed in a heap just now, kept as they are for
//! the next requests of their sizes. Most programs free a block and soon want
//! another such, and neither then costs the manager anything: to it they are
//! allocated all the time. May use: `ring`, `platform`.

use core::{mem, ptr};

use super::ring::Ring;
use crate::platform::PAGE;

/// How many a heap keeps at most: as many as a word has bits.
const MOST: usize = u64::BITS as usize;
/// How many it may keep however often some had to go: see [`Spares::restrict`].
const FEW: usize = 12;
/// How many bytes a heap keeps at most in them.
const MOST_BYTES: usize = 4 << 20;
const _: () = assert!(Spares::LARGEST / PAGE <= u16::MAX as usize);

/// The ranks of sizes: see [`rank`].
const RANKS: usize = rank(Spares::LARGEST / PAGE) as usize + 1;

/// The spare blocks of a heap, in a ring; of each of its arrays, what a block has at its
/// place.
pub(super) struct Spares {
    /// Null where there is none.
    blocks: [*mut u8; MOST],
    /// Their tags: whether a block may be one of them is asked of all, side by side.
    tags: [u16; MOST],
    /// Their sizes, in pages.
    pages: [u16; MOST],
    /// For each rank of sizes the places of such blocks, and a bit where there are any.
    places: [u64; RANKS],
    ranks: u64,
    ring: Ring<MOST>,
    /// How many are kept at most for now.
    most: usize,
    bytes: usize,
}

// SAFETY: nobody else uses the blocks.
unsafe impl Send for Spares {}

impl Spares {
    pub const NONE: Spares = Spares {
        blocks: [ptr::null_mut(); MOST],
        tags: [0; MOST],
        pages: [0; MOST],
        places: [0; RANKS],
        ranks: 0,
        ring: Ring::EMPTY,
        most: MOST,
        bytes: 0,
    };
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
        let sizes = self.pages.iter().map(|&pages| usize::from(pages) * PAGE);
        self.blocks.iter().zip(sizes).any(|(block, size)| address.wrapping_sub(block.addr()) < size)
    }

    /// Takes one of `least` bytes, which are not 0, to `most`, at most twice as many, at a
    /// multiple of `align`, a power of two: of the least rank, the one that was freed last.
    #[inline(always)]
    pub fn take(&mut self, least: usize, most: usize, align: usize) -> Option<*mut u8> {
        let (least, most) = (least.div_ceil(PAGE), most / PAGE);
        if least > most || least > Self::LARGEST / PAGE {
            return None;
        }
        let mut ranks = self.ranks & !0 << rank(least) & !0 >> (u64::BITS - 1 - rank(most));
        while ranks != 0 {
            let mut places = self.places[ranks.trailing_zeros() as usize].rotate_right(self.ring.next() as u32);
            ranks &= ranks - 1;
            while places != 0 {
                let back = 1 + places.leading_zeros() as usize;
                let place = self.ring.before(back);
                let fits = (least..=most).contains(&usize::from(self.pages[place]));
                if fits && self.blocks[place].addr() & (align - 1) == 0 {
                    return Some(self.take_from(place));
                }
                places &= !(1 << (MOST - back));
            }
        }
        None
    }

    /// Takes the one at a place, where the newest comes then.
    fn take_from(&mut self, place: usize) -> *mut u8 {
        let block = self.remove(place);
        let newest = self.ring.remove(place);
        if place != newest {
            let pages = mem::take(&mut self.pages[newest]);
            self.places[rank(pages.into()) as usize] ^= 1 << place | 1 << newest;
            self.pages[place] = pages;
            self.tags[place] = mem::take(&mut self.tags[newest]);
            self.blocks[place] = mem::replace(&mut self.blocks[newest], ptr::null_mut());
        }
        block
    }

    /// Whether the oldest has to go before one of `bytes` bytes can be kept.
    pub fn is_full(&self, bytes: usize) -> bool {
        self.ring.count() >= self.most || self.bytes + bytes > MOST_BYTES
    }

    /// Says that some had to go: for now no more are kept than are left. As many again would
    /// have to go again, all at once.
    pub fn restrict(&mut self) {
        self.most = self.ring.count().max(FEW);
    }

    /// Says that as many may be kept as ever.
    pub fn relax(&mut self) {
        self.most = MOST;
    }

    /// Keeps a block of at most `LARGEST` bytes, whole pages, for which there is room.
    pub fn keep(&mut self, block: *mut u8, bytes: usize) {
        let (place, pages) = (self.ring.add(), bytes / PAGE);
        (self.blocks[place], self.tags[place], self.pages[place]) = (block, tag(block), pages as u16);
        self.places[rank(pages) as usize] |= 1 << place;
        self.ranks |= 1 << rank(pages);
        self.bytes += bytes;
    }

    /// Takes the one that was freed first.
    pub fn take_oldest(&mut self) -> Option<*mut u8> {
        let oldest = self.ring.remove_oldest()?;
        Some(self.remove(oldest))
    }

    /// Takes the block from a place.
    fn remove(&mut self, place: usize) -> *mut u8 {
        self.tags[place] = 0;
        let pages = mem::take(&mut self.pages[place]);
        let rank = rank(pages.into());
        let places = &mut self.places[rank as usize];
        *places &= !(1 << place);
        self.ranks &= !(u64::from(*places == 0) << rank);
        self.bytes -= usize::from(pages) * PAGE;
        mem::replace(&mut self.blocks[place], ptr::null_mut())
    }
}

/// The rank of a size in pages, which is not 0: up to eight each has its own, from there on
/// there are eight to each doubling.
const fn rank(pages: usize) -> u32 {
    let last = pages - 1;
    let shift = (last | 15).ilog2() - 3;
    shift * 8 + (last >> shift) as u32
}

/// Of the bits of a page's address those that differ most.
fn tag(block: *const u8) -> u16 {
    (block.addr() / PAGE) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list that is searched does the same: of those that fit it gives the newest of the least
    /// rank, and the newest of all comes to its place.
    #[test]
    fn spare_blocks_are_those_that_a_list_would_give() {
        let mut x = 0x9E37_79B9_7F4A_7C15u64;
        let mut random = |below: usize| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 20) as usize % below
        };
        let mut spares = Spares::NONE;
        let mut list: Vec<(usize, usize)> = Vec::new();
        let mut kept = MOST;
        for round in 0..200_000 {
            let most = 512 >> random(9);
            let pages = if random(2) == 0 { most } else { 1 + random(most) };
            let address = (1 + random(1 << 20)) * PAGE;
            let block = ptr::without_provenance_mut::<u8>(address);
            assert_eq!(spares.contain(block), list.iter().any(|&(at, _)| at == address));
            assert_eq!(
                spares.cover(address + 5),
                list.iter().any(|&(at, size)| (at..at + size).contains(&(address + 5)))
            );
            assert_eq!(spares.bytes(), list.iter().map(|&(_, size)| size).sum());
            match random(2000) {
                0 => {
                    spares.restrict();
                    kept = list.len().max(FEW);
                }
                1 => {
                    spares.relax();
                    kept = MOST;
                }
                _ => {}
            }
            let full = list.len() == kept || spares.bytes() + pages * PAGE > MOST_BYTES;
            assert_eq!(spares.is_full(pages * PAGE), full);
            if round % 1000 < 500 || random(2) == 0 {
                while spares.is_full(pages * PAGE) {
                    assert_eq!(spares.take_oldest().unwrap().addr(), list.remove(0).0);
                }
                if !spares.contain(block) {
                    spares.keep(block, pages * PAGE);
                    list.push((address, pages * PAGE));
                }
            } else {
                let (least, align) = (pages * PAGE - random(PAGE), PAGE << random(4));
                let most = if random(2) == 0 { least.next_power_of_two() } else { least + least / 8 };
                let fits = |&(at, size): &(usize, usize)| (least..=most).contains(&size) && at % align == 0;
                let rank_of = |size: usize| rank(size / PAGE);
                let best = list.iter().enumerate().filter(|(_, spare)| fits(spare));
                let best = best.min_by_key(|(place, (_, size))| (rank_of(*size), usize::MAX - place));
                let best = best.map(|(place, &(at, _))| (place, at));
                assert_eq!(spares.take(least, most, align).map(|taken| taken.addr()), best.map(|(_, at)| at));
                if let Some((place, _)) = best {
                    list.swap_remove(place);
                }
            }
        }
        while let Some(oldest) = spares.take_oldest() {
            assert_eq!(oldest.addr(), list.remove(0).0);
        }
        assert!(list.is_empty() && spares.bytes() == 0);
    }

    #[test]
    fn ranks_rise_with_sizes_by_an_eighth() {
        assert_eq!((rank(1), rank(8), rank(9), rank(16), rank(18), rank(19)), (0, 7, 8, 15, 16, 17));
        for pages in 1..Spares::LARGEST / PAGE {
            let step = rank(pages + 1) - rank(pages);
            assert!(step == 1 || step == 0 && pages >= 16);
            assert!(step == 0 || pages < 16 || pages.is_multiple_of(1 << (pages.ilog2() - 3)));
        }
    }
}
