//! The current slab of each class: the one that malloc takes cells from. A
//! thread's own are in its TLS, beside the slot, so that malloc need not ask for
//! the cache first. May use: `classes`, `region`, `slab`, `platform`.

// A `Cell` is a cell of a slab elsewhere.
use core::cell::Cell as Owned;
use core::ptr;

use super::classes::CLASSES;
use super::region;
use super::slab::{NO_SLAB, Slab};
use crate::platform::{self, PAGE};

/// For each class the current slab: [`NO_SLAB`] without one, so that malloc need not
/// ask; or null, which it never meets.
///
/// Invariant: they are one thread's, or belong to whoever holds the shared cache's
/// lock. All are in being.
#[repr(transparent)]
pub(super) struct Currents([Owned<*const Slab>; CLASSES]);

// SAFETY: see the invariant.
unsafe impl Sync for Currents {}

/// Gets a cell of this thread's current slab; null where there is none, or one that
/// does not bear the mark.
///
/// # Safety
/// `class` is below `CLASSES`.
#[inline(always)]
pub(super) unsafe fn get(class: usize) -> *mut u8 {
    // SAFETY: this thread's own slab, or NO_SLAB; the caller's promise.
    unsafe { (*platform::slot_word(class).cast::<Slab>()).get() }
}

/// This thread's.
pub(super) fn own() -> &'static Currents {
    // SAFETY: as many words, which stay as long as the thread does; NO_SLAB at first.
    unsafe { &*platform::slot_words().cast() }
}

/// Takes a cell of a slab that was never used; null where there is none.
///
/// # Safety
/// As [`Slab::take_fresh`].
unsafe fn take_fresh(slab: &Slab) -> *mut u8 {
    // SAFETY: the caller's promise.
    let cell = unsafe { slab.take_fresh() };
    if slab.is_zero() && !cell.is_null() {
        region::note_filled(cell, PAGE.max(slab.cell() as usize));
    }
    cell
}

impl Currents {
    /// None.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const NONE: Currents = Currents([const { Owned::new(ptr::null()) }; CLASSES]);

    /// That of a class, or [`NO_SLAB`].
    ///
    /// # Safety
    /// They are the thread's [`own`].
    #[inline(always)]
    pub unsafe fn some(&self, class: usize) -> &'static Slab {
        // SAFETY: the caller's promise; a slab in being.
        unsafe { &*self.0[class].get() }
    }

    /// That of a class.
    pub fn of(&self, class: usize) -> Option<&'static Slab> {
        let slab = self.0[class].get();
        // SAFETY: a slab in being, or null.
        unsafe { slab.as_ref() }.filter(|&slab| !ptr::eq(slab, &NO_SLAB))
    }

    /// Whether that of a class has free cells.
    pub fn has_free(&self, class: usize) -> bool {
        self.of(class).is_some_and(Slab::has_free_cells)
    }

    /// Takes a cell of that of a class: one that was freed, else one that was never used;
    /// null where there is neither. Ends the process where one does not bear the mark.
    ///
    /// # Safety
    /// All are the caller's.
    #[inline]
    pub unsafe fn take(&self, class: usize) -> *mut u8 {
        let Some(current) = self.of(class) else { return ptr::null_mut() };
        // SAFETY: the caller's promise.
        unsafe {
            if !current.has_free_cells() {
                return take_fresh(current);
            }
            let cell = current.get();
            if cell.is_null() {
                current.spoilt();
            }
            cell
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'static Slab> {
        (0..CLASSES).filter_map(|class| self.of(class))
    }

    /// Makes a slab that of its class, which has none, and young if it never was and
    /// `young` says so. A warm list has room for the cells of `warm_slabs` others.
    ///
    /// # Safety
    /// All are the caller's; the slab is in no list, and has a cell that is not in use.
    pub unsafe fn set(&self, slab: *mut Slab, young: bool, warm_slabs: u32) {
        // SAFETY: the caller's promise.
        unsafe {
            self.0[usize::from((*slab).class)].set(slab);
            (*slab).make_current(young, warm_slabs);
        }
    }

    /// Puts that of a class aside, and counts no more than `most` free cells: the slab,
    /// which is in no list then, or null.
    ///
    /// # Safety
    /// All are the caller's, and it has no cells of others.
    pub unsafe fn put_aside(&self, class: usize, most: u32) -> *mut Slab {
        let Some(slab) = self.of(class) else { return ptr::null_mut() };
        self.0[class].set(&NO_SLAB);
        // SAFETY: the caller's slab, which was current.
        unsafe { slab.put_aside(most) };
        ptr::from_ref(slab).cast_mut()
    }
}
