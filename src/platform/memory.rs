//! Memory from the kernel. All calls are by number, so that no other preloaded
//! library comes between, and errno stays.

use core::ptr::{self, NonNull};

use super::{PAGE, keeping_errno};

/// What the processor can map at once.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Why there is no new mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotMapped {
    /// The addresses that were asked for are not free.
    Taken,
    /// There is no room for it anywhere, or it would be beyond a limit.
    Refused,
}

fn map(hint: *mut u8, bytes: usize, protection: i32, flags: i32) -> Result<NonNull<u8>, NotMapped> {
    // SAFETY: a new mapping; MAP_FIXED_NOREPLACE never replaces one.
    let (mapped, error) = keeping_errno(|| unsafe {
        let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let mapped = libc::syscall(libc::SYS_mmap, hint, bytes, protection, flags, -1, 0);
        (mapped, *libc::__errno_location())
    });
    match mapped {
        // The kernel answers with an address, or with -1 through libc.
        -1 if error == libc::EEXIST => Err(NotMapped::Taken),
        -1 => Err(NotMapped::Refused),
        address => NonNull::new(ptr::with_exposed_provenance_mut(address as usize)).ok_or(NotMapped::Refused),
    }
}

/// Maps zeroed memory, anywhere.
pub(crate) fn map_memory(bytes: usize) -> Option<NonNull<u8>> {
    map(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, 0).ok()
}

/// Reserves addresses, without memory, at a multiple of `align`.
pub(crate) fn reserve(bytes: usize, align: usize) -> Option<NonNull<u8>> {
    let base = map(ptr::null_mut(), bytes, libc::PROT_NONE, 0).ok()?;
    if base.addr().get() % align == 0 {
        return Some(base);
    }
    // SAFETY: our own mapping, unused.
    unsafe { unmap(base.as_ptr(), bytes) };
    let wide = bytes.checked_add(align)?;
    let base = map(ptr::null_mut(), wide, libc::PROT_NONE, 0).ok()?;
    let start = base.addr().get();
    let front = start.next_multiple_of(align) - start;
    // SAFETY: both ends lie in our own mapping.
    unsafe {
        if front > 0 {
            unmap(base.as_ptr(), front);
        }
        let aligned = base.byte_add(front);
        unmap(aligned.as_ptr().byte_add(bytes), wide - front - bytes);
        Some(aligned)
    }
}

/// Maps addresses at just this place; a kernel too old to say whether they are free says
/// that they are taken.
fn map_at(address: usize, bytes: usize, protection: i32) -> Result<NonNull<u8>, NotMapped> {
    let hint = ptr::with_exposed_provenance_mut(address);
    let base = map(hint, bytes, protection, libc::MAP_FIXED_NOREPLACE)?;
    if base.addr().get() == address {
        return Ok(base);
    }
    // SAFETY: our own mapping, unused.
    unsafe { unmap(base.as_ptr(), bytes) };
    Err(NotMapped::Taken)
}

/// Reserves addresses at just this place; see [`map_at`].
pub(crate) fn reserve_at(address: usize, bytes: usize) -> Result<NonNull<u8>, NotMapped> {
    map_at(address, bytes, libc::PROT_NONE)
}

/// Maps zeroed memory at just this place; `None` where it is not free.
pub(crate) fn map_memory_at(address: usize, bytes: usize) -> Option<NonNull<u8>> {
    map_at(address, bytes, libc::PROT_READ | libc::PROT_WRITE).ok()
}

/// Lets reserved addresses be read, as zeros; they still have no memory.
///
/// # Safety
/// As [`commit`].
pub(crate) unsafe fn let_read(base: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    keeping_errno(|| unsafe { libc::syscall(libc::SYS_mprotect, base, bytes, libc::PROT_READ) });
}

/// Makes reserved addresses memory that can be read and written; false where
/// the kernel refuses.
///
/// # Safety
/// The addresses are reserved by this process for the caller.
pub(crate) unsafe fn commit(base: *mut u8, bytes: usize) -> bool {
    // SAFETY: the caller's promise.
    keeping_errno(|| unsafe { libc::syscall(libc::SYS_mprotect, base, bytes, libc::PROT_READ | libc::PROT_WRITE) == 0 })
}

/// Gives the memory behind pages back; they read as zeros afterwards.
///
/// # Safety
/// Whole pages, whose contents nobody needs.
pub(crate) unsafe fn purge(base: *mut u8, bytes: usize) -> bool {
    // SAFETY: the caller's promise.
    keeping_errno(|| unsafe { libc::syscall(libc::SYS_madvise, base, bytes, libc::MADV_DONTNEED) == 0 })
}

/// Lets the kernel find the memory for these pages at once, instead of fault
/// by fault. A kernel before 5.14 refuses, and nothing is lost.
///
/// # Safety
/// Committed pages of the caller's.
pub(crate) unsafe fn populate(base: *mut u8, bytes: usize) {
    const MADV_POPULATE_WRITE: i32 = 23;
    // SAFETY: the contents stay.
    keeping_errno(|| unsafe { libc::syscall(libc::SYS_madvise, base, bytes, MADV_POPULATE_WRITE) });
}

/// Asks for huge pages, or for none, in these pages.
///
/// # Safety
/// Pages of the caller's.
pub(crate) unsafe fn advise_huge(base: *mut u8, bytes: usize, huge: bool) {
    let advice = if huge { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
    // SAFETY: the contents stay.
    keeping_errno(|| unsafe { libc::syscall(libc::SYS_madvise, base, bytes, advice) });
}

/// Asks for no huge pages where a large static lies, of which little is used: it would be
/// resident in pieces of 2 MiB where the system gives them to everybody.
pub(crate) fn keep_plain<T>(data: &'static T) {
    let start = ptr::from_ref(data).addr() & !(PAGE - 1);
    let end = (ptr::from_ref(data).addr() + size_of::<T>()).next_multiple_of(PAGE);
    // SAFETY: the library's own pages.
    unsafe { advise_huge(ptr::with_exposed_provenance_mut(start), end - start, false) };
}

/// Gives addresses back; false where the kernel cannot, as at its limit of
/// mappings.
///
/// # Safety
/// A mapping of the caller's that nobody uses any more.
pub(crate) unsafe fn unmap(base: *mut u8, bytes: usize) -> bool {
    // SAFETY: the caller's promise.
    keeping_errno(|| unsafe { libc::syscall(libc::SYS_munmap, base, bytes) == 0 })
}

/// Makes a mapping larger or smaller, moving its pages where it must.
///
/// # Safety
/// A mapping of the caller's; if it moves, nobody uses the old addresses.
pub(crate) unsafe fn remap(base: *mut u8, bytes: usize, new: usize) -> Option<NonNull<u8>> {
    // SAFETY: the caller's promise.
    let mapped =
        keeping_errno(|| unsafe { libc::syscall(libc::SYS_mremap, base, bytes, new, libc::MREMAP_MAYMOVE, 0) });
    if mapped == -1 { None } else { NonNull::new(ptr::with_exposed_provenance_mut(mapped as usize)) }
}

/// Says that this memory will be used soon; any address will do.
#[inline(always)]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
