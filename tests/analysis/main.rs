//! The bounds, the search and the experiments, held against each other and
//! against the managers. What takes minutes is ignored unless asked for:
//! `cargo test --release --test analysis -- --ignored`.

mod bounds;

use std::ops::ControlFlow;

use memman::analysis::search::{Least, Limits, NoAnswer, Question, least_pool};

/// Random numbers that are the same in every run (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (u128::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)) * u128::from(bound) >> 64) as u64
    }
}

/// Within 2 MiB: questions that are too large for that have no answer.
pub fn small_least(question: &Question) -> Result<Least, NoAnswer> {
    least_pool(question, Limits { memory: 2 << 20, threads: 1 }, &mut |_| ControlFlow::Continue(()))
}
