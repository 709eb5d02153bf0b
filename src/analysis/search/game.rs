//! The game against any allocator at all, solved outright. May use: `rules`.

use std::collections::HashMap;

use super::rules::{Packed, State, granules};

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
    (1..=largest_pool.min(u64::POOL)).find(|&pool| Game::new(pool, max_live, sizes).is_won())
}

/// Every way to place blocks in a pool, and which are lost for the allocator.
struct Game<'a> {
    pool: u32,
    max_live: u32,
    sizes: &'a [u32],
    /// Whether a state, as the key of its maps, is lost.
    lost: HashMap<u64, bool>,
}

impl<'a> Game<'a> {
    fn new(pool: u32, max_live: u32, sizes: &'a [u32]) -> Self {
        let mut game = Game { pool, max_live, sizes, lost: HashMap::new() };
        game.place_all(State::default(), 0, 0);
        game
    }

    /// Adds the states that differ from `state` at or behind `from`.
    fn place_all(&mut self, state: State, from: u32, live: u32) {
        self.lost.insert(u64::pack(state), false);
        for &size in self.sizes {
            if live + size > self.max_live {
                continue;
            }
            for start in from..(self.pool + 1).saturating_sub(size) {
                self.place_all(state.with(start, size), start + size, live + size);
            }
        }
    }

    fn is_lost(&self, key: u64) -> bool {
        let state = key.unpack();
        let lost = |state| self.lost[&u64::pack(state)];
        if state.blocks().any(|(start, len)| lost(state.without(granules(start, len)))) {
            return true;
        }
        let live = state.occupied.count_ones();
        let mut admissible = self.sizes.iter().filter(|&&size| live + size <= self.max_live);
        admissible.any(|&size| {
            (0..(self.pool + 1).saturating_sub(size))
                .filter(|&start| granules(start, size) & state.occupied == 0)
                .all(|start| lost(state.with(start, size)))
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
