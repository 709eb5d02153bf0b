//! Lines on standard error, made without allocating, and the ends they may
//! announce. May use: `platform`.

use core::fmt::{self, Write};

use crate::platform;

/// One line, cut where it would be longer than the buffer.
pub(super) struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Line {
    pub fn new() -> Self {
        Line { bytes: [0; 512], len: 0 }
    }

    pub fn push(&mut self, text: &[u8]) {
        let room = self.bytes.len() - self.len;
        let text = &text[..text.len().min(room)];
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Writes the line to standard error.
    pub fn send(&self) {
        platform::write_error(self.as_bytes());
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// Says something that the program survives.
#[cold]
pub(super) fn warn(parts: &[&[u8]]) {
    let mut line = Line::new();
    line.push(b"memman: ");
    for part in parts {
        line.push(part);
    }
    line.push(b"\n");
    line.send();
}

/// Says what a pointer is wrong for, and ends the process.
#[cold]
pub(super) fn fatal(function: &str, what: &str, pointer: *const u8) -> ! {
    let mut line = Line::new();
    let _ = writeln!(line, "memman: {function}(): {what} {:#x}", pointer.addr());
    line.send();
    platform::abort()
}

#[cfg(not(test))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let mut line = Line::new();
    let _ = writeln!(line, "memman: {}", info.message());
    line.send();
    platform::abort()
}

// The compiled core library names an unwinder in its tables; nothing unwinds
// here, and a symbol that only this library sees keeps the loader content.
core::arch::global_asm!(".hidden rust_eh_personality", ".globl rust_eh_personality", "rust_eh_personality:", "ud2",);
