//! Entries: what anyone may ask about an address. Each unit, in which a slab may stand, has
//! one, and four share a cache line, apart from the headers, which their owners write at
//! every malloc and free. May use: `classes`.

use core::hint::assert_unchecked;
use core::mem::offset_of;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::classes::{CELL, CLASSES, SLAB, WARM, is_multiple};

/// What is added to the owner of a slab that is not young.
pub(super) const OLD: usize = 1;
/// What is added where the cells go to a warm list.
const LISTED: usize = 2;

/// The entry of a unit.
///
/// Invariant: while the slab is in being, its owner alone writes here, or, where
/// that is the shared cache, who holds its lock.
#[repr(C, align(16))]
pub(super) struct Entry {
    /// The address of the cache it is in, [`OLD`] where it is not young, and [`LISTED`] from
    /// the class [`WARM`] on. First, for the comparison that is all of the way to free that
    /// goes wrong for others' slabs. 0 without a slab.
    owner: AtomicUsize,
    /// Whether there is a slab.
    pub is_slab: bool,
    /// The class of its cells.
    class: u8,
}

const _: () = assert!(size_of::<Entry>() == 16 && offset_of!(Entry, owner) == 0);

impl Entry {
    /// That of a unit in which there is no slab.
    // What an entry is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const NONE: Entry = Entry { owner: AtomicUsize::new(0), is_slab: false, class: 0 };

    /// That of a slab, without an owner as yet.
    pub const fn of_slab(class: u8) -> Entry {
        Entry { owner: AtomicUsize::new(0), is_slab: true, class }
    }

    /// Whether the slab is in the cache at this address.
    pub fn is_in(&self, cache: usize) -> bool {
        self.owner.load(Ordering::Relaxed) & !(OLD | LISTED) == cache
    }

    /// Whether the slab is in the cache at this address, and its cells go to a warm list.
    #[inline(always)]
    pub fn is_listed_in(&self, cache: usize) -> bool {
        self.owner.load(Ordering::Relaxed) & !OLD == cache + LISTED
    }

    /// Whether it is young.
    #[inline(always)]
    pub fn is_young(&self) -> bool {
        self.owner.load(Ordering::Relaxed) & OLD == 0
    }

    /// Puts the slab in the cache at this address; not young.
    pub fn set_owner(&self, cache: usize) {
        let listed = if self.class() >= WARM { LISTED } else { 0 };
        self.owner.store(cache | OLD | listed, Ordering::Relaxed);
    }

    /// Makes it young.
    pub fn set_young(&self) {
        self.owner.store(self.owner.load(Ordering::Relaxed) & !OLD, Ordering::Relaxed);
    }

    /// Ends its being young.
    pub fn set_old(&self) {
        if self.is_young() {
            self.owner.store(self.owner.load(Ordering::Relaxed) | OLD, Ordering::Relaxed);
        }
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

    /// Whether a pointer into the slab is the first byte of a cell.
    #[inline(always)]
    pub fn is_cell(&self, pointer: *mut u8) -> bool {
        let offset = pointer.addr() % SLAB;
        is_multiple(offset, self.class()) && offset + self.cell() as usize <= SLAB
    }
}
