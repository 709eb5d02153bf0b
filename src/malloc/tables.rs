//! What malloc and free look up first: the class of a size, and the entry and the
//! header of an address. All stands in one static, so that one address, which is
//! also the mark of a free cell and where lists of them end, leads to everything.
//! May use: `classes`, `entry`, `remote`'s cells, `slab`'s header, `platform`.
//!
//! Each chunk of the address space has a *directory*: an entry and a slab header
//! for each *unit* of it, which is as large as a slab. A chunk without one is looked
//! up in the static's own beginning, which is zeros.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::classes::{CELL, CLASSES, MAX_SMALL, SLAB};
use super::entry::Entry;
use super::remote::Cell;
use super::slab::Slab;
use crate::heap::ALIGNMENT;
use crate::platform;

/// Regions start at multiples of this: 64 MiB.
pub(super) const CHUNK: usize = 1 << CHUNK_SHIFT;
pub(super) const CHUNK_SHIFT: u32 = 26;
/// Chunks of the user's half of a 48-bit address space.
pub(super) const CHUNKS: usize = 1 << (47 - CHUNK_SHIFT);
const UNITS: usize = CHUNK / SLAB;
const UNIT_SHIFT: u32 = SLAB.trailing_zeros();

/// The directory of a chunk: its entries, and then its slab headers.
pub(super) const DIRECTORY: usize = HEADERS + UNITS * size_of::<Slab>();
/// Where in a directory the headers are.
const HEADERS: usize = UNITS * size_of::<Entry>();

const ENTRY_SHIFT: u32 = size_of::<Entry>().trailing_zeros();
const _: () = assert!(size_of::<Entry>() == 1 << ENTRY_SHIFT);

/// Sizes of cells are looked up in steps of the alignment.
const STEPS: usize = MAX_SMALL / ALIGNMENT;

/// The bits of an address of which a block has none.
const UNALIGNED: u32 = ALIGNMENT as u32 - 1;
/// Where these bits come to be when an address is rotated so that the number of its unit
/// becomes the place of an entry: above that.
const UNALIGNED_PLACE: u32 = UNALIGNED.rotate_right(UNIT_SHIFT - ENTRY_SHIFT);
/// In so many bytes from the start of a directory on free may read, whatever it is given:
/// 16 MiB. They are to be readable, and only entries hold addresses of caches there.
pub(super) const REACH: usize = (UNALIGNED_PLACE as usize + DIRECTORY).next_power_of_two();

/// All of it. Zeros at first.
///
/// Invariant: `class` is written by [`fill`] alone.
#[repr(C, align(128))]
struct Tables {
    /// The directory of all chunks that have none: zeros, never written.
    none: [u8; DIRECTORY],
    /// For each step the class of the smallest cells; any, before the start.
    class: UnsafeCell<[u8; STEPS + 1]>,
    /// For each chunk the address of its directory, less that of `none`.
    directory: [AtomicUsize; CHUNKS],
}

// SAFETY: see the invariant, and what `fill` asks for.
unsafe impl Sync for Tables {}

// Behind `none` are zeros and distances, which are no addresses.
const _: () = assert!(size_of::<Tables>() >= REACH);

static TABLES: Tables = Tables {
    none: [0; DIRECTORY],
    class: UnsafeCell::new([0; STEPS + 1]),
    directory: [const { AtomicUsize::new(0) }; CHUNKS],
};

/// What marks a free cell: an address that is at hand, and that is nobody else's
/// data.
#[inline(always)]
pub(super) const fn mark() -> *const u8 {
    (&raw const TABLES).cast()
}

/// Where every list of free cells ends: zeros, which do not look like a free cell, so
/// that who takes the first of a list need not ask whether it has one.
#[inline(always)]
pub(super) const fn end() -> *mut Cell {
    mark().cast_mut().cast()
}

/// Makes the table of classes, and keeps the others small.
///
/// # Safety
/// The process starts: no other thread calls malloc yet.
pub(super) unsafe fn fill() {
    platform::keep_plain(&TABLES);
    // SAFETY: the caller's promise.
    let table = unsafe { &mut *TABLES.class.get() };
    let mut class = 0;
    for (step, place) in table.iter_mut().enumerate() {
        if step * ALIGNMENT > CELL[class] as usize {
            class += 1;
        }
        *place = class as u8;
    }
}

/// The class of the smallest cells for `size <= MAX_SMALL` bytes; any class, before
/// the start.
#[inline(always)]
// div_ceil costs more instructions, as it expects any size.
#[allow(clippy::manual_div_ceil)]
pub(super) fn class_of(size: usize) -> usize {
    // SAFETY: (MAX_SMALL + 15) / 16 == STEPS; nobody writes there after the start.
    usize::from(unsafe { *TABLES.class.get().cast::<u8>().add((size + (ALIGNMENT - 1)) / ALIGNMENT) })
}

/// The class of the smallest cells for `size` bytes whose size is a multiple
/// of `align`, a power of two.
pub(super) fn aligned_class_of(size: usize, align: usize) -> Option<usize> {
    if size > MAX_SMALL {
        return None;
    }
    (class_of(size)..CLASSES).find(|&class| (CELL[class] as usize).is_multiple_of(align))
}

/// Where the entry and the header of a unit are. Not added up: the processor does
/// that by itself, where it reads and writes there.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub directory: *mut u8,
    /// The bytes from there to the entry.
    pub unit: usize,
    /// The [`mark`], which led there.
    pub mark: *const u8,
}

impl Place {
    /// That of the unit that `address` lies in; in a directory of zeros where that is
    /// in no region.
    ///
    /// # Safety
    /// `address` is below 2^47: it was a pointer.
    #[inline(always)]
    pub unsafe fn of(address: *const u8) -> Place {
        // SAFETY: the caller's promise.
        unsafe { Place::of_some(address, 0) }
    }

    /// The same of a block that is to be freed. For an address that is not aligned as
    /// blocks are, it is one where no entry is, but there is something to read: so free
    /// need not ask.
    ///
    /// # Safety
    /// As [`Place::of`].
    #[inline(always)]
    pub unsafe fn of_block(address: *const u8) -> Place {
        // SAFETY: the caller's promise.
        unsafe { Place::of_some(address, UNALIGNED_PLACE) }
    }

    /// The same, and as many bytes behind it as the bits of `beside` say that the address
    /// has.
    #[inline(always)]
    unsafe fn of_some(address: *const u8, beside: u32) -> Place {
        let tables = platform::in_register(&raw const TABLES);
        // SAFETY: the caller's promise; each leads to a directory, `none` where
        // it is 0.
        let chunk = unsafe { (*tables).directory.get_unchecked(address.addr() >> CHUNK_SHIFT) }.load(Ordering::Relaxed);
        let units = (UNITS as u32 - 1) << ENTRY_SHIFT;
        let unit = (address.addr() as u32).rotate_right(UNIT_SHIFT - ENTRY_SHIFT) & (units | beside);
        let mark: *const u8 = tables.cast();
        Place { directory: mark.cast_mut().wrapping_byte_add(chunk), unit: unit as usize, mark }
    }

    /// The unit's entry.
    #[inline(always)]
    pub fn entry(self) -> *mut Entry {
        self.directory.wrapping_byte_add(self.unit).cast()
    }

    /// The unit's header.
    #[inline(always)]
    pub fn header(self) -> *mut Slab {
        self.directory.wrapping_byte_add(HEADERS + self.unit * (size_of::<Slab>() / size_of::<Entry>())).cast()
    }
}

/// Takes a chunk's directory from it; who just read where it is may still read there.
pub(super) fn unset_directory(chunk: usize) {
    TABLES.directory[chunk].store(0, Ordering::Release);
}

/// Gives a chunk, by its number, its directory.
///
/// # Safety
/// `DIRECTORY` bytes without an entry in use, zeros at first, aligned as a header, for the
/// chunk alone and for ever.
pub(super) unsafe fn set_directory(chunk: usize, directory: ptr::NonNull<u8>) {
    let distance = directory.addr().get().wrapping_sub(mark().addr());
    TABLES.directory[chunk].store(distance, Ordering::Release);
}
