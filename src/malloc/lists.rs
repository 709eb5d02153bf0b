//! The slabs of one cache that are not current, in lists by what is free in them.
//! May use: `classes`, `slab`.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::classes::CLASSES;
use super::slab::Slab;

/// Those slabs. They are the cache's owner's alone, but that others may ask for [`Lists::has_partial`].
pub(super) struct Lists {
    /// For each class the slabs with free cells, but for the current one.
    partial: [List; CLASSES],
    /// All slabs without.
    full: List,
}

impl Lists {
    // What a cache is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const EMPTY: Lists = Lists { partial: [List::EMPTY; CLASSES], full: List::EMPTY };

    /// Takes in a slab that is not current.
    ///
    /// # Safety
    /// Lists and slab are the caller's, and it is in no list.
    pub unsafe fn add(&self, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe {
            if (*slab).used() == (*slab).capacity() {
                (*slab).set_full();
                self.full.push_back(slab);
            } else {
                self.add_partial(slab);
            }
        }
    }

    /// Takes in a slab with free cells: in front one whose cells are not counted.
    ///
    /// # Safety
    /// As [`Lists::add`].
    unsafe fn add_partial(&self, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe {
            let list = &self.partial[usize::from((*slab).class)];
            if (*slab).is_counted() { list.push_back(slab) } else { list.push_front(slab) }
        }
    }

    /// Takes out a slab with free cells.
    ///
    /// # Safety
    /// Lists and slab are the caller's, and it is in them as such.
    pub unsafe fn remove_partial(&self, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe { self.partial[usize::from((*slab).class)].remove(slab) };
    }

    /// Takes out a slab that is not current.
    ///
    /// # Safety
    /// Lists and slab are the caller's, and it is in them.
    pub unsafe fn remove(&self, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe { if (*slab).is_full() { self.full.remove(slab) } else { self.remove_partial(slab) } }
    }

    /// Takes a full slab in which cells were freed to those with free cells.
    ///
    /// # Safety
    /// Lists and slab are the caller's, and it is among the full ones.
    pub unsafe fn no_longer_full(&self, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe {
            self.full.remove(slab);
            self.add_partial(slab);
        }
    }

    /// Whether there is a slab with free cells, of this class and not current;
    /// anyone may ask.
    pub fn has_partial(&self, class: usize) -> bool {
        !self.partial[class].first().is_null()
    }

    /// The slabs with free cells, of a class and not current: uncounted ones
    /// first, then as they came.
    ///
    /// # Safety
    /// The lists are the caller's, and stay as they are meanwhile.
    pub unsafe fn partial(&self, class: usize) -> impl Iterator<Item = *mut Slab> {
        let slab = |slab: *mut Slab| (!slab.is_null()).then_some(slab);
        // SAFETY: the caller's promise.
        core::iter::successors(slab(self.partial[class].first()), move |&last| slab(unsafe { (*last).next.get() }))
    }

    /// Takes out the first slab of a class with free cells; null without one.
    ///
    /// # Safety
    /// The lists are the caller's.
    pub unsafe fn take_partial(&self, class: usize) -> *mut Slab {
        // SAFETY: the caller's promise.
        unsafe { self.partial[class].pop() }
    }

    /// Takes out a slab that is full; null without one.
    ///
    /// # Safety
    /// The lists are the caller's.
    pub unsafe fn take_full(&self) -> *mut Slab {
        // SAFETY: the caller's promise.
        unsafe { self.full.pop() }
    }
}

/// Slabs in a row; the `prev` of the first is the last.
struct List(AtomicPtr<Slab>);

impl List {
    #[allow(clippy::declare_interior_mutable_const)]
    const EMPTY: List = List(AtomicPtr::new(ptr::null_mut()));

    /// The first; null without one.
    fn first(&self) -> *mut Slab {
        self.0.load(Ordering::Relaxed)
    }

    fn set_first(&self, slab: *mut Slab) {
        self.0.store(slab, Ordering::Relaxed);
    }

    /// Puts a slab at the end.
    ///
    /// # Safety
    /// List and slab are the caller's, and it is in no list.
    unsafe fn push_back(&self, slab: *mut Slab) {
        let first = self.first();
        // SAFETY: the caller's promise.
        unsafe {
            (*slab).next.set(ptr::null_mut());
            if first.is_null() {
                (*slab).prev.set(slab);
                self.set_first(slab);
            } else {
                let last = (*first).prev.replace(slab);
                (*slab).prev.set(last);
                (*last).next.set(slab);
            }
        }
    }

    /// Puts a slab in front.
    ///
    /// # Safety
    /// As [`List::push_back`].
    unsafe fn push_front(&self, slab: *mut Slab) {
        let first = self.first();
        // SAFETY: the caller's promise.
        unsafe {
            (*slab).next.set(first);
            (*slab).prev.set(if first.is_null() { slab } else { (*first).prev.replace(slab) });
        }
        self.set_first(slab);
    }

    /// Takes a slab out.
    ///
    /// # Safety
    /// List and slab are the caller's, and it is in that list.
    unsafe fn remove(&self, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe {
            let (next, prev) = ((*slab).next.get(), (*slab).prev.get());
            if slab == self.first() {
                self.set_first(next);
            } else {
                (*prev).next.set(next);
            }
            let after = if next.is_null() { self.first() } else { next };
            if !after.is_null() {
                (*after).prev.set(prev);
            }
        }
    }

    /// Takes the first slab out; null without one.
    ///
    /// # Safety
    /// The list is the caller's.
    unsafe fn pop(&self) -> *mut Slab {
        let first = self.first();
        if !first.is_null() {
            // SAFETY: the caller's promise.
            unsafe { self.remove(first) };
        }
        first
    }
}
