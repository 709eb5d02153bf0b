//! The locks of the heaps. The interface is [`lock_api::RawMutex`]; a heap
//! that is shared is generic over it. May use: `platform`.
//!
//! | backend | for whom |
//! |---|---|
//! | [`NoLock`] | one thread, or a lock that the caller holds already |
//! | [`FutexLock`] | malloc, and C descriptors unless told otherwise |
//! | [`CallbackLock`] | the lock of an RTOS, given as two C functions |
//! | `parking_lot::RawMutex` | Rust programs (feature `parking_lot`); never under malloc, as parking a thread allocates |

mod callback;
mod futex;

pub use callback::{CallbackLock, LockFunction};
pub use futex::FutexLock;

use lock_api::{GuardSend, RawMutex};

#[cfg(feature = "parking_lot")]
pub use parking_lot::RawMutex as ParkingLot;

/// No lock at all.
///
/// Whoever shares a heap with this lock between threads holds a lock of his
/// own around every call.
#[derive(Debug, Default)]
pub struct NoLock(());

// SAFETY: mutual exclusion is the caller's, as the type says.
unsafe impl RawMutex for NoLock {
    const INIT: Self = NoLock(());
    type GuardMarker = GuardSend;

    fn lock(&self) {}

    fn try_lock(&self) -> bool {
        true
    }

    unsafe fn unlock(&self) {}
}
