//! Huge pages, where they are cheap here and now. May use: `platform`.
//!
//! Where the kernel has a huge page at hand, its first touch costs less than that of a few
//! dozen plain ones. But where it must first move others together, or a host below has
//! taken back what a virtual machine did not use, it costs as much as thousands, while there
//! are plain ones enough. Nothing tells before. So of each piece of memory that huge pages
//! are asked for in, the first are touched here, by the thread's own clock; and once one was
//! *dear*, no more are asked for in a while.
//!
//! Where nobody asks for them there are none, even if the system gives them to everybody.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::platform::{self, HUGE_PAGE};

/// What the first touch of a huge page may cost, in microseconds of the thread's time. The
/// 512 plain ones in its place take 130 to 650; zeros for it are written in 50 to 500.
const DEAR: u64 = 1500;
/// How long none are asked for after a dear one, in milliseconds: the next one may cost a
/// fiftieth of that.
const PAUSE: u64 = 250;
/// Of so many huge pages one is touched, and so many at most, as the program may leave them
/// unused.
const SAMPLE: usize = 32;
const MOST: usize = 4;

/// When they may be asked for again, in milliseconds.
static AGAIN: AtomicU64 = AtomicU64::new(0);

/// Asks for huge pages in memory that is new from byte `new` to byte `end`; or for none, where
/// one was dear just now. Whether there may be some.
///
/// # Safety
/// The caller's memory from `base` on; what is new is zeros, and nobody uses it yet.
pub(super) unsafe fn ask(base: NonNull<u8>, new: usize, end: usize) -> bool {
    let now = platform::milliseconds();
    let first = (base.addr().get() + new).next_multiple_of(HUGE_PAGE) - base.addr().get();
    let pages = end.saturating_sub(first) / HUGE_PAGE;
    // SAFETY: the caller's promise.
    let advise = |huge| unsafe { platform::advise_huge(base.as_ptr(), end, huge) };
    if now < AGAIN.load(Ordering::Relaxed) {
        advise(false);
        return false;
    }
    advise(true);
    let sample = pages.div_ceil(SAMPLE).min(if new == 0 { MOST } else { 1 });
    // SAFETY: the caller's promise; the sample is within what is new.
    let is_dear = |page: usize| unsafe { is_dear(base.as_ptr().byte_add(first + page * HUGE_PAGE)) };
    if (0..sample).any(is_dear) {
        AGAIN.store(now + PAUSE, Ordering::Relaxed);
        if new > 0 || sample < pages {
            advise(false);
        }
    }
    true
}

/// Touches a page, and says whether that was dear.
///
/// # Safety
/// The caller's own page, of zeros, which nobody uses yet.
unsafe fn is_dear(page: *mut u8) -> bool {
    let before = platform::thread_microseconds();
    // SAFETY: the caller's promise.
    unsafe { page.write_volatile(0) };
    platform::thread_microseconds().saturating_sub(before) > DEAR
}
