//! What happens to the process: its start, its threads, its forks and its end.
//! May use: all of `malloc`.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use lock_api::{Mutex, RawMutex};

use super::config::Config;
use super::message::warn;
use super::{cache, heaps, huge, region, report, shared, tables, threads};
use crate::sync::FutexLock;

struct Settings {
    config: UnsafeCell<Config>,
    ready: AtomicBool,
    lock: Mutex<FutexLock, ()>,
    /// The key whose destructor ends a thread's cache, and one.
    key: AtomicU32,
}

// SAFETY: the configuration is written once, under the lock, before `ready`.
unsafe impl Sync for Settings {}

static SETTINGS: Settings = Settings {
    config: UnsafeCell::new(Config::DEFAULT),
    ready: AtomicBool::new(false),
    lock: Mutex::from_raw(<FutexLock as RawMutex>::INIT, ()),
    key: AtomicU32::new(0),
};

/// The configuration, read when malloc is first called.
#[inline]
pub(super) fn config() -> &'static Config {
    if !SETTINGS.ready.load(Ordering::Acquire) {
        start();
    }
    // SAFETY: never written again once it is ready.
    unsafe { &*SETTINGS.config.get() }
}

/// Starts the malloc: reads the configuration, takes a pool, and registers for
/// forks and the ends of threads, before anybody else can.
#[cold]
fn start() {
    {
        let _lock = SETTINGS.lock.lock();
        if SETTINGS.ready.load(Ordering::Relaxed) {
            return;
        }
        let config = Config::read();
        if config.pool != 0 && !heaps::take_pool(&config) {
            warn(&[b"the pool was not to be had: every request will be refused"]);
        }
        // SAFETY: not ready yet, and under the lock. The loader's own first call of malloc
        // comes here, or, where the library is loaded late, AT_START.
        unsafe {
            tables::fill();
            region::keep_plain();
            *SETTINGS.config.get() = config;
        }
        SETTINGS.ready.store(true, Ordering::Release);
    }
    let mut key = 0;
    // SAFETY: plain functions. From here on malloc works, as these may call it.
    unsafe {
        if libc::pthread_key_create(&mut key, Some(thread_ends)) == 0 {
            SETTINGS.key.store(key + 1, Ordering::Release);
        }
        libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child));
    }
}

/// The loader calls this, so that we are ready before the program has threads.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = {
    extern "C" fn at_start() {
        config();
    }
    at_start
};

#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = {
    extern "C" fn at_exit() {
        if config().stats_at_exit {
            report::table();
        }
    }
    at_exit
};

/// A thread has got a cache: the key's destructor shall end it.
pub(super) fn thread_starts(cache: *mut c_void) {
    threads::one_more();
    let key = SETTINGS.key.load(Ordering::Acquire);
    if key != 0 {
        // SAFETY: our key. It may call malloc, which this thread has by now.
        unsafe { libc::pthread_setspecific(key - 1, cache) };
    }
}

extern "C" fn thread_ends(own: *mut c_void) {
    // SAFETY: the value that thread_starts set, in the same thread.
    unsafe { cache::leave(config(), &*own.cast()) };
}

extern "C" fn before_fork() {
    shared::lock_all();
    huge::lock();
    heaps::lock_all(config());
}

extern "C" fn after_fork_in_parent() {
    // SAFETY: before_fork ran in this thread.
    unsafe {
        heaps::unlock_all(config());
        huge::unlock();
        shared::unlock_all();
    }
}

extern "C" fn after_fork_in_child() {
    // SAFETY: the child's only thread, forked under all locks.
    unsafe {
        heaps::reset_locks(config());
        huge::reset_lock();
        shared::reset_locks();
    }
}
