//! The buddy system's tree over its buckets: for each stretch of buckets, the
//! largest window that is free in it. May use: `bits`.
//!
//! A byte stands for a stretch of `32^l` buckets, level `l`, and holds its
//! *deficit*: the order of the whole stretch less the order of the largest
//! free window in it. 0 is a stretch that is wholly free, one more than its
//! order a stretch with nothing free. Thirty-two bytes are a node:
//!
//! ```text
//!   level 1      [d d d .. d]                     order 11 each: 32 buckets
//!                 |
//!   level 0      [d d d .. d] [d d ..             order 6 each: a bucket
//!                 |
//!   buckets       64 granules, a word of the bitmap
//! ```
//!
//! Memory of zeros is a tree in which all is free. What lies below an
//! allocated window of more than a bucket is left as it was when it was free:
//! the search never comes there.

use super::super::bits::{Bound, Bytes, Granules, NODE};

/// The order of a bucket.
pub(super) const BUCKET_ORDER: u32 = 6;
/// A node has `FAN = 2^FAN_LOG` children.
pub(super) const FAN_LOG: u32 = FAN.trailing_zeros();
const FAN: usize = NODE;
/// Enough for 2^25 buckets.
const MAX_LEVELS: usize = 5;

/// The byte of a stretch of level `level` with nothing free.
pub(super) const fn none(level: usize) -> u8 {
    (BUCKET_ORDER + FAN_LOG * level as u32 + 1) as u8
}

/// The children of a node that are wholly free.
#[inline(always)]
fn free(node: Bytes) -> Granules {
    node.below(Bound::new(1))
}

/// The deficit of a stretch in which some children, `free`, are wholly free.
#[inline(always)]
fn deficit_with(free: Granules) -> u8 {
    (FAN_LOG + 1 - free.orders()) as u8
}

/// The deficit of the stretch whose children are `node`.
#[inline(always)]
fn deficit(node: Bytes) -> u8 {
    let free = free(node);
    if free.0 != 0 { deficit_with(free) } else { node.least().wrapping_add(FAN_LOG as u8) }
}

/// Where the bytes of a level begin, and its last node.
#[derive(Clone, Copy, Debug)]
struct Level {
    start: u32,
    last: u32,
}

/// The tree. Invariant: `bytes` points to `bytes(buckets)` bytes that are the
/// tree's alone; the highest of the `levels` levels, at least one, is one node.
#[derive(Debug)]
pub(super) struct WindowTree {
    bytes: *mut u8,
    levels: usize,
    level: [Level; MAX_LEVELS],
    buckets: usize,
}

impl WindowTree {
    /// The bytes that a tree over `buckets` buckets occupies.
    pub const fn bytes(buckets: usize) -> usize {
        let (mut count, mut bytes) = (buckets, 0);
        loop {
            bytes += count.next_multiple_of(FAN);
            if count <= FAN {
                return bytes;
            }
            count = count.div_ceil(FAN);
        }
    }

    /// A tree over `buckets` free buckets, at least one, the last of which has
    /// the deficit `last`.
    ///
    /// # Safety
    /// `bytes` points to `bytes(buckets)` zeroed bytes for the tree alone.
    pub unsafe fn new(bytes: *mut u8, buckets: usize, last: u8) -> Self {
        let mut tree = WindowTree { bytes, levels: 0, level: [Level { start: 0, last: 0 }; MAX_LEVELS], buckets };
        let (mut count, mut start, mut value) = (buckets, 0, last);
        loop {
            let (level, present) = (tree.levels, count);
            count = count.div_ceil(FAN);
            tree.level[level] = Level { start: start as u32, last: (count - 1) as u32 };
            tree.levels += 1;
            tree.set_byte(level, present - 1, value);
            // The last node may have children that do not exist.
            for absent in present..count * FAN {
                tree.set_byte(level, absent, none(level));
            }
            if count == 1 {
                return tree;
            }
            value = deficit(tree.node(level, count - 1));
            start += count * FAN;
        }
    }

    /// The order of the smallest window that would hold all buckets.
    #[inline(always)]
    pub fn full_order(&self) -> u32 {
        BUCKET_ORDER + FAN_LOG * self.levels as u32
    }

    /// The order of the largest free window.
    pub fn largest(&self) -> Option<u32> {
        self.full_order().checked_sub(u32::from(deficit(self.node(self.levels - 1, 0))))
    }

    #[inline(always)]
    fn level(&self, level: usize) -> Level {
        debug_assert!(level < self.levels);
        // SAFETY: no tree has more levels.
        unsafe { *self.level.get_unchecked(level) }
    }

    /// Byte `index` of a level, or its node, which begins with that byte.
    #[inline(always)]
    fn at(&self, level: usize, index: usize) -> *mut u8 {
        let Level { start, last } = self.level(level);
        debug_assert!(index / FAN <= last as usize);
        // SAFETY: a byte of that level.
        unsafe { self.bytes.add(start as usize + index) }
    }

    /// The bytes of level `level` that stretch `index` of the next level has
    /// for children.
    #[inline(always)]
    fn node(&self, level: usize, index: usize) -> Bytes {
        // SAFETY: a node of that level.
        unsafe { Bytes::load(self.at(level, index * FAN)) }
    }

    /// The byte of stretch `index` of `level`.
    #[inline(always)]
    fn byte(&self, level: usize, index: usize) -> u8 {
        // SAFETY: a byte of that level.
        unsafe { *self.at(level, index) }
    }

    #[inline(always)]
    fn set_byte(&mut self, level: usize, index: usize, value: u8) {
        // SAFETY: a byte of that level; self is borrowed mutably.
        unsafe { *self.at(level, index) = value };
    }

    /// The level whose bytes make up windows of `order`, from that of a bucket
    /// to that of the whole, and the logarithm of how many of them do.
    #[inline(always)]
    pub fn level_of(&self, order: u32) -> (usize, u32) {
        let above = order - BUCKET_ORDER;
        let level = ((above / FAN_LOG) as usize).min(self.levels - 1);
        (level, above - FAN_LOG * level as u32)
    }

    /// The lowest bucket that has a free window of `order`, which is at most a
    /// bucket's. Some twenty instructions a level.
    #[inline(always)]
    pub fn find_bucket(&self, order: u32) -> Option<usize> {
        let bucket = self.descend(0, order)?;
        // Beyond the end only where the tree was overwritten.
        (bucket < self.buckets).then_some(bucket)
    }

    /// The first bucket of the lowest free window of `order`, which is larger
    /// than a bucket.
    pub fn find_window(&self, order: u32) -> Option<usize> {
        if order > self.full_order() {
            return None;
        }
        let (level, log) = self.level_of(order);
        let index = self.descend(level + 1, order)?;
        if index > self.level(level).last as usize {
            return None; // only where the tree was overwritten
        }
        let first = free(self.node(level, index)).lowest_window(log)?;
        Some((index * FAN + first) << (FAN_LOG as usize * level))
    }

    /// The lowest stretch of level `down`, larger than a window of `order`,
    /// that has one; the whole where that is the level above all.
    #[inline(always)]
    fn descend(&self, down: usize, order: u32) -> Option<usize> {
        let mut bound = Bound::new((self.full_order() - order + 1) as u8);
        let (mut level, mut index) = (self.levels, 0);
        while level > down {
            level -= 1;
            if index > self.level(level).last as usize {
                return None; // only where the tree was overwritten
            }
            bound = bound.minus(FAN_LOG as u8);
            index = index * FAN + self.node(level, index).below(bound).lowest()?;
        }
        Some(index)
    }

    /// Whether the window of `order >= 6` that starts at `bucket` is free.
    pub fn is_free(&self, bucket: usize, order: u32) -> bool {
        let (level, log, index) = self.place_of(bucket, order);
        free(self.node(level, index / FAN)).contains(Granules::window(index % FAN, log))
    }

    /// The deficit of a bucket.
    #[inline(always)]
    pub fn bucket(&self, bucket: usize) -> u8 {
        self.byte(0, bucket)
    }

    /// Tells the tree that the deficit of a bucket, which was `old`, has become
    /// larger.
    #[inline(always)]
    pub fn bucket_taken(&mut self, bucket: usize, old: u8, deficit: u8) {
        self.raise(0, bucket, old, deficit);
    }

    /// Tells the tree that the deficit of a bucket has become smaller; returns
    /// the order of the largest free window around it, where all of the bucket
    /// is free.
    #[inline(always)]
    pub fn bucket_freed(&mut self, bucket: usize, deficit: u8) -> Option<u32> {
        self.lower(0, bucket, deficit)
    }

    /// Tells the tree that the free window of `order >= 6` at `bucket` has been
    /// allocated.
    pub fn window_taken(&mut self, bucket: usize, order: u32) {
        let (level, log, index) = self.place_of(bucket, order);
        let (parent, window) = (index / FAN, Granules::window(index % FAN, log));
        // The node is read first: see `raise`.
        let others = free(self.node(level, parent)).but(window);
        self.fill(level, index, log, none(level));
        if level + 1 < self.levels {
            let above = self.byte(level + 1, parent);
            let new = if others.0 != 0 { deficit_with(others) } else { deficit(self.node(level, parent)) };
            if new != above {
                self.raise(level + 1, parent, above, new);
            }
        }
    }

    /// Tells the tree that the window of `order >= 6` at `bucket` has become
    /// free; returns the order of the largest free window around it.
    pub fn window_freed(&mut self, bucket: usize, order: u32) -> u32 {
        let (level, log, index) = self.place_of(bucket, order);
        self.fill(level, index, log, 0);
        self.lower(level, index, 0).unwrap_or(order)
    }

    /// The level whose bytes make up the window of `order >= 6` at `bucket`,
    /// the logarithm of how many of them do, and the first.
    #[inline(always)]
    fn place_of(&self, bucket: usize, order: u32) -> (usize, u32, usize) {
        let (level, log) = self.level_of(order);
        (level, log, bucket >> (FAN_LOG as usize * level))
    }

    /// Sets the `2^log` bytes of a window.
    #[inline(always)]
    fn fill(&mut self, level: usize, index: usize, log: u32, value: u8) {
        let (first, word) = (self.at(level, index), u64::from_ne_bytes([value; 8]));
        // SAFETY: bytes of one node, at a multiple of their number.
        unsafe {
            match log {
                0 => *first = word as u8,
                1 => *first.cast() = word as u16,
                2 => *first.cast() = word as u32,
                _ => (0..1 << (log - 3)).for_each(|i| *first.cast::<u64>().add(i) = word),
            }
        }
    }

    /// Writes a byte that is larger than the `old` one, and carries the change
    /// up as far as there is one.
    #[inline(never)]
    fn raise(&mut self, mut level: usize, mut index: usize, mut old: u8, mut value: u8) {
        // A node is read before a byte of it is written: the processor would
        // wait for the byte.
        while level + 1 < self.levels {
            let (node, parent) = (self.node(level, index / FAN), index / FAN);
            self.set_byte(level, index, value);
            let above = self.byte(level + 1, parent);
            let others = if old == 0 { free(node).but(Granules::window(index % FAN, 0)) } else { Granules(0) };
            let new = if others.0 != 0 {
                deficit_with(others)
            } else {
                // A wholly free child stood for more than its own deficit; any
                // other, unless the stretch has more from another child.
                if old != 0 && above != old.wrapping_add(FAN_LOG as u8) {
                    return;
                }
                node.without(index % FAN).least().min(value).wrapping_add(FAN_LOG as u8)
            };
            if new == above {
                return;
            }
            (level, index, old, value) = (level + 1, parent, above, new);
        }
        self.set_byte(level, index, value);
    }

    /// Writes a byte that is smaller than the one before, and carries the
    /// change up as far as there is one; the order of the largest free window
    /// around the stretch, if it is free.
    #[inline(always)]
    fn lower(&mut self, mut level: usize, mut index: usize, mut value: u8) -> Option<u32> {
        let mut around = None;
        loop {
            let parent = index / FAN;
            let new = if value == 0 {
                let free = free(self.node(level, parent)).and(Granules::window(index % FAN, 0));
                let log = free.window_around(index % FAN);
                around = Some(BUCKET_ORDER + FAN_LOG * level as u32 + log);
                (FAN_LOG - log) as u8
            } else {
                value.wrapping_add(FAN_LOG as u8)
            };
            self.set_byte(level, index, value);
            (level, index) = (level + 1, parent);
            if level == self.levels || new >= self.byte(level, index) {
                return around;
            }
            value = new;
        }
    }

    /// The first level and stretch whose byte is not what `expected` and the
    /// bytes below it say. `expected(level, index)` is `Some` for a stretch
    /// whose byte the blocks determine.
    pub fn first_fault(&self, expected: impl Fn(usize, usize) -> Option<u8>) -> Option<(usize, usize)> {
        let mut count = self.buckets;
        for level in 0..self.levels {
            for index in 0..count {
                // Buckets are always determined.
                let byte = expected(level, index).unwrap_or_else(|| deficit(self.node(level - 1, index)));
                if self.byte(level, index) != byte {
                    return Some((level, index));
                }
            }
            let absent = count..count.next_multiple_of(FAN);
            if absent.into_iter().any(|index| self.byte(level, index) != none(level)) {
                return Some((level, count - 1));
            }
            count = count.div_ceil(FAN);
        }
        None
    }
}
