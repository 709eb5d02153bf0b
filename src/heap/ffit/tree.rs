//! First fit's tree over its buckets: for each, the size of the largest free
//! block that starts in it, and the maximum of sixteen children in each node
//! above (Brent, TOPLAS 1989, with a wider fan). May use: `bits`.
//!
//! ```text
//!   level 1      [m m m .. m]                     16 maxima of 16 buckets
//!                 |
//!   level 0      [s s s .. s] [s s ..             one size a bucket
//! ```

use super::super::bits::{Sixteen, first_at_least, largest, largest_but};

const FAN: usize = 16;
/// Enough for 2^25 buckets.
const MAX_LEVELS: usize = 7;

/// The tree. Invariant: `sizes` points to `words(buckets)` words that are the
/// tree's alone; `root` is the largest of all.
#[derive(Debug)]
pub(super) struct MaxTree {
    sizes: *mut u32,
    starts: [u32; MAX_LEVELS],
    buckets: u32,
    levels: u32,
    root: u32,
}

impl MaxTree {
    /// The 32-bit words that a tree over `buckets` buckets occupies.
    pub const fn words(buckets: usize) -> usize {
        let (mut count, mut words) = (buckets, 0);
        while count > 1 {
            words += count.next_multiple_of(FAN);
            count = count.div_ceil(FAN);
        }
        words
    }

    /// A tree over `buckets` buckets without free blocks.
    ///
    /// # Safety
    /// `sizes` points to `words(buckets)` zeroed words for the tree alone.
    pub unsafe fn new(sizes: *mut u32, buckets: usize) -> Self {
        let mut tree = MaxTree { sizes, starts: [0; MAX_LEVELS], buckets: buckets as u32, levels: 0, root: 0 };
        let (mut count, mut start) = (buckets, 0);
        while count > 1 {
            tree.starts[tree.levels as usize] = start as u32;
            tree.levels += 1;
            start += count.next_multiple_of(FAN);
            count = count.div_ceil(FAN);
        }
        tree
    }

    /// The size of the largest free block.
    pub fn largest(&self) -> u32 {
        self.root
    }

    #[inline]
    fn node(&self, level: u32, index: usize) -> *mut Sixteen {
        debug_assert!(index <= (self.buckets as usize - 1) >> (4 * (level + 1)));
        // SAFETY: no tree has more levels; index is a node of that level, which
        // has sixteen words.
        unsafe {
            let start = *self.starts.get_unchecked(level as usize);
            self.sizes.add(start as usize + index * FAN).cast()
        }
    }

    /// The size that stands for stretch `index` of a level.
    #[inline(always)]
    fn size(&self, level: u32, index: usize) -> u32 {
        // SAFETY: node() gives sixteen valid words.
        unsafe { (*self.node(level, index / FAN))[index % FAN] }
    }

    /// The size that stands for a bucket.
    #[inline(always)]
    pub fn get(&self, bucket: usize) -> u32 {
        if self.levels == 0 { self.root } else { self.size(0, bucket) }
    }

    /// The lowest bucket whose size is at least `size`.
    #[inline]
    pub fn find(&self, size: u32) -> Option<usize> {
        if self.root < size {
            return None;
        }
        self.descend(self.levels, 0, size)
    }

    fn descend(&self, level: u32, mut index: usize, size: u32) -> Option<usize> {
        for level in (0..level).rev() {
            if index > (self.buckets as usize - 1) >> (4 * (level + 1)) {
                return None; // only where the tree was overwritten
            }
            // SAFETY: node() gives sixteen valid words.
            let node = unsafe { &*self.node(level, index) };
            index = index * FAN + first_at_least(node, size)?;
        }
        (index < self.buckets as usize).then_some(index)
    }

    /// The lowest bucket behind `bucket` whose size is at least `size`.
    pub fn find_behind(&self, bucket: usize, size: u32) -> Option<usize> {
        let mut index = bucket;
        for level in 0..self.levels {
            // SAFETY: node() gives sixteen valid words.
            let mut node = unsafe { *self.node(level, index / FAN) };
            node[..=index % FAN].fill(0);
            if let Some(child) = first_at_least(&node, size) {
                return self.descend(level, index / FAN * FAN + child, size);
            }
            index /= FAN;
        }
        None
    }

    /// Tells the tree the size of a bucket.
    #[inline]
    pub fn set(&mut self, bucket: usize, size: u32) {
        let (mut index, mut size) = (bucket, size);
        for level in 0..self.levels {
            let parent = index / FAN;
            let above = if level + 1 == self.levels { self.root } else { self.size(level + 1, parent) };
            // SAFETY: node() gives sixteen valid words; self is borrowed
            // mutably.
            let node = unsafe { &mut *self.node(level, parent) };
            let old = node[index % FAN];
            if old == size {
                return;
            }
            let most = if size >= above {
                size
            } else if old < above {
                above
            } else {
                // Read before the size is written: the processor would wait.
                largest_but(node, index).max(size)
            };
            node[index % FAN] = size;
            if most == above {
                return;
            }
            (index, size) = (parent, most);
        }
        self.root = size;
    }

    /// The first bucket at which the tree contradicts `expected`, the size of
    /// each bucket.
    pub fn first_fault(&self, expected: impl Fn(usize) -> u32) -> Option<usize> {
        let mut count = self.buckets as usize;
        for level in 0..=self.levels {
            for index in 0..count {
                let size = if level == 0 {
                    expected(index)
                } else {
                    // SAFETY: node() gives sixteen valid words.
                    largest(unsafe { &*self.node(level - 1, index) })
                };
                let found = if level == self.levels { self.root } else { self.size(level, index) };
                if found != size {
                    return Some(index << (4 * level));
                }
            }
            count = count.div_ceil(FAN);
        }
        None
    }
}
