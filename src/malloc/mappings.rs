//! The mappings of huge blocks: new ones, and those that were freed just now,
//! which are kept for a while, as their pages cost a fault each. May use:
//! `huge_pages`, `platform`.
//!
//! The kernel puts a new mapping beneath the one before, and makes them one. So
//! spare mappings that are neighbours serve a request together, and what is
//! missing is mapped beneath them; none is lost in pieces that later fit nobody.
//! A mapping whose pages were moved stays one of its own, to the kernel and so
//! here: it could not be resized together with another. It grows by moving its
//! pages once more. Nor do those join that calloc asks for, without huge pages, or
//! those that are aligned to more than a page.
//!
//! ```text
//!    free addresses  [ spare | in use | spare | spare | in use | ... ]
//!   mapped as needed                   <--- a run --->
//! ```

use core::ptr::NonNull;

use super::huge_pages;
use crate::platform::{self, HUGE_PAGE, PAGE};

/// A mapping, or a part of one.
#[derive(Clone, Copy)]
pub(super) struct Mapping {
    pub base: NonNull<u8>,
    pub bytes: usize,
    /// Whether the kernel has it as one with its neighbours that say so, too.
    pub joins: bool,
    /// Whether huge pages are asked for in it, where they are cheap.
    pub asks: bool,
}

impl Mapping {
    fn start(&self) -> usize {
        self.base.addr().get()
    }

    fn end(&self) -> usize {
        self.start() + self.bytes
    }

    /// Gives it back. At the kernel's limit of mappings the addresses must
    /// stay; the memory need not.
    fn give_back(self) {
        // SAFETY: a mapping of ours that nobody uses.
        unsafe {
            if !platform::unmap(self.base.as_ptr(), self.bytes) {
                platform::purge(self.base.as_ptr(), self.bytes);
            }
        }
    }
}

/// What nobody uses.
#[derive(Clone, Copy)]
struct Spare {
    mapping: Mapping,
    /// When it was freed, in milliseconds.
    since: u64,
}

/// Spare mappings that are neighbours, or one that does not join: `count` of
/// them from index `first` on.
#[derive(Clone, Copy)]
struct Run {
    first: usize,
    count: usize,
    bytes: usize,
}

/// How many spare mappings are kept at most.
const SPARES: usize = 64;

/// Whether huge pages are asked for, wherever one fits.
#[derive(Clone, Copy)]
pub(super) enum Ask {
    Never,
    IfCheap,
    Always,
}

/// What new memory is to be.
#[derive(Clone, Copy)]
pub(super) struct Pages {
    pub huge: Ask,
    /// From the start of a huge page on, even if that is more than is missing.
    pub whole: bool,
}

impl Pages {
    fn asks(self) -> bool {
        matches!(self.huge, Ask::IfCheap)
    }
}

const NO_MAPPING: Mapping = Mapping { base: NonNull::dangling(), bytes: 0, joins: false, asks: false };

/// The spare mappings, in the order of their addresses.
pub(super) struct SpareMappings {
    row: [Spare; SPARES],
    count: usize,
    bytes: usize,
}

// SAFETY: nobody else uses the mappings.
unsafe impl Send for SpareMappings {}

impl SpareMappings {
    pub const NONE: SpareMappings =
        SpareMappings { row: [Spare { mapping: NO_MAPPING, since: 0 }; SPARES], count: 0, bytes: 0 };

    fn insert(&mut self, spare: Spare) {
        let at = self.row[..self.count].partition_point(|other| other.mapping.base < spare.mapping.base);
        self.row.copy_within(at..self.count, at + 1);
        self.row[at] = spare;
        self.count += 1;
        self.bytes += spare.mapping.bytes;
    }

    fn remove(&mut self, at: usize) -> Spare {
        let spare = self.row[at];
        self.row.copy_within(at + 1..self.count, at);
        self.count -= 1;
        self.bytes -= spare.mapping.bytes;
        spare
    }

    fn run(&self, first: usize) -> Option<Run> {
        let row = &self.row[first..self.count];
        let joined = |pair: &&[Spare]| {
            let (low, high) = (&pair[0].mapping, &pair[1].mapping);
            low.joins && high.joins && low.end() == high.start()
        };
        let count = 1 + row.windows(2).take_while(joined).count();
        let (lowest, highest) = (row.first()?, row.get(count - 1)?);
        Some(Run { first, count, bytes: highest.mapping.end() - lowest.mapping.start() })
    }

    fn runs(&self) -> impl Iterator<Item = Run> {
        core::iter::successors(self.run(0), |run| self.run(run.first + run.count))
    }

    /// Takes `bytes` bytes: of the smallest run that has as many, or else of the
    /// largest that can grow.
    pub fn take(&mut self, bytes: usize, pages: Pages) -> Option<Mapping> {
        let enough = self.runs().filter(|run| run.bytes >= bytes).min_by_key(|run| run.bytes);
        if let Some(run) = enough {
            return Some(self.cut(run, bytes));
        }
        let mut limit = usize::MAX;
        while let Some(run) = self.runs().filter(|run| run.bytes < limit).max_by_key(|run| run.bytes) {
            let grown =
                if self.row[run.first].mapping.joins { self.grow(run, bytes, pages) } else { self.remap(run, bytes) };
            if grown.is_some() {
                return grown;
            }
            limit = run.bytes;
        }
        None
    }

    /// Takes the highest `bytes` bytes of a run that has as many.
    fn cut(&mut self, run: Run, bytes: usize) -> Mapping {
        let mut at = run.first + run.count;
        let mut left = bytes;
        loop {
            at -= 1;
            let mapping = &mut self.row[at].mapping;
            let rest = mapping.bytes.saturating_sub(left);
            // SAFETY: within the mapping, as `rest` is no more than its bytes.
            let taken = Mapping { base: unsafe { mapping.base.byte_add(rest) }, bytes, ..*mapping };
            if rest > 0 {
                mapping.bytes = rest;
                self.bytes -= left;
                return taken;
            }
            left -= self.remove(at).mapping.bytes;
            if left == 0 {
                return taken;
            }
        }
    }

    /// Takes a run and new memory beneath it, together `bytes` bytes; `None`
    /// where other mappings are in the way.
    fn grow(&mut self, run: Run, bytes: usize, pages: Pages) -> Option<Mapping> {
        let lowest = self.row[run.first].mapping;
        let below = map_below(lowest.start(), bytes - run.bytes, pages)?;
        self.row[run.first].mapping = Mapping { bytes: below.bytes + lowest.bytes, ..below };
        self.bytes += below.bytes;
        Some(self.cut(Run { bytes: run.bytes + below.bytes, ..run }, bytes))
    }

    /// Takes a mapping that does not join, grown by moving its pages.
    fn remap(&mut self, run: Run, bytes: usize) -> Option<Mapping> {
        let mapping = self.row[run.first].mapping;
        // SAFETY: a mapping of ours that nobody uses.
        let base = unsafe { platform::remap(mapping.base.as_ptr(), mapping.bytes, bytes) }?;
        self.remove(run.first);
        Some(Mapping { base, bytes, joins: false, ..mapping })
    }

    /// Makes a new mapping of zeros at a multiple of `align`; `zero` says that
    /// it is wanted for them.
    pub fn map(&mut self, bytes: usize, align: usize, zero: bool, pages: Pages) -> Option<Mapping> {
        let joins = align <= PAGE && !zero;
        let base = if align <= PAGE { platform::map_memory(bytes)? } else { platform::reserve(bytes, align)? };
        let mapping = Mapping { base, bytes, joins, asks: pages.asks() };
        // SAFETY: just reserved.
        if align > PAGE && !unsafe { platform::commit(base.as_ptr(), bytes) } {
            mapping.give_back();
            return None;
        }
        advise(&mapping, pages);
        let uneven = !mapping.start().is_multiple_of(HUGE_PAGE);
        if joins
            && uneven
            && self.count < SPARES
            && pages.whole
            && let Some(mapping) = map_below(mapping.start(), PAGE, pages)
        {
            self.insert(Spare { mapping, since: platform::milliseconds() });
        }
        Some(mapping)
    }

    /// Keeps what was freed; what is then above `most` bytes goes back, the
    /// lowest first, as there may be free addresses beneath.
    pub fn keep(&mut self, mapping: Mapping, most: usize) {
        if self.count == SPARES {
            self.remove(0).mapping.give_back();
        }
        self.insert(Spare { mapping, since: platform::milliseconds() });
        self.shrink_to(most);
    }

    /// Gives `bytes` bytes back, or all: as many are about to be mapped anew.
    pub fn make_room(&mut self, bytes: usize) {
        self.shrink_to(self.bytes.saturating_sub(bytes));
    }

    /// Gives back what is above `most` bytes, the lowest first.
    fn shrink_to(&mut self, most: usize) {
        while self.bytes > most {
            let Spare { mapping, since } = self.remove(0);
            let excess = self.bytes + mapping.bytes - most;
            // Huge pages go as a whole.
            let bytes = ((mapping.start() + excess).next_multiple_of(HUGE_PAGE) - mapping.start()).min(mapping.bytes);
            Mapping { bytes, ..mapping }.give_back();
            if bytes < mapping.bytes {
                // SAFETY: within the mapping.
                let base = unsafe { mapping.base.byte_add(bytes) };
                self.insert(Spare { mapping: Mapping { base, bytes: mapping.bytes - bytes, ..mapping }, since });
            }
        }
    }

    /// Gives back what was freed before `limit`, in milliseconds; whether there
    /// was any.
    pub fn drop_before(&mut self, limit: u64) -> bool {
        let before = self.count;
        for at in (0..before).rev() {
            if self.row[at].since <= limit {
                self.remove(at).mapping.give_back();
            }
        }
        self.count < before
    }
}

/// Maps at least `missing` bytes that end at `end`.
fn map_below(end: usize, missing: usize, pages: Pages) -> Option<Mapping> {
    let start = end.checked_sub(missing)?;
    let start = if pages.whole { start & !(HUGE_PAGE - 1) } else { start };
    let base = platform::map_memory_at(start, end - start)?;
    let mapping = Mapping { base, bytes: end - start, joins: true, asks: pages.asks() };
    advise(&mapping, pages);
    Some(mapping)
}

/// Asks for huge pages in a new mapping, if they are wanted, or for none.
fn advise(mapping: &Mapping, pages: Pages) {
    // SAFETY: just mapped.
    unsafe {
        match pages.huge {
            Ask::Never => platform::advise_huge(mapping.base.as_ptr(), mapping.bytes, false),
            Ask::IfCheap => _ = huge_pages::ask(mapping.base, 0, mapping.bytes),
            Ask::Always => platform::advise_huge(mapping.base.as_ptr(), mapping.bytes, true),
        }
    }
}
