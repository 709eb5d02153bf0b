//! The buddy system's tree over its buckets: in which of them a window of
//! each order is free. May use: `bits`.
//!
//! A node has sixty-four children, and a word for every order of a window up
//! to that of a whole child: the children that *lack* one, that is, have no
//! free window of that order; and one word more, how many orders the node
//! itself lacks. The children of level 0 are the buckets. (The highest of
//! several levels has nobody who would ask for its last word.)
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
//!
//! Which node of level 0 is the lowest with a window of each order is noted
//! beside the tree, so that the search of a bucket looks at one node, however
//! many levels there are: each level is memory that has to be waited for.

use core::ops::Range;

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

/// How many orders of windows a node of level `level` may have.
const fn all_orders(level: usize) -> u32 {
    child_order(level + 1) + 1
}

/// The words of a node of level `level`: one for each order of its children,
/// and the number of orders that it lacks.
const fn node_words(level: usize) -> usize {
    child_order(level) as usize + 2
}

/// How many orders of windows a node of level 0 may have.
const NODE_ORDERS: u32 = all_orders(0);
/// No node.
const NONE: u32 = u32::MAX;

/// Where the words of a level begin, and its last node.
#[derive(Clone, Copy, Debug)]
struct Level {
    start: u32,
    last: u32,
}

/// The tree. Invariants: `words` points to `bytes(buckets)` bytes that are the
/// tree's alone; the highest of the `levels` levels, at least one, is one node;
/// the nodes in `lowest` exist, whatever was written to the tree.
#[derive(Debug)]
pub(super) struct WindowTree {
    words: *mut Granules,
    levels: usize,
    level: [Level; MAX_LEVELS],
    buckets: usize,
    /// The lowest node of level 0 that has a window of each order, or `NONE`.
    /// Where there is one node, it is that, whether it has or not.
    lowest: [u32; NODE_ORDERS as usize],
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
        let mut tree = WindowTree { words: words.cast(), levels: 0, level, buckets, lowest: [0; NODE_ORDERS as usize] };
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
        tree.bucket_taken(buckets - 1, true, last);
        tree
    }

    /// The order of the smallest window that would hold all buckets.
    #[inline(always)]
    pub fn full_order(&self) -> u32 {
        child_order(self.levels)
    }

    /// The order of the largest free window.
    pub fn largest(&self) -> Option<u32> {
        self.counted_orders(self.levels - 1, 0).checked_sub(1)
    }

    #[inline(always)]
    fn level(&self, level: usize) -> Level {
        debug_assert!(level < self.levels);
        // SAFETY: no tree has more levels.
        unsafe { *self.level.get_unchecked(level) }
    }

    /// Where a word of a node lies: that for windows of an order, at most that
    /// of a child, or the last, behind them.
    #[inline(always)]
    fn place(&self, level: usize, node: usize, word: u32) -> *mut Granules {
        let Level { start, last } = self.level(level);
        debug_assert!(node <= last as usize && (word as usize) < node_words(level));
        // SAFETY: a word of that level.
        unsafe { self.words.add(start as usize + word as usize).add(node * node_words(level)) }
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

    /// The words of a node for windows of each order.
    #[inline(always)]
    fn words_mut(&mut self, level: usize, node: usize) -> &mut [Granules] {
        // SAFETY: fewer than a node of that level has; self is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.place(level, node, 0), node_words(level) - 1) }
    }

    /// The last word of a node: how many orders of windows it lacks.
    #[inline(always)]
    fn missing(&self, level: usize, node: usize) -> u64 {
        // SAFETY: place() gives a valid place.
        unsafe { *self.place(level, node, child_order(level) + 1).cast() }
    }

    /// How many orders of windows are free in a node, by its last word.
    #[inline(always)]
    fn orders(&self, level: usize, node: usize) -> u32 {
        let all = all_orders(level);
        // It lacks more only where the tree was overwritten.
        all - self.missing(level, node).min(all.into()) as u32
    }

    /// Notes how many orders of windows are free in a node.
    #[inline(always)]
    fn set_orders(&mut self, level: usize, node: usize, orders: u32) {
        // SAFETY: as above; self is borrowed mutably.
        unsafe { *self.place(level, node, child_order(level) + 1).cast() = u64::from(all_orders(level) - orders) }
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

    /// How many orders of windows are free in a node, by its children.
    fn counted_orders(&self, level: usize, node: usize) -> u32 {
        (0..all_orders(level)).filter(|&order| self.has(level, node, order)).count() as u32
    }

    /// The level whose children make up windows of `order`, from that of a
    /// bucket to that of the whole, and the logarithm of how many of them do.
    #[inline(always)]
    pub fn level_of(&self, order: u32) -> (usize, u32) {
        let above = order - BUCKET_ORDER;
        let level = ((above / FAN_LOG) as usize).min(self.levels - 1);
        (level, above - FAN_LOG * level as u32)
    }

    /// The lowest node of level 0 that has a window of `order`, at most that of
    /// a whole node.
    #[inline(always)]
    fn lowest(&self, order: u32) -> Option<usize> {
        debug_assert!(order < NODE_ORDERS);
        // SAFETY: no window in a node has a larger order.
        let node = unsafe { *self.lowest.get_unchecked(order as usize) };
        (node != NONE).then_some(node as usize)
    }

    /// Notes that `node` is the lowest, or that none has a window of `order`.
    #[inline(always)]
    fn set_lowest(&mut self, order: u32, node: Option<usize>) {
        debug_assert!(order < NODE_ORDERS);
        // Beyond the end only where the tree was overwritten.
        let node = node.filter(|&node| node <= self.level(0).last as usize);
        // SAFETY: as above.
        unsafe { *self.lowest.get_unchecked_mut(order as usize) = node.map_or(NONE, |node| node as u32) }
    }

    /// Notes that `node` of level 0 has a window of `order`.
    #[inline(always)]
    fn lower_lowest(&mut self, order: u32, node: usize) {
        debug_assert!(order < NODE_ORDERS && node <= self.level(0).last as usize);
        // SAFETY: as above.
        let lowest = unsafe { self.lowest.get_unchecked_mut(order as usize) };
        *lowest = (*lowest).min(node as u32);
    }

    /// The lowest bucket that has a free window of `order`, which is at most a
    /// bucket's.
    #[inline(always)]
    pub fn find_bucket(&self, order: u32) -> Option<usize> {
        let node = self.lowest(order)?;
        let bucket = node * FAN + self.lacking(0, node, order).others().lowest()?;
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
        let node = if level == 0 { self.lowest(order)? } else { self.descend(level, order)? };
        let first = self.free(level, node).lowest_window(log)?;
        Some((node * FAN + first) << (FAN_LOG as usize * level))
    }

    /// The lowest node of `level`, at least as large as a window of `order`,
    /// that has one. Some twenty instructions a level above it.
    #[inline(always)]
    fn descend(&self, level: usize, order: u32) -> Option<usize> {
        let (mut at, mut node) = (self.levels - 1, 0);
        while at > level {
            node = node * FAN + self.lacking(at, node, order).others().lowest()?;
            at -= 1;
            if node > self.level(at).last as usize {
                return None; // only where the tree was overwritten
            }
        }
        Some(node)
    }

    /// Whether the window of `order >= 6` that starts at `bucket` is free.
    pub fn is_free(&self, bucket: usize, order: u32) -> bool {
        let (level, node, window) = self.place_of(bucket, order);
        self.free(level, node).contains(window)
    }

    /// Tells the tree that only the windows `left` of a bucket's are still free;
    /// `was_free` if all of it was.
    #[inline(always)]
    pub fn bucket_taken(&mut self, bucket: usize, was_free: bool, left: Windows) {
        let (node, child) = (bucket / FAN, Granules::window(bucket % FAN, 0));
        // The children that have the largest windows of the node, or all of a
        // bucket. Read before it is written: the processor would wait.
        let largest = u64::from(NODE_ORDERS - 1).wrapping_sub(self.missing(0, node)).min(BUCKET_ORDER.into());
        let lacking = self.lacking(0, node, largest as u32).and(child);
        for (order, word) in self.words_mut(0, node).iter_mut().enumerate() {
            *word = word.and(child.only_if(!left.has(order as u32)));
        }
        if lacking == Granules::ALL || was_free {
            self.node_taken(node);
        }
    }

    /// Tells the tree that a bucket has at least `orders` orders, above 0;
    /// returns the order of the largest free window around it, where all of it
    /// is free.
    #[inline(always)]
    pub fn bucket_freed(&mut self, bucket: usize, orders: u32) -> Option<u32> {
        let (node, child) = (bucket / FAN, Granules::window(bucket % FAN, 0));
        let had = self.orders(0, node);
        for (order, word) in self.words_mut(0, node).iter_mut().enumerate() {
            *word = word.but(child.only_if((order as u32) < orders));
        }
        if orders > had.min(BUCKET_ORDER) {
            return self.node_given(node, bucket % FAN, orders);
        }
        None
    }

    /// Tells the tree that the free window of `order >= 6` at `bucket` has been
    /// allocated.
    pub fn window_taken(&mut self, bucket: usize, order: u32) {
        let (level, node, window) = self.place_of(bucket, order);
        self.children_taken(level, node, window);
        if level > 0 {
            let nodes = 1 << (order - child_order(1));
            for order in 0..NODE_ORDERS {
                if self.lowest(order).is_some_and(|node| node / nodes == bucket / FAN / nodes) {
                    self.set_lowest(order, self.descend(0, order));
                }
            }
        }
    }

    /// Tells the tree that the window of `order >= 6` at `bucket` has become
    /// free; returns the order of the largest free window around it.
    pub fn window_freed(&mut self, bucket: usize, order: u32) -> u32 {
        let (level, node, window) = self.place_of(bucket, order);
        for word in self.words_mut(level, node) {
            *word = word.but(window);
        }
        let (child, orders) = (window.0.trailing_zeros() as usize, child_order(level) + 1);
        let around = if level == 0 {
            self.node_given(node, child, orders)
        } else {
            for order in 0..NODE_ORDERS {
                self.lower_lowest(order, bucket / FAN);
            }
            self.carry_given(level, node, child, orders)
        };
        around.unwrap_or(order)
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
        if level == 0 { self.node_taken(node) } else { self.carry_taken(level, node) }
    }

    /// Children of a node have fewer windows: notes what it has now. The orders
    /// that it has lost.
    #[inline(always)]
    fn recount(&mut self, level: usize, node: usize) -> Range<u32> {
        let (had, own) = (self.orders(level, node), child_order(level));
        let free = self.free(level, node);
        let left = if free.0 != 0 {
            own + free.windows().orders()
        } else {
            // Down to what some child has.
            let mut left = had.min(own);
            while left > 0 && !self.has(level, node, left - 1) {
                left -= 1;
            }
            left
        };
        self.set_orders(level, node, left);
        left..had
    }

    /// Buckets of a node of level 0 have fewer windows: tells it, and the nodes
    /// above, as far as that changes anything.
    #[inline(never)]
    fn node_taken(&mut self, node: usize) {
        let lost = self.recount(0, node);
        if self.levels == 1 {
            return;
        }
        let (parent, child) = (node / FAN, Granules::window(node % FAN, 0));
        for order in lost.clone() {
            let word = self.lacking_mut(1, parent, order);
            *word = word.and(child);
            let next = word.others().lowest();
            if self.lowest(order) == Some(node) {
                self.set_lowest(order, next.map(|next| parent * FAN + next));
            }
        }
        if self.levels > 2 {
            self.carry_taken(1, parent);
            for order in lost {
                if self.lowest(order).is_none() {
                    self.set_lowest(order, self.descend(0, order));
                }
            }
        }
    }

    /// As [`node_taken`](Self::node_taken), from `level` on, which is above 0.
    #[inline(never)]
    fn carry_taken(&mut self, mut level: usize, mut node: usize) {
        while level + 1 < self.levels {
            let (parent, child) = (node / FAN, Granules::window(node % FAN, 0));
            let lost = self.recount(level, node);
            if lost.is_empty() {
                return;
            }
            for order in lost {
                let word = self.lacking_mut(level + 1, parent, order);
                *word = word.and(child);
            }
            (level, node) = (level + 1, parent);
        }
    }

    /// Tells a node of level 0 and those above that its bucket `child`, and
    /// maybe others, now have `orders` orders: as far as that changes anything.
    /// The order of the largest free window around it, if it is wholly free.
    #[inline(never)]
    fn node_given(&mut self, node: usize, child: usize, orders: u32) -> Option<u32> {
        let around = self.window_around(0, node, child, orders);
        let (had, orders) = (self.orders(0, node), around.map_or(orders, |order| order + 1));
        if orders <= had {
            return around;
        }
        self.set_orders(0, node, orders);
        if self.levels == 1 {
            return around;
        }
        let (parent, child) = (node / FAN, node % FAN);
        for order in had..orders {
            let word = self.lacking_mut(1, parent, order);
            *word = word.but(Granules::window(child, 0));
            self.lower_lowest(order, node);
        }
        if self.levels > 2 || orders == NODE_ORDERS {
            return self.carry_given(1, parent, child, orders).or(around);
        }
        around
    }

    /// As [`node_given`](Self::node_given), from `level` on, which is above 0.
    #[inline(never)]
    fn carry_given(&mut self, mut level: usize, mut node: usize, mut child: usize, mut orders: u32) -> Option<u32> {
        let mut around = None;
        loop {
            let wider = self.window_around(level, node, child, orders);
            (around, orders) = (wider.or(around), wider.map_or(orders, |order| order + 1));
            if level + 1 == self.levels {
                return around;
            }
            let had = self.orders(level, node);
            if orders <= had {
                return around;
            }
            self.set_orders(level, node, orders);
            let parent = node / FAN;
            child = node % FAN;
            for order in had..orders {
                let word = self.lacking_mut(level + 1, parent, order);
                *word = word.but(Granules::window(child, 0));
            }
            (level, node) = (level + 1, parent);
        }
    }

    /// The order of the largest free window around a child that has `orders`
    /// orders, if that is all of them.
    #[inline(always)]
    fn window_around(&self, level: usize, node: usize, child: usize, orders: u32) -> Option<u32> {
        let own = child_order(level);
        (orders > own).then(|| own + self.free(level, node).window_around(child))
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
            let contradicts = |&node: &usize| {
                let lacks = all_orders(level) - self.counted_orders(level, node);
                self.missing(level, node) != if level > 0 && level + 1 == self.levels { 0 } else { lacks.into() }
            };
            if let Some(node) = (0..count).find(contradicts) {
                return Some((level + 1, node));
            }
        }
        let contradicts = |order| self.levels > 1 && self.lowest(order) != self.descend(0, order);
        (0..NODE_ORDERS).any(contradicts).then_some((self.levels, 0))
    }
}
