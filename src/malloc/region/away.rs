//! Regions that are *away*: where the process may have no more addresses, as under
//! RLIMIT_AS, a region without blocks gives its own back, but for its first block, as who
//! is just looking up an address may still read there. It comes back to the same place.
//! May use: `tables`, `platform`.

use core::sync::atomic::Ordering;

use super::super::tables;
use super::{Fresh, NUMBERS, Plan, Region};
use crate::heap::ALIGNMENT;
use crate::platform::{self, PAGE};

impl Region {
    /// The bytes that it keeps where it is away.
    fn kept(&self) -> usize {
        (self.own.used as usize).next_multiple_of(PAGE)
    }

    /// Gives its addresses back, if it has no blocks; false where it has, and where the kernel
    /// cannot, as at its limit of mappings.
    pub fn leave(&mut self) -> bool {
        let kept = self.kept();
        if self.used() > 0 || kept >= self.bytes {
            return false;
        }
        // First of all: then a mapping of somebody else's may be there at once.
        for (index, _) in self.chunks() {
            NUMBERS[index].store(0, Ordering::Release);
            tables::unset_directory(index);
        }
        // SAFETY: there are no blocks, and behind the first nothing else.
        if !unsafe { platform::unmap(self.base.as_ptr().byte_add(kept), self.bytes - kept) } {
            self.show();
            return false;
        }
        for bits in [&self.dirty, &self.aging, &self.touched] {
            bits.over(kept / PAGE, self.bytes / PAGE, |word, mask| *word &= !mask);
        }
        self.set_dirty(0);
        self.cursor = 0;
        true
    }

    /// Takes its addresses again, with a block; `None` where there is no room for one, where
    /// somebody else has the addresses now, and where there is no memory.
    ///
    /// # Safety
    /// It is away.
    pub unsafe fn come_back(&mut self, plan: Plan, size: usize, align: usize) -> Option<Fresh> {
        let need = size.checked_add(if align > ALIGNMENT { align } else { 0 })?;
        let (kept, left) = (self.kept(), self.bytes - self.kept());
        if need > self.manager.largest_free() {
            return None;
        }
        let start = platform::reserve_at(self.base.addr().get() + kept, left).ok()?;
        let parts = kept.div_ceil(self.step);
        self.memory = (parts * self.step).min(self.bytes);
        self.committed = !0 >> (64 - parts.min(64));
        self.huge = if plan.huge_pages == Some(true) { !0 } else { 0 };
        self.forget_refused();
        // SAFETY: just reserved.
        let ready = unsafe { Self::prepare(plan, self.base, self.bytes, kept, Some(self.memory)) };
        let fresh = if ready { self.get(size, align, plan.dense, true) } else { None };
        if fresh.is_some() {
            self.show();
        } else {
            // SAFETY: as above, and not used yet.
            unsafe { platform::unmap(start.as_ptr(), left) };
        }
        fresh
    }
}
