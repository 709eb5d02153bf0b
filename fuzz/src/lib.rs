//! What the fuzz targets share. For the managers: bytes become an area and the
//! operations of their tests, each followed by the whole-heap check. For the
//! program: its rooms, and bytes as a file. May use: `tests/support`, `cli/src`.

#[path = "../../cli/src/profile.rs"]
pub mod profile;
#[path = "../../cli/src/replay.rs"]
pub mod replay;
#[path = "../../tests/support/mod.rs"]
pub mod support;
#[path = "../../cli/src/trace.rs"]
pub mod trace;
#[path = "../../cli/src/units.rs"]
pub mod units;

use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use support::{Kind, Op, Shadow};

/// The most operations of one input, so that none takes long.
const OPERATIONS: usize = 300;

/// Runs the operations that `data` stands for on a heap of kind `K`.
pub fn run<K: Kind>(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let area = data.int_in_range(0..=20_000).unwrap_or(0);
    let skew = data.int_in_range(0..=15).unwrap_or(0);
    let Some(mut shadow) = Shadow::<K>::new(area, skew) else {
        assert!(area < K::minimum(), "{area} bytes at {skew} refused");
        return;
    };
    for _ in 0..OPERATIONS {
        if data.is_empty() {
            break;
        }
        let Ok(op) = operation(&mut data) else { break };
        shadow.apply(&op, true);
        shadow.assert_sound();
        shadow.assert_guards();
    }
    shadow.drain();
}

fn operation(data: &mut Unstructured) -> Result<Op> {
    let block = |data: &mut Unstructured| data.int_in_range(0..=255usize);
    Ok(match data.int_in_range(0..=15)? {
        0..=4 => Op::Get { size: size(data)? },
        5 => Op::GetAligned { size: size(data)?, log: data.int_in_range(0..=14)? },
        6..=9 => Op::Free { block: block(data)? },
        10..=13 => Op::Extend { block: block(data)?, size: size(data)? },
        14 => Op::BadFree { offset: data.arbitrary::<u16>()?.into() },
        _ => Op::FreeTwice { block: block(data)? },
    })
}

/// Sizes of some granules, of much of the area, and absurd ones.
fn size(data: &mut Unstructured) -> Result<usize> {
    Ok(match data.int_in_range(0..=15)? {
        0..=9 => data.arbitrary::<u8>()?.into(),
        10..=12 => data.int_in_range(0..=4_000)?,
        13 => 1 << data.int_in_range(0..=63)?,
        14 => usize::MAX - usize::from(data.arbitrary::<u8>()?),
        _ => data.arbitrary::<u16>()?.into(),
    })
}

/// Calls `action` with the name of a file of these bytes, which is nowhere on a
/// disk.
pub fn with_file(bytes: &[u8], action: impl FnOnce(&Path)) {
    // SAFETY: a name that ends; the descriptor is new, and the file's alone.
    let mut file = unsafe { std::fs::File::from_raw_fd(libc::memfd_create(c"fuzz".as_ptr(), 0)) };
    file.write_all(bytes).expect("memory");
    action(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())));
}
