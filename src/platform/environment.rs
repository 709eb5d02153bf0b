//! The environment, before libc has read it, and not for setuid programs.

use core::ffi::{CStr, c_char};

core::arch::global_asm!(
    // glibc's loader knows where the process's stack began: there stand argc,
    // the arguments and the environment, long before `environ` is set.
    ".weak __libc_stack_end",
    ".weak environ",
    ".hidden memman_stack_end",
    ".globl memman_stack_end",
    "memman_stack_end:",
    "mov rax, [rip + __libc_stack_end@GOTPCREL]",
    "ret",
    ".hidden memman_environ",
    ".globl memman_environ",
    "memman_environ:",
    "mov rax, [rip + environ@GOTPCREL]",
    "ret",
);

unsafe extern "C" {
    fn memman_stack_end() -> *const *const *const c_char;
    fn memman_environ() -> *const *const *const c_char;
}

/// The value of an environment variable; `None` where it is not set, and for
/// a process with more rights than its user.
pub(crate) fn variable(name: &[u8]) -> Option<&'static [u8]> {
    // SAFETY: the loader's own block, which ends with a null pointer; strings
    // in it live as long as the process, but for those a program replaces.
    unsafe {
        if libc::getauxval(libc::AT_SECURE) != 0 {
            return None;
        }
        let mut entry = entries()?;
        while !(*entry).is_null() {
            let text = CStr::from_ptr(*entry).to_bytes();
            if let Some(value) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(b"=")) {
                return Some(value);
            }
            entry = entry.add(1);
        }
    }
    None
}

/// # Safety
/// None beyond that the process was started by the kernel.
unsafe fn entries() -> Option<*const *const c_char> {
    // SAFETY: either symbol is absent, null, or as libc documents it.
    unsafe {
        let environ = memman_environ();
        if !environ.is_null() && !(*environ).is_null() {
            return Some(*environ);
        }
        let end = memman_stack_end();
        if end.is_null() || (*end).is_null() {
            return None;
        }
        let argc = *(*end).cast::<usize>();
        Some((*end).add(1 + argc + 1))
    }
}
