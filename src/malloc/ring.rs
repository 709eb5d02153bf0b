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
