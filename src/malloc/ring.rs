//! The places of a ring: what is kept there goes by age, without gaps, and nothing is moved
//! but the newest. May use: nothing of malloc.
//!
//! ```text
//!   [ .. | oldest | ... | newest | .. ]
//!                                  ^ next
//! ```

/// Which places of a ring of `N`, a power of two, are taken.
#[derive(Clone, Copy)]
pub(super) struct Ring<const N: usize> {
    next: usize,
    count: usize,
}

impl<const N: usize> Ring<N> {
    /// None.
    pub const EMPTY: Ring<N> = Ring { next: 0, count: 0 };

    /// How many are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The place that the next to come will get.
    pub fn next(&self) -> usize {
        self.next
    }

    /// The place so many before that: 1 for the newest's.
    pub fn before(&self, back: usize) -> usize {
        self.next.wrapping_sub(back) % N
    }

    /// The taken places, from the newest on.
    pub fn newest_first(&self) -> impl Iterator<Item = usize> {
        (1..=self.count).map(|back| self.before(back))
    }

    /// Takes the next place, which is free.
    pub fn add(&mut self) -> usize {
        let place = self.next;
        self.next = (place + 1) % N;
        self.count += 1;
        place
    }

    /// Frees a place. The newest, whose place this says, has to move there, if it is another.
    pub fn remove(&mut self, place: usize) -> usize {
        debug_assert!(self.newest_first().any(|taken| taken == place));
        self.next = self.before(1);
        self.count -= 1;
        self.next
    }

    /// Frees the oldest's place, and says which it was.
    pub fn remove_oldest(&mut self) -> Option<usize> {
        let oldest = (self.count > 0).then(|| self.before(self.count))?;
        self.count -= 1;
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_keeps_its_places_by_age() {
        let mut ring = Ring::<8>::EMPTY;
        let mut kept = [0; 8];
        // The same, oldest first.
        let mut model: Vec<u32> = Vec::new();
        let mut seed = 1u32;
        for turn in 1..4000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match seed >> 30 {
                0 | 1 if ring.count() < 8 => {
                    assert_eq!(ring.next(), ring.before(0));
                    kept[ring.add()] = turn;
                    model.push(turn);
                }
                2 if !model.is_empty() => {
                    let index = (seed >> 8) as usize % model.len();
                    let place = ring.newest_first().find(|&place| kept[place] == model[index]).unwrap();
                    // The newest comes in its place.
                    kept[place] = kept[ring.remove(place)];
                    model.swap_remove(index);
                }
                _ => {
                    let oldest = ring.remove_oldest().map(|place| kept[place]);
                    assert_eq!(oldest, (!model.is_empty()).then(|| model.remove(0)));
                }
            }
            let newest_first: Vec<u32> = ring.newest_first().map(|place| kept[place]).collect();
            assert_eq!(newest_first, model.iter().rev().copied().collect::<Vec<_>>());
            assert_eq!(ring.count(), model.len());
        }
    }
}
