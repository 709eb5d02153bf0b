//! Outboxes: what a thread frees of others' cells goes to their slabs in
//! parcels, each by one atomic exchange. May use: `remote`.
//!
//! A parcel waits for more cells of its slab until it is large enough, until
//! another slab needs its place, or until the thread looks after its cache. Its
//! cells are in use as yet for the slab's owner, so that the slab stays.

use super::remote::{Cell, Chain, Others};

/// The slabs that cells can wait for at once.
const PARCELS: usize = 64;
/// The bytes of cells in a parcel that waits no longer.
const ENOUGH: u32 = 2048;

/// The parcels of one thread.
pub(super) struct Outbox {
    parcels: [Parcel; PARCELS],
    /// Whether any may have cells.
    used: bool,
}

/// Cells of one slab; of none where `count` is 0.
struct Parcel {
    to: *mut Others,
    /// Where the slab starts.
    base: *mut u8,
    chain: Chain,
}

impl Outbox {
    /// One without cells.
    pub const EMPTY: Outbox = Outbox { parcels: [Parcel::EMPTY; PARCELS], used: false };

    /// Frees a cell of `size` bytes of the slab at `base`.
    ///
    /// # Safety
    /// A cell of that slab that nobody uses any more; those are its others.
    pub unsafe fn put(&mut self, to: *mut Others, base: *mut u8, cell: *mut Cell, size: u32) {
        self.used = true;
        // Slabs that are close by have different places.
        let parcel = &mut self.parcels[to.addr() / size_of::<Others>() / 2 % PARCELS];
        // SAFETY: the caller's promise, for this cell and those before.
        unsafe {
            if parcel.to != to {
                parcel.send();
                (parcel.to, parcel.base) = (to, base);
            }
            parcel.chain.push(cell);
            if parcel.chain.count * size >= ENOUGH {
                parcel.send();
            }
        }
    }

    /// Sends all that waits.
    ///
    /// # Safety
    /// Cells were put there as [`Outbox::put`] says.
    pub unsafe fn send(&mut self) {
        if !core::mem::take(&mut self.used) {
            return;
        }
        for parcel in &mut self.parcels {
            // SAFETY: the caller's promise.
            unsafe { parcel.send() };
        }
    }
}

impl Parcel {
    const EMPTY: Parcel = Parcel { to: core::ptr::null_mut(), base: core::ptr::null_mut(), chain: Chain::EMPTY };

    /// # Safety
    /// As [`Outbox::send`].
    #[inline(never)]
    unsafe fn send(&mut self) {
        if self.chain.count > 0 {
            let chain = core::mem::replace(&mut self.chain, Chain::EMPTY);
            // SAFETY: the caller's promise.
            unsafe { Others::free(self.to, self.base, chain) };
        }
    }
}
