//! The buddy system's tree over its buckets: for each stretch of buckets, the
//! largest window that is free in it. May use: `bits`.
//!
//! A byte stands for a stretch of `8^l` buckets, level `l`, and holds its
//! *deficit*: the order of the whole stretch less the order of the largest
//! free window in it. 0 is a stretch that is wholly free, one more than its
//! order a stretch with nothing free. Eight bytes are a node:
//!
//! ```text
//!   level 1      [d d d d d d d d]                order 9 each: 8 buckets
//!                 |
//!   level 0      [d d d d d d d d] ...            order 6 each: a bucket
//!                 |
//!   buckets       64 granules, a word of the bitmap
//! ```
//!
//! Memory of zeros is a tree in which all is free. What lies below an
//! allocated window of more than a bucket is left as it was when it was free:
//! the search never comes there.

use super::super::bits::Octet;

/// The order of a bucket.
pub(super) const BUCKET_ORDER: u32 = 6;
/// A node has `2^FAN_LOG` children.
const FAN_LOG: u32 = 3;
/// Enough for 2^25 buckets.
const MAX_LEVELS: usize = 9;

/// The byte of a stretch of level `level` with nothing free.
pub(super) const fn none(level: usize) -> u8 {
    (BUCKET_ORDER + FAN_LOG * level as u32 + 1) as u8
}

/// The deficit of the stretch whose children are `node`.
fn deficit(node: Octet) -> u8 {
    if node.first_zero_group(0).is_none() {
        node.least().wrapping_add(FAN_LOG as u8)
    } else if node.first_zero_group(1).is_none() {
        3
    } else if node.first_zero_group(2).is_none() {
        2
    } else {
        u8::from(node.0 != 0)
    }
}

/// The tree. Invariant: `nodes` points to `words(buckets)` words that are the
/// tree's alone; `root` is the deficit of the whole.
#[derive(Debug)]
pub(super) struct WindowTree {
    nodes: *mut u64,
    starts: [u32; MAX_LEVELS],
    buckets: u32,
    levels: u8,
    root: u8,
}

impl WindowTree {
    /// The words that a tree over `buckets` buckets occupies.
    pub const fn words(buckets: usize) -> usize {
        let (mut count, mut words) = (buckets, 0);
        while count > 1 {
            count = count.div_ceil(8);
            words += count;
        }
        words
    }

    /// A tree over `buckets` free buckets, the last of which has the deficit
    /// `last`.
    ///
    /// # Safety
    /// `nodes` points to `words(buckets)` zeroed words for the tree alone.
    pub unsafe fn new(nodes: *mut u64, buckets: usize, last: u8) -> Self {
        let mut tree = WindowTree { nodes, starts: [0; MAX_LEVELS], buckets: buckets as u32, levels: 0, root: 0 };
        let (mut count, mut start) = (buckets, 0);
        while count > 1 {
            let level = usize::from(tree.levels);
            tree.starts[level] = start;
            tree.levels += 1;
            let present = count;
            count = count.div_ceil(8);
            // The last node may have children that do not exist.
            let mut node = Octet(0);
            for child in present - (count - 1) * 8..8 {
                node = node.with(child, none(level));
            }
            // SAFETY: the last node of this level, below words(buckets).
            unsafe { *nodes.add(start as usize + count - 1) = node.0 };
            start += count as u32;
        }
        tree.settle(0, buckets - 1, last, true);
        tree
    }

    fn levels(&self) -> usize {
        usize::from(self.levels)
    }

    /// The order of the smallest window that would hold all buckets.
    pub fn full_order(&self) -> u32 {
        BUCKET_ORDER + FAN_LOG * u32::from(self.levels)
    }

    /// The order of the largest free window.
    pub fn largest(&self) -> Option<u32> {
        self.full_order().checked_sub(u32::from(self.root))
    }

    #[inline]
    fn node(&self, level: usize, index: usize) -> *mut u64 {
        debug_assert!(index <= (self.buckets as usize - 1) >> (FAN_LOG as usize * (level + 1)));
        // SAFETY: index is a node of that level.
        unsafe { self.nodes.add(self.starts[level] as usize + index) }
    }

    /// The byte of stretch `index` of `level`; of the whole at the top.
    pub fn byte(&self, level: usize, index: usize) -> u8 {
        if level == self.levels() {
            return self.root;
        }
        // SAFETY: node() gives a valid word.
        Octet(unsafe { *self.node(level, index / 8) }).get(index % 8)
    }

    /// The first bucket of the lowest place that has a free window of `order`:
    /// of the window itself, or, for orders within a bucket, the bucket that
    /// has it. Two or three instructions a level beyond a load.
    #[inline]
    pub fn find(&self, order: u32) -> Option<usize> {
        if self.largest()? < order {
            return None;
        }
        let (mut level, mut index) = (self.levels(), 0);
        while level > 0 {
            level -= 1;
            if index > (self.buckets as usize - 1) >> (FAN_LOG as usize * (level + 1)) {
                return None; // only where the tree was overwritten
            }
            // SAFETY: node() gives a valid word.
            let node = Octet(unsafe { *self.node(level, index) });
            let child = BUCKET_ORDER + FAN_LOG * level as u32;
            if order > child {
                let first = node.first_zero_group(order - child)?;
                return Some((index * 8 + first) << (FAN_LOG as usize * level));
            }
            index = index * 8 + node.first_at_most((child - order) as u8)?;
        }
        (index < self.buckets as usize).then_some(index)
    }

    /// Whether the window of `order >= 6` that starts at `bucket` is free.
    pub fn is_free(&self, bucket: usize, order: u32) -> bool {
        let (level, log) = level_of(order);
        let index = bucket >> (FAN_LOG as usize * level);
        if level >= self.levels() {
            return level == self.levels() && log == 0 && self.root == 0;
        }
        // SAFETY: node() gives a valid word.
        let node = Octet(unsafe { *self.node(level, index / 8) });
        (0..1 << log).all(|k| node.get(index % 8 + k) == 0)
    }

    /// Tells the tree the deficit of one bucket.
    #[inline]
    pub fn set_bucket(&mut self, bucket: usize, deficit: u8) {
        self.settle(0, bucket, deficit, false);
    }

    /// Tells the tree that the window of `order >= 6` at `bucket` has become
    /// free, or allocated.
    pub fn set_window(&mut self, bucket: usize, order: u32, free: bool) {
        let (level, log) = level_of(order);
        let value = if free { 0 } else { none(level) };
        let index = bucket >> (FAN_LOG as usize * level);
        if level == self.levels() {
            self.root = value;
            return;
        }
        let node = self.node(level, index / 8);
        // SAFETY: node() gives a valid word; the tree is borrowed mutably.
        let new = unsafe {
            *node = Octet(*node).with_group(index % 8, 1 << log, value).0;
            Octet(*node)
        };
        self.settle(level + 1, index / 8, deficit(new), false);
    }

    /// Writes a byte and carries the change up; stops where nothing changes,
    /// unless `all`.
    #[inline]
    fn settle(&mut self, level: usize, mut index: usize, mut value: u8, all: bool) {
        for level in level..self.levels() {
            let node = self.node(level, index / 8);
            // SAFETY: node() gives a valid word; the tree is borrowed mutably.
            let (old, new) = unsafe {
                let old = Octet(*node);
                let new = old.with(index % 8, value);
                if new.0 == old.0 && !all {
                    return;
                }
                *node = new.0;
                (old.get(index % 8), new)
            };
            index /= 8;
            let above = self.byte(level + 1, index);
            // As long as no child is wholly free, the byte above is the least
            // of the children's and 3.
            let least = above.wrapping_sub(FAN_LOG as u8);
            value = if !all && above > FAN_LOG as u8 && value != 0 {
                if value <= least {
                    value + FAN_LOG as u8
                } else if old > least {
                    return;
                } else {
                    new.least().wrapping_add(FAN_LOG as u8)
                }
            } else {
                deficit(new)
            };
            if value == above && !all {
                return;
            }
        }
        self.root = value;
    }

    /// The first level and stretch whose byte is not what `expected` and the
    /// bytes below it say. `expected(level, index)` is `Some` for a stretch
    /// whose byte the blocks determine.
    pub fn first_fault(&self, expected: impl Fn(usize, usize) -> Option<u8>) -> Option<(usize, usize)> {
        let mut count = self.buckets as usize;
        for level in 0..=self.levels() {
            for index in 0..count {
                let byte = expected(level, index).unwrap_or_else(|| {
                    // SAFETY: level > 0, as buckets are always determined.
                    deficit(Octet(unsafe { *self.node(level - 1, index) }))
                });
                if self.byte(level, index) != byte {
                    return Some((level, index));
                }
            }
            count = count.div_ceil(8);
        }
        None
    }
}

/// The level whose bytes make up windows of `order >= 6`, and the logarithm
/// of how many of them do.
pub(super) fn level_of(order: u32) -> (usize, u32) {
    let above = order - BUCKET_ORDER;
    ((above / FAN_LOG) as usize, above % FAN_LOG)
}
