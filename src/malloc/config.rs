//! What can be configured: the environment variable `MEMMAN_CONF`, or the
//! string `memman_conf` that a program defines, both of the form
//! `key:value,key:value`. May use: `classes`,
//! `message`, `platform`.

use core::ffi::{CStr, c_char};

use super::classes::MAX_SMALL;
use super::message::warn;
use crate::platform;

/// Every knob and its default.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    /// `heap:ffit|buddy|ebuddy`: the manager behind malloc.
    pub heap: HeapKind,
    /// `pool:SIZE`: the whole heap lives in this many bytes, taken at start;
    /// nothing is ever asked of the OS again. 0: none, the heap grows.
    pub pool: usize,
    /// `cache:on|off`: whether small blocks come from slabs and thread caches.
    /// Default on, with a pool off, for then the bound of the manager holds.
    pub cache: bool,
    /// `heaps:N`: how many heaps the threads are spread over, 1 to 64.
    /// Default one per core, with a pool 1.
    pub heaps: usize,
    /// `retain:SIZE`: how much memory of free blocks a region keeps from the OS
    /// at most, or as much as is used where that is more; and so for mappings that
    /// were freed. What stays free begins to go back within half a second, as long as
    /// malloc is called at all. Default 128 MiB.
    pub retain: usize,
    /// `huge:SIZE`: blocks from this size on are mappings of their own, so that
    /// they grow by moving pages, and what was freed goes together; not with a pool
    /// or `cache:off`. Default 4 MiB, less where addresses are few.
    pub huge: usize,
    /// `thp:on|off|default`: ask for huge pages everywhere, nowhere, or, by
    /// default, in new huge blocks of 4 MiB and more once there are 20 MiB of them,
    /// and where a heap grows by what will be used, with 16 MiB in use there, or 32
    /// in huge blocks, too; while the kernel has them at hand.
    pub huge_pages: Option<bool>,
    /// `stats:exit`: a table on standard error when the process ends.
    pub stats_at_exit: bool,
}

/// Which manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeapKind {
    Ffit,
    Buddy,
    Ebuddy,
}

impl HeapKind {
    pub fn name(self) -> &'static str {
        match self {
            HeapKind::Ffit => "ffit",
            HeapKind::Buddy => "buddy",
            HeapKind::Ebuddy => "ebuddy",
        }
    }
}

/// The most heaps there can be.
pub(super) const MAX_HEAPS: usize = 64;

/// The least pool: what the bookkeeping of one region takes, and some blocks.
const MIN_POOL: usize = 16 << 10;

impl Config {
    /// The defaults, before anything was read.
    pub const DEFAULT: Config = Config {
        heap: HeapKind::Ebuddy,
        pool: 0,
        cache: true,
        heaps: 1,
        retain: 128 << 20,
        huge: 4 << 20,
        huge_pages: None,
        stats_at_exit: false,
    };

    /// What the program and then the environment say. What cannot be
    /// understood is one line on standard error and stays at its default.
    pub fn read() -> Config {
        let mut config = Config::DEFAULT;
        config.huge = config.huge.min(platform::address_limit() / 64).max(MAX_SMALL + 1);
        let (mut cache, mut heaps) = (None, None);
        for text in [program_string(), platform::variable(b"MEMMAN_CONF")].into_iter().flatten() {
            for item in text.split(|&byte| byte == b',').filter(|item| !item.is_empty()) {
                let (key, value) = match item.iter().position(|&byte| byte == b':') {
                    Some(colon) => (&item[..colon], &item[colon + 1..]),
                    None => (item, &b""[..]),
                };
                let known = match key {
                    b"heap" => heap_kind(value).map(|heap| config.heap = heap),
                    b"pool" => size(value).filter(|&pool| pool >= MIN_POOL).map(|pool| config.pool = pool),
                    b"cache" => switch(value).map(|on| cache = Some(on)),
                    b"heaps" => size(value).filter(|n| (1..=MAX_HEAPS).contains(n)).map(|n| heaps = Some(n)),
                    b"retain" => size(value).map(|bytes| config.retain = bytes),
                    b"huge" => size(value).filter(|&size| size > MAX_SMALL).map(|size| config.huge = size),
                    b"thp" => match value {
                        b"default" => Some(None),
                        _ => switch(value).map(Some),
                    }
                    .map(|huge_pages| config.huge_pages = huge_pages),
                    b"stats" => match value {
                        b"exit" => Some(true),
                        b"off" => Some(false),
                        _ => None,
                    }
                    .map(|at_exit| config.stats_at_exit = at_exit),
                    _ => {
                        warn(&[b"unknown key in MEMMAN_CONF: ", item]);
                        Some(())
                    }
                };
                if known.is_none() {
                    warn(&[b"bad value in MEMMAN_CONF: ", item]);
                }
            }
        }
        config.cache = cache.unwrap_or(config.pool == 0);
        let default = if config.pool == 0 { platform::cores().min(MAX_HEAPS) } else { 1 };
        config.heaps = heaps.unwrap_or(default);
        config
    }
}

fn heap_kind(value: &[u8]) -> Option<HeapKind> {
    [HeapKind::Ffit, HeapKind::Buddy, HeapKind::Ebuddy].into_iter().find(|kind| kind.name().as_bytes() == value)
}

fn switch(value: &[u8]) -> Option<bool> {
    match value {
        b"on" => Some(true),
        b"off" => Some(false),
        _ => None,
    }
}

/// A number, with K, M, G or T behind it for powers of 1024.
fn size(value: &[u8]) -> Option<usize> {
    let (digits, shift) = match value.split_last()? {
        (b'K' | b'k', rest) => (rest, 10),
        (b'M' | b'm', rest) => (rest, 20),
        (b'G' | b'g', rest) => (rest, 30),
        (b'T' | b't', rest) => (rest, 40),
        _ => (value, 0),
    };
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0usize, |number, &byte| {
        let digit = char::from(byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit as usize)
    })?;
    number.checked_mul(1 << shift).filter(|&bytes| bytes <= isize::MAX as usize)
}

core::arch::global_asm!(
    ".weak memman_conf",
    ".hidden memman_program_conf",
    ".globl memman_program_conf",
    "memman_program_conf:",
    "mov rax, [rip + memman_conf@GOTPCREL]",
    "ret",
);

unsafe extern "C" {
    fn memman_program_conf() -> *const *const c_char;
}

/// The string that the program may define: `const char *memman_conf`.
fn program_string() -> Option<&'static [u8]> {
    // SAFETY: the symbol is absent, or a pointer to a string that stays.
    unsafe {
        let symbol = memman_program_conf();
        let text = if symbol.is_null() { return None } else { *symbol };
        (!text.is_null()).then(|| CStr::from_ptr(text).to_bytes())
    }
}
