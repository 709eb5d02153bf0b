//! The empty slabs that a cache keeps, as most classes that gave all cells back
//! soon want some again. May use: `slab`.

// A `Cell` is a cell of a slab elsewhere.
use core::cell::Cell as Owned;
use core::ptr;

use super::slab::Slab;

/// How many a cache keeps at most: 2 MiB as long as there is one thread. Of several each
/// keeps them from the others: 512 KiB.
const MOST: usize = 32;
const MOST_OF_MANY: usize = 8;

/// The empty slabs of one cache, from the oldest on; its owner's alone.
pub(super) struct Empties {
    slabs: [Owned<*mut Slab>; MOST],
    /// The classes of their cells.
    classes: [Owned<u8>; MOST],
    count: Owned<usize>,
}

impl Empties {
    // What a cache is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const EMPTY: Empties = Empties {
        slabs: [const { Owned::new(ptr::null_mut()) }; MOST],
        classes: [const { Owned::new(0) }; MOST],
        count: Owned::new(0),
    };

    /// Whether the oldest has to go before another can be kept; `many` says that there are
    /// other threads.
    pub fn is_full(&self, many: bool) -> bool {
        self.count.get() >= if many { MOST_OF_MANY } else { MOST }
    }

    /// Keeps a slab, for which there is room.
    ///
    /// # Safety
    /// The slab is the caller's, idle, and in no list.
    pub unsafe fn keep(&self, slab: *mut Slab) {
        let count = self.count.get();
        // SAFETY: the caller's promise.
        unsafe {
            (*slab).set_empty();
            self.slabs[count].set(slab);
            self.classes[count].set((*slab).class);
        }
        self.count.set(count + 1);
    }

    /// Takes the newest of a class; null without one.
    pub fn take(&self, class: usize) -> *mut Slab {
        let place = self.classes[..self.count.get()].iter().rposition(|other| usize::from(other.get()) == class);
        place.map_or(ptr::null_mut(), |place| self.remove(place))
    }

    /// Takes the oldest; null without one.
    pub fn take_oldest(&self) -> *mut Slab {
        if self.count.get() == 0 { ptr::null_mut() } else { self.remove(0) }
    }

    /// The slabs.
    pub fn iter(&self) -> impl Iterator<Item = *mut Slab> {
        self.slabs[..self.count.get()].iter().map(Owned::get)
    }

    fn remove(&self, place: usize) -> *mut Slab {
        let slab = self.slabs[place].get();
        let last = self.count.get() - 1;
        for next in place..last {
            self.slabs[next].set(self.slabs[next + 1].get());
            self.classes[next].set(self.classes[next + 1].get());
        }
        self.count.set(last);
        slab
    }
}
