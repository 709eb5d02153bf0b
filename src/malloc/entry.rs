//! Entries: what anyone may ask about an address. Each unit of 64 KiB has one, and
//! four share a cache line, apart from the headers, which their owners write at
//! every malloc and free. May use: `classes`.

use core::hint::assert_unchecked;
use core::mem::offset_of;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::classes::{CELL, CLASSES, is_multiple, span_of};

/// What is added to the owner of a slab that is not young.
pub(super) const OLD: usize = 1;

/// What an entry says of its unit.
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

/// The entry of a unit.
///
/// Invariant: while the slab is in being, its owner alone writes here, or, where
/// that is the shared cache, who holds its lock.
#[repr(C, align(16))]
pub(super) struct Entry {
    /// The address of the cache it is in, and [`OLD`] where it is not young. First,
    /// for the comparison that is all of the way to free that goes wrong for others'
    /// slabs. 0 without a slab, and in tails.
    owner: AtomicUsize,
    pub kind: Kind,
    /// The class of its cells; for a tail, how many entries before its head is.
    pub class: u8,
}

const _: () = assert!(size_of::<Entry>() == 16 && offset_of!(Entry, owner) == 0);

impl Entry {
    /// That of a unit in which there is no slab.
    // What an entry is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const NONE: Entry = Entry::new(Kind::None, 0);

    /// That of a unit without an owner as yet.
    pub const fn new(kind: Kind, class: u8) -> Entry {
        Entry { owner: AtomicUsize::new(0), kind, class }
    }

    /// Whether the slab is in the cache at this address.
    pub fn is_in(&self, cache: usize) -> bool {
        self.owner.load(Ordering::Relaxed) & !OLD == cache
    }

    /// Whether it is young.
    pub fn is_young(&self) -> bool {
        self.owner.load(Ordering::Relaxed) & OLD == 0
    }

    /// Puts the slab in the cache at this address; not young.
    pub fn set_owner(&self, cache: usize) {
        self.owner.store(cache | OLD, Ordering::Relaxed);
    }

    /// Makes it young.
    pub fn set_young(&self) {
        self.owner.store(self.owner.load(Ordering::Relaxed) & !OLD, Ordering::Relaxed);
    }

    /// Ends its being young.
    pub fn set_old(&self) {
        self.owner.store(self.owner.load(Ordering::Relaxed) | OLD, Ordering::Relaxed);
    }

    /// The class of the slab's cells.
    #[inline(always)]
    pub fn class(&self) -> usize {
        // SAFETY: what a slab was founded with.
        unsafe { assert_unchecked(usize::from(self.class) < CLASSES) };
        self.class.into()
    }

    /// The size of the slab's cells.
    #[inline(always)]
    pub fn cell(&self) -> u32 {
        CELL[self.class()]
    }

    /// Where the slab starts that an address lies in.
    pub fn base(&self, address: *mut u8) -> *mut u8 {
        address.map_addr(|address| address & !(span_of(self.class()) - 1))
    }

    /// Whether a pointer into the slab is the first byte of a cell.
    pub fn is_cell(&self, pointer: *mut u8) -> bool {
        let offset = pointer.addr() - self.base(pointer).addr();
        is_multiple(offset, self.class()) && offset + self.cell() as usize <= span_of(self.class())
    }
}
