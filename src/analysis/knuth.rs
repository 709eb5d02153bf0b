//! Knuth's experiments (TAOCP vol. 1, sec. 2.5): random blocks with random
//! lifetimes, in steady state, and filled until the first overflow. May use: the
//! subjects.
//!
//! Time advances by 1; what is due is freed; then a block of random size gets a
//! random lifetime. Sizes are granules of the subject, as they were words to
//! Knuth.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::policy::Subject;

/// Random numbers: splitmix64 (Steele, Lea, Flood 2014). The same seed gives the
/// same experiment everywhere.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Any seed will do.
    pub const fn new(seed: u64) -> Self {
        Random { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..bound`, off by less than `bound` / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// Knuth's distributions of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sizes {
    /// Uniform in 100..=2000.
    S1,
    /// 1, 2, 4, 8, 16, 32 with probability 1/2, 1/4, 1/8, 1/16, 1/32, 1/32.
    S2,
    /// One of 22 sizes from 10 to 4000, equiprobable.
    S3,
}

impl Sizes {
    /// All of them.
    pub const ALL: [Sizes; 3] = [Sizes::S1, Sizes::S2, Sizes::S3];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Sizes::S1 => "S1",
            Sizes::S2 => "S2",
            Sizes::S3 => "S3",
        }
    }

    /// The pool that it is filled in, in granules.
    pub const fn pool(self) -> u64 {
        match self {
            Sizes::S1 => 256 << 10,
            Sizes::S2 => 4 << 10,
            Sizes::S3 => 64 << 10,
        }
    }

    /// A random size.
    pub fn draw(self, random: &mut Random) -> u64 {
        const S3: [u64; 22] =
            [10, 12, 14, 16, 18, 20, 30, 40, 50, 60, 70, 80, 90, 100, 150, 200, 250, 500, 1000, 2000, 3000, 4000];
        match self {
            Sizes::S1 => 100 + random.below(1901),
            // As many tails as a coin shows, at most 5.
            Sizes::S2 => 1 << random.below(32).trailing_ones(),
            Sizes::S3 => S3[random.below(22) as usize],
        }
    }
}

/// Mean, least and largest over the seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Summary {
    /// Of at least one figure.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut count = 0u32;
        let mut summary = Summary { mean: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };
        for figure in figures {
            count += 1;
            summary.mean += figure;
            summary.min = summary.min.min(figure);
            summary.max = summary.max.max(figure);
        }
        summary.mean /= f64::from(count);
        (count > 0).then_some(summary)
    }
}

/// The blocks that are live, and when each is due.
#[derive(Default)]
struct Blocks {
    /// (Time, start, size), the next due first.
    due: BinaryHeap<Reverse<(u64, u64, u64)>>,
    /// The sum of the sizes.
    requested: u64,
}

impl Blocks {
    fn free_due(&mut self, now: u64, subject: &mut dyn Subject) {
        while let Some(&Reverse((time, start, size))) = self.due.peek() {
            if time > now {
                break;
            }
            self.due.pop();
            self.requested -= size;
            subject.free(start);
        }
    }

    fn get(&mut self, due: u64, size: u64, subject: &mut dyn Subject) -> bool {
        let Some(start) = subject.get(size) else {
            return false;
        };
        self.due.push(Reverse((due, start, size)));
        self.requested += size;
        true
    }
}

/// How a steady state is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SteadyRun {
    /// The sizes.
    pub sizes: Sizes,
    /// Lifetimes are uniform in `1..=lifetime`.
    pub lifetime: u64,
    /// Steps before anything is measured; Knuth found 2000 enough.
    pub settle: u64,
    /// Steps that are measured.
    pub steps: u64,
    /// Of the random numbers.
    pub seed: u64,
}

impl SteadyRun {
    /// Knuth's: 2000 steps to settle, as many to measure.
    pub const fn new(sizes: Sizes, lifetime: u64, seed: u64) -> Self {
        SteadyRun { sizes, lifetime, settle: 2000, steps: 2000, seed }
    }
}

/// The means over the measured steps of a steady state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steady {
    /// Live blocks.
    pub live_blocks: f64,
    /// Free blocks.
    pub free_blocks: f64,
    /// Granules live, as requested.
    pub requested: f64,
    /// Granules live, as rounded up.
    pub reserved: f64,
    /// The most granules live at once, as requested, settling included.
    pub peak: u64,
    /// Requests refused, settling included.
    pub refused: u64,
}

impl Steady {
    /// Free over live blocks: Knuth's fifty-percent rule says about p/2, with p
    /// the part of requests that do not fit a free block exactly.
    pub fn free_over_live(&self) -> f64 {
        self.free_blocks / self.live_blocks
    }
}

/// Runs a steady state on an empty `subject`. A refused request is counted
/// and its block never lives. Counting the free blocks of a real manager takes time
/// with its blocks in every measured step.
pub fn steady(run: SteadyRun, subject: &mut dyn Subject) -> Steady {
    let mut random = Random::new(run.seed);
    let mut blocks = Blocks::default();
    let mut sums = Steady { live_blocks: 0.0, free_blocks: 0.0, requested: 0.0, reserved: 0.0, peak: 0, refused: 0 };
    for now in 0..run.settle + run.steps {
        blocks.free_due(now, subject);
        let size = run.sizes.draw(&mut random);
        let due = now + 1 + random.below(run.lifetime);
        sums.refused += u64::from(!blocks.get(due, size, subject));
        sums.peak = sums.peak.max(blocks.requested);
        if now >= run.settle {
            sums.live_blocks += blocks.due.len() as f64;
            sums.free_blocks += subject.free_blocks() as f64;
            sums.requested += blocks.requested as f64;
            sums.reserved += subject.reserved() as f64;
        }
    }
    for sum in [&mut sums.live_blocks, &mut sums.free_blocks, &mut sums.requested, &mut sums.reserved] {
        *sum /= run.steps as f64;
    }
    sums
}

/// Room without end, for what does not depend on where blocks are.
struct Nowhere {
    blocks: u64,
}

impl Subject for Nowhere {
    fn get(&mut self, _: u64) -> Option<u64> {
        self.blocks += 1;
        Some(self.blocks)
    }

    fn free(&mut self, _: u64) -> bool {
        true
    }

    fn capacity(&self) -> u64 {
        u64::MAX
    }

    fn reserved(&self) -> u64 {
        0
    }

    fn free_blocks(&self) -> u64 {
        0
    }
}

/// A trace of a steady state, and the least capacity that serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeastCapacity {
    /// The least capacity in granules.
    pub capacity: u64,
    /// The most granules live at once, as requested.
    pub peak: u64,
}

/// The least capacity in which a steady state is never refused, by bisection
/// from its peak on; `make` gives an empty subject of a capacity. `None` where
/// `make` gives none, or where 64 times the peak does not do.
///
/// A policy that looks at the end of the pool need not serve the same trace in
/// every larger one: then this is one capacity that does and whose neighbour
/// below does not.
pub fn least_capacity<S: Subject>(run: SteadyRun, make: impl Fn(u64) -> Option<S>) -> Option<LeastCapacity> {
    let peak = steady(run, &mut Nowhere { blocks: 0 }).peak;
    let serves = |capacity| Some(steady(run, &mut make(capacity)?).refused == 0);
    let (mut low, mut high) = (peak - 1, peak);
    while !serves(high)? {
        low = high;
        high = high.checked_mul(2).filter(|&high| high <= peak.saturating_mul(64))?;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if serves(middle)? { high = middle } else { low = middle }
    }
    Some(LeastCapacity { capacity: high, peak })
}

/// A heap at its first overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Granules live, as requested, without the refused request.
    pub requested: u64,
    /// Granules live, as rounded up.
    pub reserved: u64,
    /// The granules there are.
    pub capacity: u64,
    /// Live blocks.
    pub blocks: u64,
    /// Requests served.
    pub time: u64,
}

impl Filled {
    /// The part of the capacity that is requested.
    pub fn requested_part(&self) -> f64 {
        self.requested as f64 / self.capacity as f64
    }

    /// The part of the capacity that is reserved.
    pub fn reserved_part(&self) -> f64 {
        self.reserved as f64 / self.capacity as f64
    }
}

/// Fills an empty `subject` until its first overflow: as a steady state whose
/// lifetimes are uniform in `1..=10 + time / 4`, so that the load rises slowly
/// over a heap that stays in motion.
pub fn fill(sizes: Sizes, seed: u64, subject: &mut dyn Subject) -> Filled {
    let mut random = Random::new(seed);
    let mut blocks = Blocks::default();
    let mut now = 0;
    loop {
        blocks.free_due(now, subject);
        let size = sizes.draw(&mut random);
        let due = now + 1 + random.below(10 + now / 32);
        if !blocks.get(due, size, subject) {
            return Filled {
                requested: blocks.requested,
                reserved: subject.reserved(),
                capacity: subject.capacity(),
                blocks: blocks.due.len() as u64,
                time: now,
            };
        }
        now += 1;
    }
}
