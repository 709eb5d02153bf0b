//! How often the slow paths look at the clock. May use: `platform`.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::platform;

/// How often at least: every second call.
const LEAST: u32 = 2;

/// A call in so many looks at the clock: twice as many each time that it stands still, up to
/// a number that the caller knows, and few again once it has gone on. So who calls all the
/// time hardly looks, and who seldom calls does not miss what is due.
///
/// Where several threads call, some calls may be counted once.
pub(super) struct Pace {
    /// How many calls do not look before the next does.
    rest: AtomicU32,
    /// A call in how many does.
    every: AtomicU32,
    /// What the clock said then, in milliseconds.
    looked: AtomicU64,
}

impl Pace {
    // What a pace begins as, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const START: Pace = Pace { rest: AtomicU32::new(0), every: AtomicU32::new(0), looked: AtomicU64::new(0) };

    /// Whether a call would [look](Pace::look) now. Before the first has, always.
    #[inline(always)]
    pub fn is_due(&self) -> bool {
        self.rest.load(Ordering::Relaxed) == 0
    }

    /// Whether a call that does not is one in `every`, a power of two.
    #[inline(always)]
    pub fn is_one_in(&self, every: u32) -> bool {
        self.rest.load(Ordering::Relaxed) & (every - 1) == 0
    }

    /// Counts a call that does not, as it is not due.
    #[inline(always)]
    pub fn count(&self) {
        self.rest.store(self.rest.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
    }

    /// Looks at the clock: milliseconds. One call in `most` does at least.
    pub fn look(&self, most: u32) -> u64 {
        let now = platform::milliseconds();
        self.note(now, most);
        now
    }

    /// Whether the clock had gone on at the last look.
    pub fn went_on(&self) -> bool {
        self.every.load(Ordering::Relaxed) == LEAST
    }

    /// Notes what the clock said.
    fn note(&self, now: u64, most: u32) {
        let stands = self.looked.load(Ordering::Relaxed) == now;
        let every = if stands { most.min(2 * self.every.load(Ordering::Relaxed)) } else { LEAST };
        self.looked.store(now, Ordering::Relaxed);
        self.every.store(every, Ordering::Relaxed);
        self.rest.store(every - 1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_slows_down_while_the_clock_stands_still() {
        let pace = Pace::START;
        // The calls up to the next that looks, itself included, when the clock says `now`.
        let calls = |now, most| {
            let mut calls = 1;
            while !pace.is_due() {
                pace.count();
                calls += 1;
            }
            pace.note(now, most);
            calls
        };
        assert_eq!([5, 5, 5, 5, 5, 5].map(|now| calls(now, 16)), [1, 2, 4, 8, 16, 16]);
        assert_eq!([6, 7, 7, 7].map(|now| calls(now, 16)), [16, 2, 2, 4]);
        // Another limit holds at once.
        assert_eq!([7, 7, 7].map(|now| calls(now, 3)), [8, 3, 3]);
        assert!(pace.look(16) > 7 && !pace.is_due());
        pace.note(u64::MAX, 16);
        assert!(pace.went_on());
        pace.note(u64::MAX, 16);
        assert!(!pace.went_on());
        // Of fifteen calls up to the next that looks, three are one in four.
        let pace = Pace::START;
        (0..4).for_each(|_| pace.note(5, 16));
        let one_in_four = (0..15).filter(|_| {
            let is = pace.is_one_in(4);
            pace.count();
            is
        });
        assert_eq!((one_in_four.count(), pace.is_due()), (3, true));
    }
}
