//! Everything that is Linux's or libc's, in one place. May use: nothing of
//! this crate.

use core::sync::atomic::AtomicU32;

/// Runs `call` and puts errno back: what a lock or free() asks of the kernel is
/// no business of the program's.
pub(crate) fn keeping_errno<T>(call: impl FnOnce() -> T) -> T {
    // SAFETY: the location is this thread's own.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        let result = call();
        *errno = saved;
        result
    }
}

/// Sleeps while `word` is `value`, until woken; may return early.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
    let forever = core::ptr::null::<libc::timespec>();
    // SAFETY: the word is valid; without a timeout nothing else is read.
    keeping_errno(|| unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, value, forever)
    });
}

/// Wakes one thread that sleeps on `word`.
pub(crate) fn futex_wake(word: &AtomicU32) {
    // SAFETY: the word is valid.
    keeping_errno(|| unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1)
    });
}
