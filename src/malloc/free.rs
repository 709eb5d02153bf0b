//! What free does: the fast path, and the ways to other slabs and blocks. May use: `blocks`,
//! `cache`, `classes`, `currents`, `entry`, `message`, `process`, `remote`, `shared`,
//! `slab`, `tables`, `platform`.

use super::cache::{self, Cache, own};
use super::classes::WARM;
use super::entry::{Entry, OLD};
use super::message::fatal;
use super::remote::Cell;
use super::slab::Slab;
use super::tables::{Place, mark};
use super::{blocks, currents, process, shared};
use crate::platform;

/// Frees a cell of one of this thread's slabs; else [`free_slow`]. Whether it was
/// freed before it sees in a young slab only: in others the cell's memory may have
/// gone cold and be long in coming, so that free only writes there, and malloc
/// sees it.
///
/// # Safety
/// Nobody uses the block any more.
#[inline(always)]
pub(super) unsafe fn free(block: *mut u8) {
    // SAFETY: a header is its owner's alone; without a slab an entry has no owner.
    unsafe {
        let (cache, place, cell) = (own(), Place::of_block(block), block.cast::<Cell>());
        platform::unless_equal!(
            place.directory,
            place.unit,
            cache.address(),
            return unsafe { free_old(place, cache, cell) }
        );
        if (*cell).may_have(place.mark) {
            return free_slow(block);
        }
        (*place.header()).push(cell, place.mark);
    }
}

/// Frees a cell of a slab that is not young.
///
/// # Safety
/// As [`free`].
#[inline(always)]
unsafe fn free_old(place: Place, cache: &Cache, cell: *mut Cell) {
    // SAFETY: as in `free`.
    unsafe {
        platform::unless_equal!(
            place.directory,
            place.unit,
            cache.address() + OLD,
            return unsafe { free_listed(cell, cache.address() + OLD, place.unit, place.directory) }
        );
        if !(*place.header()).free(cell, place.mark) {
            attend_own(place.header());
        }
    }
}

/// Frees a cell of a class with warm lists; else [`free_slow`].
///
/// # Safety
/// As [`free`]; `old` is the owner of this thread's old slabs, and the entry of the unit
/// that the cell lies in is `unit` bytes behind `directory`.
#[inline(never)]
// All are in these registers already; a `Place` would go by memory.
unsafe extern "C" fn free_listed(cell: *mut Cell, old: usize, unit: usize, directory: *mut u8) {
    // SAFETY: as in `free`.
    unsafe {
        let place = Place { directory, unit, mark: mark() };
        let entry = &*place.entry();
        let is_listed = entry.is_listed_in(old - OLD) && entry.is_cell(cell.cast());
        if !is_listed || entry.is_young() && (*cell).may_have(place.mark) {
            return free_slow(cell.cast());
        }
        let current = currents::own().some(entry.class());
        if !(*place.header()).free_to(current, cell, place.mark) {
            attend_own(place.header());
        }
    }
}

/// Looks after one of this thread's slabs.
///
/// # Safety
/// The slab is this thread's.
#[cold]
#[inline(never)]
unsafe fn attend_own(slab: *mut Slab) {
    // SAFETY: the caller's promise.
    unsafe { own().attend(process::config(), slab) }
}

/// Frees what is not a cell of this thread's slabs, or looks as if it were free
/// already.
///
/// # Safety
/// Nobody uses the block any more.
#[cold]
#[inline(never)]
pub(super) unsafe fn free_slow(block: *mut u8) {
    if block.is_null() {
        return;
    }
    // SAFETY: the caller's promise; a block keeps its slab in being.
    unsafe {
        let Some((slab, entry)) = Slab::find(block) else {
            return blocks::free(block);
        };
        if !entry.is_cell(block) {
            fatal("free", "invalid pointer", block);
        }
        if entry.is_young() && is_freed(slab, entry, block) {
            fatal("free", "double free of", block);
        }
        let cache = own();
        // This thread's own are here whose contents are by chance the mark of a free cell.
        if entry.is_in(cache.address()) {
            let (current, cell) = (currents::own().some(entry.class()), block.cast());
            let is_listed = entry.is_listed_in(cache.address());
            let freed = if is_listed { (*slab).free_to(current, cell, mark()) } else { (*slab).free(cell, mark()) };
            if !freed {
                attend_own(slab);
            }
        } else if cache.is_none() {
            free_without_cache(slab, entry, block);
        } else if shared::has(entry) && !has_cells(cache, entry.class()) {
            free_left(cache, slab, entry, block);
        } else {
            Slab::free_remotely(slab, entry, block.cast(), Some(&mut *cache.outbox()));
        }
    }
}

/// Whether this thread has slabs with free cells of a class, beside the current one, or cells
/// on its warm list.
fn has_cells(cache: &Cache, class: usize) -> bool {
    cache.lists.has_partial(class) || class >= WARM && currents::own().has_free(class)
}

/// Frees a cell of a slab that an ended thread left, and takes the slab over if it can:
/// this thread has no other with free cells of its class, and may want those.
///
/// # Safety
/// A cell of the slab that nobody uses any more; `entry` is the slab's.
#[inline(never)]
unsafe fn free_left(cache: &'static Cache, slab: *mut Slab, entry: &Entry, block: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        if shared::take_this(slab, entry, cache) {
            cache.lists.add(slab);
            free(block);
        } else {
            Slab::free_remotely(slab, entry, block.cast(), Some(&mut *cache.outbox()));
        }
    }
}

/// Frees a cell of another thread's slab where this thread has no cache as yet, or
/// none any more.
///
/// # Safety
/// A cell of the slab that nobody uses any more; `entry` is the slab's.
#[inline(never)]
unsafe fn free_without_cache(slab: *mut Slab, entry: &Entry, block: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        if cache::with_cache(process::config()).is_none() {
            Slab::free_remotely(slab, entry, block.cast(), None);
        } else {
            free_slow(block);
        }
    }
}

/// Whether a cell was freed before. Its mark says so; in a slab of this thread
/// it must also stand in a list, as a cell's contents may be the mark by
/// chance.
///
/// # Safety
/// A cell of the slab, which is in being, and has that entry.
pub(super) unsafe fn is_freed(slab: *mut Slab, entry: &Entry, cell: *const u8) -> bool {
    // SAFETY: the caller's promise; the lists are read by their owner only.
    unsafe {
        let cell = cell.cast::<Cell>();
        let is_in_a_list = || (*slab).has_free(cell) || currents::own().some(entry.class()).has_free(cell);
        (*cell).is_marked() && (!entry.is_in(own().address()) || is_in_a_list())
    }
}
