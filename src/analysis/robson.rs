//! Adversaries as programs: sequences of requests that adapt to where the blocks
//! were placed, and drive a heap to the worst that is known. May use: the
//! subjects.
//!
//! All lengths are granules.

use std::collections::BTreeMap;

use super::policy::Subject;

/// What an attack reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attack {
    /// The highest end of a block.
    pub reach: u64,
    /// The size of the request that was refused; the attack ends there.
    pub refused: Option<u64>,
    /// The most that was live at once, as requested.
    pub peak: u64,
    /// Gets and frees made.
    pub requests: u64,
}

/// The blocks of an attack, and what it may still get.
struct Player<'a> {
    subject: &'a mut dyn Subject,
    /// Start and length.
    blocks: BTreeMap<u64, u64>,
    live: u64,
    most: u64,
    attack: Attack,
}

impl<'a> Player<'a> {
    fn new(subject: &'a mut dyn Subject, most: u64) -> Self {
        let attack = Attack { reach: 0, refused: None, peak: 0, requests: 0 };
        Player { subject, blocks: BTreeMap::new(), live: 0, most, attack }
    }

    /// Gets up to `count` blocks of `size`, as long as the budget lasts;
    /// `false` where one is refused.
    fn get(&mut self, size: u64, count: u64) -> bool {
        let affordable = (self.most - self.live) / size;
        for _ in 0..count.min(affordable) {
            self.attack.requests += 1;
            let Some(start) = self.subject.get(size) else {
                self.attack.refused = Some(size);
                return false;
            };
            self.blocks.insert(start, size);
            self.live += size;
            self.attack.peak = self.attack.peak.max(self.live);
            self.attack.reach = self.attack.reach.max(start + size);
        }
        true
    }

    fn free_unless(&mut self, mut keep: impl FnMut(u64, u64) -> bool) {
        let (subject, live, requests) = (&mut *self.subject, &mut self.live, &mut self.attack.requests);
        self.blocks.retain(|&start, &mut size| {
            let kept = keep(start, size);
            if !kept {
                subject.free(start);
                *live -= size;
                *requests += 1;
            }
            kept
        });
    }
}

/// Whether a block covers an address that is `offset` modulo `step`.
fn covers(start: u64, size: u64, offset: u64, step: u64) -> bool {
    (offset + step - start % step) % step < size
}

/// Robson's attack: blocks of 1, 2, 4, ... up to `largest` = n granules (rounded
/// down to a power of two), at most `live` = M granules at once. Before each
/// doubling it keeps only the blocks that cover an address congruent to an
/// offset, so that no window of the new size on the grid of that offset is free;
/// of the two offsets that continue the last one it takes the one whose blocks
/// spoil more. `subject` must be empty. Takes time with `live` and
/// log(`largest`).
///
/// In an unbounded pool it reaches
/// [`robson_granules`](super::bounds::robson_granules) against *every* placement,
/// less what rounding loses, under 3n/2:
///
/// After the step of size 2^i let there be k_i blocks and M_i granules live. A
/// block before that step covers one of the two offsets at least, so that the
/// better one keeps blocks with sum (2^i - size) >= (2^i k_{i-1} - M_{i-1}) / 2.
/// What they leave of M is spent on new blocks, and so
///
/// ```text
///   2^i k_i >= 2^{i-1} k_{i-1} + M_i - M_{i-1}/2,   M - 2^i < M_i <= M
///   n k_r   >= M_r + (M_0 + ... + M_{r-1}) / 2      about M(1 + r/2)
/// ```
///
/// and each of the k_r blocks covers an address of its own that is congruent
/// to the offset modulo n, the highest of them at least n(k_r - 1).
///
/// Source: Robson, JACM 18 (1971) and 21 (1974).
pub fn attack(subject: &mut dyn Subject, live: u64, largest: u64) -> Attack {
    let mut player = Player::new(subject, live);
    let mut offset = 0;
    let mut step = 1;
    while step <= largest.min(live) {
        if step > 1 {
            // What the kept blocks will spoil beyond their own length.
            let spoiled = |offset: u64| -> u64 {
                let kept = player.blocks.iter().filter(|&(&start, &size)| covers(start, size, offset, step));
                kept.map(|(_, &size)| step - size).sum()
            };
            if spoiled(offset + step / 2) >= spoiled(offset) {
                offset += step / 2;
            }
            player.free_unless(|start, size| covers(start, size, offset, step));
        }
        if !player.get(step, u64::MAX) {
            break;
        }
        step *= 2;
    }
    player.attack
}

/// The comb: for each of `sizes` in turn it frees every block without which
/// the holes beside it would still be shorter than the size, and spends what
/// that gives on blocks of the size. It is the filling that
/// [`first_fit_granules`](super::bounds::first_fit_granules) is the limit of.
///
/// `sizes` are (size, most blocks at once), ascending; `subject` must be empty.
/// Takes time with `live` for each size.
pub fn comb(subject: &mut dyn Subject, live: u64, sizes: &[(u64, u64)]) -> Attack {
    let mut player = Player::new(subject, live);
    for &(size, count) in sizes {
        let starts: Vec<u64> = player.blocks.keys().copied().collect();
        let (mut at, mut kept_end) = (0, 0);
        player.free_unless(|start, len| {
            at += 1;
            // The last block is followed by what was never used.
            let needed = starts.get(at).is_some_and(|&next| next - kept_end >= size);
            if needed {
                kept_end = start + len;
            }
            needed
        });
        if !player.get(size, count) {
            break;
        }
    }
    player.attack
}
