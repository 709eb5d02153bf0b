//! A lock on one futex word, after Drepper, "Futexes are tricky" (2011),
//! mutex 2. May use: `platform`.
//!
//! `make model` runs it in every order that threads and memory may take.

#[cfg(all(test, loom))]
mod tests;

use core::hint::spin_loop;
#[cfg(not(all(test, loom)))]
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering;

use lock_api::{GuardSend, RawMutex};

#[cfg(not(all(test, loom)))]
use crate::platform::{futex_wait, futex_wake, is_single_threaded};
#[cfg(all(test, loom))]
use tests::{AtomicU32, futex_wait, futex_wake, is_single_threaded};

const FREE: u32 = 0;
const HELD: u32 = 1;
const AWAITED: u32 = 2;

/// How often a thread looks before it sleeps: a heap's lock is held for some
/// hundred instructions. A model needs one look to see all there is.
const SPINS: u32 = if cfg!(all(test, loom)) { 1 } else { 100 };

/// While a process has one thread, the lock takes no atomic exchange: that would wait until
/// all that the program wrote before has left the processor.
///
/// A lock of four bytes that sleeps in the kernel, allocates nothing, works
/// before any constructor and can be made anew in a forked child.
#[derive(Debug)]
#[repr(transparent)]
pub struct FutexLock(AtomicU32);

impl FutexLock {
    /// Makes the lock free, whoever held it.
    ///
    /// # Safety
    /// No other thread knows the lock: the caller is the only one of a forked
    /// child.
    pub unsafe fn reset(&self) {
        self.0.store(FREE, Ordering::Relaxed);
    }

    #[cold]
    fn lock_contended(&self) {
        for _ in 0..SPINS {
            if self.0.load(Ordering::Relaxed) == FREE && self.try_lock() {
                return;
            }
            spin_loop();
        }
        while self.0.swap(AWAITED, Ordering::Acquire) != FREE {
            futex_wait(&self.0, AWAITED);
        }
    }
}

// SAFETY: the word leaves FREE only by an exchange that one thread wins, or by the only
// thread that there is. One that it makes later comes after what it wrote.
unsafe impl RawMutex for FutexLock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = FutexLock(AtomicU32::new(FREE));
    type GuardMarker = GuardSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        if is_single_threaded() {
            let free = self.0.load(Ordering::Relaxed) == FREE;
            if free {
                self.0.store(HELD, Ordering::Relaxed);
            }
            return free;
        }
        self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        if is_single_threaded() {
            return self.0.store(FREE, Ordering::Relaxed);
        }
        if self.0.swap(FREE, Ordering::Release) == AWAITED {
            futex_wake(&self.0);
        }
    }
}
