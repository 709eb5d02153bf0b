//! Slabs: spans cut into equal cells. A slab's header stands in its region's
//! table, not in the slab, and is found from a cell's address alone. May use:
//! `classes`, `region`, `remote`.
//!
//! ```text
//!   slab   [ cell | cell | cell | ... | cell |  never used yet ... |rest]
//!                                            ^ fresh                ^ limit
//! ```
//!
//! `countdown` is the number of frees until the slab's owner has to look after
//! it: for a slab with free cells the cells in use, so that it is 0 when the
//! slab is empty; for a full slab 1, so that the first free puts it back in the
//! owner's lists. One decrement thus serves for both.

use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::classes::{CELL, CLASSES, span_of};
use super::region::{UNIT, UNIT_SHIFT};
use super::remote::{Cell, Chain, Inbox, Others};
use crate::platform::PAGE;

/// The owner of slabs of the shared cache: no thread.
pub(super) const NOBODY: usize = 1;

/// What a header says of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// No slab: as zeros say.
    None = 0,
    /// A slab starts here.
    Head = 1,
    /// A slab started some units before.
    Tail = 2,
}

/// The header of a slab: a cache line for its owner, and one for the others.
///
/// Invariant: what has no comment of its own is the owner's alone, or, where
/// that is nobody, belongs to whoever holds the shared cache's lock. `owner`,
/// `kind`, `class`, `limit` and `base` may be read by anyone who has a cell of the
/// slab.
#[repr(C, align(128))]
pub(super) struct Slab {
    pub free: *mut Cell,
    /// The thread whose cache it is in.
    owner: AtomicUsize,
    pub countdown: u32,
    fresh: u32,
    limit: u32,
    pub kind: Kind,
    pub class: u8,
    pub full: bool,
    /// The units of the slab; for a tail, how many headers before its head is.
    units: u8,
    pub next: *mut Slab,
    pub prev: *mut Slab,
    pub base: *mut u8,
    others: Others,
}

// SAFETY: see the invariant.
unsafe impl Sync for Slab {}

// A slab is some whole units, and aligned to its size.
const _: () = {
    let mut class = 0;
    while class < CLASSES {
        assert!(span_of(class) >= UNIT && span_of(class).is_power_of_two());
        class += 1;
    }
};

impl Slab {
    /// The slab that a cache without any points to: no cell, ever.
    // What a header is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const NONE: Slab = Slab {
        free: ptr::null_mut(),
        owner: AtomicUsize::new(0),
        countdown: 0,
        fresh: 0,
        limit: 0,
        kind: Kind::None,
        class: 0,
        full: false,
        units: 0,
        next: ptr::null_mut(),
        prev: ptr::null_mut(),
        base: ptr::null_mut(),
        others: Others::NONE,
    };

    /// Makes the span at `base`, whose header this is, a slab.
    ///
    /// # Safety
    /// The span is the caller's, `span_of(class)` bytes at a multiple of
    /// `UNIT`, and so are its headers.
    pub unsafe fn found(this: *mut Slab, base: *mut u8, class: usize, owner: usize, inbox: *mut Inbox) {
        let span = span_of(class);
        let cell = CELL[class];
        let units = (span >> UNIT_SHIFT) as u8;
        // SAFETY: the headers of the span, one after the other: the span lies
        // within a chunk, as it is aligned to its size.
        unsafe {
            for unit in 1..units {
                this.add(usize::from(unit)).write(Slab { kind: Kind::Tail, units: unit, ..Slab::NONE });
            }
            this.write(Slab {
                limit: span as u32 / cell * cell,
                base,
                kind: Kind::Head,
                class: class as u8,
                units,
                ..Slab::NONE
            });
            (*this).set_owner(owner, inbox);
        }
    }

    /// Takes the headers of a slab out of use, and the marks off its cells:
    /// whoever gets the span next may copy what he finds there. The span.
    ///
    /// # Safety
    /// The slab is the caller's, empty and in no list.
    pub unsafe fn dissolve(this: *mut Slab) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            let base = (*this).base;
            for cell in (0..(*this).fresh).step_by((*this).cell() as usize) {
                (*base.byte_add(cell as usize).cast::<Cell>()).mark = ptr::null_mut();
            }
            for unit in 0..usize::from((*this).units) {
                this.add(unit).write(Slab::NONE);
            }
            base
        }
    }

    /// The header of the slab's head, from that of one of its units.
    ///
    /// # Safety
    /// A header whose kind is not `None`.
    pub unsafe fn head(this: *mut Slab) -> *mut Slab {
        // SAFETY: a tail says how far its head is.
        unsafe { if (*this).kind == Kind::Tail { this.sub(usize::from((*this).units)) } else { this } }
    }

    /// The thread that owns the slab.
    #[inline(always)]
    pub fn owner(&self) -> usize {
        self.owner.load(Ordering::Relaxed)
    }

    /// Puts the slab in the cache with this inbox: of a thread, or of [`NOBODY`].
    pub fn set_owner(&self, owner: usize, inbox: *mut Inbox) {
        self.owner.store(owner, Ordering::Relaxed);
        self.others.set_inbox(inbox);
    }

    /// The slab of which these are the others.
    ///
    /// # Safety
    /// They are those of a slab.
    pub unsafe fn of(others: *mut Others) -> *mut Slab {
        // SAFETY: the caller's promise.
        unsafe { others.byte_sub(offset_of!(Slab, others)).cast() }
    }

    /// Frees a cell from another thread than the owner.
    ///
    /// # Safety
    /// A cell of the slab that nobody uses any more.
    pub unsafe fn free_remotely(this: *mut Slab, cell: *mut Cell) {
        // SAFETY: the caller's promise.
        unsafe { Others::free(&raw mut (*this).others, (*this).base, cell) }
    }

    /// Takes the cells that other threads freed, of which there are some.
    ///
    /// # Safety
    /// The slab is the caller's, and was in its inbox.
    pub unsafe fn take_remote(&self) -> Chain {
        // SAFETY: the caller's promise.
        unsafe { self.others.take(self.base) }
    }

    /// The size of its cells.
    pub fn cell(&self) -> u32 {
        CELL[usize::from(self.class)]
    }

    /// The cells that the slab has room for.
    pub fn capacity(&self) -> u32 {
        self.limit / self.cell()
    }

    /// The bytes of the pages that its cells lie in.
    pub fn bytes(&self) -> usize {
        (self.limit as usize).next_multiple_of(PAGE)
    }

    /// Whether a pointer is the first byte of a cell.
    pub fn is_cell(&self, pointer: *const u8) -> bool {
        let offset = pointer.addr().wrapping_sub(self.base.addr());
        offset < self.limit as usize && offset.is_multiple_of(self.cell() as usize)
    }

    /// Whether a cell stands in the list of free ones; looks at all.
    ///
    /// # Safety
    /// The slab is the caller's.
    pub unsafe fn is_free(&self, cell: *const u8) -> bool {
        let mut free = self.free;
        while !free.is_null() {
            if free.cast_const().cast() == cell {
                return true;
            }
            // SAFETY: a free cell of ours.
            free = unsafe { (*free).next };
        }
        false
    }

    /// Puts never used cells on the empty list of free ones, a page at a time,
    /// so that memory is touched only as it is needed; false where none are
    /// left.
    ///
    /// # Safety
    /// The slab is the caller's.
    pub unsafe fn extend(&mut self) -> bool {
        let size = self.cell();
        let left = (self.limit - self.fresh) / size;
        if left == 0 {
            return false;
        }
        let count = left.min((PAGE as u32 / size).max(1));
        let end = self.fresh + count * size;
        let mut at = self.fresh;
        // SAFETY: cells of the slab that nobody has.
        unsafe {
            self.free = self.base.byte_add(at as usize).cast();
            while at + size < end {
                let cell: *mut Cell = self.base.byte_add(at as usize).cast();
                at += size;
                (*cell).next = self.base.byte_add(at as usize).cast();
            }
            (*self.base.byte_add(at as usize).cast::<Cell>()).next = ptr::null_mut();
        }
        self.fresh = end;
        true
    }

    /// The cells in use.
    pub fn used(&self) -> u32 {
        if self.full { self.capacity() } else { self.countdown }
    }
}

/// Puts a slab at the front of a list.
///
/// # Safety
/// List and slab are the caller's.
pub(super) unsafe fn link(list: &mut *mut Slab, slab: *mut Slab) {
    // SAFETY: the caller's promise.
    unsafe {
        (*slab).prev = ptr::null_mut();
        (*slab).next = *list;
        if !(*list).is_null() {
            (**list).prev = slab;
        }
    }
    *list = slab;
}

/// Takes a slab out of a list.
///
/// # Safety
/// List and slab are the caller's, and it is in that list.
pub(super) unsafe fn unlink(list: &mut *mut Slab, slab: *mut Slab) {
    // SAFETY: the caller's promise.
    unsafe {
        let (next, prev) = ((*slab).next, (*slab).prev);
        if prev.is_null() {
            *list = next;
        } else {
            (*prev).next = next;
        }
        if !next.is_null() {
            (*next).prev = prev;
        }
    }
}
