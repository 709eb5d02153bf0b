//! The thread's slot: one word of initial-exec TLS, two instructions to read; and
//! words beside it, as quick.
//!
//! `thread_local!` in a shared library calls `__tls_get_addr`, which allocates
//! on first use; a word in `.tdata`, read through its GOT entry, does not, and
//! the linker makes a constant of it in a static program.

use core::arch::asm;

/// Defines the slot and `$words` words beside it; `$initial` is the static that the
/// slot points to in a thread that has not set it, so that nobody has to ask for
/// null, and `$word` that which the words do.
macro_rules! define_slot {
    ($initial:path, $words:expr, $word:path) => {
        core::arch::global_asm!(
            ".pushsection .tdata.memman_slot,\"awT\",@progbits",
            ".balign 8",
            ".hidden memman_slot",
            ".globl memman_slot",
            ".type memman_slot, @object",
            ".size memman_slot, 8 + 8 * {words}",
            "memman_slot:",
            ".quad {initial}",
            ".rept {words}",
            ".quad {word}",
            ".endr",
            ".popsection",
            initial = sym $initial,
            words = const $words,
            word = sym $word,
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

/// One of the words.
///
/// # Safety
/// There is one of that number, from 0.
#[inline(always)]
pub(crate) unsafe fn slot_word(number: usize) -> *const u8 {
    let value: *const u8;
    // SAFETY: reads this thread's own word, which may change at any time.
    unsafe {
        asm!(
            "mov {t}, qword ptr [rip + memman_slot@GOTTPOFF]",
            "mov {t}, qword ptr fs:[{t} + 8 * {number} + 8]",
            t = out(reg) value,
            number = in(reg) number,
            options(nostack, preserves_flags, readonly),
        );
    }
    value
}

/// Where the words are.
pub(crate) fn slot_words() -> *mut *const u8 {
    address().wrapping_add(1).cast()
}

/// Sets the thread's slot.
pub(crate) fn set_slot(value: *mut u8) {
    // SAFETY: this thread's own word.
    unsafe { address().write(value) };
}

/// Where the slot is.
fn address() -> *mut *mut u8 {
    let slot;
    // SAFETY: the thread's pointer is also the first word that it points to.
    unsafe {
        asm!(
            "mov {t}, qword ptr [rip + memman_slot@GOTTPOFF]",
            "add {t}, qword ptr fs:[0]",
            t = out(reg) slot,
            options(nostack, readonly, pure),
        );
    }
    slot
}

/// Does `$otherwise`, which does not return here, where the word at `$base` plus
/// `$index` bytes is not `$value`: one comparison with memory, which may be written
/// meanwhile, and a jump that is not taken.
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

/// The same address, in a register from here on: where it is the compiler does not know, so
/// that it does not put it together anew for each use.
#[inline(always)]
// Nothing is read or written there.
#[allow(clippy::pointers_in_nomem_asm_block)]
pub(crate) fn in_register<T>(mut address: *const T) -> *const T {
    // SAFETY: no instruction.
    unsafe { asm!("/* {0} */", inout(reg) address, options(pure, nomem, nostack, preserves_flags)) };
    address
}
