//! What the heaps say of themselves, made without allocating. May use:
//! `cache`, `config`, `heaps`, `huge`, `message`, `process`, `analysis`.

use core::fmt::Write;

use super::config::{Config, HeapKind};
use super::message::Line;
use super::{cache, heaps, huge, process};
use crate::analysis::bounds::{buddy_guaranteed_granules, first_fit_guaranteed_granules};
use crate::heap::{ALIGNMENT, Stats};

/// The sum of all heaps, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    /// Addresses taken from the OS for regions.
    pub regions: usize,
    /// In allocated blocks of the heaps, spans of slabs among them.
    pub used: usize,
    pub free: usize,
    pub peak: usize,
    /// Free memory that the OS could have back.
    pub dirty: usize,
    /// Free blocks' largest.
    pub largest_free: usize,
    /// Blocks allocated in the heaps.
    pub blocks: usize,
    pub huge_blocks: usize,
    pub huge_bytes: usize,
    /// In free cells of the calling thread's slabs.
    pub free_cells: usize,
}

/// Adds up the regions of a heap.
fn sum(heap: &mut heaps::Heap) -> (Stats, usize, usize) {
    let mut all = Stats::default();
    let (mut bytes, mut dirty) = (0, 0);
    for region in heap.regions() {
        let stats = region.stats();
        all.size += stats.size;
        all.used += stats.used;
        all.free += stats.free;
        all.largest_free = all.largest_free.max(stats.largest_free);
        all.blocks += stats.blocks;
        bytes += region.bytes();
        dirty += region.dirty();
    }
    all.peak = heap.peak();
    all.failed = heap.failed;
    all.largest_request = heap.largest_request as u64;
    (all, bytes, dirty)
}

/// Adds up all heaps.
pub(super) fn totals() -> Totals {
    let mut totals = Totals::default();
    heaps::each(process::config(), |_, heap| {
        let (stats, bytes, dirty) = sum(heap);
        totals.regions += bytes;
        totals.used += stats.used as usize;
        totals.free += stats.free as usize;
        totals.peak += stats.peak as usize;
        totals.largest_free = totals.largest_free.max(stats.largest_free as usize);
        totals.blocks += stats.blocks as usize;
        totals.dirty += dirty;
    });
    (totals.huge_blocks, totals.huge_bytes) = huge::totals();
    totals.free_cells = cache::free_bytes();
    totals
}

/// A number of bytes for people: at most five characters and a letter.
struct Bytes(u64);

impl core::fmt::Display for Bytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (mut value, mut unit) = (self.0, 0);
        let mut tenths = 0;
        while value >= 10_000 && unit < 4 {
            tenths = value % 1024 * 10 / 1024;
            value /= 1024;
            unit += 1;
        }
        let unit = b"BKMGT"[unit] as char;
        let mut text = Line::new();
        let _ = if unit == 'B' { write!(text, "{value}") } else { write!(text, "{value}.{tenths}") };
        f.pad(core::str::from_utf8(text.as_bytes()).unwrap_or(""))?;
        f.write_char(unit)
    }
}

/// Writes the table of all heaps to standard error.
pub(super) fn table() {
    let config = process::config();
    let mut line = Line::new();
    let _ = write!(line, "memman: heap {}, {} heap(s), cache ", config.heap.name(), config.heaps);
    line.push(if config.cache { b"on" } else { b"off" });
    if config.pool != 0 {
        let _ = write!(line, ", pool {}", Bytes(config.pool as u64));
    }
    line.push(b"\n heap     size     live     peak     free  largest  frag   blocks   failed  largest req\n");
    line.send();
    heaps::each(config, |number, heap| {
        let (stats, _, _) = sum(heap);
        // How much of the free memory the largest request cannot have.
        let fragmentation = (stats.free - stats.largest_free) * 100 / stats.free.max(1);
        let mut line = Line::new();
        let _ = writeln!(
            line,
            "{:>5} {:>7} {:>7} {:>7} {:>7} {:>7} {:>4}% {:>8} {:>8} {:>11}",
            number,
            Bytes(stats.size),
            Bytes(stats.used),
            Bytes(stats.peak),
            Bytes(stats.free),
            Bytes(stats.largest_free),
            fragmentation,
            stats.blocks,
            stats.failed,
            Bytes(stats.largest_request),
        );
        line.send();
    });
    let (blocks, bytes) = huge::totals();
    if blocks > 0 {
        let mut line = Line::new();
        let _ = writeln!(line, " huge {:>7} in {blocks} block(s)", Bytes(bytes as u64));
        line.send();
    }
    if config.pool != 0 {
        heaps::each(config, |_, heap| guarantee(config, heap));
    }
}

/// Writes what the pool guarantees for blocks of the sizes that were requested,
/// and how much of that was used.
///
/// Bytes are counted as the manager rounds them up: the bounds hold for the
/// program that requests these sizes, which makes the same heap of them.
fn guarantee(config: &Config, heap: &mut heaps::Heap) {
    let mut line = Line::new();
    line.push(b"memman: guarantee: ");
    if config.cache || config.heaps > 1 {
        line.push(b"none but with cache:off and heaps:1\n");
        return line.send();
    }
    let (failed, over_aligned) = (heap.failed, heap.over_aligned);
    let granules = |size: usize| match config.heap {
        HeapKind::Ffit => size.div_ceil(ALIGNMENT),
        HeapKind::Buddy | HeapKind::Ebuddy => size.div_ceil(ALIGNMENT).next_power_of_two(),
    };
    let (smallest, largest) = (heap.smallest_request, heap.largest_request);
    let Some(region) = heap.regions().next().filter(|_| largest > 0) else { return };
    let (smallest, largest, ground) = (granules(smallest), granules(largest), region.ground());
    let (bytes, taken) = (ground.bytes / ALIGNMENT, ground.taken / ALIGNMENT);
    let guaranteed = ALIGNMENT
        * match config.heap {
            HeapKind::Ffit => first_fit_guaranteed_granules(bytes - taken, largest, smallest),
            HeapKind::Buddy | HeapKind::Ebuddy => buddy_guaranteed_granules(bytes, taken, largest, smallest),
        };
    let peak = region.stats().peak as usize;
    let blocks = (smallest * ALIGNMENT, largest * ALIGNMENT);
    let _ = match guaranteed {
        0 => write!(line, "none for blocks of {} to {} bytes: {peak} live", blocks.0, blocks.1),
        _ => write!(
            line,
            "{guaranteed} bytes live in blocks of {} to {}: used {peak}, {}%",
            blocks.0,
            blocks.1,
            peak as u128 * 100 / guaranteed as u128
        ),
    };
    let _ = match failed {
        0 if peak > guaranteed || ground.helped => writeln!(line, ", beyond it: that all was served is luck"),
        0 => writeln!(line),
        _ => writeln!(line, ", beyond it: {failed} request(s) refused"),
    };
    if over_aligned + region.resized_in_place > 0 {
        let resized = region.resized_in_place;
        let _ = writeln!(line, "memman: not covered: {resized} block(s) resized in place, {over_aligned} over-aligned");
    }
    line.send();
}
