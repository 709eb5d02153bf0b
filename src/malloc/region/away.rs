//! Regions that are *away*: where the process may have no more addresses, as under
//! RLIMIT_AS, a region without blocks gives its own back, but for its first block, as who
//! is just looking up an address may still read there. It comes back to the same place.
//! May use: `tables`, `platform`.

use core::sync::atomic::Ordering;

use super::super::tables;
use super::{NUMBERS, Plan, Refused, Region};
use crate::heap::ALIGNMENT;
use crate::platform::{self, PAGE};

impl Region {
    /// The bytes that it keeps where it is away.
    pub(super) fn kept(&self) -> usize {
        (self.own.used as usize).next_multiple_of(PAGE)
    }

    /// Gives its addresses back, if it has no blocks. Where the kernel cannot take them, as at
    /// its limit of mappings, it stays.
    pub fn leave(&mut self) {
        let kept = self.kept();
        if self.is_away || self.used() > 0 || kept >= self.bytes {
            return;
        }
        // First of all: then a mapping of somebody else's may be there at once.
        for (index, _) in self.chunks() {
            NUMBERS[index].store(0, Ordering::Release);
            tables::unset_directory(index);
        }
        // SAFETY: there are no blocks, and behind the first nothing else.
        if !unsafe { platform::unmap(self.base.as_ptr().byte_add(kept), self.bytes - kept) } {
            return self.show();
        }
        for bits in [&self.dirty, &self.aging, &self.touched] {
            bits.over(kept / PAGE, self.bytes / PAGE, |word, mask| *word &= !mask);
        }
        self.set_dirty(0);
        self.cursor = 0;
        self.refused = Refused::ALL;
        self.is_away = true;
    }

    /// Takes its addresses again, if there is room for a block then; false where there is not,
    /// where it is not away, and where somebody else has the addresses now.
    pub fn come_back(&mut self, plan: Plan, size: usize, align: usize) -> bool {
        let room = self.manager.largest_free();
        let need = size.saturating_add(if align > ALIGNMENT { align } else { 0 });
        let kept = self.kept();
        let (start, left) = (self.base.addr().get() + kept, self.bytes - kept);
        if !self.is_away || need > room || platform::reserve_at(start, left).is_err() {
            return false;
        }
        let parts = kept.div_ceil(self.step);
        let memory = (parts * self.step).min(self.bytes);
        // SAFETY: just reserved.
        unsafe {
            if !Self::prepare(plan, self.base, self.bytes, kept, Some(memory)) {
                platform::unmap(self.base.as_ptr().byte_add(kept), left);
                return false;
            }
        }
        self.committed = !0 >> (64 - parts.min(64));
        self.memory = memory;
        self.huge = if plan.huge_pages == Some(true) { !0 } else { 0 };
        self.is_away = false;
        self.forget_refused();
        self.show();
        true
    }
}
