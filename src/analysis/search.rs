//! Exhaustive search: every request sequence there is, against one placement
//! policy, in a pool of up to 64 granules. It finds the least sufficient pool,
//! and below it the shortest sequence that breaks it. May use: the policies.
//!
//! A state is the set of live blocks: which granules are occupied, and where
//! blocks start, plus what the policy remembers (the order of its lists, the
//! rover). Moves are to free any live block and to get any allowed size while
//! no more than the allowed total is live. Breadth first, so that the first
//! refusal is a shortest one; visited states stand in an open-addressing table
//! whose keys are the states themselves, so that the answer is exact and not
//! probable.
//!
//! ```text
//!    . A A B . . C      one digit a granule, base 3: 0 free, 2 the start of a
//!    0 2 1 2 0 0 2      block, 1 the rest of it: 40 granules in 64 bits
//! ```
//!
//! First fit and leftmost buddy are searched as bit operations on the two maps.
//! That these are the managers' own placement is tested, over every move from
//! every reachable state of small questions, in the test `search`.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::policy::{Hole, Holes, Policy, Subject};

/// Who places the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// A policy that leaves no choice.
    By(Policy),
    /// The buddy system that takes any block of the smallest sufficient order:
    /// the adversary chooses which.
    AnyBuddy,
}

/// An allowed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Its size, of which [`Question::granule`] make a granule.
    pub size: u32,
    /// The most blocks of it at once; `u32::MAX` for no limit.
    pub count: u32,
}

/// What is asked: can `placement` be made to refuse?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who places the blocks.
    pub placement: Placement,
    /// The most that is live at once, in the unit of the sizes, as requested
    /// (not as rounded up).
    pub max_live: u32,
    /// What a size is rounded up to multiples of; 1 where sizes are granules.
    pub granule: u32,
    /// The allowed requests.
    pub sizes: Vec<Size>,
}

impl Question {
    /// Any number of blocks of 1 to `largest` granules.
    pub fn all_sizes(policy: Policy, max_live: u32, largest: u32) -> Self {
        Self::of(policy, max_live, 1..=largest)
    }

    /// Any number of blocks of powers of two up to `largest` granules.
    pub fn powers_of_two(policy: Policy, max_live: u32, largest: u32) -> Self {
        Self::of(policy, max_live, (0..=largest.ilog2()).map(|order| 1 << order))
    }

    fn of(policy: Policy, max_live: u32, sizes: impl Iterator<Item = u32>) -> Self {
        Question {
            placement: Placement::By(policy),
            max_live,
            granule: 1,
            sizes: sizes.map(|size| Size { size, count: u32::MAX }).collect(),
        }
    }
}

/// Why a question cannot be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsuitable {
    /// No sizes, or one or the granule that is 0.
    Sizes,
    /// Two sizes that occupy the same number of granules, with a count on one:
    /// the state does not tell them apart.
    Counts,
    /// A pool of 0 or more granules than the search can hold for this policy.
    Pool {
        /// What it can hold.
        most: u32,
    },
}

impl fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsuitable::Sizes => write!(f, "sizes must be given, and neither they nor the granule can be 0"),
            Unsuitable::Counts => write!(f, "two sizes that are rounded up to the same cannot have counts"),
            Unsuitable::Pool { most } => write!(f, "a pool of 1 to {most} granules can be searched for this policy"),
        }
    }
}

impl std::error::Error for Unsuitable {}

/// One request of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Get a block of so many granules.
    Get(u32),
    /// Free the block that the get of this number returned; gets count from 0.
    Free(u32),
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Get(size) => write!(f, "get {size}"),
            Op::Free(number) => write!(f, "free #{number}"),
        }
    }
}

/// Makes the requests of `trace` on `subject`; the number of the first that was
/// refused, or `None` where all were served.
pub fn replay(trace: &[Op], subject: &mut dyn Subject) -> Option<usize> {
    let mut blocks = Vec::new();
    for (number, op) in trace.iter().enumerate() {
        let done = match *op {
            Op::Get(size) => {
                let block = subject.get(u64::from(size));
                blocks.push(block);
                block.is_some()
            }
            Op::Free(get) => match blocks.get_mut(get as usize).and_then(Option::take) {
                Some(start) => subject.free(start),
                None => false,
            },
        };
        if !done {
            return Some(number);
        }
    }
    None
}

/// How far a search may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes for the table of states and the states to do; kept to within a few
    /// MiB.
    pub memory: usize,
    /// Threads; at least 1.
    pub threads: usize,
}

impl Default for Limits {
    /// 2 GiB, two threads.
    fn default() -> Self {
        Limits { memory: 2 << 30, threads: 2 }
    }
}

/// What a search shows of itself while it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The pool that is being searched.
    pub pool: u32,
    /// States found.
    pub states: u64,
    /// States found whose moves are still to be made.
    pub to_do: u64,
    /// Requests in the shortest sequence to the states being expanded.
    pub depth: u32,
    /// The highest end of a block so far.
    pub reach: u32,
    /// Memory used by the states.
    pub bytes: usize,
    /// Time spent in this call.
    pub elapsed: Duration,
}

/// The outcome of [`Search::run`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No sequence of requests is ever refused; none ever ends behind `reach`.
    Holds {
        /// The highest end of a block.
        reach: u32,
    },
    /// The last request of this sequence is refused; none shorter is.
    Breaks(Vec<Op>),
    /// Not known: the memory limit is reached. Run again with more.
    OutOfMemory,
    /// Not known: the progress callback stopped it. Run again to go on.
    Stopped,
}

// ---------------------------------------------------------------------------
// The rules of the game
// ---------------------------------------------------------------------------

/// A state as a number; the empty heap is 0.
trait Key: Copy + Eq + Send + Sync + Default + 'static {
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

/// What a move leads to.
enum Step<K, L> {
    State { key: K, link: L, end: u32 },
    Refused { granules: u32 },
}

/// A change of one block, as granules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Move {
    get: bool,
    start: u32,
    len: u32,
}

trait Space: Send + Sync {
    type Key: Key;
    /// What is kept with a state to find the one before it.
    type Link: Copy + Send + Sync + Default + 'static;

    fn expand(&self, key: Self::Key, visit: &mut dyn FnMut(Step<Self::Key, Self::Link>));
    fn back(&self, key: Self::Key, link: Self::Link) -> (Self::Key, Move);
    fn class(&self, gross: u32) -> Class;
}

/// Requests that occupy the same number of granules.
#[derive(Clone, Copy, Debug)]
struct Class {
    gross: u32,
    /// The smallest of the requests: no other of them leaves so much to others.
    size: u32,
    /// As much in granules.
    granules: u32,
    count: u32,
}

/// The longest block and the largest pool.
const MAX_POOL: u32 = 64;
const TERNARY_POOL: u32 = 40;

#[derive(Clone, Debug)]
struct Rules {
    placement: Placement,
    max_live: u32,
    pool: u32,
    classes: Vec<Class>,
    counted: bool,
    /// The request that a block of so many granules serves.
    size_of: [u32; MAX_POOL as usize + 1],
}

impl Rules {
    fn new(question: &Question, pool: u32) -> Result<Self, Unsuitable> {
        let mut classes: Vec<Class> = Vec::new();
        let mut sizes = question.sizes.clone();
        sizes.sort_by_key(|size| size.size);
        if question.granule == 0 || sizes.first().is_none_or(|size| size.size == 0) {
            return Err(Unsuitable::Sizes);
        }
        for size in sizes {
            let granules = size.size.div_ceil(question.granule);
            let gross = match question.placement {
                Placement::AnyBuddy => u64::from(granules).next_power_of_two(),
                Placement::By(policy) => policy.gross(u64::from(granules)),
            };
            // What is larger than all that may be live is never requested.
            if size.size > question.max_live || size.count == 0 {
                continue;
            }
            let gross = u32::try_from(gross).map_err(|_| Unsuitable::Sizes)?;
            match classes.last_mut() {
                Some(last) if last.gross == gross => {
                    if last.count.min(size.count) != u32::MAX {
                        return Err(Unsuitable::Counts);
                    }
                }
                _ => classes.push(Class { gross, granules, size: size.size, count: size.count }),
            }
        }
        let mut size_of = [0; MAX_POOL as usize + 1];
        for class in &classes {
            if let Some(size) = size_of.get_mut(class.gross as usize) {
                *size = class.size;
            }
        }
        Ok(Rules {
            placement: question.placement,
            max_live: question.max_live,
            pool,
            counted: classes.iter().any(|class| class.count != u32::MAX),
            classes,
            size_of,
        })
    }

    /// The live blocks of a state, and what may be requested beside them.
    fn admissible(&self, occupied: u64, starts: u64) -> (Vec<(u32, u32)>, Vec<Class>) {
        let blocks: Vec<_> = Blocks { occupied, starts }.collect();
        let live: u32 = blocks.iter().map(|&(_, len)| self.size_of[len as usize]).sum();
        let classes = self
            .classes
            .iter()
            .filter(|class| live + class.size <= self.max_live)
            .filter(|class| {
                !self.counted || (blocks.iter().filter(|block| block.1 == class.gross).count() as u32) < class.count
            })
            .copied()
            .collect();
        (blocks, classes)
    }

    fn class(&self, gross: u32) -> Class {
        *self.classes.iter().find(|class| class.gross == gross).expect("every block is of a class")
    }
}

/// The blocks of two maps, lowest first, as (start, length).
#[derive(Clone, Copy)]
struct Blocks {
    occupied: u64,
    starts: u64,
}

impl Iterator for Blocks {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        if self.starts == 0 {
            return None;
        }
        let start = self.starts.trailing_zeros();
        self.starts &= self.starts - 1;
        let ends = (self.starts | !self.occupied) >> start;
        Some((start, ends.trailing_zeros().min(64 - start)))
    }
}

fn granules(start: u32, len: u32) -> u64 {
    (u64::MAX >> (64 - len)) << start
}

/// A pair of maps as a key, to which a block is added by adding its digits.
trait Digits: Key + std::ops::Add<Output = Self> + std::ops::Sub<Output = Self> {
    const POOL: u32;
    fn block(start: u32, len: u32) -> Self;
    fn maps(self, bytes: &[(u8, u8)]) -> (u64, u64);
}

impl Digits for u64 {
    const POOL: u32 = TERNARY_POOL;

    fn block(start: u32, len: u32) -> Self {
        (start..start + len).map(|at| 3u64.pow(at)).sum::<u64>() + 3u64.pow(start)
    }

    fn maps(mut self, bytes: &[(u8, u8)]) -> (u64, u64) {
        let (mut occupied, mut starts) = (0, 0);
        let mut shift = 0;
        while self != 0 {
            let (o, s) = bytes[(self % EIGHT_DIGITS) as usize];
            occupied |= u64::from(o) << shift;
            starts |= u64::from(s) << shift;
            self /= EIGHT_DIGITS;
            shift += 8;
        }
        (occupied, starts)
    }
}

/// 3^8: the values of eight granules.
const EIGHT_DIGITS: u64 = 6561;

/// The two maps of each value of eight granules.
fn ternary_bytes() -> Vec<(u8, u8)> {
    (0..EIGHT_DIGITS)
        .map(|mut value| {
            let (mut occupied, mut starts) = (0, 0);
            for bit in 0..8 {
                occupied |= u8::from(value % 3 != 0) << bit;
                starts |= u8::from(value % 3 == 2) << bit;
                value /= 3;
            }
            (occupied, starts)
        })
        .collect()
}

impl Digits for u128 {
    const POOL: u32 = MAX_POOL;

    fn block(start: u32, len: u32) -> Self {
        u128::from(granules(start, len)) << 64 | 1 << start
    }

    fn maps(self, _: &[(u8, u8)]) -> (u64, u64) {
        ((self >> 64) as u64, self as u64)
    }
}

/// What there is to add to a key for each block, and to read keys with.
struct Codec<K> {
    bytes: Vec<(u8, u8)>,
    blocks: Vec<K>,
}

impl<K: Digits> Codec<K> {
    fn new() -> Self {
        let most = K::POOL;
        let blocks = (0..most)
            .flat_map(|start| (0..=most).map(move |len| (start, len.min(most - start))))
            .map(|(start, len)| if len == 0 { K::default() } else { K::block(start, len) })
            .collect();
        Codec { bytes: ternary_bytes(), blocks }
    }

    fn block(&self, start: u32, len: u32) -> K {
        self.blocks[(start * (K::POOL + 1) + len) as usize]
    }

    /// The granules that are occupied, and those where blocks start.
    fn maps(&self, key: K) -> (u64, u64) {
        key.maps(&self.bytes)
    }
}

/// The policies that remember nothing beside the two maps, as bit operations.
struct Maps<K> {
    rules: Rules,
    codec: Codec<K>,
    /// By order: where aligned windows start.
    aligned: [u64; 7],
}

impl<K: Digits> Maps<K> {
    fn new(rules: Rules) -> Self {
        let mut aligned = [0; 7];
        for (order, map) in aligned.iter_mut().enumerate() {
            *map = (0..64u64).step_by(1 << order).fold(0, |map, at| map | 1 << at);
        }
        Maps { rules, codec: Codec::new(), aligned }
    }

    /// Where `len` free granules in a row start.
    fn runs(mut free: u64, len: u32) -> u64 {
        let mut have = 1;
        while have < len {
            let step = have.min(len - have);
            free &= free >> step;
            have += step;
        }
        free
    }

    /// The positions that a block of `gross` granules may get.
    fn places(&self, free: u64, gross: u32) -> u64 {
        let lowest = |map: u64| map & map.wrapping_neg();
        match self.rules.placement {
            Placement::By(Policy::LeftmostBuddy) => {
                lowest(Self::runs(free, gross) & self.aligned[gross.ilog2() as usize])
            }
            Placement::AnyBuddy => {
                let mut order = gross.ilog2();
                let mut windows = Self::runs(free, gross) & self.aligned[order as usize];
                while windows != 0 && order < 6 {
                    let (len, above) = (1 << order, order as usize + 1);
                    let whole = Self::runs(free, 2 * len) & self.aligned[above];
                    let maximal = windows & !(whole | whole << len);
                    if maximal != 0 {
                        return maximal;
                    }
                    windows = whole;
                    order += 1;
                }
                windows
            }
            _ => lowest(Self::runs(free, gross)),
        }
    }
}

const GET: u16 = 1 << 15;

impl<K: Digits> Space for Maps<K> {
    type Key = K;
    /// The move: [`GET`] or 0, the start, the length.
    type Link = u16;

    fn expand(&self, key: K, visit: &mut dyn FnMut(Step<K, u16>)) {
        let rules = &self.rules;
        let (occupied, starts) = self.codec.maps(key);
        let mut live = 0;
        let mut counts = [0u32; MAX_POOL as usize + 1];
        for (start, len) in (Blocks { occupied, starts }) {
            live += rules.size_of[len as usize];
            counts[len as usize] += 1;
            visit(Step::State { key: key - self.codec.block(start, len), link: (start << 7 | len) as u16, end: 0 });
        }
        let free = !occupied & granules(0, rules.pool);
        for class in &rules.classes {
            if live + class.size > rules.max_live {
                break;
            }
            let gross = class.gross;
            if gross > rules.pool {
                return visit(Step::Refused { granules: class.granules });
            }
            if counts[gross as usize] >= class.count {
                continue;
            }
            let mut places = self.places(free, gross);
            if places == 0 {
                return visit(Step::Refused { granules: class.granules });
            }
            while places != 0 {
                let start = places.trailing_zeros();
                places &= places - 1;
                visit(Step::State {
                    key: key + self.codec.block(start, gross),
                    link: GET | (start << 7 | gross) as u16,
                    end: start + gross,
                });
            }
        }
    }

    fn back(&self, key: K, link: u16) -> (K, Move) {
        let made = Move { get: link & GET != 0, start: u32::from(link & !GET) >> 7, len: u32::from(link & 0x7f) };
        let digits = self.codec.block(made.start, made.len);
        let before = if made.get { key - digits } else { key + digits };
        (before, made)
    }

    fn class(&self, gross: u32) -> Class {
        self.rules.class(gross)
    }
}

/// The policies with lists or a rover: what they remember is part of the key.
struct Lists {
    rules: Rules,
    policy: Policy,
    codec: Codec<u64>,
}

impl Lists {
    /// Every second granule free: 16 free blocks, 4 bits for each.
    const POOL: u32 = 32;

    fn new(rules: Rules, policy: Policy) -> Self {
        Lists { rules, policy, codec: Codec::new() }
    }

    fn key(occupied_key: u64, holes: &Holes) -> u128 {
        let memory = match holes.policy {
            Policy::NextFit => holes.rover,
            _ => (0..holes.list.len()).map(|at| holes.rank(at) << (4 * at)).sum(),
        };
        u128::from(occupied_key) << 64 | u128::from(memory)
    }

    fn holes(&self, occupied: u64, memory: u64) -> Holes {
        let rover = match self.policy {
            Policy::NextFit => memory,
            _ => 0,
        };
        let mut holes = Holes::resume(self.policy, rover);
        for (at, (start, len)) in self.gaps(occupied).into_iter().enumerate() {
            let age = match self.policy {
                Policy::NextFit => 0,
                _ => memory >> (4 * at) & 15,
            };
            holes.recall(Hole { start, len, age });
        }
        holes
    }

    /// The free blocks of a pool, lowest first.
    fn gaps(&self, occupied: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let pool = self.rules.pool;
        let mut free = !occupied & granules(0, pool);
        while free != 0 {
            let start = free.trailing_zeros();
            let mut len = (!(free >> start)).trailing_zeros();
            if self.policy.is_buddy() {
                // The largest aligned window that begins here.
                let aligned = if start == 0 { 6 } else { start.trailing_zeros() };
                len = 1 << aligned.min(len.ilog2());
            }
            free &= !granules(start, len);
            gaps.push((u64::from(start), u64::from(len)));
        }
        gaps
    }
}

impl Space for Lists {
    type Key = u128;
    /// The key before.
    type Link = u128;

    fn expand(&self, key: u128, visit: &mut dyn FnMut(Step<u128, u128>)) {
        let (digits, memory) = ((key >> 64) as u64, key as u64);
        let (occupied, starts) = self.codec.maps(digits);
        let holes = self.holes(occupied, memory);
        let (blocks, classes) = self.rules.admissible(occupied, starts);
        for (start, len) in blocks {
            let mut after = holes.clone();
            after.give(u64::from(start), u64::from(len));
            visit(Step::State { key: Self::key(digits - self.codec.block(start, len), &after), link: key, end: 0 });
        }
        for class in classes {
            let mut after = holes.clone();
            let Some(start) = after.take(u64::from(class.gross)) else {
                return visit(Step::Refused { granules: class.granules });
            };
            let start = start as u32;
            visit(Step::State {
                key: Self::key(digits + self.codec.block(start, class.gross), &after),
                link: key,
                end: start + class.gross,
            });
        }
    }

    fn back(&self, key: u128, link: u128) -> (u128, Move) {
        let maps = |key: u128| self.codec.maps((key >> 64) as u64);
        let (now, starts) = maps(key);
        let (before, starts_before) = maps(link);
        let changed = now ^ before;
        let made =
            Move { get: starts_before & !starts == 0, start: changed.trailing_zeros(), len: changed.count_ones() };
        (link, made)
    }

    fn class(&self, gross: u32) -> Class {
        self.rules.class(gross)
    }
}

// ---------------------------------------------------------------------------
// The table of visited states
// ---------------------------------------------------------------------------

/// Places in a new part of the table.
const FIRST_PLACES: usize = 16;

/// One part of the table: open addressing, linear probing, at most 4/5 full.
/// The root is not kept: its key 0 marks an empty place.
struct Shard<K, L> {
    keys: Vec<K>,
    links: Vec<L>,
    len: usize,
}

impl<K: Key, L: Copy + Default> Shard<K, L> {
    fn new() -> Self {
        Shard { keys: vec![K::default(); FIRST_PLACES], links: vec![L::default(); FIRST_PLACES], len: 0 }
    }

    fn place(keys: &[K], key: K) -> usize {
        // The upper bits; the lower ones chose the shard.
        let mut at = ((u128::from(key.hash()) * keys.len() as u128) >> 64) as usize;
        while keys[at] != key && keys[at] != K::default() {
            at += 1;
            if at == keys.len() {
                at = 0;
            }
        }
        at
    }

    /// `true` where the key is new; adds what the table grew by to `bytes`.
    fn insert(&mut self, key: K, link: L, bytes: &AtomicUsize) -> bool {
        let mut at = Self::place(&self.keys, key);
        if self.keys[at] == key {
            return false;
        }
        if self.len * 5 >= self.keys.len() * 4 {
            self.grow(bytes);
            at = Self::place(&self.keys, key);
        }
        self.keys[at] = key;
        self.links[at] = link;
        self.len += 1;
        true
    }

    fn grow(&mut self, bytes: &AtomicUsize) {
        let more = self.keys.len() / 2;
        let mut keys = vec![K::default(); self.keys.len() + more];
        let mut links = vec![L::default(); keys.len()];
        for (&key, &link) in self.keys.iter().zip(&self.links) {
            if key != K::default() {
                let at = Self::place(&keys, key);
                keys[at] = key;
                links[at] = link;
            }
        }
        self.keys = keys;
        self.links = links;
        bytes.fetch_add(more * (size_of::<K>() + size_of::<L>()), Ordering::Relaxed);
    }

    fn link(&self, key: K) -> Option<L> {
        let at = Self::place(&self.keys, key);
        (self.keys[at] == key).then(|| self.links[at])
    }
}

const SHARDS: usize = 256;

fn shard_of<K: Key>(key: K) -> usize {
    key.hash() as usize % SHARDS
}

/// States handed to a thread at once.
const SEGMENT: usize = 4096;
/// Successors collected for a shard before it is locked.
const BATCH: usize = 64;
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// A search of one question in one pool, breadth first.
struct Engine<S: Space> {
    space: S,
    limits: Limits,
    pool: u32,
    table: Vec<Mutex<Shard<S::Key, S::Link>>>,
    /// States of this depth that are not expanded yet, and of the next.
    now: Mutex<Vec<Vec<S::Key>>>,
    next: Mutex<Vec<Vec<S::Key>>>,
    depth: u32,
    states: AtomicU64,
    bytes: AtomicUsize,
    to_do: AtomicU64,
    /// The highest end, and the first state that had it.
    reach: Mutex<(u32, S::Key)>,
    refused: Mutex<Option<(S::Key, u32)>>,
    halt: AtomicBool,
}

/// A lock; a panic elsewhere is passed on by the scope that joins the threads.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Report<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

impl<S: Space> Engine<S> {
    fn new(space: S, pool: u32) -> Self {
        Engine {
            space,
            limits: Limits::default(),
            pool,
            table: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            now: Mutex::new(vec![vec![S::Key::default()]]),
            next: Mutex::new(Vec::new()),
            depth: 0,
            states: AtomicU64::new(1),
            bytes: AtomicUsize::new(SHARDS * FIRST_PLACES * (size_of::<S::Key>() + size_of::<S::Link>())),
            to_do: AtomicU64::new(1),
            reach: Mutex::new((0, S::Key::default())),
            refused: Mutex::new(None),
            halt: AtomicBool::new(false),
        }
    }

    fn memory(&self) -> usize {
        let waiting = self.to_do.load(Ordering::Relaxed) as usize;
        self.bytes.load(Ordering::Relaxed) + waiting * size_of::<S::Key>()
    }

    fn progress(&self, begun: Instant) -> Progress {
        Progress {
            pool: self.pool,
            states: self.states.load(Ordering::Relaxed),
            to_do: self.to_do.load(Ordering::Relaxed),
            depth: self.depth,
            reach: self.reach(),
            bytes: self.memory(),
            elapsed: begun.elapsed(),
        }
    }

    /// Puts a batch into its shard, and the new ones into `fresh`.
    fn flush(&self, batch: &mut Vec<(S::Key, S::Link)>, fresh: &mut Vec<S::Key>) {
        let Some(&(first, _)) = batch.first() else {
            return;
        };
        let before = fresh.len();
        let mut shard = lock(&self.table[shard_of(first)]);
        for (key, link) in batch.drain(..) {
            if shard.insert(key, link, &self.bytes) {
                fresh.push(key);
            }
        }
        drop(shard);
        let new = (fresh.len() - before) as u64;
        self.states.fetch_add(new, Ordering::Relaxed);
        self.to_do.fetch_add(new, Ordering::Relaxed);
        if fresh.len() >= SEGMENT {
            lock(&self.next).push(std::mem::take(fresh));
        }
    }

    /// Expands states of this depth until none are left or somebody halts.
    fn work(&self, tick: &mut dyn FnMut()) {
        let mut batches: Vec<Vec<_>> = (0..SHARDS).map(|_| Vec::new()).collect();
        let mut fresh = Vec::new();
        let mut reach = lock(&self.reach).0;
        while !self.halt.load(Ordering::Relaxed) {
            let Some(segment) = lock(&self.now).pop() else {
                break;
            };
            for &state in &segment {
                self.space.expand(state, &mut |step| match step {
                    Step::State { key, link, end } => {
                        if end > reach {
                            let mut highest = lock(&self.reach);
                            if end > highest.0 {
                                *highest = (end, key);
                            }
                            reach = highest.0;
                        }
                        // The root is in no table.
                        if key != S::Key::default() {
                            let batch = &mut batches[shard_of(key)];
                            batch.push((key, link));
                            if batch.len() == BATCH {
                                self.flush(batch, &mut fresh);
                            }
                        }
                    }
                    Step::Refused { granules } => {
                        lock(&self.refused).get_or_insert((state, granules));
                        self.halt.store(true, Ordering::Relaxed);
                    }
                });
            }
            self.to_do.fetch_sub(segment.len() as u64, Ordering::Relaxed);
            if self.memory() > self.limits.memory {
                self.halt.store(true, Ordering::Relaxed);
            }
            tick();
        }
        for batch in &mut batches {
            self.flush(batch, &mut fresh);
        }
        if !fresh.is_empty() {
            lock(&self.next).push(fresh);
        }
    }

    /// The moves to a state; it must be in the table, or the root.
    fn path(&self, mut key: S::Key) -> Vec<Move> {
        let mut moves = Vec::new();
        while key != S::Key::default() {
            let link =
                lock(&self.table[shard_of(key)]).link(key).expect("every state was reached from one in the table");
            let (before, made) = self.space.back(key, link);
            moves.push(made);
            key = before;
        }
        moves.reverse();
        moves
    }

    fn trace(&self, key: S::Key) -> Vec<Op> {
        let mut number = 0;
        let mut at = HashMap::new();
        self.path(key)
            .into_iter()
            .map(|made| {
                if made.get {
                    at.insert(made.start, number);
                    number += 1;
                    Op::Get(self.space.class(made.len).granules)
                } else {
                    Op::Free(at[&made.start])
                }
            })
            .collect()
    }
}

/// An [`Engine`] without its type.
trait Run: Send {
    fn run(&mut self, limits: Limits, report: &mut Report<'_>) -> Verdict;
    fn states(&self) -> u64;
    /// The highest end so far.
    fn reach(&self) -> u32;
    /// A shortest sequence to the highest end.
    fn highest(&self) -> Vec<Op>;
}

impl<S: Space> Run for Engine<S> {
    fn run(&mut self, limits: Limits, report: &mut Report<'_>) -> Verdict {
        self.limits = limits;
        let begun = Instant::now();
        let mut last = begun;
        let mut stopped = false;
        loop {
            if let Some((key, granules)) = *lock(&self.refused) {
                let mut trace = self.trace(key);
                trace.push(Op::Get(granules));
                return Verdict::Breaks(trace);
            }
            if stopped {
                return Verdict::Stopped;
            }
            if self.memory() > limits.memory {
                return Verdict::OutOfMemory;
            }
            if lock(&self.now).is_empty() {
                std::mem::swap(&mut self.now, &mut self.next);
                if lock(&self.now).is_empty() {
                    return Verdict::Holds { reach: self.reach() };
                }
                self.depth += 1;
            }
            self.halt.store(false, Ordering::Relaxed);
            let engine = &*self;
            let helpers = limits.threads.min(lock(&self.now).len()).saturating_sub(1);
            thread::scope(|scope| {
                for _ in 0..helpers {
                    scope.spawn(|| engine.work(&mut || {}));
                }
                engine.work(&mut || {
                    if last.elapsed() >= PROGRESS_EVERY {
                        last = Instant::now();
                        if report(&engine.progress(begun)).is_break() {
                            stopped = true;
                            engine.halt.store(true, Ordering::Relaxed);
                        }
                    }
                });
            });
        }
    }

    fn states(&self) -> u64 {
        self.states.load(Ordering::Relaxed)
    }

    fn reach(&self) -> u32 {
        lock(&self.reach).0
    }

    fn highest(&self) -> Vec<Op> {
        let key = lock(&self.reach).1;
        self.trace(key)
    }
}

// ---------------------------------------------------------------------------
// Questions
// ---------------------------------------------------------------------------

/// A search of one question in one pool. It can be run in parts: after
/// [`Verdict::OutOfMemory`] and [`Verdict::Stopped`] the next call goes on.
pub struct Search {
    engine: Box<dyn Run>,
}

impl Search {
    /// Prepares to search `question` in a pool of `pool` granules.
    ///
    /// Fails where the sizes make no question, and where the pool is larger
    /// than can be held: 64 granules for first fit and the buddy systems without
    /// lists, else 32.
    pub fn new(question: &Question, pool: u32) -> Result<Self, Unsuitable> {
        let rules = Rules::new(question, pool)?;
        let maps = match question.placement {
            Placement::AnyBuddy => None,
            Placement::By(policy) if policy.is_unbounded() => None,
            Placement::By(policy) => Some(policy),
        };
        let most = if maps.is_none() { MAX_POOL } else { Lists::POOL };
        if pool == 0 || pool > most {
            return Err(Unsuitable::Pool { most });
        }
        let engine: Box<dyn Run> = match maps {
            Some(policy) => Box::new(Engine::new(Lists::new(rules, policy), pool)),
            None if pool <= TERNARY_POOL => Box::new(Engine::new(Maps::<u64>::new(rules), pool)),
            None => Box::new(Engine::new(Maps::<u128>::new(rules), pool)),
        };
        Ok(Search { engine })
    }

    /// Searches until the answer is known, the memory is used up, or `report`,
    /// called about ten times a second, breaks. A million states take from one
    /// to three seconds, and 15 to 60 bytes each.
    pub fn run(&mut self, limits: Limits, report: &mut dyn FnMut(&Progress) -> ControlFlow<()>) -> Verdict {
        self.engine.run(limits, report)
    }

    /// The states found so far.
    pub fn states(&self) -> u64 {
        self.engine.states()
    }
}

/// The answer to a question: see [`least_pool`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Least {
    /// The least pool in which no request is ever refused.
    pub pool: u32,
    /// A shortest sequence whose last get is refused in one granule less.
    pub breaking: Vec<Op>,
    /// States of the search that showed the pool to be sufficient.
    pub states: u64,
}

/// Why [`least_pool`] has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The question is none.
    Unsuitable(Unsuitable),
    /// The memory limit was reached; the least pool is at least so large.
    OutOfMemory {
        /// In granules.
        at_least: u32,
    },
    /// The progress callback stopped it; the least pool is at least so large.
    Stopped {
        /// In granules.
        at_least: u32,
    },
    /// The largest pool that can be searched is broken by this sequence.
    TooSmall(Vec<Op>),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAnswer::Unsuitable(why) => why.fmt(f),
            NoAnswer::OutOfMemory { at_least } => {
                write!(f, "out of the memory allowed; at least {at_least} granules are needed")
            }
            NoAnswer::Stopped { at_least } => {
                write!(f, "stopped; at least {at_least} granules are needed")
            }
            NoAnswer::TooSmall(_) => {
                write!(f, "the largest pool that can be searched is too small")
            }
        }
    }
}

impl std::error::Error for NoAnswer {}

/// The least sufficient pool. For first fit and leftmost buddy one search in a
/// large pool finds it (and every pool above it is sufficient too); for the
/// others it is the first that holds, each tried from `max_live` granules on.
pub fn least_pool(
    question: &Question,
    limits: Limits,
    report: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Least, NoAnswer> {
    let unbounded = matches!(question.placement, Placement::By(policy) if policy.is_unbounded());
    let mut pool = if unbounded { TERNARY_POOL } else { (question.max_live / question.granule.max(1)).max(1) };
    let mut breaking = vec![];
    loop {
        let mut search = match Search::new(question, pool) {
            Ok(search) => search,
            Err(Unsuitable::Pool { most }) if pool > most && !breaking.is_empty() => {
                return Err(NoAnswer::TooSmall(breaking));
            }
            Err(why) => return Err(NoAnswer::Unsuitable(why)),
        };
        let verdict = search.run(limits, report);
        let at_least = if unbounded { search.engine.reach() } else { pool };
        match verdict {
            Verdict::Holds { reach } if unbounded => {
                return Ok(Least { pool: reach, breaking: search.engine.highest(), states: search.states() });
            }
            Verdict::Holds { .. } => {
                return Ok(Least { pool, breaking, states: search.states() });
            }
            Verdict::Breaks(trace) => {
                breaking = trace;
                pool = if unbounded { MAX_POOL.max(pool + 1) } else { pool + 1 };
            }
            Verdict::OutOfMemory => return Err(NoAnswer::OutOfMemory { at_least }),
            Verdict::Stopped => return Err(NoAnswer::Stopped { at_least }),
        }
    }
}

// ---------------------------------------------------------------------------
// Any allocator at all
// ---------------------------------------------------------------------------

/// The least pool in which *some* way to place blocks never refuses, though it
/// may know every move of the game: what no allocator that does not move blocks
/// can do with less than. For blocks of `sizes` granules (ascending) and at most
/// `max_live` granules live.
///
/// The game is solved outright: a state is lost when an admissible request has no
/// place, when every place for it leads to a lost state, or when freeing some
/// block does. Takes memory and time with the number of ways to place blocks in
/// the pool, about 2.4^pool for powers of two up to 4: meant for 13 granules, not
/// for 20. `None` where the pool would exceed `largest_pool` (at most 40), and
/// where `sizes` makes no question.
pub fn any_allocator_least_pool(max_live: u32, sizes: &[u32], largest_pool: u32) -> Option<u32> {
    if sizes.is_empty() || sizes.contains(&0) {
        return None;
    }
    (1..=largest_pool.min(TERNARY_POOL)).find(|&pool| Game::new(pool, max_live, sizes).is_won())
}

/// Every way to place blocks in a pool, and which are lost for the allocator.
struct Game<'a> {
    pool: u32,
    max_live: u32,
    sizes: &'a [u32],
    /// Whether a state, as the key of its maps, is lost.
    lost: HashMap<u64, bool>,
    codec: Codec<u64>,
}

impl<'a> Game<'a> {
    fn new(pool: u32, max_live: u32, sizes: &'a [u32]) -> Self {
        let mut game = Game { pool, max_live, sizes, lost: HashMap::new(), codec: Codec::new() };
        game.place_all(0, 0, 0);
        game
    }

    /// Adds the states that differ from `key` at or behind `from`.
    fn place_all(&mut self, key: u64, from: u32, live: u32) {
        self.lost.insert(key, false);
        for &size in self.sizes {
            if live + size > self.max_live {
                continue;
            }
            for start in from..(self.pool + 1).saturating_sub(size) {
                self.place_all(key + self.codec.block(start, size), start + size, live + size);
            }
        }
    }

    fn is_lost(&self, key: u64) -> bool {
        let (occupied, starts) = self.codec.maps(key);
        let blocks = Blocks { occupied, starts };
        let without = |(start, len)| self.lost[&(key - self.codec.block(start, len))];
        if blocks.clone().any(without) {
            return true;
        }
        let live = occupied.count_ones();
        let admissible = self.sizes.iter().filter(|&&size| live + size <= self.max_live);
        let free = !occupied & granules(0, self.pool);
        admissible.into_iter().any(|&size| {
            (0..(self.pool + 1).saturating_sub(size))
                .filter(|&start| granules(start, size) & !free == 0)
                .all(|start| self.lost[&(key + self.codec.block(start, size))])
        })
    }

    /// Whether the allocator can play for ever from the empty pool.
    fn is_won(&mut self) -> bool {
        loop {
            let open = self.lost.iter().filter(|&(_, &lost)| !lost).map(|(&key, _)| key);
            let new: Vec<u64> = open.filter(|&key| self.is_lost(key)).collect();
            if new.contains(&0) {
                return false;
            }
            if new.is_empty() {
                return true;
            }
            self.lost.extend(new.into_iter().map(|key| (key, true)));
        }
    }
}
