//! What the tests of the managers share: an area between guard bytes, the
//! operations, and a shadow model that is kept stupid.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::ptr::NonNull;

use memman::heap::{Buddy, Ebuddy, ExtendError, Ffit, FreeError, Manager};

/// A manager that a test can be run with.
pub trait Kind: Manager + Sized {
    const NAME: &'static str;
    unsafe fn make(base: *mut u8, bytes: usize) -> Option<Self>;
    fn minimum() -> usize;
    /// Where the policy has to put `size` bytes, as far as it says.
    fn policy(free: &[(usize, usize)], origin: usize, size: usize) -> Placement;
}

/// What a policy says of a request.
#[derive(Debug, PartialEq)]
pub enum Placement {
    At(usize),
    Refused,
    Anywhere,
}

impl Kind for Ffit {
    const NAME: &'static str = "ffit";
    unsafe fn make(base: *mut u8, bytes: usize) -> Option<Self> {
        unsafe { Ffit::from_raw(base, bytes) }
    }
    fn minimum() -> usize {
        Ffit::minimum_area()
    }
    fn policy(free: &[(usize, usize)], _: usize, size: usize) -> Placement {
        let hole = free.iter().find(|&&(_, len)| len >= size);
        hole.map_or(Placement::Refused, |&(at, _)| Placement::At(at))
    }
}

impl Kind for Buddy {
    const NAME: &'static str = "buddy";
    unsafe fn make(base: *mut u8, bytes: usize) -> Option<Self> {
        unsafe { Buddy::from_raw(base, bytes) }
    }
    fn minimum() -> usize {
        Buddy::minimum_area()
    }
    fn policy(free: &[(usize, usize)], origin: usize, size: usize) -> Placement {
        let window = size.checked_next_multiple_of(16).and_then(usize::checked_next_power_of_two);
        let Some(window) = window else { return Placement::Refused };
        let mut joined: Vec<(usize, usize)> = Vec::new();
        for &(at, len) in free {
            match joined.last_mut() {
                Some((start, before)) if *start + *before == at => *before += len,
                _ => joined.push((at, len)),
            }
        }
        let lowest = joined.iter().find_map(|&(at, len)| {
            let start = origin + (at - origin).next_multiple_of(window);
            (start.checked_add(window)? <= at + len).then_some(start)
        });
        lowest.map_or(Placement::Refused, Placement::At)
    }
}

impl Kind for Ebuddy {
    const NAME: &'static str = "ebuddy";
    unsafe fn make(base: *mut u8, bytes: usize) -> Option<Self> {
        unsafe { Ebuddy::from_raw(base, bytes) }
    }
    fn minimum() -> usize {
        Ebuddy::minimum_area()
    }
    fn policy(_: &[(usize, usize)], _: usize, _: usize) -> Placement {
        Placement::Anywhere
    }
}

const GUARD: usize = 256;

/// An area with guard bytes before and behind it.
pub struct Guarded {
    memory: Vec<u64>,
    skew: usize,
    bytes: usize,
}

impl Guarded {
    /// `bytes` bytes, full of rubbish, `skew` bytes off a multiple of 16.
    pub fn new(bytes: usize, skew: usize) -> Self {
        let mut memory = vec![0xA5A5_A5A5_A5A5_A5A5u64; (bytes + 2 * GUARD + 64) / 8];
        let base = memory.as_mut_ptr() as usize + GUARD;
        let skew = base.next_multiple_of(16) - base + GUARD + skew;
        let guarded = Guarded { memory, skew, bytes };
        #[cfg(sanitized)]
        for (from, bytes) in guarded.guards() {
            unsafe { __asan_poison_memory_region(from, bytes) };
        }
        guarded
    }

    pub fn base(&mut self) -> *mut u8 {
        unsafe { self.memory.as_mut_ptr().cast::<u8>().add(self.skew) }
    }

    /// Where the guards are, and their bytes.
    #[cfg(sanitized)]
    fn guards(&self) -> [(*const u8, usize); 2] {
        let start = self.memory.as_ptr().cast::<u8>();
        let end = self.skew + self.bytes;
        [(start, self.skew), (start.wrapping_add(end), self.memory.len() * 8 - end)]
    }

    /// Under AddressSanitizer, nothing: whoever reads or writes them has ended.
    #[cfg(sanitized)]
    pub fn assert_guards(&self) {}

    #[cfg(not(sanitized))]
    pub fn assert_guards(&self) {
        let all = unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast::<u8>(), self.memory.len() * 8) };
        let outside = all[..self.skew].iter().chain(&all[self.skew + self.bytes..]);
        assert!(outside.copied().all(|byte| byte == 0xA5), "a byte outside the area was written");
    }
}

#[cfg(sanitized)]
impl Drop for Guarded {
    fn drop(&mut self) {
        for (from, bytes) in self.guards() {
            unsafe { __asan_unpoison_memory_region(from, bytes) };
        }
    }
}

// Of AddressSanitizer's runtime: which memory nobody may touch.
#[cfg(sanitized)]
unsafe extern "C" {
    fn __asan_poison_memory_region(from: *const u8, bytes: usize);
    fn __asan_unpoison_memory_region(from: *const u8, bytes: usize);
}

/// What a program may do with a heap. Numbers choose among what there is.
#[derive(Clone, Debug)]
pub enum Op {
    Get { size: usize },
    GetAligned { size: usize, log: u32 },
    Free { block: usize },
    Extend { block: usize, size: usize },
    BadFree { offset: usize },
    FreeTwice { block: usize },
}

/// A heap with a record of what must be in it.
pub struct Shadow<K> {
    pub heap: K,
    area: Guarded,
    live: BTreeMap<usize, (usize, u8)>,
    stamp: u8,
    failed: u64,
}

impl<K: Kind> Shadow<K> {
    pub fn new(bytes: usize, skew: usize) -> Option<Self> {
        let mut area = Guarded::new(bytes, skew);
        let heap = unsafe { K::make(area.base(), bytes) };
        area.assert_guards();
        Some(Shadow { heap: heap?, area, live: BTreeMap::new(), stamp: 0, failed: 0 })
    }

    fn nth(&self, block: usize) -> Option<usize> {
        self.live.keys().nth(block.checked_rem(self.live.len())?).copied()
    }

    fn pointer(&mut self, address: usize) -> *mut u8 {
        self.area.base().with_addr(address)
    }

    /// Writes a new block full and notes it; it must not touch another.
    fn admit(&mut self, block: NonNull<u8>, size: usize) {
        let at = block.as_ptr() as usize;
        assert_eq!(at % 16, 0, "misaligned");
        let usable = self.heap.usable_size(block.as_ptr()).expect("a block has a size");
        assert!(usable >= size);
        let base = self.area.base() as usize;
        assert!(base <= at && at + usable <= base + self.area.bytes, "outside the area");
        if let Some((&before, &(len, _))) = self.live.range(..=at).next_back() {
            assert!(before + len <= at, "overlaps the block before");
        }
        if let Some((&behind, _)) = self.live.range(at..).next() {
            assert!(at + usable <= behind, "overlaps the block behind");
        }
        self.stamp = self.stamp.wrapping_add(1);
        unsafe { block.as_ptr().write_bytes(self.stamp, usable) };
        self.live.insert(at, (usable, self.stamp));
    }

    fn assert_contents(&mut self, at: usize, len: usize, stamp: u8) {
        let bytes = unsafe { std::slice::from_raw_parts(self.pointer(at), len) };
        assert!(bytes.iter().all(|&byte| byte == stamp), "contents were lost");
    }

    fn remove(&mut self, at: usize) {
        let (len, stamp) = self.live.remove(&at).unwrap();
        self.assert_contents(at, len, stamp);
    }

    fn free_blocks(&self) -> (Vec<(usize, usize)>, usize) {
        let (mut free, mut origin) = (Vec::new(), usize::MAX);
        self.heap.walk(&mut |block| {
            origin = origin.min(block.address);
            if !block.used {
                free.push((block.address, block.size));
            }
            ControlFlow::Continue(())
        });
        (free, origin)
    }

    /// Does `op` to the heap and to the model, and compares. `exact` also
    /// holds the placement against the policy, by looking at every block.
    pub fn apply(&mut self, op: &Op, exact: bool) {
        match *op {
            Op::Get { size } => {
                let expected = if exact && size > 0 {
                    let (free, origin) = self.free_blocks();
                    K::policy(&free, origin, size)
                } else {
                    Placement::Anywhere
                };
                let block = self.heap.get(size);
                match (&expected, block) {
                    (Placement::Anywhere, _) | (Placement::Refused, None) => {}
                    (Placement::At(at), Some(block)) => assert_eq!(block.as_ptr() as usize, *at, "size {size}"),
                    other => panic!("{other:?} for size {size}"),
                }
                self.failed += u64::from(block.is_none() && size != 0);
                if let Some(block) = block {
                    self.admit(block, size);
                }
            }
            Op::GetAligned { size, log } => {
                let block = self.heap.get_aligned(size, 1 << log);
                self.failed += u64::from(block.is_none() && size != 0);
                if let Some(block) = block {
                    assert_eq!(block.as_ptr() as usize % (1 << log), 0);
                    self.admit(block, size);
                }
            }
            Op::Free { block } => {
                if let Some(at) = self.nth(block) {
                    self.remove(at);
                    let block = self.pointer(at);
                    assert_eq!(unsafe { self.heap.free(block) }, Ok(()));
                }
            }
            Op::FreeTwice { block } => {
                if let Some(at) = self.nth(block) {
                    self.remove(at);
                    let block = self.pointer(at);
                    assert_eq!(unsafe { self.heap.free(block) }, Ok(()));
                    assert_eq!(unsafe { self.heap.free(block) }, Err(FreeError::NotFound));
                    assert_eq!(unsafe { self.heap.extend(block, 8) }, Err(ExtendError::NotFound));
                }
            }
            Op::Extend { block, size } => {
                if let Some(at) = self.nth(block) {
                    let (len, stamp) = self.live[&at];
                    self.assert_contents(at, len, stamp);
                    let old = self.pointer(at);
                    match unsafe { self.heap.extend(old, size) } {
                        Ok(new) => {
                            let kept = len.min(size);
                            self.assert_contents(new.as_ptr() as usize, kept, stamp);
                            self.live.remove(&at);
                            self.admit(new, size);
                        }
                        Err(error) => {
                            assert_eq!(error, ExtendError::NoRoom);
                            self.failed += u64::from(size != 0);
                            self.assert_contents(at, len, stamp);
                        }
                    }
                }
            }
            Op::BadFree { offset } => {
                let address =
                    (self.area.base() as usize).wrapping_sub(64).wrapping_add(offset % (self.area.bytes + 128));
                if !self.live.contains_key(&address) {
                    let before = self.heap.stats();
                    let block = self.pointer(address);
                    assert_eq!(unsafe { self.heap.free(block) }, Err(FreeError::NotFound), "{offset}");
                    assert_eq!(self.heap.usable_size(block), None);
                    assert_eq!(self.heap.stats(), before);
                }
            }
        }
    }

    /// The whole-heap check, and the statistics against the model.
    pub fn assert_sound(&self) {
        self.heap.check().unwrap_or_else(|fault| panic!("{}: {fault}", K::NAME));
        let stats = self.heap.stats();
        assert_eq!(stats.blocks, self.live.len() as u64);
        assert!(stats.used >= self.live.values().map(|&(len, _)| len as u64).sum());
        assert_eq!(stats.used + stats.free, stats.size);
        assert!(stats.peak >= stats.used);
        assert_eq!(stats.failed, self.failed);
        let (free, _) = self.free_blocks();
        assert_eq!(stats.largest_free, free.iter().map(|&(_, len)| len as u64).max().unwrap_or(0));
        assert_eq!(stats.free, free.iter().map(|&(_, len)| len as u64).sum::<u64>());
    }

    /// Frees all; then the heap must be as it was at first.
    pub fn drain(&mut self) {
        while !self.live.is_empty() {
            self.apply(&Op::Free { block: 0 }, false);
        }
        self.assert_sound();
        self.area.assert_guards();
        assert_eq!(self.heap.stats().used, 0);
    }

    pub fn assert_guards(&self) {
        self.area.assert_guards();
    }
}

/// Numbers from a seed (Vigna's splitmix64).
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ (z >> 31)) * bound as u128) >> 64) as usize
    }

    /// Sizes from a granule to `max`, small ones far more often.
    pub fn size(&mut self, max: usize) -> usize {
        let top = 1 + self.below(max);
        match self.below(4) {
            0 => top,
            1 => 1 + self.below(top.min(256)),
            2 => 1usize << self.below(top.ilog2() as usize + 1),
            _ => 1 + self.below(top.min(64)),
        }
    }

    pub fn op(&mut self, max: usize) -> Op {
        let block = self.below(1 << 20);
        match self.below(20) {
            0..=7 => Op::Get { size: self.size(max) },
            8 => Op::GetAligned { size: self.size(max), log: self.below(11) as u32 },
            9..=14 => Op::Free { block },
            15..=17 => Op::Extend { block, size: self.size(max) },
            18 => Op::BadFree { offset: self.below(1 << 30) },
            _ => Op::FreeTwice { block },
        }
    }
}
