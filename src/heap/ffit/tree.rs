//! First fit's tree over its buckets: for each, the size of the largest free
//! block that starts in it, and the maximum of its children in each node above
//! (Brent, TOPLAS 1989, with a wider fan). May use: `bits`.
//!
//! ```text
//!   level 1      [m m m .. m]                     a maximum for each node
//!                 |
//!   level 0      [s s s .. s] [s s ..             one size a bucket
//! ```
//!
//! A node has 64 bytes: thirty-two sizes where every size fits in 16 bits, which
//! is to say in areas of up to a megabyte at 16 bytes a granule, else sixteen.

use core::hint::select_unpredictable;

use super::super::bits::{SIZES, Size};

/// Enough for 2^25 buckets.
const MAX_LEVELS: usize = 7;

/// The same call for both widths of a size.
macro_rules! at_width {
    ($self:ident.$call:ident($($argument:expr),*)) => {
        if $self.narrow { $self.$call::<u16>($($argument),*) } else { $self.$call::<u32>($($argument),*) }
    };
}

/// The tree. Invariant: `nodes` points to `bytes(granules, buckets)` bytes that
/// are the tree's alone; `root` is the largest of all.
#[derive(Debug)]
pub(super) struct MaxTree {
    nodes: *mut u8,
    /// Where each level begins, and how many nodes it has.
    starts: [u32; MAX_LEVELS],
    counts: [u32; MAX_LEVELS],
    buckets: u32,
    levels: u32,
    root: u32,
    narrow: bool,
}

/// Whether no size is above `granules` needs more than 16 bits.
const fn is_narrow(granules: usize) -> bool {
    granules <= u16::MAX as usize
}

/// The way of a search: for each level the largest size beside it, so that
/// nobody who then changes the bucket has to look for that.
#[derive(Debug, Default)]
pub(super) struct Way([u32; MAX_LEVELS]);

impl MaxTree {
    /// The bytes that a tree over `buckets` buckets of `granules` granules
    /// occupies.
    pub const fn bytes(granules: usize, buckets: usize) -> usize {
        let fan = if is_narrow(granules) { SIZES / size_of::<u16>() } else { SIZES / size_of::<u32>() };
        let (mut count, mut bytes) = (buckets, 0);
        while count > 1 {
            count = count.div_ceil(fan);
            bytes += count * SIZES;
        }
        bytes
    }

    /// A tree over `buckets` buckets of `granules` granules without free
    /// blocks.
    ///
    /// # Safety
    /// `nodes` points to `bytes(granules, buckets)` zeroed bytes, 8-aligned,
    /// for the tree alone.
    pub unsafe fn new(nodes: *mut u8, granules: usize, buckets: usize) -> Self {
        let narrow = is_narrow(granules);
        let fan = if narrow { u16::FAN } else { u32::FAN };
        let (starts, counts) = ([0; MAX_LEVELS], [0; MAX_LEVELS]);
        let mut tree = MaxTree { nodes, starts, counts, buckets: buckets as u32, levels: 0, root: 0, narrow };
        let (mut count, mut start) = (buckets, 0);
        while count > 1 {
            let level = tree.levels as usize;
            count = count.div_ceil(fan);
            (tree.starts[level], tree.counts[level]) = (start as u32, count as u32);
            tree.levels += 1;
            start += count * SIZES;
        }
        tree
    }

    /// The size of the largest free block.
    pub fn largest(&self) -> u32 {
        self.root
    }

    /// The sizes of a node.
    #[inline(always)]
    fn node<S: Size>(&self, level: u32, index: usize) -> *mut S {
        debug_assert!(index < self.counts[level as usize] as usize);
        // SAFETY: no tree has more levels; index is a node of that level.
        unsafe {
            let start = *self.starts.get_unchecked(level as usize);
            self.nodes.add(start as usize + index * SIZES).cast()
        }
    }

    /// The place of the size of stretch `index` of a level.
    #[inline(always)]
    fn size<S: Size>(&self, level: u32, index: usize) -> *mut S {
        // SAFETY: a node has FAN sizes.
        unsafe { self.node::<S>(level, index / S::FAN).add(index % S::FAN) }
    }

    /// The size that stands for stretch `index` of a level; of the whole at
    /// the top.
    #[inline(always)]
    fn get_at<S: Size>(&self, level: u32, index: usize) -> u32 {
        if level == self.levels {
            return self.root;
        }
        // SAFETY: size() gives a valid place.
        unsafe { *self.size::<S>(level, index) }.into()
    }

    /// The size that stands for a bucket.
    #[inline(always)]
    pub fn get(&self, bucket: usize) -> u32 {
        at_width!(self.get_at(0, bucket))
    }

    /// The lowest bucket whose size is at least `size`, itself above 0; and the
    /// way to it.
    #[inline(always)]
    pub fn find(&self, size: u32, way: &mut Way) -> Option<usize> {
        if self.root < size {
            return None;
        }
        at_width!(self.descend(self.levels, 0, size, way))
    }

    #[inline(always)]
    fn descend<S: Size>(&self, level: u32, mut index: usize, size: u32, way: &mut Way) -> Option<usize> {
        for level in (0..level).rev() {
            // SAFETY: no tree has more levels.
            if index >= unsafe { *self.counts.get_unchecked(level as usize) } as usize {
                return None; // only where the tree was overwritten
            }
            // SAFETY: node() gives a valid node.
            let hits = unsafe { S::at_least(self.node(level, index), size) };
            if hits == 0 {
                return None;
            }
            let child = hits.trailing_zeros() as usize;
            // SAFETY: as above.
            unsafe { *way.0.get_unchecked_mut(level as usize) = S::largest_but(self.node(level, index), child) };
            index = index * S::FAN + child;
        }
        (index < self.buckets as usize).then_some(index)
    }

    /// Tells the tree the size of a bucket that was found this `way` just now,
    /// and has become smaller.
    #[inline(always)]
    pub fn lower_on(&mut self, way: &Way, bucket: usize, size: u32) {
        at_width!(self.lower_on_at(way, bucket, size));
    }

    #[inline(always)]
    fn lower_on_at<S: Size>(&mut self, way: &Way, bucket: usize, size: u32) {
        let (mut index, mut size) = (bucket, size);
        for level in 0..self.levels {
            // SAFETY: size() gives a valid place; self is borrowed mutably.
            unsafe { *self.size::<S>(level, index) = S::new(size) };
            // SAFETY: no tree has more levels.
            let beside = unsafe { *way.0.get_unchecked(level as usize) };
            (index, size) = (index / S::FAN, select_unpredictable(size > beside, size, beside));
        }
        self.root = size;
    }

    /// The lowest bucket behind `bucket` whose size is at least `size`, itself
    /// above 0.
    pub fn find_behind(&self, bucket: usize, size: u32) -> Option<usize> {
        at_width!(self.find_behind_at(bucket, size))
    }

    fn find_behind_at<S: Size>(&self, bucket: usize, size: u32) -> Option<usize> {
        let mut index = bucket;
        for level in 0..self.levels {
            // SAFETY: node() gives a valid node.
            let hits = unsafe { S::at_least(self.node(level, index / S::FAN), size) };
            let behind = hits & !(!0 >> (31 - index % S::FAN));
            if behind != 0 {
                let child = behind.trailing_zeros() as usize;
                return self.descend::<S>(level, index / S::FAN * S::FAN + child, size, &mut Way::default());
            }
            index /= S::FAN;
        }
        None
    }

    /// Tells the tree the size of a bucket, which has become larger.
    #[inline(always)]
    pub fn raise(&mut self, bucket: usize, size: u32) {
        at_width!(self.raise_at(bucket, size));
    }

    #[inline(always)]
    fn raise_at<S: Size>(&mut self, bucket: usize, size: u32) {
        let mut index = bucket;
        for level in 0..self.levels {
            // SAFETY: size() gives a valid place; self is borrowed mutably.
            unsafe { *self.size::<S>(level, index) = S::new(size) };
            index /= S::FAN;
            if self.get_at::<S>(level + 1, index) >= size {
                return;
            }
        }
        self.root = size;
    }

    /// Tells the tree the size of a bucket, which was `old` and has become
    /// smaller.
    #[inline(never)]
    pub fn lower(&mut self, bucket: usize, old: u32, size: u32) {
        at_width!(self.lower_at(bucket, old, size));
    }

    #[inline(always)]
    fn lower_at<S: Size>(&mut self, bucket: usize, old: u32, size: u32) {
        let (mut index, mut size) = (bucket, size);
        for level in 0..self.levels {
            let (place, parent) = (self.size::<S>(level, index), index / S::FAN);
            let mut most = old;
            if self.get_at::<S>(level + 1, parent) == old {
                // Read before the size is written: the processor would wait.
                // SAFETY: node() gives a valid node.
                let others = unsafe { S::largest_but(self.node(level, parent), index % S::FAN) };
                most = size.max(others);
            }
            // SAFETY: size() gives a valid place; self is borrowed mutably.
            unsafe { *place = S::new(size) };
            if most == old {
                return;
            }
            (index, size) = (parent, most);
        }
        self.root = size;
    }

    /// The first bucket at which the tree contradicts `expected`, the size of
    /// each bucket.
    pub fn first_fault(&self, expected: impl Fn(usize) -> u32) -> Option<usize> {
        at_width!(self.first_fault_at(expected))
    }

    fn first_fault_at<S: Size>(&self, expected: impl Fn(usize) -> u32) -> Option<usize> {
        let mut count = self.buckets as usize;
        let mut width = 1;
        for level in 0..=self.levels {
            for index in 0..count {
                let size = if level == 0 {
                    expected(index)
                } else {
                    let first = self.get_at::<S>(level - 1, index * S::FAN);
                    // SAFETY: node() gives a valid node.
                    unsafe { S::largest_but(self.node(level - 1, index), 0) }.max(first)
                };
                if self.get_at::<S>(level, index) != size {
                    return Some(index * width);
                }
            }
            count = count.div_ceil(S::FAN);
            width *= S::FAN;
        }
        None
    }
}
