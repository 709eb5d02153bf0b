//! The bit tricks of the managers, each behind a name, and nowhere else.

/// The granules that one bucket of the bitmaps stands for: one word.
pub(super) const BUCKET: usize = 64;

/// A set of granules within one bucket; also of children of a node, which make
/// up windows in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granules(pub u64);

/// `TOPS[k]`: the last granule of each aligned window of `2^k` in a bucket.
const TOPS: [u64; 7] = [
    !0,
    0xAAAA_AAAA_AAAA_AAAA,
    0x8888_8888_8888_8888,
    0x8080_8080_8080_8080,
    0x8000_8000_8000_8000,
    0x8000_0000_8000_0000,
    0x8000_0000_0000_0000,
];

/// `WINDOWS[k]`: the first `2^k` granules of a bucket.
const WINDOWS: [u64; 7] = [1, 0x3, 0xF, 0xFF, 0xFFFF, 0xFFFF_FFFF, !0];

impl Granules {
    /// The `len` granules from `first` on; `1 <= len <= 64 - first`.
    pub fn run(first: usize, len: usize) -> Self {
        Granules((!0 >> (BUCKET - len)) << first)
    }

    /// The set and `other` together.
    #[inline(always)]
    pub fn and(self, other: Self) -> Self {
        Granules(self.0 | other.0)
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
    fn windows(self, tops: u64) -> u64 {
        // A window that lacks a granule below its top carries into the top,
        // and none carries out of it.
        let rest = !self.0;
        !(((rest & !tops) + !tops) | rest) & tops
    }

    /// The lowest aligned window of `2^order` granules that are all in the
    /// set; `order <= 6`.
    #[inline(always)]
    pub fn lowest_window(self, order: u32) -> Option<usize> {
        let windows = self.windows(TOPS[order as usize]);
        (windows != 0).then(|| windows.trailing_zeros() as usize >> order << order)
    }

    /// How many orders of aligned windows there are in the set, from 0 on.
    #[inline(always)]
    pub fn orders(self) -> u32 {
        // Without a branch, as nobody could foretell it, and side by side.
        TOPS.into_iter().map(|top| u32::from(self.windows(top) != 0)).sum()
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

/// The bytes of one node of the buddy system's tree: its children.
pub(super) const NODE: usize = 32;

/// Thirty-two bytes below 128: a node of the buddy system's tree. Of larger
/// bytes, which only damage brings, the answers are wrong.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes([core::arch::x86_64::__m128i; 2]);

#[cfg(target_arch = "x86_64")]
impl Bytes {
    /// # Safety
    /// `NODE` bytes at `bytes`, a multiple of 16, may be read.
    #[inline(always)]
    pub unsafe fn load(bytes: *const u8) -> Self {
        use core::arch::x86_64::_mm_load_si128;
        // SAFETY: the caller's promise; SSE2 is part of the architecture.
        unsafe { Bytes([_mm_load_si128(bytes.cast()), _mm_load_si128(bytes.add(16).cast())]) }
    }

    /// The bytes that are below `bound`.
    #[inline(always)]
    pub fn below(self, bound: Bound) -> Granules {
        use core::arch::x86_64::{_mm_cmpgt_epi8, _mm_movemask_epi8};
        // SAFETY: as above.
        let half = |i: usize| unsafe { _mm_movemask_epi8(_mm_cmpgt_epi8(bound.0, self.0[i])) as u64 };
        Granules(half(0) | half(1) << 16)
    }

    /// The least of the bytes.
    #[inline(always)]
    pub fn least(self) -> u8 {
        use core::arch::x86_64::{_mm_cvtsi128_si32, _mm_min_epu8, _mm_srli_si128};
        // SAFETY: as above.
        unsafe {
            let all = _mm_min_epu8(self.0[0], self.0[1]);
            let eight = _mm_min_epu8(all, _mm_srli_si128::<8>(all));
            let four = _mm_min_epu8(eight, _mm_srli_si128::<4>(eight));
            let two = _mm_min_epu8(four, _mm_srli_si128::<2>(four));
            _mm_cvtsi128_si32(_mm_min_epu8(two, _mm_srli_si128::<1>(two))) as u8
        }
    }

    /// The bytes with the largest there is at `index`.
    #[inline(always)]
    pub fn without(self, index: usize) -> Self {
        use core::arch::x86_64::{_mm_loadu_si128, _mm_or_si128};
        const MASK: [u8; 2 * NODE - 1] = {
            let mut mask = [0; 2 * NODE - 1];
            mask[NODE - 1] = u8::MAX;
            mask
        };
        let mask = &MASK[NODE - 1 - index % NODE..];
        // SAFETY: as above; that many bytes of the mask are left.
        let half = |i: usize| unsafe { _mm_or_si128(self.0[i], _mm_loadu_si128(mask.as_ptr().add(16 * i).cast())) };
        Bytes([half(0), half(1)])
    }
}

/// What the bytes of a node are compared with.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound(core::arch::x86_64::__m128i);

#[cfg(target_arch = "x86_64")]
impl Bound {
    #[inline(always)]
    pub fn new(byte: u8) -> Self {
        // SAFETY: as above.
        Bound(unsafe { core::arch::x86_64::_mm_set1_epi8(byte as i8) })
    }

    /// A bound that is lower by `less`.
    #[inline(always)]
    pub fn minus(self, less: u8) -> Self {
        // SAFETY: as above.
        Bound(unsafe { core::arch::x86_64::_mm_sub_epi8(self.0, Bound::new(less).0) })
    }
}

/// Thirty-two bytes: a node of the buddy system's tree.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes([u8; NODE]);

#[cfg(not(target_arch = "x86_64"))]
impl Bytes {
    /// # Safety
    /// `NODE` bytes at `bytes` may be read.
    pub unsafe fn load(bytes: *const u8) -> Self {
        // SAFETY: the caller's promise.
        Bytes(unsafe { bytes.cast::<[u8; NODE]>().read() })
    }

    /// The bytes that are below `bound`.
    pub fn below(self, bound: Bound) -> Granules {
        Granules(self.0.iter().enumerate().fold(0, |below, (i, &byte)| below | u64::from(byte < bound.0) << i))
    }

    /// The least of the bytes.
    pub fn least(self) -> u8 {
        self.0.into_iter().fold(u8::MAX, u8::min)
    }

    /// The bytes with the largest there is at `index`.
    pub fn without(mut self, index: usize) -> Self {
        self.0[index % NODE] = u8::MAX;
        self
    }
}

/// What the bytes of a node are compared with.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound(u8);

#[cfg(not(target_arch = "x86_64"))]
impl Bound {
    pub fn new(byte: u8) -> Self {
        Bound(byte)
    }

    /// A bound that is lower by `less`.
    pub fn minus(self, less: u8) -> Self {
        Bound(self.0.wrapping_sub(less))
    }
}

/// The bytes of one node of first fit's tree.
pub(super) const SIZES: usize = 64;

/// A size in a node of first fit's tree. In 32 bits it is below 2^31.
pub(super) trait Size: Copy + Into<u32> {
    /// The sizes of a node.
    const FAN: usize = SIZES / size_of::<Self>();

    /// `size`, which fits.
    fn new(size: u32) -> Self;

    /// A bit for each of the sizes in a node that is at least `bound`, itself
    /// above 0.
    ///
    /// # Safety
    /// `node` points to `FAN` sizes.
    unsafe fn at_least(node: *const Self, bound: u32) -> u32;

    /// The largest of the sizes in a node but the one at `index`.
    ///
    /// # Safety
    /// `node` points to `FAN` sizes.
    unsafe fn largest_but(node: *const Self, index: usize) -> u32;
}

impl Size for u16 {
    #[inline(always)]
    fn new(size: u32) -> Self {
        size as u16
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

    #[cfg(not(target_arch = "x86_64"))]
    unsafe fn at_least(node: *const Self, bound: u32) -> u32 {
        // SAFETY: the caller's promise.
        let node = unsafe { &*node.cast::<[u16; Self::FAN]>() };
        node.iter().enumerate().fold(0, |hits, (i, &size)| hits | u32::from(u32::from(size) >= bound) << i)
    }

    #[inline(always)]
    unsafe fn largest_but(node: *const Self, index: usize) -> u32 {
        // SAFETY: the caller's promise.
        let node = unsafe { &*node.cast::<[u16; Self::FAN]>() };
        const MASK: [u16; 63] = {
            let mut mask = [!0; 63];
            mask[31] = 0;
            mask
        };
        let mask = &MASK[31 - index % 32..];
        // Eight at a time, as the compiler makes vectors of it.
        let mut eight = [0u16; 8];
        for first in (0..32).step_by(8) {
            for (i, most) in eight.iter_mut().enumerate() {
                // The larger, by a subtraction that stops at 0.
                *most += (node[first + i] & mask[first + i]).saturating_sub(*most);
            }
        }
        eight.into_iter().fold(0, u16::max).into()
    }
}

impl Size for u32 {
    #[inline(always)]
    fn new(size: u32) -> Self {
        size
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

    #[cfg(not(target_arch = "x86_64"))]
    unsafe fn at_least(node: *const Self, bound: u32) -> u32 {
        // SAFETY: the caller's promise.
        let node = unsafe { &*node.cast::<[u32; Self::FAN]>() };
        node.iter().enumerate().fold(0, |hits, (i, &size)| hits | u32::from(size >= bound) << i)
    }

    #[inline(always)]
    unsafe fn largest_but(node: *const Self, index: usize) -> u32 {
        // SAFETY: the caller's promise.
        let node = unsafe { &*node.cast::<[u32; Self::FAN]>() };
        const MASK: [u32; 31] = {
            let mut mask = [!0; 31];
            mask[15] = 0;
            mask
        };
        let mask = &MASK[15 - index % 16..];
        // Four at a time, as the compiler makes vectors of it.
        let mut four = [0i32; 4];
        for first in (0..16).step_by(4) {
            for (i, most) in four.iter_mut().enumerate() {
                *most = (*most).max((node[first + i] & mask[first + i]) as i32);
            }
        }
        four.into_iter().fold(0, i32::max) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> impl Iterator<Item = u64> {
        let mut x = 0x9E37_79B9_7F4A_7C15u64;
        (0..20_000).map(move |i| {
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
                if slow.is_some() {
                    largest = Some(order);
                }
            }
            assert_eq!(set.orders(), largest.map_or(0, |order| order + 1), "{bits:#x}");
            for at in (0..64).filter(|&at| is_window(at, 1)) {
                let around = (0..=6).rev().find(|&order| is_window(at >> order << order, 1 << order));
                assert_eq!(Some(set.window_around(at)), around, "{bits:#x} {at}");
            }
        }
    }

    #[test]
    fn the_bytes_of_a_node_are_what_a_loop_over_them_finds() {
        #[repr(align(16))]
        struct Aligned([u8; NODE]);
        for (i, bits) in samples().enumerate() {
            let mask = if i % 3 == 0 { 0x0303_0303_0303_0303 } else { 0x7F7F_7F7F_7F7F_7F7F };
            let words = [0, 13, 29, 47].map(|turn| (bits.rotate_left(turn) & mask).to_le_bytes());
            let bytes: [u8; NODE] = core::array::from_fn(|i| words[i / 8][i % 8]);
            let node = unsafe { Bytes::load(Aligned(bytes).0.as_ptr()) };
            for bound in [1, 2, 40, 122] {
                let slow = (0..NODE).fold(0, |below, i| below | u64::from(bytes[i] < bound) << i);
                assert_eq!(node.below(Bound::new(bound)), Granules(slow));
                assert_eq!(node.below(Bound::new(bound + 5).minus(5)), Granules(slow));
            }
            let others = bytes.iter().enumerate().filter(|&(other, _)| other != i % NODE);
            assert_eq!(node.without(i).least(), *others.map(|(_, byte)| byte).min().unwrap());
            assert_eq!(node.least(), *bytes.iter().min().unwrap());
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
