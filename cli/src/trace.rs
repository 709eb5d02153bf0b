//! Traces as files: a reader that trusts nothing in them, and a small writer.
//! May use: the trace format.
//!
//! A trace is read as a stream, its threads merged by time, with one chunk of
//! each running thread and one entry for each live block in memory.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use memman_trace::{
    CHUNK_BYTES, CHUNK_HEADER_BYTES, CHUNK_MAGIC, ChunkHeader, ENDED_EARLY, HEADER_BYTES, Header, MAGIC, MAX_RECORD,
    Record, State, VERSION, decode, encode,
};

/// A request, its block a number: those of freed blocks are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Get { block: u32, size: u64, align: u8 },
    Free { block: u32 },
    Resize { block: u32, size: u64 },
}

/// A request and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since the first.
    pub time: u64,
    pub thread: u32,
    pub op: Op,
}

/// What is wrong with a trace, counted; reading went on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Chunks that end in something else than a record.
    pub damaged: u64,
    /// Frees and resizes of blocks that no request in the trace returned.
    pub unknown: u64,
    /// Blocks returned while they were live: their frees came too late.
    pub late: u64,
    /// Requests that were refused when the trace was recorded.
    pub refused: u64,
}

/// As many events are kept in memory, 32 bytes each; longer traces are read
/// again for each replay.
const KEPT: usize = 8 << 20;

/// An open trace.
#[derive(Debug)]
pub struct Trace {
    file: File,
    pub header: Header,
    /// First ticks, first thread and number of each chunk in use, in the order
    /// of times.
    chunks: Vec<(u64, u32, u64)>,
    first_ticks: u64,
    ns_per_tick: f64,
    pub oddities: Oddities,
    pub events: u64,
    /// The most blocks live at once, and so the numbers of blocks.
    pub most_blocks: usize,
    /// The time of the last event.
    pub duration: u64,
    pub threads: u32,
    kept: Option<Vec<Event>>,
}

impl Trace {
    /// Opens and reads a trace once.
    pub fn open(path: &Path) -> Result<Trace> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("{shown} cannot be read"))?;
        let about = file.metadata().with_context(|| format!("{shown} cannot be read"))?;
        if !about.is_file() {
            bail!("{shown} is no file");
        }
        let mut bytes = vec![0; HEADER_BYTES];
        let read = read_at(&file, &mut bytes, 0).with_context(|| format!("{shown} cannot be read"))?;
        if !bytes[..read].starts_with(&MAGIC) {
            bail!("{shown} is no trace: make one with memman record");
        }
        let header = Header::read(&bytes[..read]).with_context(|| format!("{shown} ends within its header"))?;
        if header.version != VERSION {
            bail!("{shown} is a trace of version {}; this program reads version {VERSION}", header.version);
        }
        let mut trace = Trace {
            file,
            header,
            chunks: Vec::new(),
            first_ticks: 0,
            ns_per_tick: 1.0,
            oddities: Oddities::default(),
            events: 0,
            most_blocks: 0,
            duration: 0,
            threads: 0,
            kept: None,
        };
        trace.find_chunks(about.len())?;
        trace.read_once()?;
        if trace.events == 0 {
            bail!("{shown} has no requests in it");
        }
        Ok(trace)
    }

    fn find_chunks(&mut self, len: u64) -> Result<()> {
        let count = len.saturating_sub(HEADER_BYTES as u64).div_ceil(CHUNK_BYTES as u64);
        let (mut first, mut last) = ((u64::MAX, 0), (0, 0));
        for number in 0..count {
            let mut bytes = [0; CHUNK_HEADER_BYTES];
            let read = read_at(&self.file, &mut bytes, offset(number)).context("the trace cannot be read")?;
            let Some(chunk) = ChunkHeader::read(&bytes[..read]) else { continue };
            self.chunks.push((chunk.first_ticks, chunk.thread, number));
            first = first.min((chunk.first_ticks, chunk.first_ns));
            last = last.max((chunk.last_ticks, chunk.last_ns));
        }
        self.chunks.sort_unstable();
        // Who was killed while copying a chunk has left it twice, the copy behind.
        self.chunks.dedup_by_key(|&mut (ticks, thread, _)| (ticks, thread));
        self.first_ticks = first.0;
        // Where the clock was read but once, times are ticks.
        if last.0 > first.0 && last.1 > first.1 {
            self.ns_per_tick = (last.1 - first.1) as f64 / (last.0 - first.0) as f64;
        }
        Ok(())
    }

    fn read_once(&mut self) -> Result<()> {
        let mut kept = Some(Vec::new());
        let (mut count, mut last, mut threads, mut blocks) = (0, 0, 0, 0);
        let mut merge = Merge::new(self);
        while let Some(event) = merge.next()? {
            count += 1;
            last = event.time;
            threads = threads.max(event.thread.saturating_add(1));
            if let Op::Get { block, .. } = event.op {
                blocks = blocks.max(block as usize + 1);
            }
            match &mut kept {
                Some(events) if events.len() < KEPT => events.push(event),
                _ => kept = None,
            }
        }
        let oddities = merge.oddities;
        (self.kept, self.oddities, self.events) = (kept, oddities, count);
        (self.duration, self.threads, self.most_blocks) = (last, threads, blocks);
        Ok(())
    }

    /// Shows every event to `visit`, in the order of times, until it breaks.
    pub fn each(&self, mut visit: impl FnMut(&Event) -> ControlFlow<()>) -> Result<()> {
        if let Some(events) = &self.kept {
            let _ = events.iter().try_for_each(visit);
            return Ok(());
        }
        let mut merge = Merge::new(self);
        while let Some(event) = merge.next()? {
            if visit(&event).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The name that the program was started with.
    pub fn program(&self) -> String {
        let len = (self.header.program_len as usize).min(self.header.program.len());
        let name = String::from_utf8_lossy(&self.header.program[..len]).into_owned();
        name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    }

    /// A line for each thing that a reader of the figures should know.
    pub fn remarks(&self) -> Vec<String> {
        let odd = self.oddities;
        let mut remarks = Vec::new();
        let mut remark = |count: u64, text: &str| {
            if count > 0 {
                remarks.push(format!("{count} {text}"));
            }
        };
        remark(odd.damaged, "chunk(s) of the trace are damaged or cut short: what stands before the damage is used");
        remark(odd.unknown, "free(s) of blocks that are not in the trace are left out");
        remark(odd.late, "block(s) were freed earlier than the trace says");
        remark(odd.refused, "request(s) were refused when the trace was recorded, and are left out");
        remark(u64::from(self.header.flags & ENDED_EARLY), "recording ended before the program did");
        remarks
    }
}

fn offset(number: u64) -> u64 {
    HEADER_BYTES as u64 + number * CHUNK_BYTES as u64
}

/// Reads until `bytes` are full or the file ends.
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], at + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// A step of a thread; a resize is two: the block leaves, the block is back.
#[derive(Clone, Copy)]
enum Step {
    Get { address: u64, size: u64, align: u8 },
    Free { address: u64 },
    Leave { address: u64 },
    Return { old: u64, address: u64, size: u64 },
}

/// A chunk that is being read.
struct Stream {
    records: Vec<u8>,
    at: usize,
    state: State,
    first_ticks: u64,
    thread: u32,
    /// The next step and its time, and the one after it where both are known.
    next: Option<(u64, Step)>,
    after: Option<(u64, Step)>,
    /// The block that left and is not back.
    away: Option<u32>,
}

impl Stream {
    fn advance(&mut self, odd: &mut Oddities) {
        self.next = self.after.take();
        while self.next.is_none() && self.at < self.records.len() {
            let Some((record, len)) = decode(&self.records[self.at..], &mut self.state) else {
                odd.damaged += 1;
                self.at = self.records.len();
                return;
            };
            self.at += len;
            let Some(time) = self.first_ticks.checked_add(self.state.ticks) else {
                odd.damaged += 1;
                self.at = self.records.len();
                return;
            };
            self.next = match record {
                Record::Get { address: 0, .. } | Record::Aligned { address: 0, .. } => {
                    odd.refused += 1;
                    None
                }
                Record::Get { size, address, .. } => Some((time, Step::Get { address, size, align: 0 })),
                Record::Aligned { size, address, align } => Some((time, Step::Get { address, size, align })),
                Record::Free { address } => Some((time, Step::Free { address })),
                Record::Resize { took, old, size, address } => {
                    self.after = Some((time.saturating_add(took), Step::Return { old, address, size }));
                    Some((time, Step::Leave { address: old }))
                }
                Record::Thread { thread } => {
                    self.thread = u32::try_from(thread).unwrap_or(u32::MAX - 1);
                    None
                }
            };
        }
    }
}

/// The threads of a trace, merged by time, addresses made numbers.
struct Merge<'a> {
    trace: &'a Trace,
    waiting: std::slice::Iter<'a, (u64, u32, u64)>,
    streams: Vec<Option<Stream>>,
    /// Streams that ended: their places are taken again.
    ended: Vec<usize>,
    order: BinaryHeap<Reverse<(u64, usize)>>,
    live: HashMap<u64, u32>,
    blocks: u32,
    unused: Vec<u32>,
    ready: VecDeque<Event>,
    oddities: Oddities,
}

impl<'a> Merge<'a> {
    fn new(trace: &'a Trace) -> Self {
        Merge {
            trace,
            waiting: trace.chunks.iter(),
            streams: Vec::new(),
            ended: Vec::new(),
            order: BinaryHeap::new(),
            live: HashMap::new(),
            blocks: 0,
            unused: Vec::new(),
            ready: VecDeque::new(),
            oddities: Oddities::default(),
        }
    }

    fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            // A chunk is opened before any step that is not before it.
            while let Some(&(ticks, _, number)) = self.waiting.as_slice().first() {
                if self.order.peek().is_some_and(|&Reverse((first, _))| first < ticks) {
                    break;
                }
                self.waiting.next();
                self.begin(number)?;
            }
            let Some(Reverse((ticks, place))) = self.order.pop() else { return Ok(None) };
            let Some(mut stream) = self.streams[place].take() else { continue };
            if let Some((_, step)) = stream.next {
                let time = (ticks.saturating_sub(self.trace.first_ticks) as f64 * self.trace.ns_per_tick) as u64;
                self.resolve(time, stream.thread, step, &mut stream.away);
            }
            stream.advance(&mut self.oddities);
            match stream.next {
                // A record that is out of order comes as soon as it can.
                Some((next, _)) => {
                    self.order.push(Reverse((next.max(ticks), place)));
                    self.streams[place] = Some(stream);
                }
                None => self.ended.push(place),
            }
        }
    }

    fn begin(&mut self, number: u64) -> Result<()> {
        let mut bytes = vec![0; CHUNK_BYTES];
        let read = read_at(&self.trace.file, &mut bytes, offset(number)).context("the trace cannot be read")?;
        bytes.truncate(read);
        let Some(header) = ChunkHeader::read(&bytes) else { return Ok(()) };
        let end = CHUNK_HEADER_BYTES.saturating_add(header.used as usize);
        if end > bytes.len() {
            self.oddities.damaged += 1;
        }
        let records = bytes[CHUNK_HEADER_BYTES..end.min(bytes.len())].to_vec();
        let mut stream = Stream {
            records,
            at: 0,
            state: State::default(),
            first_ticks: header.first_ticks,
            thread: header.thread.min(u32::MAX - 1),
            next: None,
            after: None,
            away: None,
        };
        stream.advance(&mut self.oddities);
        let Some((ticks, _)) = stream.next else { return Ok(()) };
        let place = self.ended.pop().unwrap_or_else(|| {
            self.streams.push(None);
            self.streams.len() - 1
        });
        self.streams[place] = Some(stream);
        self.order.push(Reverse((ticks, place)));
        Ok(())
    }

    fn resolve(&mut self, time: u64, thread: u32, step: Step, away: &mut Option<u32>) {
        match step {
            Step::Get { address, size, align } => {
                let block = self.place(time, thread, address);
                self.ready.push_back(Event { time, thread, op: Op::Get { block, size, align } });
            }
            Step::Free { address } => match self.live.remove(&address) {
                Some(block) => {
                    self.unused.push(block);
                    self.ready.push_back(Event { time, thread, op: Op::Free { block } });
                }
                None => self.oddities.unknown += 1,
            },
            Step::Leave { address } => {
                *away = self.live.remove(&address);
                self.oddities.unknown += u64::from(away.is_none());
            }
            Step::Return { old, address, size } => {
                let refused = address == 0;
                self.oddities.refused += u64::from(refused);
                let to = if refused { old } else { address };
                match away.take() {
                    Some(block) => {
                        self.vacate(time, thread, to);
                        self.live.insert(to, block);
                        if !refused {
                            self.ready.push_back(Event { time, thread, op: Op::Resize { block, size } });
                        }
                    }
                    None if !refused => {
                        let block = self.place(time, thread, to);
                        self.ready.push_back(Event { time, thread, op: Op::Get { block, size, align: 0 } });
                    }
                    None => {}
                }
            }
        }
    }

    /// Frees what the trace still has at an address that was given anew.
    fn vacate(&mut self, time: u64, thread: u32, address: u64) {
        if let Some(block) = self.live.remove(&address) {
            self.oddities.late += 1;
            self.unused.push(block);
            self.ready.push_back(Event { time, thread, op: Op::Free { block } });
        }
    }

    fn place(&mut self, time: u64, thread: u32, address: u64) -> u32 {
        self.vacate(time, thread, address);
        let block = self.unused.pop().unwrap_or_else(|| {
            self.blocks += 1;
            self.blocks - 1
        });
        self.live.insert(address, block);
        block
    }
}

/// Writes a trace of one thread whose requests are a tick apart.
pub fn write(path: &Path, program: &str, ops: &[Op]) -> Result<()> {
    let mut header = Header { program_len: program.len().min(1024) as u32, ..Header::NEW };
    header.program[..header.program_len as usize].copy_from_slice(&program.as_bytes()[..header.program_len as usize]);
    let mut file = Vec::new();
    file.extend(header.magic);
    for number in [header.version, header.pid, header.parent, header.flags] {
        file.extend(number.to_le_bytes());
    }
    file.extend(header.began.to_le_bytes());
    file.extend(header.program_len.to_le_bytes());
    file.extend(header.reserved.to_le_bytes());
    file.extend(header.program);
    file.resize(HEADER_BYTES, 0);
    let mut tick = 0u64;
    let mut ops = ops.iter().peekable();
    while ops.peek().is_some() {
        let (first, mut state, mut records) = (tick, State::default(), Vec::new());
        while records.len() + MAX_RECORD <= CHUNK_BYTES - CHUNK_HEADER_BYTES {
            let Some(&op) = ops.next() else { break };
            // Any addresses will do, as long as they tell blocks apart.
            let address = |block: u32| 16 * (u64::from(block) + 1);
            let record = match op {
                Op::Get { block, size, align: 0 } => Record::Get { size, address: address(block), zeroed: false },
                Op::Get { block, size, align } => Record::Aligned { size, address: address(block), align },
                Op::Free { block } => Record::Free { address: address(block) },
                Op::Resize { block, size } => {
                    Record::Resize { took: 0, old: address(block), size, address: address(block) }
                }
            };
            let mut bytes = [0; MAX_RECORD];
            let len = encode(record, tick - first, &mut state, &mut bytes);
            records.extend_from_slice(&bytes[..len]);
            tick += 1;
        }
        for number in [CHUNK_MAGIC, 0, records.len() as u32, 0] {
            file.extend(number.to_le_bytes());
        }
        // A tick is a nanosecond.
        for number in [first, first, tick, tick, 0, 0] {
            file.extend(number.to_le_bytes());
        }
        records.resize(CHUNK_BYTES - CHUNK_HEADER_BYTES, 0);
        file.extend(records);
    }
    let shown = path.display();
    let mut to = File::create_new(path).with_context(|| format!("{shown} cannot be made"))?;
    to.write_all(&file).with_context(|| format!("{shown} cannot be written"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(path: &Path) -> Vec<Op> {
        let mut ops = Vec::new();
        let trace = Trace::open(path).expect("a trace");
        trace
            .each(|event| {
                ops.push(event.op);
                ControlFlow::Continue(())
            })
            .expect("read");
        ops
    }

    fn sample() -> Vec<Op> {
        let gets = (0..20_000).map(|n| Op::Get { block: n, size: u64::from(n) * 7 % 5000, align: (n % 3 * 3) as u8 });
        let resizes = (0..20_000).step_by(3).map(|block| Op::Resize { block, size: u64::from(block) });
        gets.chain(resizes).chain((0..20_000).rev().map(|block| Op::Free { block })).collect()
    }

    #[test]
    fn a_written_trace_is_read_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("trace");
        write(&path, "sample", &sample()).expect("written");
        assert_eq!(events(&path), sample());
        assert!(write(&path, "sample", &sample()).is_err(), "an old file stays");
    }

    #[test]
    fn a_truncated_trace_is_read_up_to_where_it_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("trace");
        write(&path, "sample", &sample()).expect("written");
        let all = std::fs::read(&path).expect("read");
        for len in [HEADER_BYTES + 70, HEADER_BYTES + 1000, HEADER_BYTES + CHUNK_BYTES + 100, all.len() - CHUNK_BYTES] {
            std::fs::write(&path, &all[..len]).expect("written");
            let ops = events(&path);
            assert_eq!(ops[..], sample()[..ops.len()], "cut at {len}");
        }
        for len in [100, HEADER_BYTES + 1, HEADER_BYTES + 50] {
            std::fs::write(&path, &all[..len]).expect("written");
            assert!(Trace::open(&path).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_chunk_that_was_left_twice_is_read_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("trace");
        write(&path, "sample", &sample()).expect("written");
        let mut all = std::fs::read(&path).expect("read");
        all.extend_from_within(HEADER_BYTES + CHUNK_BYTES..HEADER_BYTES + 2 * CHUNK_BYTES);
        std::fs::write(&path, &all).expect("written");
        assert_eq!(events(&path), sample());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_damaged_trace_is_read_or_refused(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("trace");
            write(&path, "sample", &sample()[..12_000]).expect("written");
            let mut bytes = std::fs::read(&path).expect("read");
            let headers = [HEADER_BYTES, 300];
            for (n, (at, byte)) in damage.iter().enumerate() {
                // Every other one hits where the structure is.
                let at = match n % 2 { 0 => at.index(bytes.len()), _ => headers[0] + at.index(headers[1]) };
                bytes[at] = *byte;
            }
            bytes.truncate(HEADER_BYTES + cut.index(bytes.len() - HEADER_BYTES));
            std::fs::write(&path, &bytes).expect("written");
            if let Ok(trace) = Trace::open(&path) {
                let mut live = std::collections::HashSet::new();
                let mut sound = true;
                trace.each(|event| {
                    sound &= match event.op {
                        Op::Get { block, .. } => live.insert(block) && (block as usize) < trace.most_blocks,
                        Op::Free { block } => live.remove(&block),
                        Op::Resize { block, .. } => live.contains(&block),
                    };
                    ControlFlow::Continue(())
                }).expect("read");
                prop_assert!(sound);
            }
        }
    }
}
