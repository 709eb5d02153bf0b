//! C++'s plain operator new and delete, which the C++ library's own would only
//! pass on to malloc and free. Its nothrow forms call these; its aligned ones
//! call malloc's family. May use: `message`, `platform`.
//!
//! As in the C++ library, each form calls the next simpler one by its public
//! name, and at last malloc or free: whoever replaces some of them replaces
//! what is built on those, too. Where malloc has no memory, the C++ library's
//! operator new takes over, as if it had been called: it asks malloc again, then
//! the handler, and at last throws. So no exception passes through here.
//!
//! They are for the shared library: the static archive has none, as it is linked
//! with a C++ library that has its own.

use core::arch::naked_asm;
use core::ffi::c_void;

use super::message::warn;
use crate::platform;

/// The body of a function that is another one, whichever the loader finds.
macro_rules! jump {
    ($to:literal) => {
        naked_asm!(".cfi_startproc", concat!("jmp [rip + ", $to, "@GOTPCREL]"), ".cfi_endproc")
    };
}

/// `operator new(size_t)`
#[unsafe(naked)]
#[unsafe(export_name = "_Znwm")]
extern "C-unwind" fn new(size: usize) -> *mut c_void {
    naked_asm!(
        ".cfi_startproc",
        "push rdi",
        ".cfi_adjust_cfa_offset 8",
        "call [rip + malloc@GOTPCREL]",
        "test rax, rax",
        "je 2f",
        "pop rdi",
        ".cfi_adjust_cfa_offset -8",
        "ret",
        "2:",
        ".cfi_adjust_cfa_offset 8",
        "call {library_new}",
        "pop rdi",
        ".cfi_adjust_cfa_offset -8",
        "jmp rax",
        ".cfi_endproc",
        library_new = sym library_new,
    )
}

/// `operator new[](size_t)`
#[unsafe(naked)]
#[unsafe(export_name = "_Znam")]
extern "C-unwind" fn new_array(size: usize) -> *mut c_void {
    jump!("_Znwm")
}

/// `operator delete(void *)`
#[unsafe(naked)]
#[unsafe(export_name = "_ZdlPv")]
extern "C" fn delete(block: *mut c_void) {
    jump!("free")
}

/// `operator delete(void *, size_t)`
#[unsafe(naked)]
#[unsafe(export_name = "_ZdlPvm")]
extern "C" fn delete_sized(block: *mut c_void, size: usize) {
    jump!("_ZdlPv")
}

/// `operator delete[](void *)`
#[unsafe(naked)]
#[unsafe(export_name = "_ZdaPv")]
extern "C" fn delete_array(block: *mut c_void) {
    jump!("_ZdlPv")
}

/// `operator delete[](void *, size_t)`
#[unsafe(naked)]
#[unsafe(export_name = "_ZdaPvm")]
extern "C" fn delete_array_sized(block: *mut c_void, size: usize) {
    jump!("_ZdaPv")
}

/// The C++ library's `operator new(size_t)`. Without such a library nobody could
/// catch what is to be thrown: that ends the process.
#[cold]
extern "C" fn library_new() -> *mut c_void {
    let new = platform::next_function(c"_Znwm", &[c"libstdc++.so.6", c"libc++.so.1"]);
    if new.is_null() {
        warn(&[b"operator new: no memory, and no C++ library to throw std::bad_alloc"]);
        platform::abort()
    }
    new
}
