//! The map of a heap on stdout. May use: the managers, and the
//! platform's stdout. Nothing is allocated.

use core::fmt::{self, Write};
use core::ops::ControlFlow;

use crate::heap::{Block, Manager, Part};
use crate::platform;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// A line of the map is broken after this many columns.
const COLUMNS: usize = 76;

/// File descriptor 1 behind a small buffer, written out when it is dropped.
pub(super) struct Stdout {
    buffer: [u8; 1024],
    filled: usize,
}

impl Stdout {
    /// What the program left in libc's buffer of stdout comes first.
    pub(super) fn new() -> Self {
        platform::flush_stdout();
        Stdout { buffer: [0; 1024], filled: 0 }
    }

    fn flush(&mut self) {
        platform::write_stdout(&self.buffer[..self.filled]);
        self.filled = 0;
    }
}

impl Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut text = text.as_bytes();
        while !text.is_empty() {
            if self.filled == self.buffer.len() {
                self.flush();
            }
            let n = text.len().min(self.buffer.len() - self.filled);
            self.buffer[self.filled..self.filled + n].copy_from_slice(&text[..n]);
            self.filled += n;
            text = &text[n..];
        }
        Ok(())
    }
}

impl Drop for Stdout {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Prints that the descriptor holds no heap.
pub(super) fn nothing(title: &str, mut out: Stdout) {
    // Writing to a `Stdout` cannot fail.
    let _ = writeln!(out, "{title}: not initialised");
}

/// Prints every block, and the totals of each part of the heap.
pub(super) fn map<M: Manager>(heap: &M, title: &str, out: Stdout) {
    let mut map = Map::new(out);
    // Writing to a `Stdout` cannot fail.
    let _ = writeln!(map.out, "{title}:");
    heap.walk(&mut |block| {
        map.add(block);
        ControlFlow::Continue(())
    });
    map.end_part();
}

/// The map under way: one part of the heap, and in it a run of neighbours
/// alike.
struct Map {
    out: Stdout,
    part: Part,
    run: Option<Run>,
    column: usize,
    colour: &'static str,
    used: Total,
    free: Total,
}

#[derive(Clone, Copy)]
struct Run {
    size: usize,
    used: bool,
    blocks: usize,
}

#[derive(Default)]
struct Total {
    bytes: usize,
    blocks: usize,
    largest: usize,
}

impl Map {
    fn new(out: Stdout) -> Self {
        Map {
            out,
            part: Part::Main,
            run: None,
            column: 0,
            colour: PLAIN,
            used: Total::default(),
            free: Total::default(),
        }
    }

    fn add(&mut self, block: Block) {
        if block.part != self.part {
            self.end_part();
            self.part = block.part;
            let _ = writeln!(self.out, "its emergency heap:");
        }
        let total = if block.used { &mut self.used } else { &mut self.free };
        total.bytes += block.size;
        total.blocks += 1;
        total.largest = total.largest.max(block.size);
        match &mut self.run {
            Some(run) if run.size == block.size && run.used == block.used => run.blocks += 1,
            _ => {
                self.end_run();
                self.run = Some(Run { size: block.size, used: block.used, blocks: 1 });
            }
        }
    }

    fn end_run(&mut self) {
        let Some(Run { size, used, blocks }) = self.run.take() else { return };
        let columns = 1 + digits(size) + if blocks > 1 { 1 + digits(blocks) } else { 0 };
        if self.column + columns > COLUMNS {
            let _ = writeln!(self.out);
            self.column = 0;
        }
        let colour = if used { RED } else { GREEN };
        if colour != self.colour {
            let _ = self.out.write_str(colour);
            self.colour = colour;
        }
        let _ = write!(self.out, "{size}");
        if blocks > 1 {
            let _ = write!(self.out, "*{blocks}");
        }
        let _ = self.out.write_str(" ");
        self.column += columns;
    }

    fn end_part(&mut self) {
        self.end_run();
        let used = core::mem::take(&mut self.used);
        let free = core::mem::take(&mut self.free);
        let size = used.bytes + free.bytes;
        let percent = |bytes: usize| (bytes as u128 * 100).checked_div(size as u128).unwrap_or(0);
        let _ = writeln!(self.out, "{PLAIN}");
        let _ = writeln!(self.out, "size {size:>14}");
        for (colour, name, total) in [(RED, "used", used), (GREEN, "free", free)] {
            let Total { bytes, blocks, largest } = total;
            let percent = percent(bytes);
            let _ = writeln!(
                self.out,
                "{colour}{name} {bytes:>14} {percent:>3}%  blocks {blocks}, largest {largest}{PLAIN}",
            );
        }
        self.column = 0;
        self.colour = PLAIN;
    }
}

fn digits(n: usize) -> usize {
    n.checked_ilog10().map_or(1, |log| log as usize + 1)
}
