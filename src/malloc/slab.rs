//! Slabs: spans of 64 KiB cut into equal cells. A slab's entry and header stand in its
//! region's directory, not in the slab, and are found from a cell's address alone:
//! the entry has what anyone may ask, the header what is the owner's. May use:
//! `classes`, `entry`, `message`, `outbox`, `remote`, `tables`, `platform`.
//!
//! ```text
//!   slab   [ cell | cell | cell | ... | cell |  never used yet ... |rest]
//!          |------------- fresh ------------>|
//!          |---------------------- capacity ---------------------->|
//! ```
//!
//! A slab is *current* where its cache takes cells from. It is *young* while it is
//! its first time to be current, it has cells that were never used, and its cache
//! has few slabs.
//!
//! `countdown` is the number of frees until the cache has to look after a slab
//! that is not current: for one with free cells the cells in use, so that it is 0
//! when the slab is empty; for a full one 1, so that the first free puts it back
//! in the cache's lists. One decrement thus serves for both.
//!
//! From the class [`WARM`] on a slab has few cells, and the list of the current one is a
//! *warm list*: cells of its cache's other slabs come there, too, as long as it has room, so
//! that malloc gets what was freed last. For their own slabs these are in use. `countdown`
//! is that room then.

// A `Cell` is a cell of a slab here.
use core::cell::Cell as Owned;
use core::iter;
use core::mem::offset_of;
use core::ptr;

use super::classes::{CELL, SLAB, WARM};
use super::entry::Entry;
use super::message::fatal;
use super::outbox::Outbox;
use super::remote::{Cell, Chain, Inbox, Others};
use super::tables::{Place, end, mark};
use crate::platform::{self, PAGE};

/// Of cells up to this size, in bytes, a page is taken into use at once.
const SMALL: u32 = PAGE as u32 / 4;

/// What is in use of a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// Any number of cells, as it is current.
    Current,
    /// Some cells, or all but not noted yet, or none while it waits in an inbox.
    Partial,
    /// All cells.
    Full,
    /// None, and its cache keeps it.
    Empty,
}

/// A warm list has room for the cells of so many slabs.
pub(super) const WARM_SLABS: u32 = 2;

/// The countdown of a slab whose cells in use are not counted.
const UNCOUNTED: u32 = u32::MAX;

/// The header of a slab: a cache line for its owner, and one for the others.
///
/// Invariant: all but the others' is the owner's alone, or, where that is the shared
/// cache, belongs to whoever holds its lock.
#[repr(C, align(128))]
pub(super) struct Slab {
    /// The free cells.
    free: Owned<*mut Cell>,
    countdown: Owned<u32>,
    /// The cells that were ever free or in use.
    fresh: Owned<u32>,
    /// The cells that it has room for.
    capacity: u16,
    /// Whether cells that were never used are zeros, as the OS gave them.
    zero: bool,
    /// The class of its cells, as the entry has it.
    pub class: u8,
    state: Owned<State>,
    /// Whether another thread ever freed a cell of it.
    visited: Owned<bool>,
    pub next: Owned<*mut Slab>,
    pub prev: Owned<*mut Slab>,
    base: *mut u8,
    others: Others,
}

// SAFETY: see the invariant.
unsafe impl Sync for Slab {}

const _: () = assert!(size_of::<Slab>() == 128);

/// The current slab of a thread that has none of a class: without free cells, ever.
pub(super) static NO_SLAB: Slab = Slab::NONE;

impl Slab {
    // What a header is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    const NONE: Slab = Slab {
        free: Owned::new(end()),
        countdown: Owned::new(0),
        fresh: Owned::new(0),
        capacity: 0,
        zero: false,
        class: 0,
        state: Owned::new(State::Partial),
        visited: Owned::new(false),
        next: Owned::new(ptr::null_mut()),
        prev: Owned::new(ptr::null_mut()),
        base: ptr::null_mut(),
        others: Others::NONE,
    };

    /// Makes the span at `base` a slab, in no cache yet. `zero` says that its pages
    /// are as the OS gave them.
    ///
    /// # Safety
    /// The span is the caller's, `SLAB` bytes at a multiple of that many, in a region for
    /// slabs, and so are its entry and header.
    pub unsafe fn found(base: *mut u8, class: usize, zero: bool) -> *mut Slab {
        // SAFETY: the caller's promise.
        unsafe {
            let place = Place::of(base);
            place.entry().write(Entry::of_slab(class as u8));
            place.header().write(Slab {
                capacity: (SLAB / CELL[class] as usize) as u16,
                zero,
                class: class as u8,
                base,
                ..Slab::NONE
            });
            place.header()
        }
    }

    /// Takes the entry of a slab out of use, and the marks off its cells:
    /// whoever gets the span next may copy what he finds there. A cell without
    /// the mark is in use, and another was freed twice: that ends the process, and so
    /// does a cell that another thread freed since the slab was idle. The span.
    ///
    /// # Safety
    /// The slab is the caller's, empty and in no list.
    pub unsafe fn dissolve(this: *mut Slab) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            let base = (*this).base;
            if !(*this).is_idle() {
                fatal("free", FREED_TWICE, base);
            }
            for number in 0..(*this).fresh.get() {
                let cell = (*this).at(number);
                if !(*cell).is_marked() {
                    fatal("free", FREED_TWICE, cell.cast());
                }
                (*cell).mark = ptr::null();
            }
            Place::of(base).entry().write(Entry::NONE);
            base
        }
    }

    /// The slab that an address lies in, and its entry.
    ///
    /// # Safety
    /// As [`Place::of`]; the slab, if there is one, stays in being.
    pub unsafe fn find(address: *const u8) -> Option<(*mut Slab, &'static Entry)> {
        // SAFETY: the caller's promise.
        unsafe {
            let place = Place::of(address);
            (*place.entry()).is_slab.then(|| (place.header(), &*place.entry()))
        }
    }

    /// Its entry.
    pub fn entry(&self) -> &Entry {
        // SAFETY: a slab's own address, and it is in being.
        unsafe { &*Place::of(self.base).entry() }
    }

    /// Puts the slab in the cache at this address, with this inbox; not current.
    pub fn set_owner(&self, cache: usize, inbox: *mut Inbox) {
        self.entry().set_owner(cache);
        self.others.set_inbox(inbox);
    }

    /// Whether it is current.
    pub fn is_current(&self) -> bool {
        self.state.get() == State::Current
    }

    /// Makes it current, and, if it never was and `young` says so, young. A warm list has
    /// room for the cells of `warm_slabs` others.
    ///
    /// # Safety
    /// The slab is the caller's, with a cell that is not in use, not current, and
    /// in no list of slabs.
    pub unsafe fn make_current(&self, young: bool, warm_slabs: u32) {
        self.state.set(State::Current);
        if self.is_listed() {
            self.make_room(warm_slabs);
        } else {
            self.rest();
        }
        if young && self.fresh.get() == 0 {
            self.entry().set_young();
        }
    }

    /// Whether its list is a warm one while it is current.
    pub fn is_listed(&self) -> bool {
        usize::from(self.class) >= WARM
    }

    /// Makes room in its warm list for the cells of so many others.
    fn make_room(&self, warm_slabs: u32) {
        self.countdown.set(warm_slabs * self.capacity());
    }

    /// Says that the slab wants no attention for a long time.
    pub fn rest(&self) {
        self.countdown.set(UNCOUNTED);
    }

    /// Ends its being current. Its free cells are [counted](Slab::count) if they
    /// are no more than `most`: to look at many cold ones takes long.
    ///
    /// # Safety
    /// The slab is the caller's, and current, without others' cells.
    pub unsafe fn put_aside(&self, most: u32) {
        self.state.set(State::Partial);
        self.entry().set_old();
        // SAFETY: the caller's promise.
        match unsafe { self.count_free(most) } {
            Some(free) => self.countdown.set(self.fresh.get() - free),
            None => self.rest(),
        }
    }

    /// The same where no cell is free.
    ///
    /// # Safety
    /// As [`Slab::put_aside`].
    #[inline(always)]
    pub unsafe fn put_aside_spent(&self) {
        self.entry().set_old();
        self.set_partial(self.fresh.get());
    }

    /// Counts the cells in use, where it is not current; how many free ones it looked at.
    ///
    /// # Safety
    /// The slab is the caller's.
    pub unsafe fn count(&self) -> u32 {
        // SAFETY: the caller's promise. There are no more than the capacity.
        let free = unsafe { self.count_free(u32::MAX) }.unwrap_or(0);
        self.countdown.set(self.fresh.get() - free);
        free
    }

    /// How many cells are free, if they are no more than `most`: looks at one more at most.
    ///
    /// # Safety
    /// The slab is the caller's.
    unsafe fn count_free(&self, most: u32) -> Option<u32> {
        let (first, all) = (self.free.get(), self.most_free());
        let most = most.min(all);
        // A list that leads back into itself, as after a double free, has an end here.
        // SAFETY: the caller's promise.
        let count = unsafe { Cell::list(first) }.take(most as usize + 1).count() as u32;
        if count > all {
            fatal("free", FREED_TWICE, first.cast());
        }
        (count <= most).then_some(count)
    }

    /// How many cells its list has at most.
    fn most_free(&self) -> u32 {
        let others = if self.is_current() && self.is_listed() { WARM_SLABS * self.capacity() } else { 0 };
        self.fresh.get() + others
    }

    /// Whether the cells in use are known, as they are not of the current slab.
    pub fn is_counted(&self) -> bool {
        !self.is_current() && self.countdown.get() != UNCOUNTED
    }

    /// Gets a free cell; null where there is none, or one that does not bear the
    /// mark.
    ///
    /// # Safety
    /// The slab is the caller's, or [`NO_SLAB`].
    #[inline(always)]
    pub unsafe fn get(&self) -> *mut u8 {
        // SAFETY: the caller's promise; cells in the list are free, and it ends at
        // zeros.
        unsafe {
            let cell = self.free.get();
            if !(*cell).is_marked() {
                return ptr::null_mut();
            }
            self.free.set((*cell).next);
            platform::prefetch((*cell).next);
            (*cell).mark = ptr::null();
            cell.cast()
        }
    }

    /// Whether there are free cells.
    pub fn has_free_cells(&self) -> bool {
        self.free.get() != end()
    }

    /// The first of them, or where lists end.
    pub fn first_free(&self) -> *const Cell {
        self.free.get()
    }

    /// Ends the process, as the first free cell does not bear the mark.
    pub fn spoilt(&self) -> ! {
        fatal("malloc", FREED_TWICE, self.free.get().cast())
    }

    /// Puts a cell in front of the free ones, with the [`mark`].
    ///
    /// # Safety
    /// The slab is the caller's, and the cell one of it that nobody has, or of another of
    /// its cache where the list is a warm one.
    #[inline(always)]
    pub unsafe fn push(&self, cell: *mut Cell, mark: *const u8) {
        // SAFETY: the caller's promise.
        unsafe { cell.write(Cell { next: self.free.get(), mark }) };
        self.free.set(cell);
    }

    /// Frees a cell, with the [`mark`]; false where the slab wants attention.
    ///
    /// # Safety
    /// The slab is the caller's, and the cell one of it that is in use.
    #[inline(always)]
    pub unsafe fn free(&self, cell: *mut Cell, mark: *const u8) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.push(cell, mark) };
        self.countdown.set(self.countdown.get().wrapping_sub(1));
        self.countdown.get() != 0
    }

    /// Frees a cell whose class has warm lists: to that of `current`, its cache's, where
    /// there is room or the cell is its own. False where the slab wants attention.
    ///
    /// # Safety
    /// As [`Slab::free`]; `current` is the caller's, current, or [`NO_SLAB`].
    #[inline(always)]
    pub unsafe fn free_to(&self, current: &Slab, cell: *mut Cell, mark: *const u8) -> bool {
        let room = current.countdown.get();
        if room > 0 {
            current.countdown.set(room - 1);
        } else if !ptr::eq(self, current) {
            // SAFETY: the caller's promise.
            return unsafe { self.free(cell, mark) };
        }
        // SAFETY: the caller's promise.
        unsafe { current.push(cell, mark) };
        true
    }

    /// Whether its warm list, which had room for the cells of `warm_slabs` others, may have
    /// some of them.
    pub fn has_others(&self, warm_slabs: u32) -> bool {
        self.countdown.get() < warm_slabs * self.capacity() && self.has_free_cells()
    }

    /// Empties its warm list, which has as much room again; shows each cell to `visit`, with
    /// its slab. One that does not bear the mark was freed twice: that ends the process.
    ///
    /// # Safety
    /// The slab is the caller's, and so are all whose cells it has; `visit` may free the cell.
    pub unsafe fn take_all(&self, warm_slabs: u32, mut visit: impl FnMut(*mut Cell, &Slab)) {
        let (mut cell, mut left) = (self.free.replace(end()), self.most_free());
        self.make_room(warm_slabs);
        while cell != end() {
            // SAFETY: the caller's promise; a free cell's slab is in being.
            unsafe {
                if left == 0 || !(*cell).is_marked() {
                    fatal("free", FREED_TWICE, cell.cast());
                }
                left -= 1;
                let next = (*cell).next;
                visit(cell, &*Place::of(cell.cast()).header());
                cell = next;
            }
        }
    }

    /// Ends the process where its warm list has a cell of another slab, which is empty: one
    /// that was freed twice, or that is in use.
    ///
    /// # Safety
    /// The slab is the caller's, and so are all whose cells it has.
    pub unsafe fn check_apart(&self, empty: *mut Slab) {
        // SAFETY: the caller's promise. A list that leads back into itself has an end here.
        for cell in unsafe { Cell::list(self.free.get()) }.take(self.most_free() as usize + 1) {
            // SAFETY: as above.
            if unsafe { Place::of(cell.cast()) }.header() == empty {
                fatal("free", FREED_TWICE, cell.cast_mut().cast());
            }
        }
    }

    /// Says that no cell is free, so that the next that is freed wants attention.
    pub fn set_full(&self) {
        self.state.set(State::Full);
        self.countdown.set(1);
    }

    /// Says that no cell is in use, and none will be: one that is freed now was
    /// before.
    pub fn set_empty(&self) {
        self.state.set(State::Empty);
        self.countdown.set(1);
    }

    /// Says that only so many cells are in use.
    pub fn set_partial(&self, used: u32) {
        self.state.set(State::Partial);
        self.countdown.set(used);
    }

    /// Whether it was [set full](Slab::set_full).
    pub fn is_full(&self) -> bool {
        self.state.get() == State::Full
    }

    /// Ends the process, as a cell was freed of a slab that was
    /// [set empty](Slab::set_empty); else does nothing.
    pub fn check_empty(&self) {
        if self.state.get() == State::Empty {
            fatal("free", FREED_TWICE, self.free.get().cast());
        }
    }

    /// The slab of which these are the others.
    ///
    /// # Safety
    /// They are those of a slab.
    pub unsafe fn of(others: *mut Others) -> *mut Slab {
        // SAFETY: the caller's promise.
        unsafe { others.byte_sub(offset_of!(Slab, others)).cast() }
    }

    /// Frees a cell from another thread than the owner, through that thread's
    /// outbox, if it has one.
    ///
    /// # Safety
    /// A cell of the slab that nobody uses any more; `entry` is the slab's.
    pub unsafe fn free_remotely(this: *mut Slab, entry: &Entry, cell: *mut Cell, outbox: Option<&mut Outbox>) {
        // SAFETY: the caller's promise.
        unsafe {
            (*cell).mark = mark();
            let (others, base) = (&raw mut (*this).others, base_of(cell.cast()));
            match outbox {
                Some(outbox) => outbox.put(others, base, cell, entry.cell()),
                None => {
                    let mut chain = Chain::EMPTY;
                    chain.push(cell);
                    Others::free(others, base, chain);
                }
            }
        }
    }

    /// Takes the cells that other threads freed, if there are any.
    ///
    /// # Safety
    /// The slab is the caller's, and was just taken from its inbox.
    pub unsafe fn collect(&self) {
        self.visited.set(true);
        // SAFETY: the caller's promise.
        unsafe { self.add(self.others.take(self.base)) };
    }

    /// The same where the slab may be in an inbox; whether there were any.
    ///
    /// # Safety
    /// The slab is the caller's.
    pub unsafe fn collect_early(&self) -> bool {
        // SAFETY: the caller's promise.
        self.visited.get() && unsafe { self.add(self.others.take_early(self.base)) }
    }

    /// Adds cells that came back; whether there are any.
    ///
    /// # Safety
    /// Slab and cells are the caller's.
    unsafe fn add(&self, chain: Chain) -> bool {
        if chain.count == 0 {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe { (*chain.tail).next = self.free.replace(chain.head) };
        self.check_empty();
        if self.is_counted() {
            self.set_partial(self.used().wrapping_sub(chain.count));
        }
        true
    }

    /// Whether its span can go back, where it is not current: no cell is in use,
    /// and it is in no inbox.
    pub fn is_idle(&self) -> bool {
        self.used() == 0 && !self.others.is_awaited()
    }

    /// The cells that it has room for.
    pub fn capacity(&self) -> u32 {
        self.capacity.into()
    }

    /// The size of its cells.
    pub fn cell(&self) -> u32 {
        CELL[usize::from(self.class)]
    }

    /// The cell of a number.
    fn at(&self, number: u32) -> *mut Cell {
        self.base.wrapping_byte_add((number * self.cell()) as usize).cast()
    }

    /// The bytes of the pages that its cells lie in.
    pub fn bytes(&self) -> usize {
        ((self.capacity() * self.cell()) as usize).next_multiple_of(PAGE)
    }

    /// Whether a cell is free; looks at all that are.
    ///
    /// # Safety
    /// The slab is the caller's.
    pub unsafe fn has_free(&self, cell: *const Cell) -> bool {
        // SAFETY: the caller's promise.
        unsafe { Cell::list(self.free.get()) }.take(self.most_free() as usize).any(|free| free == cell)
    }

    /// Whether those that were never used are as the OS gave them.
    pub fn is_zero(&self) -> bool {
        self.zero
    }

    /// Whether there are cells that were never used.
    pub fn has_fresh(&self) -> bool {
        self.fresh.get() < self.capacity()
    }

    /// Takes out a cell that was never used; null where none is left. If cells are
    /// small, the others of a page become free with it. The cell itself is not
    /// touched where it is zeros, as that may take a page fault.
    ///
    /// # Safety
    /// The slab is the caller's, and current, and no cell is free.
    pub unsafe fn take_fresh(&self) -> *mut u8 {
        let first = self.fresh.get();
        let together = if self.cell() <= SMALL { PAGE as u32 / self.cell() } else { 1 };
        let end = (first + together).min(self.capacity());
        if first == end {
            return ptr::null_mut();
        }
        let cell = self.at(first);
        // SAFETY: cells that nobody has.
        unsafe {
            for number in (first + 1..end).rev() {
                self.push(self.at(number), mark());
            }
            if !self.zero {
                (*cell).mark = ptr::null();
            }
        }
        self.fresh.set(end);
        if end == self.capacity() {
            self.entry().set_old();
        }
        cell.cast()
    }

    /// The cells that are not in use, with what a warm list has of others; looks at all that
    /// are free.
    ///
    /// # Safety
    /// The slab is the caller's.
    pub unsafe fn unused(&self) -> u32 {
        // SAFETY: the caller's promise.
        let free = unsafe { self.count_free(u32::MAX) };
        self.capacity() - self.fresh.get() + free.unwrap_or(0)
    }

    /// The cells in use, where they were counted.
    pub fn used(&self) -> u32 {
        match self.state.get() {
            State::Current | State::Partial => self.countdown.get(),
            State::Full => self.capacity(),
            State::Empty => 0,
        }
    }
}

/// Where the slab starts that an address lies in.
fn base_of(address: *mut u8) -> *mut u8 {
    address.map_addr(|address| address & !(SLAB - 1))
}

/// What is wrong with a cell that is not marked as it should be.
pub(super) const FREED_TWICE: &str = "freed twice, or written to after free:";

impl Cell {
    /// Whether it looks free; contents may do so by chance.
    #[inline(always)]
    pub fn is_marked(&self) -> bool {
        self.mark == mark()
    }

    /// Whether half of the [`mark`] is there. What a program wrote just now in two halves the
    /// processor has at hand as such, but not as one word: that it would wait for.
    #[inline(always)]
    pub fn may_have(&self, mark: *const u8) -> bool {
        // SAFETY: within the mark.
        let half = unsafe { (&raw const self.mark).cast::<u32>().read() };
        half == mark.addr() as u32
    }

    /// The cells of a list; for ever, where one was freed twice.
    ///
    /// # Safety
    /// The list is the caller's, and does not change meanwhile.
    unsafe fn list(first: *const Cell) -> impl Iterator<Item = *const Cell> {
        let cell = |cell: *const Cell| (cell != end().cast_const()).then_some(cell);
        // SAFETY: the caller's promise.
        iter::successors(cell(first), move |&last| cell(unsafe { (*last).next }))
    }
}
