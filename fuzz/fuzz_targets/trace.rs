//! The reader of traces: any chunks are events that make sense, the same each
//! time, and every manager can be made to serve them.
#![no_main]

use std::collections::HashSet;
use std::ops::ControlFlow;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use memman::analysis::policy::Kind;
use memman_fuzz::profile::Profile;
use memman_fuzz::replay::{self, Ground, Heap};
use memman_fuzz::trace::{Event, Op, Trace};
use memman_fuzz::with_file;
use memman_trace::{CHUNK_BYTES, CHUNK_HEADER_BYTES, CHUNK_MAGIC, HEADER_BYTES, MAGIC, VERSION};

/// Traces that have more live are not replayed: moved blocks are copied.
const MOST_LIVE: u64 = 1 << 22;
/// Bytes that hold a heap of every kind, and some blocks.
const SOME_AREA: usize = 16 << 10;

/// A file whose first bytes are those of a trace, mostly.
fn file(data: &mut Unstructured) -> Result<Vec<u8>> {
    let mut file = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    file.resize(HEADER_BYTES, 0);
    for _ in 0..data.int_in_range(0..=4)? {
        let start = file.len();
        let used: u16 = data.arbitrary()?;
        let numbers = [CHUNK_MAGIC, data.int_in_range(0..=3)?, used.into(), data.int_in_range(0..=3)?];
        file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let first: u16 = data.arbitrary()?;
        let ticks = [first.into(), 0, data.arbitrary::<u64>()?, data.arbitrary::<u64>()?];
        file.extend(ticks.iter().flat_map(|number| number.to_le_bytes()));
        file.resize(start + CHUNK_HEADER_BYTES, 0);
        let len = data.arbitrary::<u16>()? as usize % 1024;
        file.extend_from_slice(data.bytes(len.min(data.len()))?);
        file.resize(start + CHUNK_BYTES, 0);
    }
    if data.int_in_range(0..=7)? == 0 {
        let at = data.int_in_range(0..=file.len() - 1)?;
        file[at] = data.arbitrary()?;
    }
    if data.int_in_range(0..=3)? == 0 {
        file.truncate(data.int_in_range(0..=file.len())?);
    }
    Ok(file)
}

fn events(trace: &Trace) -> Vec<Event> {
    let mut events = Vec::new();
    let read = trace.each(|&event| {
        events.push(event);
        ControlFlow::Continue(())
    });
    read.expect("the file is there");
    events
}

fn assert_sound(trace: &Trace) {
    let events = events(trace);
    let mut live = HashSet::new();
    let mut last = 0;
    for event in &events {
        assert!(event.time >= last && event.time <= trace.duration, "{event:?} after {last}");
        last = event.time;
        assert!(event.thread < trace.threads, "{event:?}");
        match event.op {
            Op::Get { block, .. } => assert!(live.insert(block) && (block as usize) < trace.most_blocks, "{event:?}"),
            Op::Free { block } => assert!(live.remove(&block), "{event:?}"),
            Op::Resize { block, .. } => assert!(live.contains(&block), "{event:?}"),
        }
    }
    assert_eq!(events.len() as u64, trace.events);
}

fuzz_target!(|data: &[u8]| {
    let Ok(bytes) = file(&mut Unstructured::new(data)) else { return };
    with_file(&bytes, |path| {
        let Ok(trace) = Trace::open(path) else { return };
        assert_sound(&trace);
        let live = replay::peak_live(&trace).expect("read");
        Profile::of(&trace).expect("read");
        if live > MOST_LIVE {
            return;
        }
        for kind in Kind::ALL {
            let area = Ground::Area(2 * live as usize + SOME_AREA);
            let mut heap = Heap::new(kind, area, live).expect("addresses").expect("a heap");
            let outcome = replay::run(&trace, &mut heap, &mut (), None).expect("a sound replay");
            assert!(outcome.refused.is_some() || outcome.requests == trace.events);
            assert!(outcome.peak_live <= live && outcome.peak_live <= outcome.peak_reserved);
            heap.manager().check().expect("a sound heap");
        }
    });
});
