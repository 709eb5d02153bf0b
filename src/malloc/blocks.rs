//! Blocks that are no cells: from the core heaps, or mappings of their own.
//! May use: `cache`, `classes`, `config`, `heaps`, `huge`, `message`, `process`, `region`.

use core::ptr::NonNull;

use super::classes::MAX_SMALL;
use super::config::{Config, HeapKind};
use super::heaps::{self, Bad};
use super::message::fatal;
use super::region::{self, Fresh};
use super::{cache, huge, process};
use crate::heap::ALIGNMENT;
use crate::platform::{self, PAGE};

/// Gets a block; `None` where there is no memory.
/// `zero` says that it had better be of zeros.
pub(super) fn get(size: usize, align: usize, zero: bool) -> Option<Fresh> {
    let config = process::config();
    let block = if config.pool != 0 {
        heaps::get(config, size, align, false)
    } else {
        get_at_hand(config, size, align, zero).or_else(|| {
            // What is kept for use again may be what is missing.
            cache::trim(config);
            heaps::make_room(config);
            get_at_hand(config, size, align, zero)
        })
    };
    if block.is_none() {
        heaps::refused(config);
    }
    block
}

/// The same without a pool, where this thread's cache and all regions stay as they are. Where no
/// region will do, as under a tight limit, a mapping of just that size may, and where the OS
/// gives none, a region that is there.
#[inline]
fn get_at_hand(config: &Config, size: usize, align: usize, zero: bool) -> Option<Fresh> {
    let huge = || {
        heaps::tick(config, platform::milliseconds());
        huge::get(config, size, align, zero)
    };
    let heaps = || {
        let dense = !zero && align <= PAGE;
        let block = heaps::get(config, size, align, dense);
        if let Some(fresh) = block.as_ref().filter(|fresh| dense && fresh.zero) {
            region::note_filled(fresh.block.as_ptr(), size);
        }
        block
    };
    if config.cache && (size >= config.huge || align >= config.huge) {
        huge().or_else(|| heaps::get_present(config, size, align))
    } else {
        heaps().or_else(huge)
    }
}

/// Frees a block, or says what is wrong with the pointer and ends the process.
///
/// # Safety
/// Nobody uses the block any more.
#[inline(never)]
pub(super) unsafe fn free(block: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        let config = process::config();
        match heaps::free(config, block) {
            Ok(()) => {}
            Err(Bad::Foreign) if huge::free(block, config.retain) => {}
            Err(bad) => bad_pointer("free", bad, block),
        }
    }
}

/// The size of a block that `function` was called with.
pub(super) fn usable_size(function: &str, block: *const u8) -> usize {
    match heaps::usable_size(block) {
        Ok(size) => size,
        Err(Bad::Foreign) => match huge::usable_size(block) {
            Some(size) => size,
            None => bad_pointer(function, Bad::Foreign, block),
        },
        Err(bad) => bad_pointer(function, bad, block),
    }
}

/// What to ask for when a block that grows to `size` bytes has to move: under
/// first fit, which gives just what it is asked for, an eighth more, so that a
/// block that goes on growing does not move each time.
pub(super) fn roomy(size: usize) -> usize {
    let config = process::config();
    let exact = config.heap == HeapKind::Ffit && config.cache && config.pool == 0;
    if exact && (MAX_SMALL + 1..config.huge).contains(&size) { size + size / 8 } else { size }
}

/// Extends a block without copying it, in place or by moving its pages, or in
/// a pool as the manager does; `None` where that cannot be.
///
/// # Safety
/// Where the result differs from `block`, nobody uses `block` afterwards.
pub(super) unsafe fn extend(block: *mut u8, old: usize, size: usize) -> Option<NonNull<u8>> {
    // SAFETY: the caller's promise.
    unsafe {
        let config = process::config();
        match heaps::extend(config, block, size) {
            Ok(extended) => extended,
            // Half as large as mapping is worth: better copied into a heap.
            Err(Bad::Foreign) if size >= config.huge / 2 || size >= old => huge::extend(block, size),
            Err(Bad::Foreign) => None,
            Err(bad) => bad_pointer("realloc", bad, block),
        }
    }
}

#[cold]
fn bad_pointer(function: &str, bad: Bad, block: *const u8) -> ! {
    let what = match bad {
        Bad::Freed if block.addr().is_multiple_of(ALIGNMENT) && function == "free" => "double free of",
        Bad::Corrupted => "heap corruption at",
        _ => "invalid pointer",
    };
    fatal(function, what, block)
}
