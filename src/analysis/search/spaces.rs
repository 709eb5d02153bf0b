//! The states and moves of every placement: as bit operations where the blocks
//! are all there is to know, else with what the policy remembers. May use:
//! `rules`, the policies.

use std::marker::PhantomData;

use super::Placement;
use super::rules::{Class, MAX_POOL, Packed, Rules, Scribe, Space, State, Step, granules, ones, runs};
use crate::analysis::policy::{Hole, Holes, Policy};

/// The placements that depend on nothing but the blocks.
pub(super) struct Maps<K> {
    rules: Rules,
    key: PhantomData<K>,
}

impl<K: Packed> Maps<K> {
    pub fn new(rules: Rules) -> Self {
        Maps { rules, key: PhantomData }
    }

    /// The places that a block of `class` may get, and its length there.
    fn places(&self, free: u64, class: &Class) -> Option<(u64, u32)> {
        if self.rules.placement == Placement::AnyBuddy && class.gross <= self.rules.pool {
            let places = smallest_windows(free, class.gross);
            return (places != 0).then_some((places, class.gross));
        }
        class.lowest(free).map(|(start, len)| (1 << start, len))
    }
}

/// Of the windows of `len` granules, those in free windows of the smallest order.
fn smallest_windows(free: u64, mut len: u32) -> u64 {
    let aligned = |len: u32| (0..64).step_by(len as usize).fold(0, |map, at| map | 1u64 << at);
    let mut windows = runs(free, len) & aligned(len);
    while windows != 0 && len < MAX_POOL {
        let whole = runs(free, 2 * len) & aligned(2 * len);
        let maximal = windows & !(whole | whole << len);
        if maximal != 0 {
            return maximal;
        }
        windows = whole;
        len *= 2;
    }
    windows
}

/// The move to a state: [`GET`] or 0, the start, the length.
type Made = u16;

const GET: Made = 1 << 15;

impl<K: Packed> Space for Maps<K> {
    type Key = K;
    type Link = Made;

    fn expand(&self, key: K, visit: &mut dyn FnMut(Step<K, Made>)) {
        let state = key.unpack();
        for (start, len) in state.blocks() {
            let key = K::pack(state.without(granules(start, len)));
            visit(Step::State { key, link: (start << 7 | len) as Made, end: 0 });
        }
        let free = self.rules.free(state);
        for class in self.rules.admissible(self.rules.tally(state)) {
            let Some((places, len)) = self.places(free, class) else {
                return visit(Step::Refused);
            };
            for start in ones(places) {
                let key = K::pack(state.with(start, len));
                visit(Step::State { key, link: GET | (start << 7 | len) as Made, end: start + len });
            }
        }
    }

    fn before(&self, key: K, link: Made) -> K {
        let (start, len) = (u32::from(link & !GET) >> 7, u32::from(link & 0x7f));
        let state = key.unpack();
        K::pack(if link & GET != 0 { state.without(granules(start, len)) } else { state.with(start, len) })
    }

    fn tell(&self, path: &[K], refused: bool, scribe: &mut Scribe) {
        for pair in path.windows(2) {
            let (before, after) = (pair[0].unpack(), pair[1].unpack());
            let changed = before.occupied ^ after.occupied;
            let (start, len) = (changed.trailing_zeros(), changed.count_ones());
            if changed & after.occupied == 0 {
                scribe.free(start);
            } else {
                scribe.get(self.rules.class_at(start, len).granules, start);
            }
        }
        if refused {
            let state = path[path.len() - 1].unpack();
            let free = self.rules.free(state);
            let mut admissible = self.rules.admissible(self.rules.tally(state));
            let class = admissible.find(|class| self.places(free, class).is_none());
            scribe.refused(class.expect("the last state refuses one").granules);
        }
    }
}

/// The policies with lists or a rover: what they remember is part of the key.
///
/// What the LIFO buddy system does does not depend on which of two buddies is
/// the lower one: it knows orders and ages, not addresses. So of all the states
/// that differ in that alone one is kept, with the buddies of every order sorted.
pub(super) struct Lists {
    rules: Rules,
    policy: Policy,
}

impl Lists {
    /// Every second granule free: 16 free blocks, 4 bits for each.
    pub const POOL: u32 = 32;

    pub fn new(rules: Rules, policy: Policy) -> Self {
        Lists { rules, policy }
    }

    /// The maps, and what the policy remembers.
    fn key(state: State, holes: &Holes) -> u128 {
        let memory = match holes.policy {
            Policy::NextFit => holes.rover,
            _ => (0..holes.list.len()).map(|at| holes.rank(at) << (4 * at)).sum(),
        };
        u128::from(memory) << 64 | u128::from(state.starts) << 32 | u128::from(state.occupied)
    }

    fn state(key: u128) -> State {
        State { occupied: u64::from(key as u32), starts: u64::from((key >> 32) as u32) }
    }

    fn holes(&self, key: u128) -> Holes {
        let memory = (key >> 64) as u64;
        let is_next_fit = self.policy == Policy::NextFit;
        let mut holes = Holes::resume(self.policy, if is_next_fit { memory } else { 0 });
        for (at, (start, len)) in self.gaps(Self::state(key)).into_iter().enumerate() {
            let age = if is_next_fit { 0 } else { memory >> (4 * at) & 15 };
            holes.recall(Hole { start, len, age });
        }
        holes
    }

    /// The free blocks of a pool, lowest first.
    fn gaps(&self, state: State) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut free = self.rules.free(state);
        while free != 0 {
            let start = free.trailing_zeros();
            let mut len = (!(free >> start)).trailing_zeros();
            if self.rules.placement.is_buddy() {
                // The largest aligned window that begins here.
                let aligned = if start == 0 { 6 } else { start.trailing_zeros() };
                len = 1 << aligned.min(len.ilog2());
            }
            free &= !granules(start, len);
            gaps.push((u64::from(start), u64::from(len)));
        }
        gaps
    }

    /// What every request leads to, not sorted: the request, and the key or a
    /// refusal.
    fn each(&self, key: u128, visit: &mut dyn FnMut(Request, Option<u128>)) {
        let (state, holes) = (Self::state(key), self.holes(key));
        for (start, len) in state.blocks() {
            let mut after = holes.clone();
            after.give(u64::from(start), u64::from(len));
            visit(Request::Free { start }, Some(Self::key(state.without(granules(start, len)), &after)));
        }
        for class in self.rules.admissible(self.rules.tally(state)) {
            let mut after = holes.clone();
            let (granules, len) = (class.granules, class.gross);
            match after.take(u64::from(len)) {
                Some(start) => {
                    let start = start as u32;
                    let key = Self::key(state.with(start, len), &after);
                    visit(Request::Get { granules, start, len }, Some(key));
                }
                None => visit(Request::Get { granules, start: 0, len }, None),
            }
        }
    }

    /// The state that is kept for this one.
    fn sorted(&self, key: u128) -> u128 {
        if self.policy != Policy::LifoBuddy {
            return key;
        }
        // A free block begins with its age, and where it covers both halves of
        // a window, or a block does, the lower one is the greater already.
        const BLOCK: u8 = 1;
        const START: u8 = 2;
        const HOLE: u8 = 3;
        let mut signs = [0; Self::POOL as usize];
        for hole in self.holes(key).list {
            signs[hole.start as usize] = HOLE + hole.age as u8;
        }
        for (start, len) in Self::state(key).blocks() {
            signs[start as usize..(start + len) as usize].fill(BLOCK);
            signs[start as usize] = START;
        }
        let pool = self.rules.pool as usize;
        let mut half = 1;
        while 2 * half <= pool {
            for window in signs[..pool].chunks_exact_mut(2 * half) {
                let (low, high) = window.split_at_mut(half);
                if low < high {
                    low.swap_with_slice(high);
                }
            }
            half *= 2;
        }
        let map = |is: fn(u8) -> bool| -> u64 {
            signs.iter().enumerate().filter(|sign| is(*sign.1)).fold(0, |map, (at, _)| map | 1 << at)
        };
        let state = State { occupied: map(|sign| sign == BLOCK || sign == START), starts: map(|sign| sign == START) };
        let ages = signs.iter().filter(|&&sign| sign >= HOLE).map(|sign| u64::from(sign - HOLE));
        let memory: u64 = ages.enumerate().map(|(at, age)| age << (4 * at)).sum();
        u128::from(memory) << 64 | u128::from(state.starts) << 32 | u128::from(state.occupied)
    }
}

enum Request {
    Get { granules: u32, start: u32, len: u32 },
    Free { start: u32 },
}

impl Space for Lists {
    type Key = u128;
    /// The key before.
    type Link = u128;

    fn expand(&self, key: u128, visit: &mut dyn FnMut(Step<u128, u128>)) {
        self.each(key, &mut |request, after| {
            let end = match request {
                Request::Get { start, len, .. } => start + len,
                Request::Free { .. } => 0,
            };
            visit(match after {
                Some(after) => Step::State { key: self.sorted(after), link: key, end },
                None => Step::Refused,
            });
        });
    }

    fn before(&self, _: u128, link: u128) -> u128 {
        link
    }

    fn tell(&self, path: &[u128], refused: bool, scribe: &mut Scribe) {
        // The state itself, along the sorted ones.
        let mut state = path[0];
        for wanted in path[1..].iter().map(|&key| Some(key)).chain(refused.then_some(None)) {
            let mut found = None;
            self.each(state, &mut |request, after| {
                if after.map(|after| self.sorted(after)) == wanted {
                    found = Some((request, after));
                }
            });
            let (request, after) = found.expect("every state was reached from the one before");
            match request {
                Request::Free { start } => scribe.free(start),
                Request::Get { granules, .. } if after.is_none() => scribe.refused(granules),
                Request::Get { granules, start, .. } => scribe.get(granules, start),
            }
            state = after.unwrap_or(state);
        }
    }
}
