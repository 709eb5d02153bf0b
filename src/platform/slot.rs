//! The thread's slot: one word of initial-exec TLS, two instructions to read.
//!
//! `thread_local!` in a shared library calls `__tls_get_addr`, which allocates
//! on first use; a word in `.tdata`, read through its GOT entry, does not, and
//! the linker makes a constant of it in a static program.

use core::arch::asm;

/// Defines the slot; `$initial` is the static that it points to in a thread
/// that has not set it, so that nobody has to ask for null.
macro_rules! define_slot {
    ($initial:path) => {
        core::arch::global_asm!(
            ".pushsection .tdata.memman_slot,\"awT\",@progbits",
            ".balign 8",
            ".hidden memman_slot",
            ".globl memman_slot",
            ".type memman_slot, @object",
            ".size memman_slot, 8",
            "memman_slot:",
            ".quad {initial}",
            ".popsection",
            initial = sym $initial,
        );
    };
}
pub(crate) use define_slot;

/// The thread's slot.
#[inline(always)]
pub(crate) fn slot() -> *mut u8 {
    let value: *mut u8;
    // SAFETY: reads this thread's own word.
    unsafe {
        asm!(
            "mov {t}, qword ptr [rip + memman_slot@GOTTPOFF]",
            "mov {t}, qword ptr fs:[{t}]",
            t = out(reg) value,
            options(nostack, preserves_flags, readonly, pure),
        );
    }
    value
}

/// Sets the thread's slot.
#[inline]
pub(crate) fn set_slot(value: *mut u8) {
    // SAFETY: writes this thread's own word.
    unsafe {
        asm!(
            "mov {t}, qword ptr [rip + memman_slot@GOTTPOFF]",
            "mov qword ptr fs:[{t}], {v}",
            t = out(reg) _,
            v = in(reg) value,
            options(nostack, preserves_flags),
        );
    }
}

/// Does `$otherwise`, which does not return here, where the word at `$base`
/// plus `$index` bytes is not `$value`: one comparison
/// with memory, which may be written meanwhile, and a jump that is not taken.
macro_rules! unless_equal {
    ($base:expr, $index:expr, $value:expr, $otherwise:expr) => {
        core::arch::asm!(
            "cmp qword ptr [{base} + {index}], {value}",
            "jne {otherwise}",
            base = in(reg) $base,
            index = in(reg) $index,
            value = in(reg) $value,
            otherwise = label { $otherwise },
            options(nostack, readonly),
        )
    };
}
pub(crate) use unless_equal;
