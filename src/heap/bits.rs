//! The bit tricks of the managers, each behind a name, and nowhere else.

use core::hint::select_unpredictable;
use core::ops::BitAnd;
use core::slice;

/// The granules that one bucket of the bitmaps stands for: one word.
pub(super) const BUCKET: usize = 64;

/// A set of granules within one bucket; also of children of a node, which make
/// up windows in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granules(pub u64);

/// The orders of the aligned windows in a bucket.
const ORDERS: usize = BUCKET.trailing_zeros() as usize + 1;

/// `TOPS[k]`: the last granule of each aligned window of `2^k` in a bucket.
const TOPS: [u64; ORDERS] = [
    !0,
    0xAAAA_AAAA_AAAA_AAAA,
    0x8888_8888_8888_8888,
    0x8080_8080_8080_8080,
    0x8000_8000_8000_8000,
    0x8000_0000_8000_0000,
    0x8000_0000_0000_0000,
];

/// `WINDOWS[k]`: the first `2^k` granules of a bucket.
const WINDOWS: [u64; ORDERS] = [1, 0x3, 0xF, 0xFF, 0xFFFF, 0xFFFF_FFFF, !0];

impl Granules {
    pub const ALL: Self = Granules(!0);

    /// The `len` granules from `first` on; `1 <= len <= 64 - first`.
    pub fn run(first: usize, len: usize) -> Self {
        Granules((!0 >> (BUCKET - len)) << first)
    }

    /// The set and `other` together.
    #[inline(always)]
    pub fn and(self, other: Self) -> Self {
        Granules(self.0 | other.0)
    }

    /// All that is not in the set.
    #[inline(always)]
    pub fn others(self) -> Self {
        Granules(!self.0)
    }

    /// The set if `condition` holds, else nothing.
    #[inline(always)]
    pub fn only_if(self, condition: bool) -> Self {
        Granules(self.0 & u64::from(condition).wrapping_neg())
    }

    /// The set without what is in `other`.
    #[inline(always)]
    pub fn but(self, other: Self) -> Self {
        Granules(self.0 & !other.0)
    }

    /// The lowest of the set.
    #[inline(always)]
    pub fn lowest(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    /// All from `first` on to the lowest of the set that is not below it.
    #[inline(always)]
    pub fn through_lowest(self, first: usize) -> Self {
        let set = self.0 >> first;
        Granules((set ^ set.wrapping_sub(1)) << first)
    }

    /// Whether all of `other` is in the set.
    #[inline(always)]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The aligned window of `2^order` granules that begins at `first`;
    /// `order <= 6`.
    #[inline(always)]
    pub fn window(first: usize, order: u32) -> Self {
        Granules(WINDOWS[order as usize] << first)
    }

    /// Those of `tops`, the last granules of the aligned windows of an order,
    /// whose windows are all in the set.
    #[inline(always)]
    fn window_tops(self, tops: u64) -> u64 {
        // A window that lacks a granule below its top carries into the top,
        // and none carries out of it.
        let rest = !self.0;
        !(((rest & !tops) + !tops) | rest) & tops
    }

    /// The lowest aligned window of `2^order` granules that are all in the
    /// set; `order <= 6`.
    #[inline(always)]
    pub fn lowest_window(self, order: u32) -> Option<usize> {
        let windows = self.window_tops(TOPS[order as usize]);
        (windows != 0).then(|| windows.trailing_zeros() as usize >> order << order)
    }

    /// The aligned windows in the set.
    #[inline(always)]
    pub fn windows(self) -> Windows {
        let (mut firsts, mut runs) = ([0; ORDERS], self.0);
        for order in 0..ORDERS {
            // Where `2^order` of the set begin, doubled from order to order.
            runs &= runs >> ((1 << order) / 2);
            firsts[order] = runs & TOPS[order] >> ((1 << order) - 1);
        }
        Windows(firsts)
    }

    /// The order of the largest aligned window around granule `at`, one of the
    /// set.
    #[inline(always)]
    pub fn window_around(self, at: usize) -> u32 {
        // A window ends below the first bit in which `at` and one that is not
        // in the set differ; the nearest on either side differ last.
        let rest = !self.0;
        let (before, behind) = (rest & !(!0 << at), rest & !0 << at);
        let before = (BUCKET - 1).wrapping_sub(before.leading_zeros() as usize) ^ at;
        let behind = behind.trailing_zeros() as usize ^ at;
        (before.min(behind) | 1).ilog2()
    }
}

/// The free blocks of a bucket: where each starts, and where the block behind
/// it does, if that is in the bucket; else the last one leaves it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holes {
    starts: u64,
    ends: u64,
}

/// Where a block goes among the free ones of a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Where it starts.
    pub at: usize,
    /// The size of the free block that starts there; `None` where it leaves
    /// the bucket.
    pub of: Option<usize>,
    /// The size of the largest that is left, as far as it is in the bucket.
    pub largest: u32,
}

/// The free blocks that are looked at together, without a branch between them:
/// how many a bucket has nobody could foretell, but few have more.
const TOGETHER: usize = 4;

impl Holes {
    /// Those that start at `starts`, where used blocks do at `used`, at least
    /// one between any two.
    #[inline(always)]
    pub fn new(starts: u64, used: u64) -> Self {
        // The subtraction borrows from each start up to the next used block: it
        // sets what is between, and clears that block's start.
        Holes { starts, ends: used & !used.wrapping_sub(starts) }
    }

    /// Takes the next ones: where they start, and their sizes in the bucket; 0
    /// where there are no more.
    #[inline(always)]
    fn next(&mut self) -> [(u32, i32); TOGETHER] {
        [(); TOGETHER].map(|()| {
            let (start, end) = (self.starts.trailing_zeros(), self.ends.trailing_zeros());
            self.starts &= self.starts.wrapping_sub(1);
            self.ends &= self.ends.wrapping_sub(1);
            (start, end as i32 - start as i32)
        })
    }

    /// The size of the largest, as far as it is in the bucket, or 0.
    #[inline(never)]
    pub fn largest(mut self) -> u32 {
        let mut largest = 0;
        while self.starts != 0 {
            largest = larger(largest, largest_of(self.next().map(|(_, size)| size)));
        }
        largest as u32
    }

    /// Puts a block of `len` into the lowest that has as many granules in the
    /// bucket, else into the last. `None` where there are none at all.
    #[inline(always)]
    pub fn cut(self, len: usize) -> Option<Cut> {
        let last = self.starts.checked_ilog2()?;
        let (mut rest, mut largest, len) = (self, 0, len as i32);
        let at = loop {
            let next = rest.next();
            let fits = |at, (start, size)| select_unpredictable(size >= len, start, at);
            let at = next.into_iter().rfold(last, fits);
            let left = next.map(|(start, size)| size - select_unpredictable(start == at, len, 0));
            largest = larger(largest, largest_of(left));
            if rest.starts == 0 {
                break at;
            }
            if at != last {
                largest = larger(largest, rest.largest() as i32);
                break at;
            }
        };
        let behind = self.ends >> at;
        let of = (behind != 0).then(|| behind.trailing_zeros() as usize);
        Some(Cut { at: at as usize, of, largest: largest as u32 })
    }
}

/// The larger of the two, without a branch.
#[inline(always)]
fn larger(a: i32, b: i32) -> i32 {
    select_unpredictable(a > b, a, b)
}

/// The largest of four, without a branch.
#[inline(always)]
fn largest_of([a, b, c, d]: [i32; TOGETHER]) -> i32 {
    larger(larger(a, b), larger(c, d))
}

/// The aligned windows in a set of granules: of each order the first granules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows([u64; ORDERS]);

impl Windows {
    /// The windows that are left without the granules of `window`, the lowest
    /// of its order.
    #[inline(always)]
    pub fn without(self, window: Granules) -> Self {
        // A larger window that it is in begins where it begins: what is lower
        // there would be a lower one of its order.
        Windows(self.0.map(|firsts| firsts & !window.0))
    }

    /// Whether there are windows of `order`.
    #[inline(always)]
    pub fn has(&self, order: u32) -> bool {
        self.0[order as usize] != 0
    }

    /// How many orders there are windows of, from 0 on.
    #[inline(always)]
    pub fn orders(&self) -> u32 {
        // Without a branch, as nobody could foretell it.
        self.0.into_iter().map(|firsts| u32::from(firsts != 0)).sum()
    }
}

/// The bytes of one node of first fit's tree.
pub(super) const SIZES: usize = 64;

/// A size in a node of first fit's tree. In 32 bits it is below 2^31.
pub(super) trait Size: Copy + BitAnd<Output = Self> + Into<u32> + 'static {
    /// The sizes of a node.
    const FAN: usize = SIZES / size_of::<Self>();

    /// `2 * FAN - 1` masks of ones, the middle one 0.
    const MASKS: &'static [Self];

    /// `size`, which fits.
    fn new(size: u32) -> Self;

    /// The larger of the two.
    fn larger(self, other: Self) -> Self;

    /// A bit for each of the sizes in a node that is at least `bound`, itself
    /// above 0.
    ///
    /// # Safety
    /// `node` points to `FAN` sizes.
    #[inline(always)]
    unsafe fn at_least(node: *const Self, bound: u32) -> u32 {
        // SAFETY: the caller's promise.
        let node = unsafe { slice::from_raw_parts(node, Self::FAN) };
        node.iter().enumerate().fold(0, |hits, (i, &size)| hits | u32::from(size.into() >= bound) << i)
    }

    /// The largest of the sizes in a node but the one at `index`.
    ///
    /// # Safety
    /// `node` points to `FAN` sizes.
    #[inline(always)]
    unsafe fn largest_but(node: *const Self, index: usize) -> u32 {
        // SAFETY: the caller's promise.
        let node = unsafe { slice::from_raw_parts(node, Self::FAN) };
        let mask = &Self::MASKS[Self::FAN - 1 - index % Self::FAN..];
        // Eight at a time, as the compiler makes vectors of it.
        let mut eight = [Self::new(0); 8];
        for first in (0..Self::FAN).step_by(eight.len()) {
            for (i, most) in eight.iter_mut().enumerate() {
                *most = most.larger(node[first + i] & mask[first + i]);
            }
        }
        eight.into_iter().fold(Self::new(0), Self::larger).into()
    }
}

impl Size for u16 {
    const MASKS: &'static [Self] = &{
        let mut masks = [!0; 2 * Self::FAN - 1];
        masks[Self::FAN - 1] = 0;
        masks
    };

    #[inline(always)]
    fn new(size: u32) -> Self {
        size as u16
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        // By a subtraction that stops at 0, which vectors have.
        self + other.saturating_sub(self)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn at_least(node: *const Self, bound: u32) -> u32 {
        use core::arch::x86_64::*;
        // SAFETY: the caller's promise; SSE2 is part of the architecture.
        unsafe {
            let (sizes, bound) = (node.cast::<__m128i>(), _mm_set1_epi16(bound as i16));
            // What the bound exceeds the size by: 0 is a hit.
            let lack = |i| _mm_subs_epu16(bound, _mm_loadu_si128(sizes.add(i)));
            let half = |i| {
                let sixteen = _mm_packs_epi16(lack(i), lack(i + 1));
                _mm_movemask_epi8(_mm_cmpeq_epi8(sixteen, _mm_setzero_si128())) as u32
            };
            half(0) | half(2) << 16
        }
    }
}

impl Size for u32 {
    const MASKS: &'static [Self] = &{
        let mut masks = [!0; 2 * Self::FAN - 1];
        masks[Self::FAN - 1] = 0;
        masks
    };

    #[inline(always)]
    fn new(size: u32) -> Self {
        size
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        // Signed, as vectors compare.
        (self as i32).max(other as i32) as u32
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn at_least(node: *const Self, bound: u32) -> u32 {
        use core::arch::x86_64::*;
        // SAFETY: the caller's promise; SSE2 is part of the architecture.
        unsafe {
            let (sizes, bound) = (node.cast::<__m128i>(), _mm_set1_epi32(bound as i32 - 1));
            let four = |i| _mm_cmpgt_epi32(_mm_loadu_si128(sizes.add(i)), bound);
            let low = _mm_packs_epi32(four(0), four(1));
            let high = _mm_packs_epi32(four(2), four(3));
            _mm_movemask_epi8(_mm_packs_epi16(low, high)) as u32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> impl Iterator<Item = u64> {
        let mut x = 0x9E37_79B9_7F4A_7C15u64;
        (0..if cfg!(miri) { 100 } else { 20_000 }).map(move |i| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            // Sparse, dense and even bits alike.
            match i % 4 {
                0 => x,
                1 => x & x.rotate_left(9) & x.rotate_left(23),
                2 => x | x.rotate_left(9) | x.rotate_left(23),
                _ => !0 << (x % 64),
            }
        })
    }

    #[test]
    fn windows_are_the_lowest_and_the_largest_aligned_runs() {
        for bits in samples().chain([0, !0, 1, 1 << 63]) {
            let set = Granules(bits);
            let is_window = |at: usize, len: usize| bits & Granules::run(at, len).0 == Granules::run(at, len).0;
            let mut largest = None;
            for order in 0..=6 {
                let len = 1usize << order;
                let slow = (0..64).step_by(len).find(|&at| is_window(at, len));
                assert_eq!(set.lowest_window(order), slow, "{bits:#x} {order}");
                assert_eq!(Granules::window(64 - len, order), Granules::run(64 - len, len));
                if let Some(at) = slow {
                    largest = Some(order);
                    let window = Granules::window(at, order);
                    let (left, rest) = (set.windows().without(window), set.but(window));
                    for order in 0..=6 {
                        assert_eq!(left.has(order), rest.lowest_window(order).is_some(), "{bits:#x} {at} {order}");
                    }
                }
            }
            assert_eq!(set.windows().orders(), largest.map_or(0, |order| order + 1), "{bits:#x}");
            for first in 0..64 {
                let last = (first..64).find(|&at| is_window(at, 1)).unwrap_or(63);
                assert_eq!(set.through_lowest(first), Granules::run(first, last + 1 - first), "{bits:#x} {first}");
            }
            for at in (0..64).filter(|&at| is_window(at, 1)) {
                let around = (0..=6).rev().find(|&order| is_window(at >> order << order, 1 << order));
                assert_eq!(Some(set.window_around(at)), around, "{bits:#x} {at}");
            }
        }
    }

    #[test]
    fn holes_are_cut_at_the_lowest_that_is_large_enough() {
        for (i, bits) in samples().enumerate() {
            // A block starts at every change from used granules to free ones and
            // back, and used ones at some others.
            let changes = bits ^ bits << 1;
            let (starts, used) = (changes & bits, (changes | bits.rotate_left(7)) & !bits);
            let holes = || {
                (0..64).filter(|&at| starts >> at & 1 != 0).map(|at| {
                    let len = (at..64).take_while(|&k| bits >> k & 1 != 0).count();
                    (at, len)
                })
            };
            let found = Holes::new(starts, used);
            assert_eq!(found.largest() as usize, holes().map(|(_, len)| len).max().unwrap_or(0), "{bits:#x}");
            let len = i % 70 + 1;
            let Some(cut) = found.cut(len) else {
                assert_eq!(starts, 0);
                continue;
            };
            let (at, size) = holes().find(|&(_, size)| size >= len).or(holes().next_back()).unwrap();
            assert_eq!((cut.at, cut.of), (at, (at + size < 64).then_some(size)), "{bits:#x} {len}");
            let left = holes().map(|(start, size)| if start == at { size.saturating_sub(len) } else { size });
            assert_eq!(cut.largest as usize, left.max().unwrap(), "{bits:#x} {len}");
        }
    }

    fn sizes_are_searched_in_order<S: Size>(of: impl Fn(u64) -> S) {
        for (i, bits) in samples().enumerate() {
            let node: Vec<S> = (0..S::FAN).map(|k| of(bits.rotate_left(5 * k as u32))).collect();
            let sizes: Vec<u32> = node.iter().map(|&size| size.into()).collect();
            let index = i % S::FAN;
            let bound = sizes[index].max(1);
            let hits = sizes.iter().enumerate().fold(0, |hits, (k, &size)| hits | u32::from(size >= bound) << k);
            assert_eq!(unsafe { S::at_least(node.as_ptr(), bound) }, hits);
            let others = sizes.iter().enumerate().filter(|&(other, _)| other != index);
            let largest = *others.map(|(_, size)| size).max().unwrap();
            assert_eq!(unsafe { S::largest_but(node.as_ptr(), index) }, largest);
        }
    }

    #[test]
    fn sizes_of_both_widths_are_searched_in_order() {
        sizes_are_searched_in_order(|bits| bits as u16);
        sizes_are_searched_in_order(|bits| bits as u16 & 0x101);
        sizes_are_searched_in_order(|bits| (bits >> 33) as u32);
        sizes_are_searched_in_order(|bits| (bits >> 33) as u32 & 0x101);
    }
}
