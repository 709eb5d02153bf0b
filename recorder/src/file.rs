//! The trace as it is written: each thread has a chunk of the file mapped and
//! writes its records there, so that they are in the file whatever becomes of
//! the process. Nothing here allocates. May use: `slot`.
//!
//! What belongs to the process stands in one page that the kernel zeroes in a
//! forked child: the child finds itself without a trace and begins its own,
//! `FILE.PID`. No descriptor is kept, as programs may close what they do not
//! know; the file is opened again for each chunk.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::{self, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use memman_trace::{
    CHUNK_BYTES, CHUNK_HEADER_BYTES, CHUNK_MAGIC, ChunkHeader, ENDED_EARLY, HEADER_BYTES, Header, MAX_PROGRAM,
    MAX_RECORD, Record, State, encode,
};

use crate::slot::{set_slot, slot};

const PAGE: usize = 4096;

/// The longest name of a trace, its suffix included.
const MAX_PATH: usize = 4096;

/// A chunk is handed to the next thread while it has so much room.
const WORTH_KEEPING: usize = PAGE;

/// The clock is read again after so many bytes of records, a power of two.
const CLOCK_EVERY: u32 = 4096;

/// Chunks of threads that ended, at most.
const SPARE: usize = 256;

/// The states of a process; a page of zeros is a new one.
const STARTING: u32 = 1;
const RECORDING: u32 = 2;
const OFF: u32 = 3;

#[repr(C)]
struct Process {
    state: AtomicU32,
    lock: AtomicU32,
    /// Whether the file's name has the process's number behind it.
    suffixed: AtomicU32,
    threads: AtomicU32,
    chunks: AtomicU64,
    /// Which file it is: the name may have come to mean another.
    inode: AtomicU64,
    spare_len: AtomicUsize,
    spare: [AtomicPtr<Chunk>; SPARE],
}

const _: () = assert!(size_of::<Process>() <= PAGE);

/// A chunk as it is mapped: the header, then the records.
#[repr(C)]
struct Chunk {
    header: ChunkHeader,
    records: [u8; CHUNK_BYTES - CHUNK_HEADER_BYTES],
}

const _: () = assert!(size_of::<Chunk>() == CHUNK_BYTES);

static PROCESS: AtomicPtr<Process> = AtomicPtr::new(null_mut());
/// The name of the trace, as the first process was given it.
static PATH: [AtomicU8; MAX_PATH] = [const { AtomicU8::new(0) }; MAX_PATH];
/// The process that recorded in this address space before: who forked us.
static PARENT: AtomicU32 = AtomicU32::new(0);
/// The key whose destructor ends a thread's chunk, and one.
static KEY: AtomicU32 = AtomicU32::new(0);

/// The time-stamp counter.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes `time`.
    unsafe { libc::clock_gettime(id, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn warn(text: &[u8]) {
    // SAFETY: a buffer and its length.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// The time of a record that is about to be written, not before the last.
///
/// While a process has one thread, the order of its requests is their order in
/// the chunk, and the counter, which costs as much as a request, is read for
/// every eighth or so. Whoever hands a block to a second thread does so before
/// that thread's first record.
#[inline(always)]
pub fn now() -> u64 {
    let process = PROCESS.load(Ordering::Relaxed);
    let chunk = slot().cast::<Chunk>();
    if !chunk.is_null() {
        // SAFETY: this thread's own chunk; a slot is set only after PROCESS.
        unsafe {
            let header = &(*chunk).header;
            if header.used & 31 >= 5 && (*process).threads.load(Ordering::Relaxed) == 1 {
                return header.first_ticks + header.scratch.ticks;
            }
        }
    }
    ticks()
}

/// Writes a record with the time `at`, of [`ticks`] or [`now`].
#[inline]
pub fn note(record: Record, at: u64) {
    let chunk = slot().cast::<Chunk>();
    let process = PROCESS.load(Ordering::Relaxed);
    // SAFETY: once made, the page stays.
    if !chunk.is_null() && unsafe { (*process).state.load(Ordering::Relaxed) } == RECORDING {
        // SAFETY: this thread's own chunk; a slot is set only after PROCESS.
        if unsafe { append(chunk, record, at) } {
            return;
        }
    }
    note_slow(record, at);
}

/// `false` where the chunk is full.
///
/// # Safety
/// The chunk is this thread's.
#[inline]
unsafe fn append(chunk: *mut Chunk, record: Record, at: u64) -> bool {
    // SAFETY: the caller's promise; MAX_RECORD bytes are checked to be there.
    unsafe {
        let used = (*chunk).header.used;
        if used as usize + MAX_RECORD > size_of_val(&(*chunk).records) {
            return false;
        }
        let room = (&raw mut (*chunk).records).cast::<u8>().add(used as usize).cast::<[u8; MAX_RECORD]>();
        let after = at.saturating_sub((*chunk).header.first_ticks);
        let mut state = (*chunk).header.scratch;
        let len = encode(record, after, &mut state, &mut *room);
        (*chunk).header.scratch = state;
        let now = used + len as u32;
        // Behind the record: who reads while we are killed sees whole records.
        AtomicU32::from_ptr(&raw mut (*chunk).header.used).store(now, Ordering::Release);
        if (used ^ now) & !(CLOCK_EVERY - 1) != 0 {
            read_clock(chunk);
        }
        true
    }
}

/// # Safety
/// As [`append`].
#[cold]
unsafe fn read_clock(chunk: *mut Chunk) {
    // SAFETY: the caller's promise.
    unsafe {
        (*chunk).header.last_ns = clock(libc::CLOCK_MONOTONIC);
        (*chunk).header.last_ticks = ticks();
    }
}

#[cold]
#[inline(never)]
fn note_slow(record: Record, at: u64) {
    // SAFETY: errno is this thread's.
    let errno = unsafe { *libc::__errno_location() };
    if let Some(process) = recording() {
        let old = slot().cast::<Chunk>();
        let mut thread = None;
        if !old.is_null() {
            set_slot(null_mut());
            // SAFETY: this thread's own, and full.
            unsafe {
                thread = Some((*old).header.writer);
                read_clock(old);
                libc::munmap(old.cast(), CHUNK_BYTES);
            }
        }
        if let Some(chunk) = take_chunk(process, thread) {
            set_slot(chunk.cast());
            // SAFETY: just taken; there is room, so the record is written.
            unsafe { append(chunk, record, at) };
            let key = KEY.load(Ordering::Acquire);
            if key != 0 {
                // It may allocate, which then is recorded in the new chunk.
                // SAFETY: a key that was made; its value is only not to be null.
                unsafe { libc::pthread_setspecific(key - 1, chunk.cast()) };
            }
        }
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// The process, if it records; a new one begins its trace.
fn recording() -> Option<&'static Process> {
    let mut page = PROCESS.load(Ordering::Acquire);
    if page.is_null() {
        let new = process_page()?;
        match PROCESS.compare_exchange(null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => page = new,
            Err(other) => {
                // SAFETY: just mapped, and nobody else's.
                unsafe { libc::munmap(new.cast(), PAGE) };
                page = other;
            }
        }
    }
    // SAFETY: zeroed pages are a Process, and stay.
    let process = unsafe { &*page };
    if process.state.compare_exchange(0, STARTING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        // A chunk in the slot is the parent's, mapped here too.
        let inherited = slot();
        set_slot(null_mut());
        if !inherited.is_null() {
            // SAFETY: a chunk; the parent's mapping is another.
            unsafe { libc::munmap(inherited.cast(), CHUNK_BYTES) };
        }
        process.state.store(start(process), Ordering::Release);
    }
    (process.state.load(Ordering::Acquire) == RECORDING).then_some(process)
}

/// A page that is zeroed in a forked child.
fn process_page() -> Option<*mut Process> {
    // SAFETY: a new mapping.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, PAGE);
            return None;
        }
        Some(page.cast())
    }
}

/// Begins the trace of this process; the state that it is in then.
fn start(process: &Process) -> u32 {
    // SAFETY: no preconditions.
    let (pid, secure) = unsafe { (libc::getpid() as u32, libc::getauxval(libc::AT_SECURE) != 0) };
    let parent = PARENT.swap(pid, Ordering::Relaxed);
    if secure || parent == 0 && !read_path() {
        return OFF;
    }
    // The first process gets the name itself, all others their number behind it.
    let flags = libc::O_CREAT | libc::O_EXCL;
    let mut file = if parent == 0 { open(false, flags) } else { -1 };
    if file < 0 {
        process.suffixed.store(1, Ordering::Relaxed);
        file = open(true, flags);
    }
    if file < 0 {
        warn(b"memman: the trace cannot be written: nothing is recorded\n");
        return OFF;
    }
    let mut header = Header { pid, parent, began: clock(libc::CLOCK_REALTIME), ..Header::NEW };
    // SAFETY: glibc's name of the program, a string or null.
    let name = unsafe {
        let name = program_invocation_name;
        if name.is_null() { &b""[..] } else { CStr::from_ptr(name).to_bytes() }
    };
    let len = name.len().min(MAX_PROGRAM);
    header.program[..len].copy_from_slice(&name[..len]);
    header.program_len = len as u32;
    process.inode.store(inode(file), Ordering::Relaxed);
    let written = grow(file, 0, HEADER_BYTES) && write_header(file, &header);
    // SAFETY: our own descriptor.
    unsafe { libc::close(file) };
    if !written {
        warn(b"memman: the trace cannot be written: nothing is recorded\n");
        return OFF;
    }
    if KEY.load(Ordering::Relaxed) == 0 {
        let mut key = 0;
        // SAFETY: writes `key`.
        if unsafe { libc::pthread_key_create(&mut key, Some(thread_ends)) } == 0 {
            KEY.store(key + 1, Ordering::Release);
        }
    }
    RECORDING
}

unsafe extern "C" {
    static program_invocation_name: *const c_char;
}

/// Keeps the name of the trace; the environment may be overwritten.
fn read_path() -> bool {
    // SAFETY: a string, or null.
    let path = unsafe {
        let path = libc::getenv(c"MEMMAN_RECORD".as_ptr());
        if path.is_null() {
            return false;
        }
        CStr::from_ptr(path).to_bytes()
    };
    // Room for the suffix and the end.
    if path.is_empty() || path.len() + 16 > MAX_PATH {
        return false;
    }
    for (to, &byte) in PATH.iter().zip(path) {
        to.store(byte, Ordering::Relaxed);
    }
    true
}

/// Opens the trace; -1 where it cannot be.
fn open(suffixed: bool, flags: c_int) -> c_int {
    let mut path = [0u8; MAX_PATH + 16];
    let mut len = 0;
    for (to, byte) in path.iter_mut().zip(&PATH) {
        *to = byte.load(Ordering::Relaxed);
        if *to == 0 {
            break;
        }
        len += 1;
    }
    if suffixed {
        let mut pid = PARENT.load(Ordering::Relaxed);
        let mut digits = [0u8; 10];
        let mut first = digits.len();
        while pid > 0 {
            first -= 1;
            digits[first] = b'0' + (pid % 10) as u8;
            pid /= 10;
        }
        path[len] = b'.';
        path[len + 1..len + 1 + digits.len() - first].copy_from_slice(&digits[first..]);
    }
    // SAFETY: a string that ends.
    unsafe { libc::open(path.as_ptr().cast(), flags | libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOFOLLOW, 0o666) }
}

/// The number of a file; 0 where it is none.
fn inode(file: c_int) -> u64 {
    // SAFETY: zeros are a stat, and it is written.
    unsafe {
        let mut about: libc::stat = core::mem::zeroed();
        if libc::fstat(file, &mut about) == 0 { about.st_ino } else { 0 }
    }
}

/// Makes the file's bytes from `offset` exist on the disk, so that writing to
/// their mapping cannot fail.
fn grow(file: c_int, offset: usize, bytes: usize) -> bool {
    // SAFETY: calls on a descriptor; `limit` is written.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit);
        if (offset + bytes) as u64 > limit.rlim_cur {
            return false;
        }
        libc::fallocate(file, 0, offset as libc::off_t, bytes as libc::off_t) == 0
            || *libc::__errno_location() == libc::EOPNOTSUPP
                && libc::ftruncate(file, (offset + bytes) as libc::off_t) == 0
    }
}

fn write_header(file: c_int, header: &Header) -> bool {
    let bytes = size_of::<Header>();
    // SAFETY: a Header has no padding: all of it is initialised.
    unsafe { libc::pwrite(file, ptr::from_ref(header).cast::<c_void>(), bytes, 0) == bytes as isize }
}

/// A spin lock, for what happens once a chunk.
fn locked<T>(process: &Process, action: impl FnOnce() -> T) -> T {
    while process.lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
        // SAFETY: no preconditions.
        unsafe { libc::sched_yield() };
    }
    let result = action();
    process.lock.store(0, Ordering::Release);
    result
}

/// A chunk with room for this thread: one that another has left, or a new one.
fn take_chunk(process: &Process, thread: Option<u32>) -> Option<*mut Chunk> {
    let thread = thread.unwrap_or_else(|| process.threads.fetch_add(1, Ordering::Relaxed));
    let left = locked(process, || {
        let len = process.spare_len.load(Ordering::Relaxed).checked_sub(1)?;
        process.spare_len.store(len, Ordering::Relaxed);
        Some(process.spare[len].load(Ordering::Relaxed))
    });
    if let Some(chunk) = left {
        // SAFETY: nobody else's any more, and worth keeping.
        unsafe {
            (*chunk).header.writer = thread;
            append(chunk, Record::Thread { thread: thread.into() }, ticks());
        }
        return Some(chunk);
    }
    let chunk = new_chunk(process);
    match chunk {
        // SAFETY: new, zeroed, and this thread's.
        Some(chunk) => unsafe {
            let (now, ns) = (ticks(), clock(libc::CLOCK_MONOTONIC));
            (*chunk).header = ChunkHeader {
                magic: CHUNK_MAGIC,
                thread,
                used: 0,
                writer: thread,
                first_ticks: now,
                first_ns: ns,
                last_ticks: now,
                last_ns: ns,
                scratch: State::default(),
            };
        },
        None => {
            if process.state.swap(OFF, Ordering::AcqRel) == RECORDING {
                warn(b"memman: the trace cannot grow: recording ends here\n");
            }
        }
    }
    chunk
}

fn new_chunk(process: &Process) -> Option<*mut Chunk> {
    let file = open(process.suffixed.load(Ordering::Relaxed) != 0, 0);
    if file < 0 {
        return None;
    }
    let mut chunk = libc::MAP_FAILED;
    if inode(file) == process.inode.load(Ordering::Relaxed) {
        let number = process.chunks.fetch_add(1, Ordering::Relaxed) as usize;
        let offset = HEADER_BYTES + number * CHUNK_BYTES;
        // SAFETY: a new mapping of bytes that are there.
        unsafe {
            if grow(file, offset, CHUNK_BYTES) {
                let access = libc::PROT_READ | libc::PROT_WRITE;
                let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
                chunk = libc::mmap(null_mut(), CHUNK_BYTES, access, flags, file, offset as libc::off_t);
            }
            if chunk == libc::MAP_FAILED {
                let at = core::mem::offset_of!(Header, flags) as libc::off_t;
                libc::pwrite(file, ptr::from_ref(&ENDED_EARLY).cast(), size_of_val(&ENDED_EARLY), at);
            }
        }
    }
    // SAFETY: our own descriptor.
    unsafe { libc::close(file) };
    (chunk != libc::MAP_FAILED).then_some(chunk.cast())
}

/// Leaves the chunk of a thread that ends to the next.
extern "C" fn thread_ends(_: *mut c_void) {
    let chunk = slot().cast::<Chunk>();
    let Some(process) = recording().filter(|_| !chunk.is_null() && slot() == chunk.cast()) else { return };
    set_slot(null_mut());
    // SAFETY: this thread's own; after this nobody's.
    unsafe {
        read_clock(chunk);
        let room = size_of_val(&(*chunk).records) - (*chunk).header.used as usize;
        let kept = room >= WORTH_KEEPING
            && locked(process, || {
                let len = process.spare_len.load(Ordering::Relaxed);
                let Some(spare) = process.spare.get(len) else { return false };
                spare.store(chunk, Ordering::Relaxed);
                process.spare_len.store(len + 1, Ordering::Relaxed);
                true
            });
        if !kept {
            libc::munmap(chunk.cast(), CHUNK_BYTES);
        }
    }
}

/// The loader calls this when the process ends: the last reading of the clock.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_END: extern "C" fn() = {
    extern "C" fn at_end() {
        let chunk = slot().cast::<Chunk>();
        if !chunk.is_null() && recording().is_some() && slot() == chunk.cast() {
            // SAFETY: this thread's own.
            unsafe { read_clock(chunk) };
        }
    }
    at_end
};
