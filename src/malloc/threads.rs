//! Whether there was ever a second thread. May use: nothing of malloc.

use core::sync::atomic::{AtomicBool, Ordering};

static ANY: AtomicBool = AtomicBool::new(false);
static MANY: AtomicBool = AtomicBool::new(false);

/// Says that a thread has got a cache, or wanted one.
pub(super) fn one_more() {
    if ANY.swap(true, Ordering::Relaxed) {
        MANY.store(true, Ordering::Relaxed);
    }
}

/// Whether more than one has, so far.
pub(super) fn are_many() -> bool {
    MANY.load(Ordering::Relaxed)
}
