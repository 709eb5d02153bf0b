//! What the fuzz targets of the managers share: bytes become an area and the
//! operations of the managers' tests, each followed by the whole-heap check.
//! May use: `tests/support`.

#[path = "../../tests/support/mod.rs"]
pub mod support;

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
