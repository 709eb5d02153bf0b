//! A heap behind a lock: what several threads of a Rust program use, and what
//! its collections allocate from. May use: `sync`'s interface.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use lock_api::{Mutex, MutexGuard, RawMutex};

use super::Manager;

/// A heap and its lock.
///
/// It is a [`GlobalAlloc`], and by reference an `allocator_api2::alloc::
/// Allocator` (feature `allocator-api2`). Both refuse alignments that the
/// manager refuses. A block that is freed but is none of this heap's is left
/// alone.
#[derive(Debug)]
pub struct Shared<R: RawMutex, M>(Mutex<R, M>);

impl<R: RawMutex, M: Manager> Shared<R, M> {
    /// Puts `heap` behind a lock.
    pub const fn new(heap: M) -> Self {
        Shared(Mutex::from_raw(R::INIT, heap))
    }

    /// Waits for the heap and gives it for as long as the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, R, M> {
        self.0.lock()
    }
}

// SAFETY: blocks are disjoint, of the size and alignment asked for, and stay
// until they are freed: the managers' contract.
unsafe impl<R: RawMutex, M: Manager> GlobalAlloc for Shared<R, M> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.lock().get_aligned(layout.size(), layout.align());
        block.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's promise.
        let freed = unsafe { self.lock().free(block) };
        debug_assert!(freed.is_ok(), "no block of this heap");
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let mut heap = self.lock();
        if layout.align() <= super::ALIGNMENT {
            // SAFETY: the caller's promise.
            return unsafe { heap.extend(block, size) }.map_or(ptr::null_mut(), NonNull::as_ptr);
        }
        let Some(new) = heap.get_aligned(size, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: both blocks are allocated and at least that long.
        unsafe {
            new.as_ptr().copy_from_nonoverlapping(block, size.min(layout.size()));
            let freed = heap.free(block);
            debug_assert!(freed.is_ok(), "no block of this heap");
        }
        new.as_ptr()
    }
}

#[cfg(feature = "allocator-api2")]
// SAFETY: as for GlobalAlloc; a moved reference is the same heap.
unsafe impl<R: RawMutex, M: Manager> allocator_api2::alloc::Allocator for &Shared<R, M> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
        if layout.size() == 0 {
            // Nothing is ever read of it: any aligned address will do.
            let dangling = NonNull::new(ptr::without_provenance_mut(layout.align()));
            let dangling = dangling.ok_or(allocator_api2::alloc::AllocError)?;
            return Ok(NonNull::slice_from_raw_parts(dangling, 0));
        }
        let block = self.lock().get_aligned(layout.size(), layout.align());
        let block = block.ok_or(allocator_api2::alloc::AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: the caller's promise.
            unsafe { self.dealloc(block.as_ptr(), layout) }
        }
    }
}
