//! Remote frees: how a cell comes back from a thread that does not own its
//! slab, without locks. May use: nothing of malloc; of `heap` the alignment.
//!
//! Cells that another thread frees are linked to those that were freed in their
//! slab before, by one atomic exchange on the slab's header. Whoever frees the
//! first puts the slab in its owner's inbox, by one more:
//!
//! ```text
//!   Inbox  [ slabs ]-> Others [ next ]-> Others [ next ]-> null
//!                             [ remote: count | tail | head ]
//!                                               |      +-> cell -> cell -+
//!                                               +------------------------+-> cell
//! ```
//!
//! The owner takes each chain at once, without looking at its cells: `remote`
//! says where it starts and ends and how many they are. The owner may take it
//! early, while the slab is still in the inbox; until it was received from there,
//! its header must stay. A slab may get another owner at any time; an owner that
//! finds a slab in its inbox that is not its own any more sends it on. An inbox that
//! loses its owner is closed, so that no slab waits where nobody looks. A cache has
//! an inbox for each class, so that who wants a cell finds slabs that have some.
//!
//! `make model` runs all this in every order that threads and memory may take.

#[cfg(loom)]
mod tests;

use core::cell::UnsafeCell;
use core::ptr;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

#[cfg(loom)]
use loom::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::heap::ALIGNMENT;

/// A free cell: the first word leads to the next, and the second is the mark
/// of a free cell, which `tables` knows.
#[repr(C)]
pub(super) struct Cell {
    pub next: *mut Cell,
    pub mark: *const u8,
}

/// Free cells of one slab, linked, from `head` to `tail`.
pub(super) struct Chain {
    pub head: *mut Cell,
    pub tail: *mut Cell,
    pub count: u32,
}

impl Chain {
    /// No cells.
    pub const EMPTY: Chain = Chain { head: ptr::null_mut(), tail: ptr::null_mut(), count: 0 };

    /// Puts a cell in front.
    ///
    /// # Safety
    /// A cell that nobody uses any more, of the same slab.
    pub unsafe fn push(&mut self, cell: *mut Cell) {
        // SAFETY: the caller's promise.
        unsafe { (*cell).next = self.head };
        self.head = cell;
        if self.count == 0 {
            self.tail = cell;
        }
        self.count += 1;
    }
}

/// What other threads use of a slab's header, on a cache line of its own.
///
/// Invariant: whoever makes `remote` other than 0 puts the slab in its owner's
/// inbox, and nobody else does; only who takes it from there makes `remote` 0
/// again. Until then the slab stays: its cells are still counted as in use, or
/// it is seen to be [awaited](Others::is_awaited).
#[repr(align(64))]
pub(super) struct Others {
    /// The inbox of the slab's owner.
    inbox: AtomicPtr<Inbox>,
    /// The chain of the cells that other threads freed: their count in the upper
    /// half, then the places of the last and the first cell. 0 for none, or
    /// [`AWAITED`].
    remote: AtomicU64,
    /// The next slab in the same inbox.
    next: AtomicPtr<Others>,
}

/// What `remote` is without cells, where the slab is in an inbox all the same, or
/// on its way there: they were taken early.
const AWAITED: u64 = 1;

/// Where other threads push the slabs in which they freed cells.
pub(super) struct Inbox {
    /// The latest of them, or [`CLOSED`].
    slabs: AtomicPtr<Others>,
    /// Slabs that were taken from here and are yet to be looked at: the owner's
    /// alone.
    pending: UnsafeCell<*mut Others>,
}

/// What an inbox has instead of slabs while nobody looks there.
const CLOSED: *mut Others = ptr::without_provenance_mut(1);

impl Others {
    /// Those of a slab without an owner.
    #[cfg(not(loom))]
    // What a header is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const NONE: Others = Others {
        inbox: AtomicPtr::new(ptr::null_mut()),
        remote: AtomicU64::new(0),
        next: AtomicPtr::new(ptr::null_mut()),
    };

    /// Says whose inbox is the owner's. An inbox that it said before must not
    /// go away.
    pub fn set_inbox(&self, inbox: *mut Inbox) {
        self.inbox.store(inbox, Ordering::Release);
    }

    fn inbox(&self) -> *mut Inbox {
        self.inbox.load(Ordering::Acquire)
    }

    /// Frees cells of the slab that starts at `base`, at least one, and lets the
    /// owner know.
    ///
    /// # Safety
    /// Cells of that slab that nobody uses any more.
    pub unsafe fn free(this: *mut Others, base: *mut u8, cells: Chain) {
        // SAFETY: the slab stays until its owner has taken the cells; whoever sends
        // the first notifies.
        unsafe {
            if (*this).add(base, cells) {
                Others::notify(this);
            }
        }
    }

    /// Adds cells to the chain; whether they are the first.
    ///
    /// # Safety
    /// As [`Others::free`].
    unsafe fn add(&self, base: *mut u8, cells: Chain) -> bool {
        let place = |cell: *mut Cell| (cell.addr() - base.addr()) as u64 / ALIGNMENT as u64;
        let (head, tail, count) = (place(cells.head), place(cells.tail), u64::from(cells.count) << 32);
        let mut word = self.remote.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller's promise.
            unsafe { (*cells.tail).next = cell_at(base, word & 0xFFFF) };
            let new = if word <= AWAITED { count | tail << 16 | head } else { ((word & !0xFFFF) + count) | head };
            match self.remote.compare_exchange_weak(word, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return word == 0,
                Err(now) => word = now,
            }
        }
    }

    /// Takes the cells that other threads freed in the slab at `base`; there may
    /// be none.
    ///
    /// # Safety
    /// The slab is the caller's, and was just taken from its inbox.
    pub unsafe fn take(&self, base: *mut u8) -> Chain {
        // What the owner read of the header before, it read before whoever frees
        // the next cell writes there: both exchanges order both ways.
        Self::chain(base, self.remote.swap(0, Ordering::AcqRel))
    }

    /// Takes them where the slab may be in an inbox, and stays there.
    ///
    /// # Safety
    /// The slab is the caller's.
    pub unsafe fn take_early(&self, base: *mut u8) -> Chain {
        if self.remote.load(Ordering::Relaxed) <= AWAITED {
            return Chain::EMPTY;
        }
        Self::chain(base, self.remote.swap(AWAITED, Ordering::AcqRel))
    }

    /// Whether the slab, none of whose cells is in use, is in an inbox, or on
    /// its way there.
    pub fn is_awaited(&self) -> bool {
        self.remote.load(Ordering::Relaxed) != 0
    }

    fn chain(base: *mut u8, word: u64) -> Chain {
        Chain {
            head: cell_at(base, word & 0xFFFF),
            tail: cell_at(base, word >> 16 & 0xFFFF),
            count: (word >> 32) as u32,
        }
    }

    /// Puts a slab with remote cells in its owner's inbox.
    ///
    /// # Safety
    /// The slab is in no inbox, and is not to be put in one by others.
    unsafe fn notify(this: *mut Others) {
        // SAFETY: a slab with remote cells stays in being, and inboxes always
        // do.
        unsafe {
            loop {
                // An inbox was closed after its owner's slabs had got another:
                // whoever finds it closed finds the other, too.
                if (*(*this).inbox()).push(this) {
                    return;
                }
            }
        }
    }
}

/// The cell at a place, in multiples of 16 bytes.
fn cell_at(base: *mut u8, place: u64) -> *mut Cell {
    base.wrapping_byte_add(place as usize * ALIGNMENT).cast()
}

impl Inbox {
    /// One that nobody has pushed a slab to.
    #[cfg(not(loom))]
    // What a cache is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const EMPTY: Inbox =
        Inbox { slabs: AtomicPtr::new(ptr::null_mut()), pending: UnsafeCell::new(ptr::null_mut()) };

    /// Whether no slab has come since the last [`Inbox::sort`], or can.
    pub fn is_empty(&self) -> bool {
        self.slabs.load(Ordering::Relaxed) <= CLOSED
    }

    /// Whether there are slabs that the owner has not looked at.
    ///
    /// # Safety
    /// The inbox is the caller's.
    #[inline(always)]
    pub unsafe fn has_slabs(&self) -> bool {
        // SAFETY: the caller's promise.
        !unsafe { *self.pending.get() }.is_null() || !self.is_empty()
    }

    /// Opens it again, for a new owner.
    ///
    /// # Safety
    /// It is closed, and the caller's.
    pub unsafe fn open(&self) {
        self.slabs.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Closes it, as its owner goes: what has come goes on to the owners that
    /// the slabs have by now, and nothing comes any more.
    ///
    /// # Safety
    /// The inbox is the caller's, no slab has it, and it was sorted to the end.
    pub unsafe fn close(&self) {
        let mut slab = self.slabs.swap(CLOSED, Ordering::AcqRel);
        // SAFETY: whoever has a slab out of an inbox is to put it in another.
        unsafe {
            while !slab.is_null() {
                let next = (*slab).next.load(Ordering::Relaxed);
                Others::notify(slab);
                slab = next;
            }
        }
    }

    /// Adds a slab; false where the inbox is closed.
    ///
    /// # Safety
    /// As [`Others::notify`].
    unsafe fn push(&self, slab: *mut Others) -> bool {
        let mut first = self.slabs.load(Ordering::Acquire);
        while first != CLOSED {
            // SAFETY: the caller's promise.
            unsafe { (*slab).next.store(first, Ordering::Relaxed) };
            match self.slabs.compare_exchange_weak(first, slab, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => first = now,
            }
        }
        false
    }

    /// Looks at no more than `most` slabs: those that an earlier call left, else
    /// those that came since. `receive` gets each that is the owner's, and must
    /// [take](Others::take) its cells; the others are sent on. How many it looked at.
    ///
    /// # Safety
    /// The inbox is the caller's.
    #[inline]
    pub unsafe fn sort(this: *mut Inbox, most: usize, mut receive: impl FnMut(*mut Others)) -> usize {
        // SAFETY: slabs in the inbox are the owner's, but for those that came
        // too late for an earlier one.
        unsafe {
            if !(*this).has_slabs() {
                return 0;
            }
            let mut slab = *(*this).pending.get();
            if slab.is_null() {
                slab = (*this).slabs.swap(ptr::null_mut(), Ordering::Acquire);
            }
            let mut looked = 0;
            while looked < most && !slab.is_null() {
                // Before the slab may be in an inbox again.
                let next = (*slab).next.load(Ordering::Relaxed);
                if (*slab).inbox() == this {
                    receive(slab);
                } else {
                    Others::notify(slab);
                }
                slab = next;
                looked += 1;
            }
            *(*this).pending.get() = slab;
            looked
        }
    }
}
