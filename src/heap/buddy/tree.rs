//! The buddy system's tree over its buckets: in which of them a window of
//! each order is free. May use: `bits`.
//!
//! A node has sixty-four children, and a word for every order of a window up
//! to that of a whole child: the children that *lack* one, that is, have no
//! free window of that order. The children of level 0 are the buckets.
//!
//! ```text
//!   level 1      orders 0 to 12    a child: 64 buckets, order 12
//!                 |
//!   level 0      orders 0 to 6     a child: a bucket, order 6
//!                 |
//!   buckets                        64 granules, a word of the bitmap
//! ```
//!
//! What lacks an order lacks all above, so a child is told by the number of
//! its *orders*, from 0 on: none where nothing is free, one more than its own
//! order where all is. Larger windows than a child follow from which children
//! are wholly free.
//!
//! Memory of zeros is a tree in which all is free. What lies below an
//! allocated window of more than a bucket is left as it was when it was free:
//! the search never comes there.

use super::super::bits::{BUCKET, Granules, Windows};

/// The order of a bucket.
pub(super) const BUCKET_ORDER: u32 = BUCKET.trailing_zeros();
/// A node has `FAN = 2^FAN_LOG` children.
pub(super) const FAN_LOG: u32 = FAN.trailing_zeros();
const FAN: usize = BUCKET;
/// Enough for 2^25 buckets.
const MAX_LEVELS: usize = 5;

/// The order of a child of a node of level `level`.
const fn child_order(level: usize) -> u32 {
    BUCKET_ORDER + FAN_LOG * level as u32
}

/// The words of a node of level `level`: one for each order of its children.
const fn node_words(level: usize) -> usize {
    child_order(level) as usize + 1
}

/// Where the words of a level begin, and its last node.
#[derive(Clone, Copy, Debug)]
struct Level {
    start: u32,
    last: u32,
}

/// The tree. Invariant: `words` points to `bytes(buckets)` bytes that are the
/// tree's alone; the highest of the `levels` levels, at least one, is one node.
#[derive(Debug)]
pub(super) struct WindowTree {
    words: *mut Granules,
    levels: usize,
    level: [Level; MAX_LEVELS],
    buckets: usize,
}

impl WindowTree {
    /// The bytes that a tree over `buckets` buckets occupies.
    pub const fn bytes(buckets: usize) -> usize {
        let (mut count, mut level, mut bytes) = (buckets, 0, 0);
        loop {
            count = count.div_ceil(FAN);
            bytes += count * node_words(level) * size_of::<Granules>();
            if count <= 1 {
                return bytes;
            }
            level += 1;
        }
    }

    /// A tree over `buckets` free buckets, at least one, the last of which has
    /// the windows `last`.
    ///
    /// # Safety
    /// `words` points to `bytes(buckets)` zeroed bytes, 8-aligned, for the tree
    /// alone.
    pub unsafe fn new(words: *mut u8, buckets: usize, last: Windows) -> Self {
        let level = [Level { start: 0, last: 0 }; MAX_LEVELS];
        let mut tree = WindowTree { words: words.cast(), levels: 0, level, buckets };
        let (mut count, mut start) = (buckets, 0);
        while tree.levels == 0 || count > 1 {
            count = count.div_ceil(FAN);
            tree.level[tree.levels] = Level { start: start as u32, last: (count - 1) as u32 };
            start += count * node_words(tree.levels);
            tree.levels += 1;
        }
        // The last node of a level may have children that do not exist.
        let mut present = buckets;
        for level in 0..tree.levels {
            let absent = present.next_multiple_of(FAN) - present;
            if absent > 0 {
                let absent = Granules::run(FAN - absent, absent);
                tree.children_taken(level, present / FAN, absent);
            }
            present = present.div_ceil(FAN);
        }
        tree.bucket_taken(buckets - 1, Granules::ALL.windows(), last);
        tree
    }

    /// The order of the smallest window that would hold all buckets.
    #[inline(always)]
    pub fn full_order(&self) -> u32 {
        child_order(self.levels)
    }

    /// The order of the largest free window.
    pub fn largest(&self) -> Option<u32> {
        self.orders(self.levels - 1, 0).checked_sub(1)
    }

    #[inline(always)]
    fn level(&self, level: usize) -> Level {
        debug_assert!(level < self.levels);
        // SAFETY: no tree has more levels.
        unsafe { *self.level.get_unchecked(level) }
    }

    /// Where the word of a node for windows of `order` lies, at most that of a
    /// child.
    #[inline(always)]
    fn place(&self, level: usize, node: usize, order: u32) -> *mut Granules {
        let Level { start, last } = self.level(level);
        debug_assert!(node <= last as usize && order <= child_order(level));
        // SAFETY: a word of that level.
        unsafe { self.words.add(start as usize + order as usize).add(node * node_words(level)) }
    }

    /// The children of a node that lack a window of `order`.
    #[inline(always)]
    fn lacking(&self, level: usize, node: usize, order: u32) -> Granules {
        // SAFETY: place() gives a valid place.
        unsafe { *self.place(level, node, order) }
    }

    #[inline(always)]
    fn lacking_mut(&mut self, level: usize, node: usize, order: u32) -> &mut Granules {
        // SAFETY: as above; self is borrowed mutably.
        unsafe { &mut *self.place(level, node, order) }
    }

    /// All words of a node.
    #[inline(always)]
    fn words_mut(&mut self, level: usize, node: usize) -> &mut [Granules] {
        // SAFETY: as many as a node of that level has; self is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.place(level, node, 0), node_words(level)) }
    }

    /// The children of a node that are wholly free.
    #[inline(always)]
    fn free(&self, level: usize, node: usize) -> Granules {
        self.lacking(level, node, child_order(level)).others()
    }

    /// Whether a window of `order` is free in a node.
    #[inline(always)]
    fn has(&self, level: usize, node: usize, order: u32) -> bool {
        match order.checked_sub(child_order(level)) {
            None => self.lacking(level, node, order) != Granules::ALL,
            Some(log) => self.free(level, node).lowest_window(log).is_some(),
        }
    }

    /// How many orders of windows are free in a node.
    fn orders(&self, level: usize, node: usize) -> u32 {
        (0..=child_order(level + 1)).filter(|&order| self.has(level, node, order)).count() as u32
    }

    /// The level whose children make up windows of `order`, from that of a
    /// bucket to that of the whole, and the logarithm of how many of them do.
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
        let node = self.descend(level + 1, order)?;
        if node > self.level(level).last as usize {
            return None; // only where the tree was overwritten
        }
        let first = self.free(level, node).lowest_window(log)?;
        Some((node * FAN + first) << (FAN_LOG as usize * level))
    }

    /// The lowest stretch of level `down`, at least as large as a window of
    /// `order`, that has one; the whole where that is the level above all.
    #[inline(always)]
    fn descend(&self, down: usize, order: u32) -> Option<usize> {
        let (mut level, mut index) = (self.levels, 0);
        while level > down {
            level -= 1;
            if index > self.level(level).last as usize {
                return None; // only where the tree was overwritten
            }
            index = index * FAN + self.lacking(level, index, order).others().lowest()?;
        }
        Some(index)
    }

    /// Whether the window of `order >= 6` that starts at `bucket` is free.
    pub fn is_free(&self, bucket: usize, order: u32) -> bool {
        let (level, node, window) = self.place_of(bucket, order);
        self.free(level, node).contains(window)
    }

    /// Tells the tree that of the free windows of a bucket, `had`, some are
    /// `left`.
    #[inline(always)]
    pub fn bucket_taken(&mut self, bucket: usize, had: Windows, left: Windows) {
        let (node, child, had) = (bucket / FAN, Granules::window(bucket % FAN, 0), had.orders());
        // Read before it is written: the processor would wait.
        let lacking = self.lacking(0, node, had - 1).and(child);
        for (order, word) in self.words_mut(0, node).iter_mut().enumerate() {
            *word = word.and(child.only_if(!left.has(order as u32)));
        }
        if lacking == Granules::ALL || had > BUCKET_ORDER {
            self.carry_taken(0, node, child, had);
        }
    }

    /// Tells the tree that a bucket has at least `orders` orders, above 0;
    /// returns the order of the largest free window around it, where all of it
    /// is free.
    #[inline(always)]
    pub fn bucket_freed(&mut self, bucket: usize, orders: u32) -> Option<u32> {
        let (node, child) = (bucket / FAN, Granules::window(bucket % FAN, 0));
        let lacking = self.lacking(0, node, orders - 1);
        for (order, word) in self.words_mut(0, node).iter_mut().enumerate() {
            *word = word.but(child.only_if((order as u32) < orders));
        }
        if lacking == Granules::ALL || orders > BUCKET_ORDER {
            return self.carry_given(0, node, child, orders);
        }
        None
    }

    /// Tells the tree that the free window of `order >= 6` at `bucket` has been
    /// allocated.
    pub fn window_taken(&mut self, bucket: usize, order: u32) {
        let (level, node, window) = self.place_of(bucket, order);
        self.children_taken(level, node, window);
    }

    /// Tells the tree that the window of `order >= 6` at `bucket` has become
    /// free; returns the order of the largest free window around it.
    pub fn window_freed(&mut self, bucket: usize, order: u32) -> u32 {
        let (level, node, window) = self.place_of(bucket, order);
        for word in self.words_mut(level, node) {
            *word = word.but(window);
        }
        self.carry_given(level, node, window, child_order(level) + 1).unwrap_or(order)
    }

    /// The level, the node and the children that make up the window of
    /// `order >= 6` at `bucket`.
    #[inline(always)]
    fn place_of(&self, bucket: usize, order: u32) -> (usize, usize, Granules) {
        let (level, log) = self.level_of(order);
        let index = bucket >> (FAN_LOG as usize * level);
        (level, index / FAN, Granules::window(index % FAN, log))
    }

    /// Takes all of `children` of a node, which are wholly free.
    fn children_taken(&mut self, level: usize, node: usize, children: Granules) {
        for word in self.words_mut(level, node) {
            *word = word.and(children);
        }
        self.carry_taken(level, node, children, child_order(level) + 1);
    }

    /// Tells the nodes above that `children` of a node, which are alike and
    /// `had` so many orders, have fewer: as far as that changes anything.
    #[inline(never)]
    fn carry_taken(&mut self, mut level: usize, mut node: usize, mut children: Granules, mut had: u32) {
        while level + 1 < self.levels {
            let own = child_order(level);
            if had > own {
                // They were part of larger windows.
                had = own + self.free(level, node).and(children).windows().orders();
            }
            let (parent, child) = (node / FAN, Granules::window(node % FAN, 0));
            // Down to what other children have.
            let mut order = had;
            while order > 0 && !self.has(level, node, order - 1) {
                order -= 1;
                let word = self.lacking_mut(level + 1, parent, order);
                *word = word.and(child);
            }
            if order == had {
                return;
            }
            (level, node, children) = (level + 1, parent, child);
        }
    }

    /// Tells the nodes above that `children` of a node, which are alike, now
    /// have `orders` orders: as far as that changes anything. The order of the
    /// largest free window around them, if they are wholly free.
    #[inline(never)]
    fn carry_given(
        &mut self,
        mut level: usize,
        mut node: usize,
        mut children: Granules,
        mut orders: u32,
    ) -> Option<u32> {
        let mut around = None;
        loop {
            let own = child_order(level);
            if orders > own {
                let log = self.free(level, node).window_around(children.0.trailing_zeros() as usize);
                around = Some(own + log);
                orders = own + log + 1;
            }
            if level + 1 == self.levels {
                return around;
            }
            (level, node, children) = (level + 1, node / FAN, Granules::window(node % FAN, 0));
            // Down to what they had before.
            let mut order = orders;
            while order > 0 && self.lacking(level, node, order - 1).contains(children) {
                order -= 1;
                let word = self.lacking_mut(level, node, order);
                *word = word.but(children);
            }
            if order == orders {
                return around;
            }
        }
    }

    /// The first level and stretch that does not have as many orders as
    /// `expected` and the nodes below it say. `expected(level, index)` is
    /// `Some` for a stretch whose orders the blocks determine.
    pub fn first_fault(&self, expected: impl Fn(usize, usize) -> Option<u32>) -> Option<(usize, usize)> {
        let mut count = self.buckets;
        for level in 0..self.levels {
            for index in 0..count.next_multiple_of(FAN) {
                let orders = if index < count {
                    // Buckets are always determined.
                    expected(level, index).unwrap_or_else(|| self.orders(level - 1, index))
                } else {
                    0
                };
                let child = Granules::window(index % FAN, 0);
                let lacks = |order| self.lacking(level, index / FAN, order).contains(child);
                if (0..=child_order(level)).any(|order| lacks(order) != (order >= orders)) {
                    return Some((level, index.min(count - 1)));
                }
            }
            count = count.div_ceil(FAN);
        }
        None
    }
}
