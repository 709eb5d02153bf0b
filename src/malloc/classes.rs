//! Size classes: the sizes that cells come in, and that of the slabs they stand in;
//! docs/classes.md has them as a table. May use: nothing.
//!
//! Steps of 16 bytes up to 128, then eight classes between a power of two and
//! the next: a cell is at most an eighth larger than its request, beyond what
//! the alignment of 16 costs. From 1 KiB on a ninth class follows each power of
//! two, a fifteenth larger, for pages and buffers that have a header of their
//! program's.

use crate::heap::ALIGNMENT;

/// How many classes there are.
pub(super) const CLASSES: usize = 68;
/// The largest cell.
pub(super) const MAX_SMALL: usize = 16 << 10;
/// A slab, in bytes: at least four cells.
pub(super) const SLAB: usize = 64 << 10;
/// From this class on, above 2 KiB, a slab has so few cells that those freed last are kept
/// together, of whichever slab they are.
pub(super) const WARM: usize = 41;

/// The cells' sizes.
pub(super) static CELL: [u32; CLASSES] = cells();
/// 2^48 over the cells' sizes, rounded up: see [`is_multiple`].
static INVERSE: [u64; CLASSES] = inverses();

const fn cells() -> [u32; CLASSES] {
    let mut cells = [0; CLASSES];
    let mut class = 0;
    while class < 8 {
        cells[class] = 16 * (class as u32 + 1);
        class += 1;
    }
    let mut power = 128;
    while class < CLASSES {
        if power >= 1024 {
            cells[class] = power * 16 / 15 / 16 * 16;
            class += 1;
        }
        let mut eighth = 1;
        while eighth <= 8 {
            cells[class] = power + power / 8 * eighth;
            class += 1;
            eighth += 1;
        }
        power *= 2;
    }
    cells
}

const fn inverses() -> [u64; CLASSES] {
    let mut inverses = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        inverses[class] = (1u64 << 48).div_ceil(cells()[class] as u64);
        class += 1;
    }
    inverses
}

/// Whether an offset in a slab is that of a cell, without dividing: the product
/// with the inverse is too large by less than the offset, in units of 2^-48, which
/// does not matter below 2^48 over the cell's size.
#[inline(always)]
pub(super) fn is_multiple(offset: usize, class: usize) -> bool {
    let number = (offset as u64 * INVERSE[class]) >> 48;
    number * u64::from(CELL[class]) == offset as u64
}

const _: () = {
    let cells = cells();
    assert!(cells[CLASSES - 1] as usize == MAX_SMALL);
    assert!(SLAB >= 4 * MAX_SMALL);
    assert!(cells[WARM - 1] == 2048);
    let mut class = 1;
    while class < CLASSES {
        assert!(cells[class] > cells[class - 1] && (cells[class] as usize).is_multiple_of(ALIGNMENT));
        // Waste: the smallest request that gets this cell is one more than
        // the cell before.
        let waste = cells[class] - (cells[class - 1] + 1);
        assert!(waste < 16 || waste * 8 <= cells[class]);
        class += 1;
    }
};
