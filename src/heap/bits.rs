//! The bit tricks of the managers, each behind a name, and nowhere else.

/// The granules that one bucket of the bitmaps stands for: one word.
pub(super) const BUCKET: usize = 64;

/// A set of granules within one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granules(pub u64);

/// `ALIGNED[k]`: the multiples of `2^k` within a bucket.
const ALIGNED: [u64; 7] = [
    !0,
    0x5555_5555_5555_5555,
    0x1111_1111_1111_1111,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x0000_0001_0000_0001,
    1,
];

impl Granules {
    /// The `len` granules from `first` on; `1 <= len <= 64 - first`.
    pub fn run(first: usize, len: usize) -> Self {
        Granules((!0 >> (BUCKET - len)) << first)
    }

    /// The lowest aligned window of `2^order` granules that are all in the
    /// set; `order <= 6`.
    pub fn lowest_window(self, order: u32) -> Option<usize> {
        let mut windows = self.0;
        for k in 0..order {
            windows &= windows >> (1 << k) & ALIGNED[k as usize + 1];
        }
        (windows != 0).then(|| windows.trailing_zeros() as usize)
    }

    /// The order of the largest aligned window in the set.
    pub fn largest_window(self) -> Option<u32> {
        let mut windows = self.0;
        if windows == 0 {
            return None;
        }
        let mut order = 0;
        while order < 6 {
            windows &= windows >> (1 << order) & ALIGNED[order as usize + 1];
            if windows == 0 {
                break;
            }
            order += 1;
        }
        Some(order)
    }
}

/// Eight bytes below 128 in one word: the children of a node of the buddy
/// system's tree. Of larger bytes, which only damage brings, it answers
/// something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Octet(pub u64);

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

impl Octet {
    /// This octet with byte `index` set to `value`.
    pub fn with(self, index: usize, value: u8) -> Self {
        let shift = index * 8;
        Octet(self.0 & !(0xFF << shift) | u64::from(value) << shift)
    }

    /// This octet with `len` bytes from `index` on set to `value`; `len` is 1,
    /// 2 or 4.
    pub fn with_group(self, index: usize, len: usize, value: u8) -> Self {
        let mask = (!0 >> (64 - len * 8)) << (index * 8);
        Octet(self.0 & !mask | (LOW * u64::from(value)) & mask)
    }

    pub fn get(self, index: usize) -> u8 {
        (self.0 >> (index * 8)) as u8
    }

    /// The lowest byte that is at most `bound`.
    pub fn first_at_most(self, bound: u8) -> Option<usize> {
        // Byte by byte 0x80 + bound - value: no borrow, and the high bit is
        // set just where value <= bound.
        let hits = (HIGH + LOW * u64::from(bound)).wrapping_sub(self.0) & HIGH;
        (hits != 0).then(|| hits.trailing_zeros() as usize / 8)
    }

    /// The lowest aligned group of `2^log` bytes that are all zero; `log` is
    /// 0, 1 or 2.
    pub fn first_zero_group(self, log: u32) -> Option<usize> {
        let mut zeros = HIGH.wrapping_sub(self.0) & HIGH;
        if log >= 1 {
            zeros &= zeros >> 8 & 0x0080_0080_0080_0080;
        }
        if log >= 2 {
            zeros &= zeros >> 16 & 0x0000_0080_0000_0080;
        }
        (zeros != 0).then(|| zeros.trailing_zeros() as usize / 8)
    }

    /// The smallest of the bytes.
    pub fn least(self) -> u8 {
        fn least(a: u64, b: u64) -> u64 {
            // The high bit of each byte says a >= b; spread it over the byte.
            let ge = (a | HIGH).wrapping_sub(b) & HIGH;
            let mask = (ge >> 7) * 0xFF;
            b & mask | a & !mask
        }
        let four = least(self.0, self.0 >> 32) & 0xFFFF_FFFF;
        let two = least(four, four >> 16) & 0xFFFF;
        least(two, two >> 8) as u8
    }
}

/// Sixteen sizes below 2^31: the children of a node of first fit's tree.
pub(super) type Sixteen = [u32; 16];

/// The lowest of the sixteen that is at least `bound`, itself above 0.
#[inline(always)]
pub(super) fn first_at_least(node: &Sixteen, bound: u32) -> Option<usize> {
    let hits = at_least(node, bound);
    (hits != 0).then(|| hits.trailing_zeros() as usize)
}

/// A bit for each of the sixteen that is at least `bound`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn at_least(node: &Sixteen, bound: u32) -> u32 {
    use core::arch::x86_64::*;
    let sizes: *const __m128i = node.as_ptr().cast();
    // SAFETY: SSE2 is part of the architecture; four times four words.
    unsafe {
        let bound = _mm_set1_epi32(bound as i32 - 1);
        let four = |i| _mm_cmpgt_epi32(_mm_loadu_si128(sizes.add(i)), bound);
        let low = _mm_packs_epi32(four(0), four(1));
        let high = _mm_packs_epi32(four(2), four(3));
        _mm_movemask_epi8(_mm_packs_epi16(low, high)) as u32
    }
}

/// A bit for each of the sixteen that is at least `bound`.
#[cfg(not(target_arch = "x86_64"))]
fn at_least(node: &Sixteen, bound: u32) -> u32 {
    node.iter().enumerate().fold(0, |hits, (i, &size)| hits | u32::from(size >= bound) << i)
}

/// The largest of the sixteen.
#[inline]
pub(super) fn largest(node: &Sixteen) -> u32 {
    // Four at a time, as the compiler makes vectors of it.
    let mut four = [0i32; 4];
    for sizes in node.chunks_exact(4) {
        for (most, &size) in four.iter_mut().zip(sizes) {
            *most = (*most).max(size as i32);
        }
    }
    four.into_iter().fold(0, i32::max) as u32
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
            let mut largest = None;
            for order in 0..=6 {
                let len = 1usize << order;
                let slow = (0..64).step_by(len).find(|&at| {
                    let run = Granules::run(at, len).0;
                    bits & run == run
                });
                assert_eq!(set.lowest_window(order), slow, "{bits:#x} {order}");
                if slow.is_some() {
                    largest = Some(order);
                }
            }
            assert_eq!(set.largest_window(), largest, "{bits:#x}");
        }
    }

    #[test]
    fn octets_find_what_a_loop_over_bytes_finds() {
        for (i, bits) in samples().enumerate() {
            let mask = if i % 3 == 0 { 0x0303_0303_0303_0303 } else { 0x7F7F_7F7F_7F7F_7F7F };
            let octet = Octet(bits & mask);
            let bytes = octet.0.to_le_bytes();
            for bound in [0, 1, 2, 40, 127] {
                assert_eq!(octet.first_at_most(bound), bytes.iter().position(|&b| b <= bound));
            }
            for log in 0..3 {
                let len = 1 << log;
                let slow = (0..8).step_by(len).find(|&at| bytes[at..at + len].iter().all(|&b| b == 0));
                assert_eq!(octet.first_zero_group(log), slow);
            }
            assert_eq!(octet.least(), *bytes.iter().min().unwrap());
            assert_eq!(octet.with(i % 8, 9).get(i % 8), 9);
            assert_eq!(octet.with_group(4, 4, 7).get(5), 7);
            assert_eq!(octet.with_group(4, 2, 7).get(6), octet.get(6));
        }
    }

    #[test]
    fn sixteen_sizes_are_searched_in_order() {
        for (i, bits) in samples().enumerate() {
            let node: Sixteen = core::array::from_fn(|k| (bits.rotate_left(5 * k as u32) >> 34) as u32);
            let bound = (node[i % 16] + (i as u32 & 1)).max(1);
            assert_eq!(first_at_least(&node, bound), node.iter().position(|&s| s >= bound));
            assert_eq!(largest(&node), *node.iter().max().unwrap());
        }
    }
}
