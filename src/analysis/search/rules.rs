//! What may be requested, where a block may stand, and states as numbers. May
//! use: the policies.

use std::collections::HashMap;

use super::{Op, Placement, Question, Unsuitable};
use crate::analysis::bounds::UNLIMITED;
use crate::heap::Ebuddy;

/// The largest pool that a map of 64 bits holds.
pub(super) const MAX_POOL: u32 = 64;

/// The occupied granules, and those where blocks start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub occupied: u64,
    pub starts: u64,
}

impl State {
    /// The blocks, lowest first, as (start, length).
    pub fn blocks(self) -> impl Iterator<Item = (u32, u32)> {
        let mut starts = self.starts;
        std::iter::from_fn(move || {
            if starts == 0 {
                return None;
            }
            let start = starts.trailing_zeros();
            starts &= starts - 1;
            let ends = (starts | !self.occupied) >> start;
            Some((start, ends.trailing_zeros().min(64 - start)))
        })
    }

    /// Without the blocks that occupy `freed`.
    pub fn without(self, freed: u64) -> Self {
        State { occupied: self.occupied & !freed, starts: self.starts & !freed }
    }

    pub fn with(self, start: u32, len: u32) -> Self {
        State { occupied: self.occupied | granules(start, len), starts: self.starts | 1 << start }
    }
}

/// The map of `len` granules from `start` on.
pub(super) fn granules(start: u32, len: u32) -> u64 {
    (u64::MAX >> (64 - len)) << start
}

/// Where `len` granules in a row of a map start.
pub(super) fn runs(mut map: u64, len: u32) -> u64 {
    let mut have = 1;
    while have < len {
        let step = have.min(len - have);
        map &= map >> step;
        have += step;
    }
    map
}

/// The places of a map, lowest first.
pub(super) fn ones(mut map: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lowest = (map != 0).then(|| map.trailing_zeros());
        map &= map.wrapping_sub(1);
        lowest
    })
}

// ---------------------------------------------------------------------------
// Rules
// ---------------------------------------------------------------------------

/// Where blocks of `len` granules may start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Windows {
    pub len: u32,
    pub starts: u64,
}

/// Requests that occupy the same number of granules.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// The smallest of the requests: no other of them leaves so much to others.
    pub size: u32,
    /// As much in granules.
    pub granules: u32,
    /// What it occupies, in the first part of the pool.
    pub gross: u32,
    /// By part of the pool; the emergency heap is the second.
    pub windows: [Windows; 2],
    /// The limit that its blocks count for: an index of [`Rules::limits`].
    pub limit: usize,
}

/// Limits that a tally has room for, and none.
const MAX_LIMITS: usize = 16;

/// What is live in a state: the sizes, and the blocks by limit.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    live: u32,
    /// A byte for each limit.
    counts: u128,
}

#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub placement: Placement,
    pub pool: u32,
    max_live: u32,
    /// By size, smallest first.
    pub classes: Vec<Class>,
    /// The most blocks at once; the first is no limit.
    limits: Vec<u32>,
    /// Where the emergency heap begins, or the pool ends.
    border: u32,
    /// The class of a block by part and length.
    class_of: [[u8; MAX_POOL as usize + 1]; 2],
}

impl Rules {
    pub fn new(question: &Question, pool: u32) -> Result<Self, Unsuitable> {
        let granule = question.granule as usize;
        if granule == 0 || question.profile.is_empty() || question.profile.iter().any(|range| range.min == 0) {
            return Err(Unsuitable::Sizes);
        }
        let border = match question.placement {
            Placement::Ebuddy => Ebuddy::shares(pool as usize).0 as u32,
            _ => pool,
        };
        let mut limits = vec![u32::MAX];
        let mut classes: Vec<Class> = Vec::new();
        for range in &question.profile {
            // What is larger than all that may be live is never requested.
            let last = range.max.min(question.max_live as usize);
            if range.min > last || range.count == 0 {
                continue;
            }
            let limit = if range.count == UNLIMITED { 0 } else { limits.len() };
            if limit != 0 {
                limits.push(u32::try_from(range.count).unwrap_or(u32::MAX));
            }
            // Of what no pool can hold the smallest is enough to break it.
            let most = last.div_ceil(granule).min(range.min.div_ceil(granule).max(MAX_POOL as usize + 1));
            for granules in range.min.div_ceil(granule)..=most {
                let size = range.min.max((granules - 1) * granule + 1) as u32;
                let granules = u32::try_from(granules).map_err(|_| Unsuitable::Sizes)?;
                classes.push(Self::class(question.placement, pool, border, size, granules, limit));
            }
        }
        classes.sort_by_key(|class| (class.size, class.gross, class.granules));
        classes.dedup_by(|second, first| {
            second.gross == first.gross
                && second.limit == first.limit
                && (second.granules == first.granules || question.placement != Placement::Ebuddy)
        });
        let alike = |pair: &[Class]| pair[0].gross == pair[1].gross && pair[0].limit != pair[1].limit;
        if classes.windows(2).any(alike) || limits.len() > MAX_LIMITS {
            return Err(Unsuitable::Counts);
        }
        let mut class_of = [[0; MAX_POOL as usize + 1]; 2];
        for (at, class) in classes.iter().enumerate().rev() {
            for (part, windows) in class.windows.iter().enumerate() {
                if windows.len <= MAX_POOL {
                    class_of[part][windows.len as usize] = at as u8;
                }
            }
        }
        let placement = question.placement;
        Ok(Rules { placement, pool, max_live: question.max_live, classes, limits, border, class_of })
    }

    fn class(placement: Placement, pool: u32, border: u32, size: u32, granules: u32, limit: usize) -> Class {
        let gross =
            if placement.is_buddy() { granules.checked_next_power_of_two().unwrap_or(granules) } else { granules };
        let step = if placement.is_buddy() { gross } else { 1 };
        let starts = |from: u32, to: u32, len: u32, step: u32| {
            let starts = (from..(to + 1).saturating_sub(len)).step_by(step as usize);
            Windows { len, starts: starts.fold(0, |map, start| map | 1 << start) }
        };
        let windows = [starts(0, border, gross, step), starts(border, pool, granules, 1)];
        Class { size, granules, gross, windows, limit }
    }

    /// The class of a block.
    pub fn class_at(&self, start: u32, len: u32) -> &Class {
        let part = usize::from(start >= self.border);
        &self.classes[usize::from(self.class_of[part][len as usize])]
    }

    pub fn tally(&self, state: State) -> Tally {
        let mut tally = Tally::default();
        for (start, len) in state.blocks() {
            tally.add(self.class_at(start, len));
        }
        tally
    }

    pub fn is_admissible(&self, class: &Class, tally: &Tally) -> bool {
        class.size <= self.max_live - tally.live && tally.count(class.limit) < self.limits[class.limit]
    }

    /// The requests that may be made, smallest first.
    pub fn admissible(&self, tally: Tally) -> impl Iterator<Item = &Class> {
        self.classes.iter().filter(move |class| self.is_admissible(class, &tally))
    }

    /// The free granules of a state.
    pub fn free(&self, state: State) -> u64 {
        let behind = u64::MAX.checked_shl(self.pool).unwrap_or(0);
        !(state.occupied | behind)
    }

    /// The granules that the smallest requests occupy, as many as are admissible.
    pub fn most_live(&self) -> u32 {
        let mut tally = Tally::default();
        let mut occupied = 0;
        while let Some(class) = self.admissible(tally).next().filter(|_| occupied < MAX_POOL) {
            tally.add(class);
            occupied += class.gross;
        }
        occupied
    }
}

impl Tally {
    fn count(&self, limit: usize) -> u32 {
        u32::from((self.counts >> (8 * limit)) as u8)
    }

    pub fn add(&mut self, class: &Class) {
        self.live += class.size;
        self.counts += 1 << (8 * class.limit);
    }
}

impl Class {
    /// The lowest window that is free, as (start, length).
    pub fn lowest(&self, free: u64) -> Option<(u32, u32)> {
        self.windows.iter().filter(|windows| windows.starts != 0).find_map(|windows| {
            let starts = runs(free, windows.len) & windows.starts;
            (starts != 0).then(|| (starts.trailing_zeros(), windows.len))
        })
    }
}

// ---------------------------------------------------------------------------
// Keys
// ---------------------------------------------------------------------------

/// A state as a number; the empty heap is 0.
pub(super) trait Key: Copy + Eq + Send + Sync + Default + 'static {
    fn hash(self) -> u64;
}

fn mix(mut x: u64) -> u64 {
    // The finalizer of splitmix64.
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Key for u64 {
    fn hash(self) -> u64 {
        mix(self)
    }
}

impl Key for u128 {
    fn hash(self) -> u64 {
        mix(mix(self as u64) ^ (self >> 64) as u64)
    }
}

/// A key that is a state and nothing else.
pub(super) trait Packed: Key {
    const POOL: u32;
    fn pack(state: State) -> Self;
    fn unpack(self) -> State;
}

/// One digit a granule, base 3.
impl Packed for u64 {
    const POOL: u32 = 40;

    fn pack(state: State) -> Self {
        let digits = |map: u64| -> u64 {
            (0..5).rev().fold(0, |sum, byte| sum * EIGHT_DIGITS + u64::from(DIGITS[(map >> (8 * byte)) as usize & 255]))
        };
        digits(state.occupied) + digits(state.starts)
    }

    fn unpack(mut self) -> State {
        let mut state = State::default();
        let mut shift = 0;
        while self != 0 {
            let (occupied, starts) = BYTES[(self % EIGHT_DIGITS) as usize];
            state.occupied |= (occupied as u64) << shift;
            state.starts |= (starts as u64) << shift;
            self /= EIGHT_DIGITS;
            shift += 8;
        }
        state
    }
}

impl Packed for u128 {
    const POOL: u32 = MAX_POOL;

    fn pack(state: State) -> Self {
        u128::from(state.occupied) << 64 | u128::from(state.starts)
    }

    fn unpack(self) -> State {
        State { occupied: (self >> 64) as u64, starts: self as u64 }
    }
}

/// 3^8: the values of eight granules.
const EIGHT_DIGITS: u64 = 6561;

/// The ones of a byte as digits of base 3.
static DIGITS: [u16; 256] = {
    let mut digits = [0; 256];
    let mut byte = 1;
    while byte < 256 {
        digits[byte] = digits[byte / 2] * 3 + (byte % 2) as u16;
        byte += 1;
    }
    digits
};

/// The two maps of each value of eight granules.
static BYTES: [(u8, u8); EIGHT_DIGITS as usize] = {
    let mut bytes = [(0, 0); EIGHT_DIGITS as usize];
    let mut value = 1;
    while value < bytes.len() {
        let (occupied, starts) = bytes[value / 3];
        bytes[value] = (occupied << 1 | (value % 3 != 0) as u8, starts << 1 | (value % 3 == 2) as u8);
        value += 1;
    }
    bytes
};

// ---------------------------------------------------------------------------
// Spaces
// ---------------------------------------------------------------------------

/// What follows a state.
pub(super) enum Step<K, L> {
    /// Another, and the highest end of a block on the way there.
    State { key: K, link: L, end: u32 },
    /// An admissible request without a place.
    Refused,
}

/// States and what leads from one to the next.
pub(super) trait Space: Send + Sync {
    type Key: Key;
    /// What is kept with a state to find the one before it.
    type Link: Copy + Send + Sync + Default + 'static;

    fn expand(&self, key: Self::Key, visit: &mut dyn FnMut(Step<Self::Key, Self::Link>));

    /// The state before.
    fn before(&self, key: Self::Key, link: Self::Link) -> Self::Key;

    /// Writes down the requests along `path`, which begins with the empty heap,
    /// and if `refused` those to a refusal behind it.
    fn tell(&self, path: &[Self::Key], refused: bool, scribe: &mut Scribe);
}

/// Writes down requests.
#[derive(Default)]
pub(super) struct Scribe {
    ops: Vec<Op>,
    gets: u32,
    /// The number of the get that gave the block at a start.
    numbers: HashMap<u32, u32>,
}

impl Scribe {
    pub fn get(&mut self, granules: u32, start: u32) {
        self.refused(granules);
        self.numbers.insert(start, self.gets);
        self.gets += 1;
    }

    pub fn refused(&mut self, granules: u32) {
        self.ops.push(Op::Get(granules));
    }

    pub fn free(&mut self, start: u32) {
        self.ops.push(Op::Free(self.numbers[&start]));
    }

    pub fn ops(self) -> Vec<Op> {
        self.ops
    }
}
