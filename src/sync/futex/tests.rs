//! The lock in every order that threads and memory may take, by loom: `make
//! model`. May use: nothing but what it tests.
//!
//! A model ends with an error when a thread waits for ever, and when two
//! touch the data in no order.

use std::sync::{Arc, OnceLock};

use lock_api::RawMutex;
use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex, atomic};
use loom::thread;

use super::{FREE, FutexLock, Ordering};

/// The word of a lock, and what the kernel has for it. A lock is made as a
/// constant; loom's are not, and made by [`Shared::new`].
#[derive(Debug)]
pub(super) struct AtomicU32 {
    value: u32,
    futex: OnceLock<Box<Futex>>,
}

#[derive(Debug)]
struct Futex {
    word: atomic::AtomicU32,
    queue: Mutex<()>,
    woken: Condvar,
}

impl AtomicU32 {
    pub const fn new(value: u32) -> AtomicU32 {
        AtomicU32 { value, futex: OnceLock::new() }
    }

    fn futex(&self) -> &Futex {
        self.futex.get_or_init(|| {
            let word = atomic::AtomicU32::new(self.value);
            Box::new(Futex { word, queue: Mutex::new(()), woken: Condvar::new() })
        })
    }

    pub fn load(&self, order: Ordering) -> u32 {
        self.futex().word.load(order)
    }

    pub fn store(&self, value: u32, order: Ordering) {
        self.futex().word.store(value, order);
    }

    pub fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.futex().word.swap(value, order)
    }

    pub fn compare_exchange(&self, old: u32, new: u32, success: Ordering, failure: Ordering) -> Result<u32, u32> {
        self.futex().word.compare_exchange(old, new, success, failure)
    }
}

/// A model has several.
pub(super) fn is_single_threaded() -> bool {
    false
}

/// futex(2): what the word is, the kernel asks under the lock of the queue.
pub(super) fn futex_wait(word: &AtomicU32, value: u32) {
    let futex = word.futex();
    let queue = futex.queue.lock().unwrap();
    if futex.word.load(Ordering::Relaxed) == value {
        drop(futex.woken.wait(queue).unwrap());
    }
}

/// Wakes the thread that has waited longest, if there is one.
pub(super) fn futex_wake(word: &AtomicU32) {
    let futex = word.futex();
    let _queue = futex.queue.lock().unwrap();
    futex.woken.notify_one();
}

/// What the threads of a model share: a number that whoever holds the lock
/// increments.
struct Shared {
    lock: FutexLock,
    number: UnsafeCell<u32>,
}

// SAFETY: that this holds is what the models are for.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    fn new(lock: FutexLock, number: u32) -> Arc<Shared> {
        lock.0.futex();
        Arc::new(Shared { lock, number: UnsafeCell::new(number) })
    }

    /// The number, one higher.
    ///
    /// # Safety
    /// The caller holds the lock, and gives it back by this.
    unsafe fn add_and_unlock(&self) -> u32 {
        // SAFETY: the caller's promise.
        unsafe {
            let number = self.number.with_mut(|number| {
                *number += 1;
                *number
            });
            self.lock.unlock();
            number
        }
    }

    fn add(&self) -> u32 {
        self.lock.lock();
        // SAFETY: just locked.
        unsafe { self.add_and_unlock() }
    }

    fn try_add(&self) -> Option<u32> {
        // SAFETY: just locked.
        self.lock.try_lock().then(|| unsafe { self.add_and_unlock() })
    }

    fn spawn<T: 'static>(self: &Arc<Self>, f: impl FnOnce(&Arc<Shared>) -> T + 'static) -> thread::JoinHandle<T> {
        let shared = Arc::clone(self);
        thread::spawn(move || f(&shared))
    }
}

/// Runs a model in every order; `f` gets a lock that is free.
fn model(f: impl Fn(&Arc<Shared>) + Send + Sync + 'static) {
    loom::model(move || f(&Shared::new(FutexLock::INIT, 0)));
}

#[test]
fn whoever_waits_gets_the_lock_alone() {
    model(|shared| {
        let threads = [(); 2].map(|()| shared.spawn(|shared| shared.add()));
        shared.add();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(shared.try_add(), Some(4), "not each thread had the lock once");
    });
}

#[test]
fn a_thread_that_wakes_for_no_reason_waits_on() {
    model(|shared| {
        let thread = shared.spawn(|shared| shared.add());
        let stranger = shared.spawn(|shared| futex_wake(&shared.lock.0));
        shared.add();
        stranger.join().unwrap();
        thread.join().unwrap();
        assert_eq!(shared.try_add(), Some(3), "not each thread had the lock once");
    });
}

#[test]
fn who_only_tries_keeps_others_out_and_waits_for_nobody() {
    model(|shared| {
        let thread = shared.spawn(|shared| shared.add());
        let tries = shared.spawn(|shared| shared.try_add());
        // While this thread holds the lock nobody may have it.
        shared.lock.lock();
        assert!(!shared.lock.try_lock(), "the lock was had twice");
        // SAFETY: this thread holds the lock.
        unsafe { shared.add_and_unlock() };
        let tries = u32::from(tries.join().unwrap().is_some());
        thread.join().unwrap();
        assert_eq!(shared.try_add(), Some(3 + tries), "not each thread had the lock once");
    });
}

#[test]
fn a_forked_child_makes_the_lock_anew() {
    model(|parent| {
        let other = parent.spawn(|parent| parent.add());
        // What a fork copies: the word, with what it says of other threads, and
        // the number, as this thread holds the lock. No thread but this one,
        // and nobody sleeps.
        parent.lock.lock();
        let word = parent.lock.0.load(Ordering::Relaxed);
        assert_ne!(word, FREE);
        // SAFETY: this thread holds the lock.
        let number = parent.number.with(|number| unsafe { *number });
        let child = Shared::new(FutexLock(AtomicU32::new(word)), number);
        let child = child.spawn(move |child| {
            // SAFETY: the child's only thread.
            unsafe { child.lock.reset() };
            let other = child.spawn(|child| child.add());
            child.add();
            other.join().unwrap();
            assert_eq!(child.try_add(), Some(number + 3), "not each thread had the lock once");
        });
        // SAFETY: as above.
        unsafe { parent.add_and_unlock() };
        other.join().unwrap();
        child.join().unwrap();
    });
}
