//! The bounds, the search and the experiments, held against each other and
//! against the managers. What takes minutes is ignored unless asked for:
//! `cargo test --release --test analysis -- --ignored`.

mod bounds;
mod knuth;
mod policy;
mod robson;
mod search;

use std::ops::ControlFlow;

use memman::analysis::bounds::{SizeRange, UNLIMITED};
use memman::analysis::search::{Least, Limits, NoAnswer, Placement, Question, least_pool};

/// Random numbers that are the same in every run (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((u128::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)) * u128::from(bound)) >> 64) as u64
    }
}

/// Within 2 MiB: questions that are too large for that have no answer.
pub fn small_least(question: &Question) -> Result<Least, NoAnswer> {
    least_pool(question, Limits { memory: 2 << 20, threads: 1 }, &mut |_| ControlFlow::Continue(()))
}

pub fn least(question: &Question) -> Result<Least, NoAnswer> {
    least_pool(question, Limits::default(), &mut |_| ControlFlow::Continue(()))
}

/// A random question of a few sizes: granules of 1 to 3 units, or powers of two.
pub fn random_question(random: &mut Random, placement: Placement, powers_only: bool, counts: bool) -> Question {
    let granule = if powers_only { 1 } else { 1 + random.below(3) as u32 };
    let max_live = 3 + random.below(6 + 2 * u64::from(granule)) as u32;
    let profile = (0..1 + random.below(4))
        .map(|_| {
            let size =
                if powers_only { 1 << random.below(4) } else { 1 + random.below(6 * u64::from(granule)) as usize };
            let count = if counts && random.below(2) == 0 { 1 + random.below(4) as usize } else { UNLIMITED };
            SizeRange { min: size, max: size, count }
        })
        .collect();
    Question { placement, max_live, granule, profile }
}
