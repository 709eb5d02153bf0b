//! The thread's slot: one word of initial-exec TLS, which needs no allocation.
//! May use: nothing.

use core::arch::{asm, global_asm};

global_asm!(
    ".pushsection .tbss.memman_record_slot,\"awT\",@nobits",
    ".balign 8",
    ".hidden memman_record_slot",
    ".globl memman_record_slot",
    ".type memman_record_slot, @object",
    ".size memman_record_slot, 8",
    "memman_record_slot:",
    ".zero 8",
    ".popsection",
);

/// The thread's slot; null in a new thread.
#[inline(always)]
pub fn slot() -> *mut u8 {
    let value: *mut u8;
    // SAFETY: reads this thread's own word.
    unsafe {
        asm!(
            "mov {t}, qword ptr [rip + memman_record_slot@GOTTPOFF]",
            "mov {t}, qword ptr fs:[{t}]",
            t = out(reg) value,
            options(nostack, preserves_flags, readonly),
        );
    }
    value
}

/// Sets the thread's slot.
pub fn set_slot(value: *mut u8) {
    // SAFETY: writes this thread's own word.
    unsafe {
        asm!(
            "mov {t}, qword ptr [rip + memman_record_slot@GOTTPOFF]",
            "mov qword ptr fs:[{t}], {v}",
            t = out(reg) _,
            v = in(reg) value,
            options(nostack, preserves_flags),
        );
    }
}
