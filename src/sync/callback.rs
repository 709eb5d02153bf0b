//! A lock that the program gives as two C functions.

use core::ffi::c_void;

use lock_api::{GuardSend, RawMutex};

/// Locks or unlocks the lock behind `context`.
pub type LockFunction = unsafe extern "C" fn(context: *mut c_void);

/// The lock of an operating system of which this crate knows nothing, as two
/// functions and their argument. Without functions it does nothing.
#[derive(Debug)]
#[repr(C)]
pub struct CallbackLock {
    lock: Option<LockFunction>,
    unlock: Option<LockFunction>,
    context: *mut c_void,
}

impl CallbackLock {
    /// A lock by these functions.
    ///
    /// # Safety
    /// They keep threads out as a mutex does, for as long as the lock is used,
    /// and may be called from any thread.
    pub const unsafe fn new(lock: Option<LockFunction>, unlock: Option<LockFunction>, context: *mut c_void) -> Self {
        CallbackLock { lock, unlock, context }
    }
}

// SAFETY: see `new`; the functions may be called from any thread.
unsafe impl Send for CallbackLock {}
// SAFETY: as above.
unsafe impl Sync for CallbackLock {}

// SAFETY: mutual exclusion is the promise of `new`'s caller.
unsafe impl RawMutex for CallbackLock {
    const INIT: Self = CallbackLock { lock: None, unlock: None, context: core::ptr::null_mut() };
    type GuardMarker = GuardSend;

    fn lock(&self) {
        if let Some(lock) = self.lock {
            // SAFETY: the promise of `new`'s caller.
            unsafe { lock(self.context) }
        }
    }

    /// There is no way to ask; it waits.
    fn try_lock(&self) -> bool {
        self.lock();
        true
    }

    unsafe fn unlock(&self) {
        if let Some(unlock) = self.unlock {
            // SAFETY: the promise of `new`'s caller.
            unsafe { unlock(self.context) }
        }
    }
}
