//! The trace as it is written. Each thread has a *desk*: a chunk of the file,
//! mapped, where it writes its records, so that they are in the file whatever
//! becomes of the process. When the chunk is full it is copied to another place
//! in the file and begun anew: that is cheaper than to map the other place.
//! Nothing here allocates. May use: `slot`.
//!
//! ```text
//!   desk   [ pen, a page of the process alone ][ chunk, a shared mapping ]
//! ```
//!
//! What belongs to the process, and every pen, stands in pages that the kernel
//! zeroes in a forked child: the child finds itself without a trace and begins
//! its own, `FILE.PID`. No descriptor is kept, as programs may close what they
//! do not know; the file is opened again for each chunk.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::{self, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use memman_trace::{
    CHUNK_BYTES, CHUNK_HEADER_BYTES, CHUNK_MAGIC, ChunkHeader, ENDED_EARLY, HEADER_BYTES, Header, MAX_PROGRAM,
    MAX_RECORD, Record, State, encode,
};

use crate::slot::{set_slot, slot};

const PAGE: usize = 4096;

/// The longest name of a trace, its suffix included.
const MAX_PATH: usize = 4096;

/// The longest suffix: a process's number and another, a dot before each.
const SUFFIX_BYTES: usize = 2 * (1 + MAX_DIGITS);
const MAX_DIGITS: usize = 10;

/// The most programs that a process executes one after the other, and are recorded.
const MAX_SUFFIX: u32 = 1000;

/// While a process has one thread, the counter is read after so many bytes of
/// records, a power of two.
const TICKS_EVERY: usize = 32;

/// The clock is read after so many bytes of records, a power of two.
const CLOCK_EVERY: usize = 4096;

/// Desks of threads that ended, at most.
const SPARE: usize = 256;

/// The states of a process; a page of zeros is a new one.
const STARTING: u32 = 1;
const RECORDING: u32 = 2;
const OFF: u32 = 3;

#[repr(C)]
struct Process {
    state: AtomicU32,
    lock: AtomicU32,
    /// What the file's name has behind it: nothing, the process's number, or
    /// from 2 on this number, too.
    suffix: AtomicU32,
    threads: AtomicU32,
    chunks: AtomicU64,
    /// Which file it is: the name may have come to mean another.
    inode: AtomicU64,
    spare_len: AtomicUsize,
    spare: [AtomicPtr<Desk>; SPARE],
}

const _: () = assert!(size_of::<Process>() <= PAGE);

/// A chunk as it is mapped: the header, then the records.
#[repr(C)]
struct Chunk {
    header: ChunkHeader,
    records: [u8; CHUNK_BYTES - CHUNK_HEADER_BYTES],
}

const _: () = assert!(size_of::<Chunk>() == CHUNK_BYTES);

/// What a thread remembers from record to record; zeros in a forked child, for
/// which no record has room.
#[repr(C, align(4096))]
struct Pen {
    /// Where the next record goes.
    at: *mut u8,
    /// Records begin before this.
    end: *mut u8,
    /// The counter when it was last read.
    now: u64,
    state: State,
}

#[repr(C)]
struct Desk {
    pen: Pen,
    chunk: Chunk,
}

const _: () = assert!(core::mem::offset_of!(Desk, chunk) == PAGE && size_of::<Desk>() == PAGE + CHUNK_BYTES);

static PROCESS: AtomicPtr<Process> = AtomicPtr::new(null_mut());
/// The name of the trace, as the first process was given it.
static PATH: [AtomicU8; MAX_PATH] = [const { AtomicU8::new(0) }; MAX_PATH];
/// The process that recorded in this address space before: who forked us.
static PARENT: AtomicU32 = AtomicU32::new(0);
/// The key whose destructor leaves a thread's desk, and one.
static KEY: AtomicU32 = AtomicU32::new(0);
/// Whether the process ever had a second thread that made a request.
static THREADED: AtomicBool = AtomicBool::new(false);

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

/// The time of a record that is about to be written; 0 says that the desk
/// knows it.
///
/// While a process has one thread, the order of its requests is their order in
/// the chunk, and the counter, which costs as much as a request, is read for
/// every tenth or so. Whoever hands a block to a second thread does so before
/// that thread's first record.
#[inline(always)]
pub fn now() -> u64 {
    if THREADED.load(Ordering::Relaxed) { ticks() } else { 0 }
}

/// Writes a record with the time `at`, of [`ticks`] or [`now`].
#[inline(always)]
pub fn note(record: Record, at: u64) {
    let desk = slot().cast::<Desk>();
    // SAFETY: this thread's own desk.
    if desk.is_null() || !unsafe { append(desk, record, at) } {
        note_slow(record, at);
    }
}

/// `false` where the chunk is full, or that of the process that forked this one.
///
/// # Safety
/// The desk is this thread's.
#[inline(always)]
unsafe fn append(desk: *mut Desk, record: Record, at: u64) -> bool {
    // SAFETY: the caller's promise; before `end` there are MAX_RECORD bytes.
    unsafe {
        let pen = &mut (*desk).pen;
        let room = pen.at;
        if room >= pen.end {
            return false;
        }
        let len = encode(record, at.max(pen.now), &mut pen.state, &mut *room.cast::<[u8; MAX_RECORD]>());
        pen.at = room.byte_add(len);
        let used = pen.at.addr() - (&raw const (*desk).chunk.records).addr();
        // Behind the record: who reads while we are killed sees whole records.
        AtomicU32::from_ptr(&raw mut (*desk).chunk.header.used).store(used as u32, Ordering::Release);
        if crossed(room, pen.at, TICKS_EVERY) {
            pen.now = ticks();
            if crossed(room, pen.at, CLOCK_EVERY) {
                read_clock(desk);
            }
        }
        true
    }
}

/// Whether a multiple of `every`, a power of two, lies between two addresses.
#[inline(always)]
fn crossed(from: *mut u8, to: *mut u8, every: usize) -> bool {
    (from.addr() ^ to.addr()) >= every
}

/// # Safety
/// As [`append`].
#[cold]
unsafe fn read_clock(desk: *mut Desk) {
    // SAFETY: the caller's promise.
    unsafe {
        (*desk).chunk.header.last_ns = clock(libc::CLOCK_MONOTONIC);
        (*desk).chunk.header.last_ticks = ticks();
    }
}

#[cold]
#[inline(never)]
fn note_slow(record: Record, at: u64) {
    // SAFETY: errno is this thread's.
    let errno = unsafe { *libc::__errno_location() };
    let at = if at == 0 { ticks() } else { at };
    let process = recording();
    let full = slot().cast::<Desk>();
    if full.is_null() {
        if let Some(desk) = process.and_then(take_desk) {
            set_slot(desk.cast());
            // SAFETY: just taken; there is room, so the record is written.
            unsafe { append(desk, record, at) };
            let key = KEY.load(Ordering::Acquire);
            if key != 0 {
                // It may allocate, which then is recorded at the new desk.
                // SAFETY: a key that was made; its value is only not to be null.
                unsafe { libc::pthread_setspecific(key - 1, desk.cast()) };
            }
        }
    } else {
        // SAFETY: this thread's own; where it cannot go on, nobody's.
        unsafe {
            if process.is_some_and(|process| clear(process, full, (*full).chunk.header.writer)) {
                append(full, record, at);
            } else {
                set_slot(null_mut());
                libc::munmap(full.cast(), size_of::<Desk>());
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
        let new = wiped_page(PAGE)?.cast();
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
        // A desk in the slot is the parent's, mapped here too.
        let inherited = slot();
        set_slot(null_mut());
        if !inherited.is_null() {
            // SAFETY: a desk; the parent's mapping is another.
            unsafe { libc::munmap(inherited.cast(), size_of::<Desk>()) };
        }
        THREADED.store(false, Ordering::Relaxed);
        process.state.store(start(process), Ordering::Release);
    }
    (process.state.load(Ordering::Acquire) == RECORDING).then_some(process)
}

/// New memory of `bytes` bytes, the first page of which is zeroed in a forked
/// child.
fn wiped_page(bytes: usize) -> Option<*mut c_void> {
    // SAFETY: a new mapping.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, bytes);
            return None;
        }
        Some(page)
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
    // The first process gets the name itself, all others their number behind it;
    // one that executes programs is many.
    let flags = libc::O_CREAT | libc::O_EXCL;
    let mut file = -1;
    for suffix in u32::from(parent != 0)..=MAX_SUFFIX {
        process.suffix.store(suffix, Ordering::Relaxed);
        file = open(suffix, flags);
        // SAFETY: errno is this thread's.
        if file >= 0 || unsafe { *libc::__errno_location() } != libc::EEXIST {
            break;
        }
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
    if path.is_empty() || path.len() + SUFFIX_BYTES + 1 > MAX_PATH {
        return false;
    }
    for (to, &byte) in PATH.iter().zip(path) {
        to.store(byte, Ordering::Relaxed);
    }
    true
}

/// Writes a dot and a number at the start of `text`; how many bytes it took.
fn put_number(text: &mut [u8], mut number: u32) -> usize {
    let mut digits = [0u8; MAX_DIGITS];
    let mut first = digits.len();
    while number > 0 {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let digits = &digits[first..];
    text[0] = b'.';
    text[1..=digits.len()].copy_from_slice(digits);
    1 + digits.len()
}

/// Opens the trace; -1 where it cannot be.
fn open(suffix: u32, flags: c_int) -> c_int {
    let mut path = [0u8; MAX_PATH];
    let mut len = 0;
    for (to, byte) in path.iter_mut().zip(&PATH) {
        *to = byte.load(Ordering::Relaxed);
        if *to == 0 {
            break;
        }
        len += 1;
    }
    if suffix > 0 {
        len += put_number(&mut path[len..], PARENT.load(Ordering::Relaxed));
    }
    if suffix > 1 {
        put_number(&mut path[len..], suffix);
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

/// Whether the process may have so large a file: a signal would end it.
fn may_reach(offset: usize) -> bool {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: writes `limit`.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) };
    offset as u64 <= limit.rlim_cur
}

/// Makes the file's bytes from `offset` exist on the disk, so that writing to
/// their mapping cannot fail.
fn grow(file: c_int, offset: usize, bytes: usize) -> bool {
    if !may_reach(offset + bytes) {
        return false;
    }
    // SAFETY: calls on a descriptor.
    unsafe {
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

/// A spin lock, for what happens once a thread.
fn locked<T>(process: &Process, action: impl FnOnce() -> T) -> T {
    while process.lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
        // SAFETY: no preconditions.
        unsafe { libc::sched_yield() };
    }
    let result = action();
    process.lock.store(0, Ordering::Release);
    result
}

/// A desk for this thread: one that another has left, or a new one.
fn take_desk(process: &Process) -> Option<*mut Desk> {
    let thread = process.threads.fetch_add(1, Ordering::Relaxed);
    if thread > 0 {
        THREADED.store(true, Ordering::Relaxed);
    }
    let left = locked(process, || {
        let len = process.spare_len.load(Ordering::Relaxed).checked_sub(1)?;
        process.spare_len.store(len, Ordering::Relaxed);
        Some(process.spare[len].load(Ordering::Relaxed))
    });
    // SAFETY: nobody else's, or no more.
    unsafe {
        if let Some(desk) = left {
            if append(desk, Record::Thread { thread: thread.into() }, ticks()) {
                (*desk).chunk.header.writer = thread;
            } else if !clear(process, desk, thread) {
                libc::munmap(desk.cast(), size_of::<Desk>());
                return None;
            }
            return left;
        }
        let desk = new_desk(process)?;
        begin(desk, thread);
        Some(desk)
    }
}

/// Begins a chunk: from here on it has no records.
///
/// # Safety
/// The desk is this thread's.
unsafe fn begin(desk: *mut Desk, thread: u32) {
    let (now, ns) = (ticks(), clock(libc::CLOCK_MONOTONIC));
    // SAFETY: the caller's promise.
    unsafe {
        let (pen, chunk) = (&mut (*desk).pen, &mut (*desk).chunk);
        // First, for who reads while we are killed.
        AtomicU32::from_ptr(&raw mut chunk.header.used).store(0, Ordering::Release);
        chunk.header = ChunkHeader {
            magic: CHUNK_MAGIC,
            thread,
            used: 0,
            writer: thread,
            first_ticks: now,
            first_ns: ns,
            last_ticks: now,
            last_ns: ns,
            reserved: [0; 2],
        };
        pen.at = (&raw mut chunk.records).cast();
        pen.end = pen.at.byte_add(size_of_val(&chunk.records) - MAX_RECORD);
        pen.now = now;
        pen.state = State { ticks: now, address: 0 };
    }
}

/// Opens the trace and does `action` with it, and the offset of a new chunk;
/// where one of the two cannot be, recording ends.
fn with_new_chunk<T>(process: &Process, action: impl FnOnce(c_int, usize) -> Option<T>) -> Option<T> {
    let mut result = None;
    let file = open(process.suffix.load(Ordering::Relaxed), 0);
    if file >= 0 {
        if inode(file) == process.inode.load(Ordering::Relaxed) {
            let number = process.chunks.fetch_add(1, Ordering::Relaxed) as usize;
            result = action(file, HEADER_BYTES + number * CHUNK_BYTES);
            if result.is_none() {
                let at = core::mem::offset_of!(Header, flags) as libc::off_t;
                // SAFETY: a number's bytes.
                unsafe { libc::pwrite(file, ptr::from_ref(&ENDED_EARLY).cast(), size_of_val(&ENDED_EARLY), at) };
            }
        }
        // SAFETY: our own descriptor.
        unsafe { libc::close(file) };
    }
    if result.is_none() && process.state.swap(OFF, Ordering::AcqRel) == RECORDING {
        warn(b"memman: the trace cannot grow: recording ends here\n");
    }
    result
}

fn new_desk(process: &Process) -> Option<*mut Desk> {
    let desk = wiped_page(size_of::<Desk>())?.cast::<Desk>();
    let mapped = with_new_chunk(process, |file, offset| {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE | libc::MAP_FIXED;
        // SAFETY: over our own addresses; the file has the bytes.
        let chunk = unsafe { (&raw mut (*desk).chunk).cast() };
        let mapped = grow(file, offset, CHUNK_BYTES)
            // SAFETY: as above.
            && unsafe { libc::mmap(chunk, CHUNK_BYTES, access, flags, file, offset as libc::off_t) } == chunk;
        mapped.then_some(desk)
    });
    if mapped.is_none() {
        // SAFETY: our own, and unused.
        unsafe { libc::munmap(desk.cast(), size_of::<Desk>()) };
    }
    mapped
}

/// Copies a full chunk to a new place in the file, and begins it anew for
/// `thread`; false where that cannot be. Who is killed between the two leaves both, with the
/// same first time, and readers take one.
///
/// # Safety
/// The desk is this thread's.
unsafe fn clear(process: &Process, desk: *mut Desk, thread: u32) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        read_clock(desk);
        let chunk = &raw const (*desk).chunk;
        let copied = with_new_chunk(process, |file, offset| {
            let written = may_reach(offset + CHUNK_BYTES)
                && libc::pwrite(file, chunk.cast(), CHUNK_BYTES, offset as libc::off_t) == CHUNK_BYTES as isize;
            written.then_some(())
        });
        if copied.is_some() {
            begin(desk, thread);
        }
        copied.is_some()
    }
}

/// Leaves the desk of a thread that ends to the next.
extern "C" fn thread_ends(_: *mut c_void) {
    let desk = slot().cast::<Desk>();
    let Some(process) = recording().filter(|_| !desk.is_null() && slot() == desk.cast()) else { return };
    set_slot(null_mut());
    // SAFETY: this thread's own; after this nobody's.
    unsafe {
        read_clock(desk);
        let kept = locked(process, || {
            let len = process.spare_len.load(Ordering::Relaxed);
            let Some(spare) = process.spare.get(len) else { return false };
            spare.store(desk, Ordering::Relaxed);
            process.spare_len.store(len + 1, Ordering::Relaxed);
            true
        });
        if !kept {
            libc::munmap(desk.cast(), size_of::<Desk>());
        }
    }
}

/// The loader calls this when the process ends: the last reading of the clock.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_END: extern "C" fn() = {
    extern "C" fn at_end() {
        let desk = slot().cast::<Desk>();
        if !desk.is_null() && recording().is_some() && slot() == desk.cast() {
            // SAFETY: this thread's own.
            unsafe { read_clock(desk) };
        }
    }
    at_end
};
