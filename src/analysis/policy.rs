//! What the experiments and the search are made on: a heap as a set of
//! positions. Models of first fit, of the leftmost buddy system and of the
//! policies that they are compared with, each a few lines over the sorted list
//! of free blocks; and the real managers seen the same way. May use: the
//! managers' trait.
//!
//! All lengths and positions are granules.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::ptr::NonNull;

use crate::heap::{ALIGNMENT, Area, Buddy, Ebuddy, Ffit, MAX_GRANULES, Manager};

/// What an experiment is made on.
pub trait Subject {
    /// Gets a block of at least `size` granules; its position, or `None`.
    fn get(&mut self, size: u64) -> Option<u64>;

    /// Frees the block at `start`; `false` where none starts there.
    fn free(&mut self, start: u64) -> bool;

    /// The granules that blocks can occupy.
    fn capacity(&self) -> u64;

    /// The granules in allocated blocks, what they are rounded up by included.
    fn reserved(&self) -> u64;

    /// The free blocks. May take time with the number of blocks.
    fn free_blocks(&self) -> u64;
}

/// How a heap chooses the free block that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The lowest-addressed free block that is large enough.
    FirstFit,
    /// The smallest that is large enough; the lowest of equals.
    BestFit,
    /// The first at or behind the end of the last block placed, then from the
    /// start.
    NextFit,
    /// As TLSF: free blocks in lists by size, 16 to each power of two; the size
    /// is rounded up to where a list begins, and the youngest block of the first
    /// list from there on that is not empty is taken.
    GoodFit,
    /// Half fit (Ogasawara 1995): one list for each power of two, the youngest
    /// block of the first list whose blocks are all large enough.
    HalfFit,
    /// The binary buddy system, the lowest aligned window that is free.
    LeftmostBuddy,
    /// The binary buddy system, the youngest block of the smallest order that is
    /// large enough (Knuth's Algorithm R with lists used as stacks).
    LifoBuddy,
}

impl Policy {
    /// All of them.
    pub const ALL: [Policy; 7] = [
        Policy::FirstFit,
        Policy::BestFit,
        Policy::NextFit,
        Policy::GoodFit,
        Policy::HalfFit,
        Policy::LeftmostBuddy,
        Policy::LifoBuddy,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::FirstFit => "first fit",
            Policy::BestFit => "best fit",
            Policy::NextFit => "next fit",
            Policy::GoodFit => "TLSF-like",
            Policy::HalfFit => "half fit",
            Policy::LeftmostBuddy => "leftmost buddy",
            Policy::LifoBuddy => "LIFO buddy",
        }
    }

    /// Whether blocks are aligned powers of two that join only their buddies.
    pub(crate) const fn is_buddy(self) -> bool {
        matches!(self, Policy::LeftmostBuddy | Policy::LifoBuddy)
    }

    /// Whether a block is placed independently of what lies behind it, so that
    /// a pool behaves like an unbounded one up to its first refusal.
    pub const fn is_unbounded(self) -> bool {
        matches!(self, Policy::FirstFit | Policy::LeftmostBuddy)
    }

    /// What a request of `size` granules occupies.
    pub const fn gross(self, size: u64) -> u64 {
        match self {
            Policy::LeftmostBuddy | Policy::LifoBuddy => size.next_power_of_two(),
            _ => size,
        }
    }

    /// The list that a free block of `len` granules stands in, for the policies
    /// that remember an order within a list.
    fn list(self, len: u64) -> Option<u64> {
        match self {
            Policy::GoodFit => Some(good_fit_list(len)),
            Policy::HalfFit | Policy::LifoBuddy => Some(u64::from(len.ilog2())),
            _ => None,
        }
    }
}

/// log2 of the lists to each power of two.
const GOOD_FIT_LISTS: u32 = 4;

fn good_fit_list(len: u64) -> u64 {
    let octave = len.ilog2();
    if octave < GOOD_FIT_LISTS {
        return len;
    }
    let within = (len >> (octave - GOOD_FIT_LISTS)) - (1 << GOOD_FIT_LISTS);
    (u64::from(octave - GOOD_FIT_LISTS + 1) << GOOD_FIT_LISTS) + within
}

/// The shortest block that every member of a list from here on exceeds.
fn good_fit_least(size: u64) -> u64 {
    let octave = size.ilog2();
    if octave < GOOD_FIT_LISTS {
        return size;
    }
    size + (1 << (octave - GOOD_FIT_LISTS)) - 1
}

/// A free block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub start: u64,
    pub len: u64,
    /// Larger for a block that was put into its list later.
    pub age: u64,
}

/// The free blocks of a heap, in address order, and what the policy remembers.
#[derive(Clone, Debug)]
pub(crate) struct Holes {
    pub policy: Policy,
    pub list: Vec<Hole>,
    /// The end of the last block placed, for next fit.
    pub rover: u64,
    clock: u64,
}

impl Holes {
    /// One free pool.
    pub fn new(policy: Policy, capacity: u64) -> Self {
        let mut holes = Holes { policy, list: Vec::new(), rover: 0, clock: 0 };
        holes.put(0, 0, capacity);
        holes
    }

    pub fn resume(policy: Policy, rover: u64) -> Self {
        Holes { policy, list: Vec::new(), rover, clock: 0 }
    }

    /// A hole that was there already, at the end of the list; the ages in one
    /// list are `0..`.
    pub fn recall(&mut self, hole: Hole) {
        self.clock = self.clock.max(hole.age + 1);
        self.list.push(hole);
    }

    /// The place of the hole among those of its list, from the oldest.
    pub fn rank(&self, at: usize) -> u64 {
        let hole = self.list[at];
        match self.policy.list(hole.len) {
            None => 0,
            own => self.list.iter().filter(|other| other.age < hole.age && self.policy.list(other.len) == own).count()
                as u64,
        }
    }

    fn choose(&self, size: u64) -> Option<usize> {
        let fits = |&(_, hole): &(usize, &Hole)| hole.len >= size;
        let mut found = self.list.iter().enumerate();
        let youngest = |least: u64, list: &dyn Fn(u64) -> u64| {
            self.list
                .iter()
                .enumerate()
                .filter(|(_, hole)| list(hole.len) >= list(least))
                .min_by_key(|(_, hole)| (list(hole.len), u64::MAX - hole.age))
        };
        let hole = match self.policy {
            Policy::FirstFit | Policy::LeftmostBuddy => found.find(fits),
            Policy::BestFit => found.filter(fits).min_by_key(|(_, hole)| hole.len),
            Policy::NextFit => found
                .clone()
                .filter(|(_, hole)| hole.start + hole.len > self.rover)
                .find(fits)
                .or_else(|| found.find(fits)),
            Policy::GoodFit => youngest(good_fit_least(size), &good_fit_list),
            Policy::HalfFit | Policy::LifoBuddy => youngest(size.next_power_of_two(), &|len| u64::from(len.ilog2())),
        };
        hole.map(|(at, _)| at)
    }

    /// Takes a block of `size` granules, a gross size; its position.
    pub fn take(&mut self, size: u64) -> Option<u64> {
        let at = self.choose(size)?;
        let Hole { start, len, .. } = self.list.remove(at);
        if self.policy.is_buddy() {
            // The upper halves stay free, the largest highest.
            let mut half = size;
            let mut put_at = at;
            while half < len {
                let age = self.tick();
                self.list.insert(put_at, Hole { start: start + half, len: half, age });
                put_at += 1;
                half *= 2;
            }
        } else if len > size {
            let age = self.tick();
            self.list.insert(at, Hole { start: start + size, len: len - size, age });
        }
        self.rover = start + size;
        Some(start)
    }

    /// Gives a block back, joining it with what is free beside it.
    pub fn give(&mut self, start: u64, len: u64) {
        let at = self.list.partition_point(|hole| hole.start < start);
        self.put(at, start, len);
    }

    fn put(&mut self, mut at: usize, mut start: u64, mut len: u64) {
        if self.policy.is_buddy() {
            // A pool that is not a power of two comes in pieces that are.
            if !len.is_power_of_two() {
                let piece = 1 << len.ilog2();
                self.put(at, start, piece);
                return self.put(at + 1, start + piece, len - piece);
            }
            loop {
                let buddy = start ^ len;
                let near = if buddy > start { at } else { at.wrapping_sub(1) };
                match self.list.get(near) {
                    Some(hole) if hole.start == buddy && hole.len == len => {}
                    _ => break,
                }
                self.list.remove(near);
                at = at.min(near);
                start &= buddy;
                len *= 2;
            }
        } else {
            if self.list.get(at).is_some_and(|next| start + len == next.start) {
                len += self.list.remove(at).len;
            }
            if at > 0 && self.list[at - 1].start + self.list[at - 1].len == start {
                at -= 1;
                let before = self.list.remove(at);
                start = before.start;
                len += before.len;
            }
        }
        let age = self.tick();
        self.list.insert(at, Hole { start, len, age });
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock - 1
    }
}

/// A heap that is nothing but its policy. An operation takes time with the
/// number of free blocks.
#[derive(Clone, Debug)]
pub struct Model {
    holes: Holes,
    live: HashMap<u64, u64>,
    capacity: u64,
    reserved: u64,
}

impl Model {
    /// A free pool of `capacity` granules, at least 1.
    pub fn new(policy: Policy, capacity: u64) -> Self {
        Model { holes: Holes::new(policy, capacity), live: HashMap::new(), capacity, reserved: 0 }
    }
}

impl Subject for Model {
    fn get(&mut self, size: u64) -> Option<u64> {
        let gross = self.holes.policy.gross(size);
        let start = self.holes.take(gross)?;
        self.live.insert(start, gross);
        self.reserved += gross;
        Some(start)
    }

    fn free(&mut self, start: u64) -> bool {
        let Some(gross) = self.live.remove(&start) else {
            return false;
        };
        self.holes.give(start, gross);
        self.reserved -= gross;
        true
    }

    fn capacity(&self) -> u64 {
        self.capacity
    }

    fn reserved(&self) -> u64 {
        self.reserved
    }

    fn free_blocks(&self) -> u64 {
        self.holes.list.len() as u64
    }
}

/// A real manager, fresh from init, on granules of [`ALIGNMENT`] bytes.
pub struct Real<'a> {
    manager: &'a mut dyn Manager,
    base: usize,
}

impl<'a> Real<'a> {
    /// Positions count from the first block of `manager`.
    pub fn new(manager: &'a mut dyn Manager) -> Self {
        let base = first_block(manager);
        Real { manager, base }
    }
}

fn first_block(manager: &dyn Manager) -> usize {
    let mut first = 0;
    manager.walk(&mut |block| {
        first = block.address;
        ControlFlow::Break(())
    });
    first
}

fn count_free(manager: &dyn Manager) -> u64 {
    let mut free = 0;
    manager.walk(&mut |block| {
        free += u64::from(!block.used);
        ControlFlow::Continue(())
    });
    free
}

impl Subject for Real<'_> {
    fn get(&mut self, size: u64) -> Option<u64> {
        let bytes = usize::try_from(size).ok()?.checked_mul(ALIGNMENT)?;
        let block = self.manager.get(bytes)?;
        Some(((block.addr().get() - self.base) / ALIGNMENT) as u64)
    }

    fn free(&mut self, start: u64) -> bool {
        let Some(address) = usize::try_from(start).ok().and_then(|start| start.checked_mul(ALIGNMENT)) else {
            return false;
        };
        let block = std::ptr::without_provenance_mut(self.base.wrapping_add(address));
        // SAFETY: whoever counts positions does not use blocks.
        unsafe { self.manager.free(block).is_ok() }
    }

    fn capacity(&self) -> u64 {
        self.manager.stats().size / ALIGNMENT as u64
    }

    fn reserved(&self) -> u64 {
        self.manager.stats().used / ALIGNMENT as u64
    }

    fn free_blocks(&self) -> u64 {
        count_free(self.manager)
    }
}

/// The managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// First fit.
    Ffit,
    /// The leftmost buddy system.
    Buddy,
    /// The buddy system with an emergency heap.
    Ebuddy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Ffit, Kind::Buddy, Kind::Ebuddy];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Ffit => "ffit",
            Kind::Buddy => "buddy",
            Kind::Ebuddy => "ebuddy",
        }
    }

    /// A heap of this kind in an area; `None` where the area is too small.
    pub fn make(self, area: Area) -> Option<Box<dyn Manager>> {
        Some(match self {
            Kind::Ffit => Box::new(Ffit::new(area)?),
            Kind::Buddy => Box::new(Buddy::new(area)?),
            Kind::Ebuddy => Box::new(Ebuddy::new(area)?),
        })
    }
}

/// A real manager in memory of its own.
pub struct Owned {
    manager: Box<dyn Manager>,
    base: usize,
    _memory: Box<[MaybeUninit<u128>]>,
}

impl Owned {
    /// A heap in an area of `bytes` bytes, rounded up to [`ALIGNMENT`]; `None`
    /// where that is too small.
    pub fn new(kind: Kind, bytes: usize) -> Option<Self> {
        let mut memory = Box::new_uninit_slice(bytes.div_ceil(size_of::<u128>()));
        // SAFETY: the memory lives as long as the heap, and is its alone.
        let area = unsafe { Area::from_raw(memory.as_mut_ptr().cast(), size_of_val(&*memory)) }?;
        let manager = kind.make(area)?;
        let base = first_block(&*manager);
        Some(Owned { manager, base, _memory: memory })
    }

    /// A heap whose blocks can occupy `granules` granules; `None` for absurdly
    /// many, and for fewer than leave every part of it one.
    pub fn with_capacity(kind: Kind, granules: u64) -> Option<Self> {
        let granules = usize::try_from(granules).ok().filter(|&granules| granules < MAX_GRANULES)?;
        let (least, tables) = match kind {
            Kind::Ffit => (1, Ffit::tables_bytes(granules)),
            Kind::Buddy => (1, Buddy::tables_bytes(granules)),
            Kind::Ebuddy => (4, Ebuddy::tables_bytes(granules)),
        };
        if granules < least {
            return None;
        }
        let mut memory = Box::new_uninit_slice(granules + tables.div_ceil(ALIGNMENT));
        memory[granules..].fill(MaybeUninit::zeroed());
        let origin = NonNull::from(&mut *memory).cast();
        let shift = ALIGNMENT.trailing_zeros();
        // SAFETY: the blocks and the zeroed tables behind them live as long as
        // the heap, and are its alone.
        let manager: Box<dyn Manager> = unsafe {
            let tables = origin.byte_add(granules * ALIGNMENT);
            match kind {
                Kind::Ffit => Box::new(Ffit::over(origin, granules, shift, tables)),
                Kind::Buddy => Box::new(Buddy::over(origin, granules, shift, tables)),
                Kind::Ebuddy => Box::new(Ebuddy::over(origin, granules, shift, tables)),
            }
        };
        let base = first_block(&*manager);
        Some(Owned { manager, base, _memory: memory })
    }

    fn real(&mut self) -> Real<'_> {
        Real { manager: &mut *self.manager, base: self.base }
    }

    /// The manager itself.
    pub fn manager(&self) -> &dyn Manager {
        &*self.manager
    }
}

impl Subject for Owned {
    fn get(&mut self, size: u64) -> Option<u64> {
        self.real().get(size)
    }

    fn free(&mut self, start: u64) -> bool {
        self.real().free(start)
    }

    fn capacity(&self) -> u64 {
        self.manager.stats().size / ALIGNMENT as u64
    }

    fn reserved(&self) -> u64 {
        self.manager.stats().used / ALIGNMENT as u64
    }

    fn free_blocks(&self) -> u64 {
        count_free(&*self.manager)
    }
}
