//! Everything that is Linux's or libc's, in one place. May use: nothing of
//! this crate.
//!
//! Nothing here allocates, but for `next_function`, and whatever it asks of the
//! kernel leaves errno as it was.

#[cfg(not(feature = "std"))]
mod environment;
#[cfg(not(feature = "std"))]
mod memory;
#[cfg(not(feature = "std"))]
mod slot;
mod stdout;

pub(crate) use stdout::{flush_stdout, write_stdout};
#[cfg(not(feature = "std"))]
pub(crate) use {environment::variable, memory::*, slot::*};

#[cfg(not(feature = "std"))]
use core::ffi::{CStr, c_void};
#[cfg(not(feature = "std"))]
use core::ptr;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// The smallest unit of memory that the kernel gives.
#[cfg(any(test, not(feature = "std")))]
pub(crate) const PAGE: usize = 4096;

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

/// Whether this process has no other thread: one is made by libc's functions, which say so
/// before it runs. False where libc does not tell.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn is_single_threaded() -> bool {
    let single: *const AtomicU8;
    // SAFETY: reads where the loader put the variable, null where there is none: glibc has it
    // from 2.32 on, for those who can do without an atomic operation then.
    unsafe {
        core::arch::asm!(
            ".weak __libc_single_threaded",
            "mov {t}, qword ptr [rip + __libc_single_threaded@GOTPCREL]",
            t = out(reg) single,
            options(nostack, preserves_flags, readonly, pure),
        );
        !single.is_null() && (*single).load(Ordering::Relaxed) != 0
    }
}

/// Elsewhere nobody asks libc.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn is_single_threaded() -> bool {
    false
}

/// Sets errno.
#[cfg(not(feature = "std"))]
#[cold]
pub(crate) fn set_errno(value: i32) {
    // SAFETY: the location is this thread's own.
    unsafe { *libc::__errno_location() = value }
}

/// The core that this thread runs on just now.
#[cfg(not(feature = "std"))]
pub(crate) fn core() -> usize {
    // SAFETY: no arguments; -1 where the kernel does not tell.
    let core = keeping_errno(|| unsafe { libc::sched_getcpu() });
    usize::try_from(core).unwrap_or(0)
}

/// How many cores this process may run on: at least 1.
#[cfg(not(feature = "std"))]
pub(crate) fn cores() -> usize {
    let mut mask = [0u64; 128];
    // SAFETY: the mask is as large as said. By syscall, as libc's own counts
    // read files.
    let bytes = keeping_errno(|| unsafe {
        libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&mask), mask.as_mut_ptr())
    });
    let words = usize::try_from(bytes).unwrap_or(0) / 8;
    mask[..words].iter().map(|word| word.count_ones() as usize).sum::<usize>().max(1)
}

/// How many bytes of addresses the process may have; `usize::MAX` where that
/// is not limited.
#[cfg(not(feature = "std"))]
pub(crate) fn address_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure is valid.
    keeping_errno(|| unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) });
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// Milliseconds of a clock that never goes back, to a few.
#[cfg(any(test, not(feature = "std")))]
pub(crate) fn milliseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is valid; the clock is always there, so errno stays.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// Microseconds of the same clock, exact and dearer.
#[cfg(not(feature = "std"))]
pub(crate) fn microseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as above.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

/// Microseconds that this thread has run, or that the kernel ran for it; always the same
/// where the kernel does not tell.
#[cfg(not(feature = "std"))]
pub(crate) fn thread_microseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as above.
    keeping_errno(|| unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) });
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

/// Writes bytes to standard error, as many as it takes. By syscall: libc's
/// write is a point where a thread can be cancelled.
#[cfg(not(feature = "std"))]
pub(crate) fn write_error(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the bytes are valid.
        let (written, error) = keeping_errno(|| unsafe {
            let written = libc::syscall(libc::SYS_write, libc::STDERR_FILENO, bytes.as_ptr(), bytes.len());
            (written, *libc::__errno_location())
        });
        match usize::try_from(written) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written.min(bytes.len())..],
            Err(_) if error == libc::EINTR => {}
            Err(_) => return,
        }
    }
}

/// The function of a name that stands behind this library's own in the order of
/// the loader; or in one of some libraries, where only who loaded it can see it.
/// Null where there is none. It may allocate.
#[cfg(not(feature = "std"))]
pub(crate) fn next_function(name: &CStr, libraries: &[&CStr]) -> *mut c_void {
    // SAFETY: the names end with a null byte; RTLD_NOLOAD runs no constructor.
    unsafe {
        let next = libc::dlsym(libc::RTLD_NEXT, name.as_ptr());
        if !next.is_null() {
            return next;
        }
        let handles = libraries.iter().map(|path| libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD));
        // A library that was found keeps one more reference: its code is used.
        let mut found = handles.filter(|handle| !handle.is_null());
        found.next().map_or(ptr::null_mut(), |handle| libc::dlsym(handle, name.as_ptr()))
    }
}

/// Ends the process at once.
#[cfg(not(feature = "std"))]
pub(crate) fn abort() -> ! {
    // SAFETY: no arguments.
    unsafe { libc::abort() }
}
