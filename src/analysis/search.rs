//! Exhaustive search: every request sequence there is, against one placement
//! policy, in a pool of up to 64 granules. It finds the least sufficient pool,
//! and a shortest sequence that breaks the next smaller one. May use: the policies.
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
//! First fit, leftmost buddy and ebuddy are searched as bit operations on the
//! two maps. That these are the managers' own placement is tested, over every
//! move from every reachable state of small questions, in the test `search`.

mod engine;
mod game;
mod rules;
mod spaces;

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use self::engine::{Engine, Run};
use self::rules::{MAX_POOL, Packed, Rules};
use self::spaces::{Lists, Maps};
use super::bounds::SizeRange;
use super::policy::{Policy, Subject};

pub use self::game::any_allocator_least_pool;

/// Who places the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// A policy that leaves no choice.
    By(Policy),
    /// The leftmost buddy system on three quarters of the pool, and what that
    /// refuses under first fit on the fourth: the manager
    /// [`Ebuddy`](crate::heap::Ebuddy).
    Ebuddy,
    /// The buddy system that takes any block of the smallest sufficient order:
    /// the adversary chooses which.
    AnyBuddy,
}

impl From<Policy> for Placement {
    fn from(policy: Policy) -> Self {
        Placement::By(policy)
    }
}

impl Placement {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Placement::By(policy) => policy.name(),
            Placement::Ebuddy => "ebuddy",
            Placement::AnyBuddy => "any buddy",
        }
    }

    /// Whether a pool behaves like an unbounded one up to its first refusal:
    /// [`Policy::is_unbounded`].
    pub const fn is_unbounded(self) -> bool {
        matches!(self, Placement::By(policy) if policy.is_unbounded())
    }

    const fn is_buddy(self) -> bool {
        match self {
            Placement::By(policy) => policy.is_buddy(),
            Placement::Ebuddy | Placement::AnyBuddy => true,
        }
    }
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
    /// The allowed requests. A count limits all blocks of its range together.
    pub profile: Vec<SizeRange>,
}

impl Question {
    /// Any number of blocks of 1 to `largest` granules.
    pub fn all_sizes(placement: impl Into<Placement>, max_live: u32, largest: u32) -> Self {
        let profile = vec![SizeRange::any(1, largest as usize)];
        Question { placement: placement.into(), max_live, granule: 1, profile }
    }

    /// Any number of blocks of powers of two up to `largest` granules.
    pub fn powers_of_two(placement: impl Into<Placement>, max_live: u32, largest: u32) -> Self {
        let powers = (0..=largest.ilog2()).map(|order| SizeRange::any(1 << order, 1 << order));
        Question { placement: placement.into(), max_live, granule: 1, profile: powers.collect() }
    }
}

/// Why a question cannot be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsuitable {
    /// No sizes, or one or the granule that is 0.
    Sizes,
    /// Two ranges with blocks of the same number of granules, and a count on one:
    /// the state does not tell them apart. Or more than 15 counts.
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
            Unsuitable::Counts => {
                write!(f, "two ranges of sizes that are rounded up to the same cannot have counts, nor more than 15")
            }
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
        let lists = match question.placement {
            Placement::By(policy) if !policy.is_unbounded() => Some(policy),
            _ => None,
        };
        let most = if lists.is_none() { MAX_POOL } else { Lists::POOL };
        if pool == 0 || pool > most {
            return Err(Unsuitable::Pool { most });
        }
        let rules = Rules::new(question, pool)?;
        let engine: Box<dyn Run> = match lists {
            Some(policy) => Box::new(Engine::new(Lists::new(rules, policy), pool)),
            None if pool <= <u64 as Packed>::POOL => Box::new(Engine::new(Maps::<u64>::new(rules), pool)),
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

/// What is known where a search was not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// No smaller pool is sufficient.
    pub at_least: u32,
    /// A shortest sequence whose last get is refused in one granule less.
    pub breaking: Vec<Op>,
    /// States of the search that was not ended.
    pub states: u64,
}

/// Why [`least_pool`] has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The question is none.
    Unsuitable(Unsuitable),
    /// The memory limit was reached.
    OutOfMemory(Known),
    /// The progress callback stopped it.
    Stopped(Known),
    /// The largest pool that can be searched is broken.
    TooSmall(Known),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (why, known) = match self {
            NoAnswer::Unsuitable(why) => return why.fmt(f),
            NoAnswer::OutOfMemory(known) => ("out of the memory allowed", known),
            NoAnswer::Stopped(known) => ("stopped", known),
            NoAnswer::TooSmall(known) => ("the largest pool that can be searched is too small", known),
        };
        write!(f, "{why}; at least {} granules are needed", known.at_least)
    }
}

impl std::error::Error for NoAnswer {}

/// The least sufficient pool. For first fit and leftmost buddy one search in a
/// large pool finds it (and every pool above it is sufficient too); for the
/// others it is the first that holds, each tried from what can be live on.
pub fn least_pool(
    question: &Question,
    limits: Limits,
    report: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Least, NoAnswer> {
    let unbounded = question.placement.is_unbounded();
    let most_live = Rules::new(question, MAX_POOL).map_err(NoAnswer::Unsuitable)?.most_live();
    // At first one that is too small, so that there is a sequence to tell.
    let mut pool = if unbounded { <u64 as Packed>::POOL } else { most_live.saturating_sub(1).max(1) };
    let mut known = Known { at_least: if unbounded { 0 } else { most_live }, breaking: vec![], states: 0 };
    loop {
        let mut search = match Search::new(question, pool) {
            Ok(search) => search,
            Err(Unsuitable::Pool { .. }) if !known.breaking.is_empty() => return Err(NoAnswer::TooSmall(known)),
            Err(why) => return Err(NoAnswer::Unsuitable(why)),
        };
        let verdict = search.run(limits, report);
        known.states = search.states();
        if let Verdict::Breaks(trace) = verdict {
            known.at_least = pool + 1;
            known.breaking = trace;
            pool = if unbounded { MAX_POOL.max(pool + 1) } else { pool + 1 };
            continue;
        }
        let reach = search.engine.reach();
        if unbounded && reach > known.at_least {
            known.at_least = reach;
            known.breaking = search.engine.highest();
        }
        return match verdict {
            Verdict::OutOfMemory => Err(NoAnswer::OutOfMemory(known)),
            Verdict::Stopped => Err(NoAnswer::Stopped(known)),
            _ => Ok(Least { pool: known.at_least, breaking: known.breaking, states: known.states }),
        };
    }
}
