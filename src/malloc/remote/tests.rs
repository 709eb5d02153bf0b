//! The protocol in every order that threads and memory may take, by loom:
//! `make model`. May use: nothing of malloc but what it tests.

use core::mem;

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::thread;

use super::{CLOSED, Cell, Chain, Inbox, Ordering, Others, ptr};

const CELLS: usize = 3;
/// What each of two threads frees.
const SHARES: [&[usize]; 2] = [&[0, 1], &[2]];

/// A slab whose cells are all in use.
#[repr(C)]
struct Slab {
    others: Others,
    /// What is written in the cells: a free cell's belongs to the slab's owner.
    contents: [UnsafeCell<()>; CELLS],
    memory: [Cell; CELLS],
    owned: UnsafeCell<Owned>,
}

/// What is the owner's alone.
#[derive(Default)]
struct Owned {
    free: [bool; CELLS],
    /// Whether cells were taken while the slab was in an inbox.
    early: bool,
    released: bool,
}

/// What the threads of a model share.
struct Heap {
    slabs: [Slab; 2],
    /// The cache of the first thread, whose slabs they are.
    first: Inbox,
    /// The cache of another.
    second: Inbox,
    shared: Inbox,
    /// The lock of the shared cache, and the slabs that are in it.
    shared_slabs: Mutex<Vec<*mut Slab>>,
    /// The caches that wait for a thread.
    idle: Mutex<Vec<*mut Inbox>>,
}

/// The heap, for each thread.
#[derive(Clone, Copy)]
struct Handle(*mut Heap);

// SAFETY: that this holds is what the models are for.
unsafe impl Send for Handle {}

impl Slab {
    fn new() -> Slab {
        Slab {
            others: Others { inbox: Default::default(), remote: Default::default(), next: Default::default() },
            contents: Default::default(),
            memory: [const { Cell { next: ptr::null_mut(), mark: ptr::null() } }; CELLS],
            owned: UnsafeCell::default(),
        }
    }
}

fn inbox() -> Inbox {
    Inbox { slabs: Default::default(), pending: Default::default() }
}

/// Runs a model in every order; `f` gets a heap whose slabs belong to `first`.
fn model(f: impl Fn(Handle) + Send + Sync + 'static) {
    loom::model(move || {
        let heap = Box::into_raw(Box::new(Heap {
            slabs: [Slab::new(), Slab::new()],
            first: inbox(),
            second: inbox(),
            shared: inbox(),
            shared_slabs: Mutex::new(Vec::new()),
            idle: Mutex::new(Vec::new()),
        }));
        // SAFETY: the heap lives until all threads of the model have ended.
        unsafe {
            for slab in &(*heap).slabs {
                slab.others.set_inbox(&raw mut (*heap).first);
            }
            f(Handle(heap));
            drop(Box::from_raw(heap));
        }
    });
}

impl Handle {
    fn slab(self, number: usize) -> *mut Slab {
        // SAFETY: the heap lives as long as the model.
        unsafe { &raw mut (*self.0).slabs[number] }
    }

    fn first(self) -> *mut Inbox {
        // SAFETY: as above.
        unsafe { &raw mut (*self.0).first }
    }

    fn second(self) -> *mut Inbox {
        // SAFETY: as above.
        unsafe { &raw mut (*self.0).second }
    }

    fn shared(self) -> *mut Inbox {
        // SAFETY: as above.
        unsafe { &raw mut (*self.0).shared }
    }

    /// Another thread writes to cells for the last time and frees them together.
    fn free(self, slab: usize, cells: &[usize]) {
        let slab = self.slab(slab);
        let mut chain = Chain::EMPTY;
        // SAFETY: the cells are this thread's.
        unsafe {
            for &cell in cells {
                (*slab).contents[cell].with_mut(|_| ());
                chain.push(&raw mut (*slab).memory[cell]);
            }
            Others::free(&raw mut (*slab).others, (&raw mut (*slab).memory).cast(), chain);
        }
    }

    /// The owner of a slab takes cells while it is in an inbox; it is not to be
    /// released until it was received there.
    fn take_early(self, slab: usize) {
        let slab = self.slab(slab);
        // SAFETY: the slab is the caller's.
        unsafe {
            if is_released(slab) {
                return;
            }
            let chain = (*slab).others.take_early((&raw mut (*slab).memory).cast());
            if chain.count > 0 {
                assert!((*slab).others.is_awaited(), "it may be released too early");
                (*slab).owned.with_mut(|owned| (*owned).early = true);
                accept(slab, chain);
            }
        }
    }

    /// The owner of an inbox looks there.
    fn sort(self, inbox: *mut Inbox, most: usize) {
        // SAFETY: the caller owns the inbox.
        unsafe {
            Inbox::sort(inbox, most, |others| {
                assert_eq!((*others).inbox(), inbox, "a slab of another owner");
                receive(others.cast());
            });
        }
    }

    /// The first thread ends: its slab goes to the shared cache, and its own
    /// waits for another thread.
    fn leave(self) {
        self.sort(self.first(), usize::MAX);
        // SAFETY: inbox and slab are this thread's, until they are in the lists.
        unsafe {
            let slab = self.slab(0);
            if !is_released(slab) {
                let mut shared = (*self.0).shared_slabs.lock().unwrap();
                (*slab).others.set_inbox(self.shared());
                shared.push(slab);
            }
            (*self.first()).close();
            (*self.0).idle.lock().unwrap().push(self.first());
        }
    }

    /// Another thread starts: with the cache that waits for one, if there is
    /// one; its inbox, which may be closed as yet.
    fn adopt(self) -> *mut Inbox {
        // SAFETY: the heap lives as long as the model.
        unsafe { (*self.0).idle.lock().unwrap().pop().unwrap_or(self.second()) }
    }

    /// It takes a slab from the shared cache; false where there is none.
    fn take_shared(self, inbox: *mut Inbox) -> bool {
        // SAFETY: under the lock, the shared cache and its slabs are the caller's.
        unsafe {
            let mut shared = (*self.0).shared_slabs.lock().unwrap();
            self.sort(self.shared(), usize::MAX);
            shared.retain(|&slab| !is_released(slab));
            let slab = shared.pop();
            if let Some(slab) = slab {
                if (*inbox).slabs.load(Ordering::Relaxed) == CLOSED {
                    (*inbox).open();
                }
                (*slab).others.set_inbox(inbox);
            }
            slab.is_some()
        }
    }
}

/// Takes the cells of a slab, and releases it where it is empty, as its span
/// may then be another's.
///
/// # Safety
/// The slab is the caller's, and was in its inbox.
unsafe fn receive(slab: *mut Slab) {
    // SAFETY: the caller's promise.
    unsafe {
        let chain = (*slab).others.take((&raw mut (*slab).memory).cast());
        (*slab).owned.with_mut(|owned| {
            let early = mem::take(&mut (*owned).early);
            assert!(chain.count > 0 || early, "a slab was in an inbox twice");
        });
        accept(slab, chain);
        if (*slab).owned.with(|owned| (*owned).free.iter().all(|&free| free)) {
            (*slab).owned.with_mut(|owned| (*owned).released = true);
            // As if it were memory and no slab: whatever another thread does
            // with it that is not over is an error.
            (*slab).others.inbox.with_mut(|inbox| *inbox = ptr::null_mut());
            (*slab).others.remote.with_mut(|remote| *remote = 0);
            (*slab).others.next.with_mut(|next| *next = ptr::null_mut());
        }
    }
}

/// Takes cells that came back.
///
/// # Safety
/// The slab is the caller's, and these are cells of it.
unsafe fn accept(slab: *mut Slab, chain: Chain) {
    // SAFETY: the caller's promise.
    unsafe {
        let base = (&raw mut (*slab).memory).cast::<Cell>();
        (*slab).owned.with_mut(|owned| {
            let mut cell = chain.head;
            for left in (0..chain.count).rev() {
                let number = cell.offset_from(base) as usize;
                (*slab).contents[number].with_mut(|_| ());
                assert!(!(*owned).free[number], "a cell came back twice");
                (*owned).free[number] = true;
                assert_eq!(left == 0, cell == chain.tail, "the chain does not end at its tail");
                cell = (*cell).next;
            }
        });
    }
}

/// # Safety
/// The slab is the caller's.
unsafe fn is_released(slab: *mut Slab) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (*slab).owned.with(|owned| (*owned).released) }
}

#[test]
fn what_two_threads_free_comes_back_once() {
    model(|heap| {
        let threads = SHARES.map(|cells| thread::spawn(move || heap.free(0, cells)));
        heap.sort(heap.first(), usize::MAX);
        heap.sort(heap.first(), usize::MAX);
        for thread in threads {
            thread.join().unwrap();
        }
        heap.sort(heap.first(), usize::MAX);
        // SAFETY: this thread is the last.
        assert!(unsafe { is_released(heap.slab(0)) }, "a cell was lost");
    });
}

#[test]
fn what_is_taken_early_comes_back_once() {
    model(|heap| {
        let threads = SHARES.map(|cells| thread::spawn(move || heap.free(0, cells)));
        heap.take_early(0);
        heap.sort(heap.first(), usize::MAX);
        heap.take_early(0);
        for thread in threads {
            thread.join().unwrap();
        }
        heap.take_early(0);
        heap.sort(heap.first(), usize::MAX);
        // SAFETY: this thread is the last.
        assert!(unsafe { is_released(heap.slab(0)) }, "a cell was lost");
    });
}

#[test]
fn slabs_that_were_not_looked_at_are_looked_at_later() {
    model(|heap| {
        heap.free(0, &[0]);
        heap.free(1, &[0]);
        let threads = [0, 1].map(|slab| thread::spawn(move || heap.free(slab, &[1, 2])));
        heap.sort(heap.first(), 1);
        heap.sort(heap.first(), 1);
        for thread in threads {
            thread.join().unwrap();
        }
        heap.sort(heap.first(), usize::MAX);
        heap.sort(heap.first(), usize::MAX);
        // SAFETY: this thread is the last.
        assert!(unsafe { is_released(heap.slab(0)) && is_released(heap.slab(1)) }, "a cell was lost");
    });
}

#[test]
fn cells_follow_their_slab_to_another_cache() {
    model(|heap| {
        let frees = SHARES.map(|cells| thread::spawn(move || heap.free(0, cells)));
        let other = thread::spawn(move || {
            let inbox = heap.adopt();
            if heap.take_shared(inbox) {
                heap.take_early(0);
            }
            heap.sort(inbox, usize::MAX);
            inbox == heap.second()
        });
        heap.leave();
        for thread in frees {
            thread.join().unwrap();
        }
        // The shared cache and the other thread look once more; the first
        // cache, if it still waits, is nobody's.
        let inbox = if other.join().unwrap() { heap.second() } else { heap.first() };
        heap.take_shared(inbox);
        heap.sort(inbox, usize::MAX);
        // SAFETY: this thread is the last.
        assert!(unsafe { is_released(heap.slab(0)) }, "a cell was lost");
    });
}
