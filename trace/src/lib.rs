//! The trace format: what the recorder writes and the tools read. docs/trace.md
//! describes it for others. `no_std`, no allocation. May use: nothing.
//!
//! ```text
//!   file   [ header, 4096 bytes ][ chunk ][ chunk ] ...       64 KiB each
//!   chunk  [ chunk header, 64 bytes ][ records ... used ][ unused ]
//! ```
//!
//! All numbers are little-endian. A chunk is written by one thread at a time; its
//! records are in the order of their times.
#![no_std]
#![warn(missing_docs)]

/// The first bytes of a trace.
pub const MAGIC: [u8; 8] = *b"memmanT\n";
/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 4096;
/// Bytes of a chunk.
pub const CHUNK_BYTES: usize = 64 << 10;
/// Bytes before the records of a chunk.
pub const CHUNK_HEADER_BYTES: usize = 64;
/// The first bytes of a chunk that is in use.
pub const CHUNK_MAGIC: u32 = u32::from_le_bytes(*b"chnk");
/// No record is longer.
pub const MAX_RECORD: usize = 1 + 5 * MAX_VARINT;
/// The most bytes of the program's name in the header.
pub const MAX_PROGRAM: usize = 1024;

const MAX_VARINT: usize = 10;

/// The header of a file, at its start; the rest of its 4096 bytes is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// The process.
    pub pid: u32,
    /// The process that forked it, while that was recorded; else 0.
    pub parent: u32,
    /// Bits: 1 the recording ended early, as the file could not grow.
    pub flags: u32,
    /// The time of day when the recording began, in ns since 1970.
    pub began: u64,
    /// The length of the program's name.
    pub program_len: u32,
    /// 0.
    pub reserved: u32,
    /// The name that the program was started with.
    pub program: [u8; MAX_PROGRAM],
}

/// [`Header::flags`]: the recording ended before the program did.
pub const ENDED_EARLY: u32 = 1;

/// The header of a chunk. Two readings of the time-stamp counter and the clock
/// tell how long a tick is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ChunkHeader {
    /// [`CHUNK_MAGIC`].
    pub magic: u32,
    /// The thread that writes first, counted from 0 in the order of their first requests.
    pub thread: u32,
    /// Bytes of records behind the header. Written after the record.
    pub used: u32,
    /// The thread that writes last.
    pub writer: u32,
    /// The counter when the chunk was begun; times of records count from here.
    pub first_ticks: u64,
    /// The monotonic clock then, in ns.
    pub first_ns: u64,
    /// The counter at some later time.
    pub last_ticks: u64,
    /// The monotonic clock then, in ns.
    pub last_ns: u64,
    /// 0.
    pub reserved: [u64; 2],
}

const _: () = assert!(size_of::<Header>() <= HEADER_BYTES && size_of::<ChunkHeader>() == CHUNK_HEADER_BYTES);

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// malloc, or calloc where `zeroed`; address 0 where it was refused.
    Get {
        /// Bytes requested.
        size: u64,
        /// What was returned.
        address: u64,
        /// Whether it was calloc.
        zeroed: bool,
    },
    /// aligned_alloc and its like.
    Aligned {
        /// Bytes requested.
        size: u64,
        /// What was returned.
        address: u64,
        /// log2 of the alignment.
        align: u8,
    },
    /// free; the time is before it was carried out.
    Free {
        /// What was freed, never 0.
        address: u64,
    },
    /// realloc of a block to a size above 0; the others are a get or a free.
    Resize {
        /// Ticks that it took: the record's time is when it began.
        took: u64,
        /// The block as it was.
        old: u64,
        /// Bytes requested.
        size: u64,
        /// The block as it is; 0 where it was refused, and `old` still stands.
        address: u64,
    },
    /// From here on another thread writes the chunk.
    Thread {
        /// Its number.
        thread: u64,
    },
}

/// What a record is, in the low 3 bits of its first byte. The others are the
/// ticks since the last record, or `LONG` where a number with the rest follows.
const GET: u8 = 1;
const GET_ZEROED: u8 = 2;
const ALIGNED: u8 = 3;
const FREE: u8 = 4;
const RESIZE: u8 = 5;
const THREAD: u8 = 6;
const LONG: u64 = 31;

/// What writer and reader of a chunk remember from record to record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Ticks of the last record.
    pub ticks: u64,
    /// The last address that was not 0.
    pub address: u64,
}

struct Writer<'a> {
    bytes: &'a mut [u8; MAX_RECORD],
    len: usize,
}

impl Writer<'_> {
    fn byte(&mut self, byte: u8) {
        if let Some(at) = self.bytes.get_mut(self.len) {
            *at = byte;
        }
        self.len += 1;
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// 0 for no address, else its code.
    fn address(&mut self, state: &mut State, address: u64) {
        if address == 0 {
            return self.byte(0);
        }
        self.varint(coded_address(state.address, address));
        state.address = address;
    }
}

/// 1 and the distance from the last address, zigzag. A distance of -2^63 would
/// not fit: addresses are below that.
#[inline(always)]
fn coded_address(last: u64, address: u64) -> u64 {
    let distance = address.wrapping_sub(last) as i64;
    // Blocks lie on multiples of 16 nearly always: then 4 bits are saved.
    let scaled = if distance & 15 == 0 { (distance >> 4 << 1) | 1 } else { distance << 1 };
    (((scaled << 1) ^ (scaled >> 63)) as u64).wrapping_add(1)
}

/// The largest address that can be written.
pub const MAX_ADDRESS: u64 = 1 << 60;

/// A record of at most 8 bytes, in a register.
struct Word {
    bytes: u64,
    bits: u32,
}

impl Word {
    /// A number below 2^21.
    #[inline(always)]
    fn varint(&mut self, value: u64) {
        let (code, bits) = match value {
            0..0x80 => (value, 8),
            0x80..0x4000 => (value & 0x7f | 0x80 | (value >> 7) << 8, 16),
            _ => (value & 0x7f | 0x80 | (value >> 7 & 0x7f | 0x80) << 8 | (value >> 14) << 16, 24),
        };
        self.bytes |= code << self.bits;
        self.bits += bits;
    }
}

/// Writes `record` at `ticks`, not before the last, and says how long it is.
/// Addresses are below [`MAX_ADDRESS`].
///
/// What is behind the record in `bytes` may be overwritten.
#[inline(always)]
pub fn encode(record: Record, ticks: u64, state: &mut State, bytes: &mut [u8; MAX_RECORD]) -> usize {
    let after = ticks.saturating_sub(state.ticks);
    let (tag, size, address) = match record {
        Record::Get { size, address, zeroed: false } => (GET, size, address),
        Record::Get { size, address, zeroed: true } => (GET_ZEROED, size, address),
        Record::Free { address } => (FREE, 0, address),
        _ => return encode_any(record, after, state, bytes),
    };
    // Nearly every record: a byte, two, two and three fill a word.
    let coded = coded_address(state.address, address);
    if address == 0 || after >= LONG + 0x4000 || size >= 0x4000 || coded >= 1 << 21 {
        return encode_any(record, after, state, bytes);
    }
    state.ticks += after;
    state.address = address;
    let mut word = Word { bytes: u64::from(tag) | after.min(LONG) << 3, bits: 8 };
    if after >= LONG {
        word.varint(after - LONG);
    }
    if tag != FREE {
        word.varint(size);
    }
    word.varint(coded);
    bytes[..8].copy_from_slice(&word.bytes.to_le_bytes());
    (word.bits / 8) as usize
}

/// As [`encode`], for every record.
#[cold]
#[inline(never)]
fn encode_any(record: Record, after: u64, state: &mut State, bytes: &mut [u8; MAX_RECORD]) -> usize {
    let mut out = Writer { bytes, len: 0 };
    state.ticks += after;
    let mut start = |tag| {
        out.byte(tag | (after.min(LONG) as u8) << 3);
        if after >= LONG {
            out.varint(after - LONG);
        }
    };
    match record {
        Record::Get { size, address, zeroed } => {
            start(if zeroed { GET_ZEROED } else { GET });
            out.varint(size);
            out.address(state, address);
        }
        Record::Aligned { size, address, align } => {
            start(ALIGNED);
            out.byte(align);
            out.varint(size);
            out.address(state, address);
        }
        Record::Free { address } => {
            start(FREE);
            out.address(state, address);
        }
        Record::Resize { took, old, size, address } => {
            start(RESIZE);
            out.varint(took);
            out.address(state, old);
            out.varint(size);
            out.address(state, address);
        }
        Record::Thread { thread } => {
            start(THREAD);
            out.varint(thread);
        }
    }
    out.len
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn address(&mut self, state: &mut State) -> Option<u64> {
        let coded = self.varint()?;
        let Some(zigzag) = coded.checked_sub(1) else { return Some(0) };
        let scaled = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        let distance = if scaled & 1 == 1 { (scaled >> 1).wrapping_shl(4) } else { scaled >> 1 };
        let address = state.address.wrapping_add(distance as u64);
        if address == 0 || address >= MAX_ADDRESS {
            return None;
        }
        state.address = address;
        Some(address)
    }
}

/// Reads the record at the start of `bytes`, and how long it is; `state.ticks`
/// is its time then. `None` where there is none.
pub fn decode(bytes: &[u8], state: &mut State) -> Option<(Record, usize)> {
    let mut from = Reader { bytes, at: 0 };
    let first = from.byte()?;
    let (tag, short) = (first & 7, u64::from(first >> 3));
    let more = if short == LONG { from.varint()? } else { 0 };
    state.ticks = state.ticks.checked_add(more.checked_add(short)?)?;
    let record = match tag {
        GET | GET_ZEROED => {
            let size = from.varint()?;
            Record::Get { size, address: from.address(state)?, zeroed: tag == GET_ZEROED }
        }
        ALIGNED => {
            let align = from.byte().filter(|&align| align < 64)?;
            let size = from.varint()?;
            Record::Aligned { size, address: from.address(state)?, align }
        }
        FREE => Record::Free { address: from.address(state).filter(|&address| address != 0)? },
        RESIZE => {
            let took = from.varint()?;
            state.ticks.checked_add(took)?;
            let old = from.address(state).filter(|&address| address != 0)?;
            let size = from.varint()?;
            Record::Resize { took, old, size, address: from.address(state)? }
        }
        THREAD => Record::Thread { thread: from.varint()? },
        _ => return None,
    };
    Some((record, from.at))
}

/// The plain numbers of a header, for readers that trust nobody.
macro_rules! number {
    ($bytes:expr, $type:ty, $header:ty, $field:ident) => {{
        let at = core::mem::offset_of!($header, $field);
        let bytes = $bytes.get(at..at + size_of::<$type>())?;
        <$type>::from_le_bytes(bytes.try_into().ok()?)
    }};
}

impl Header {
    /// A header with nothing but magic and version.
    pub const NEW: Header = Header {
        magic: MAGIC,
        version: VERSION,
        pid: 0,
        parent: 0,
        flags: 0,
        began: 0,
        program_len: 0,
        reserved: 0,
        program: [0; MAX_PROGRAM],
    };

    /// Reads a header; `None` where `bytes` are too few. Nothing is judged.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let name = core::mem::offset_of!(Header, program);
        Some(Header {
            magic: bytes.get(..8)?.try_into().ok()?,
            version: number!(bytes, u32, Header, version),
            pid: number!(bytes, u32, Header, pid),
            parent: number!(bytes, u32, Header, parent),
            flags: number!(bytes, u32, Header, flags),
            began: number!(bytes, u64, Header, began),
            program_len: number!(bytes, u32, Header, program_len),
            reserved: number!(bytes, u32, Header, reserved),
            program: bytes.get(name..name + MAX_PROGRAM)?.try_into().ok()?,
        })
    }
}

impl ChunkHeader {
    /// Reads a chunk's header; `None` where `bytes` are too few, or where no
    /// chunk was begun there.
    pub fn read(bytes: &[u8]) -> Option<ChunkHeader> {
        let bytes = bytes.get(..CHUNK_HEADER_BYTES)?;
        let header = ChunkHeader {
            magic: number!(bytes, u32, ChunkHeader, magic),
            thread: number!(bytes, u32, ChunkHeader, thread),
            used: number!(bytes, u32, ChunkHeader, used),
            writer: number!(bytes, u32, ChunkHeader, writer),
            first_ticks: number!(bytes, u64, ChunkHeader, first_ticks),
            first_ns: number!(bytes, u64, ChunkHeader, first_ns),
            last_ticks: number!(bytes, u64, ChunkHeader, last_ticks),
            last_ns: number!(bytes, u64, ChunkHeader, last_ns),
            reserved: [0; 2],
        };
        (header.magic == CHUNK_MAGIC).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn record() -> impl Strategy<Value = Record> {
        let address = || prop_oneof![1u64..MAX_ADDRESS, (1u64..1 << 43).prop_map(|at| at * 16)];
        let result = prop_oneof![Just(0u64), 1u64..MAX_ADDRESS, (1u64..1 << 43).prop_map(|at| at * 16)];
        prop_oneof![
            (any::<u64>(), result.clone(), any::<bool>()).prop_map(|(size, address, zeroed)| Record::Get {
                size,
                address,
                zeroed
            }),
            (any::<u64>(), result.clone(), 0u8..64).prop_map(|(size, address, align)| Record::Aligned {
                size,
                address,
                align
            }),
            address().prop_map(|address| Record::Free { address }),
            (0u64..1 << 40, address(), any::<u64>(), result).prop_map(|(took, old, size, address)| Record::Resize {
                took,
                old,
                size,
                address
            }),
            any::<u64>().prop_map(|thread| Record::Thread { thread }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in prop::collection::vec((record(), 0u64..1 << 40), 1..50)) {
            let mut file = Vec::new();
            let (mut writer, mut ticks) = (State::default(), 0);
            for &(record, after) in &records {
                ticks += after;
                let mut bytes = [0; MAX_RECORD];
                let len = encode(record, ticks, &mut writer, &mut bytes);
                file.extend_from_slice(&bytes[..len]);
            }
            let (mut reader, mut at, mut ticks) = (State::default(), 0, 0);
            for &(record, after) in &records {
                ticks += after;
                let (read, len) = decode(&file[at..], &mut reader).expect("a record");
                prop_assert_eq!((read, reader.ticks), (record, ticks));
                at += len;
            }
            prop_assert_eq!(at, file.len());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut state, mut at) = (State::default(), 0);
            while let Some((_, len)) = decode(&bytes[at..], &mut state) {
                prop_assert!(len > 0 && at + len <= bytes.len());
                at += len;
            }
            let _ = (Header::read(&bytes), ChunkHeader::read(&bytes));
        }
    }
}
