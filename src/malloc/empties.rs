//! The empty slabs that a cache keeps, as most classes that gave all cells back
//! soon want some again. May use: `ring`, `slab`.

// A `Cell` is a cell of a slab elsewhere.
use core::cell::Cell as Owned;
use core::ptr;

use super::ring::Ring;
use super::slab::Slab;

/// How many a cache keeps at most: 2 MiB as long as there is one thread. Of several each
/// keeps them from the others: 512 KiB.
const MOST: usize = 32;
const MOST_OF_MANY: usize = 8;

/// What stands in place of a class where there is no slab.
const NONE: u8 = u8::MAX;

/// The empty slabs of one cache; its owner's alone.
pub(super) struct Empties {
    slabs: [Owned<*mut Slab>; MOST],
    /// The classes of their cells.
    classes: [Owned<u8>; MOST],
    ring: Owned<Ring<MOST>>,
}

impl Empties {
    // What a cache is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const EMPTY: Empties = Empties {
        slabs: [const { Owned::new(ptr::null_mut()) }; MOST],
        classes: [const { Owned::new(NONE) }; MOST],
        ring: Owned::new(Ring::EMPTY),
    };

    /// Whether the oldest has to go before another can be kept; `many` says that there are
    /// other threads.
    pub fn is_full(&self, many: bool) -> bool {
        self.ring.get().count() >= if many { MOST_OF_MANY } else { MOST }
    }

    /// Keeps a slab, for which there is room.
    ///
    /// # Safety
    /// The slab is the caller's, idle, and in no list.
    pub unsafe fn keep(&self, slab: *mut Slab) {
        let mut ring = self.ring.get();
        let place = ring.add();
        self.ring.set(ring);
        self.slabs[place].set(slab);
        // SAFETY: the caller's promise.
        unsafe {
            (*slab).set_empty();
            self.classes[place].set((*slab).class);
        }
    }

    /// Takes the newest of a class; null without one.
    pub fn take(&self, class: usize) -> *mut Slab {
        let class = class as u8;
        let is_of = |other: &Owned<u8>| other.get() == class;
        // Mostly there is none, which is asked of all side by side.
        if !self.classes.iter().fold(false, |found, other| found | is_of(other)) {
            return ptr::null_mut();
        }
        let mut ring = self.ring.get();
        let Some(place) = ring.newest_first().find(|&place| is_of(&self.classes[place])) else {
            return ptr::null_mut();
        };
        let newest = ring.remove(place);
        self.ring.set(ring);
        self.slabs[newest].swap(&self.slabs[place]);
        self.classes[newest].swap(&self.classes[place]);
        self.remove(newest)
    }

    /// Takes the oldest; null without one.
    pub fn take_oldest(&self) -> *mut Slab {
        let mut ring = self.ring.get();
        let Some(oldest) = ring.remove_oldest() else { return ptr::null_mut() };
        self.ring.set(ring);
        self.remove(oldest)
    }

    /// Takes one for another class; null without one. Where there are several threads (`many`)
    /// the oldest, which is wanted least; else the newest, whose cells are in the processor's
    /// cache.
    pub fn take_any(&self, many: bool) -> *mut Slab {
        let mut ring = self.ring.get();
        if many || ring.count() == 0 {
            return self.take_oldest();
        }
        let newest = ring.remove(ring.before(1));
        self.ring.set(ring);
        self.remove(newest)
    }

    /// The slabs.
    pub fn iter(&self) -> impl Iterator<Item = *mut Slab> {
        self.slabs.iter().map(Owned::get).filter(|slab| !slab.is_null())
    }

    /// Takes the slab from a place.
    fn remove(&self, place: usize) -> *mut Slab {
        self.classes[place].set(NONE);
        self.slabs[place].replace(ptr::null_mut())
    }
}
