//! Traces through the real managers: on an area of a given size, in a pool as
//! the malloc divides it, or in the open, where there is room for everything.
//! May use: `trace`, `units`.
//!
//! The blocks are addresses only: a manager touches what is in them when a
//! resize moves one, and then copies pages that were never written.

use std::ops::ControlFlow;
use std::ptr::NonNull;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use comfy_table::Table;
use hdrhistogram::Histogram;
use memman::analysis::policy::Kind;
use memman::heap::{ALIGNMENT, Area, Buddy, Ebuddy, Ffit, Manager};
use serde::Serialize;

use crate::trace::{Op, Trace};
use crate::units::{bytes, duration, grouped};

/// The malloc's unit of pools.
pub const PAGE: usize = 4096;

/// What a heap stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// So many addresses that nothing is refused.
    Open,
    /// So many bytes of blocks, the tables apart.
    Blocks(usize),
    /// An area as `ffit_init` gets it, tables included.
    Area(usize),
    /// A pool as `MEMMAN_CONF=pool:SIZE` makes it: the malloc's own knowledge of
    /// it is the first block.
    Pool(usize),
}

/// Addresses, with memory behind them when they are touched.
struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// Zeroed, at a multiple of `align`, a power of two of pages.
    fn new(bytes: usize, align: usize) -> Result<Mapping> {
        let all = bytes.checked_add(align).context("so much memory there is nowhere")?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), all, access, flags, -1, 0) };
        let Some(base) = NonNull::new(base.cast::<u8>()).filter(|_| base != libc::MAP_FAILED) else {
            bail!("the system does not give {} of addresses: see ulimit -v", crate::units::bytes(all as u64));
        };
        // SAFETY: the offset is less than `align`, which was added.
        let aligned = unsafe { base.byte_add(base.as_ptr().align_offset(align)) };
        let before = aligned.addr().get() - base.addr().get();
        // SAFETY: our own addresses, before and behind what is kept.
        unsafe {
            if before > 0 {
                libc::munmap(base.as_ptr().cast(), before);
            }
            if align > before {
                libc::munmap(aligned.byte_add(bytes.next_multiple_of(PAGE)).as_ptr().cast(), align - before);
            }
        }
        Ok(Mapping { base: aligned, bytes: bytes.next_multiple_of(PAGE) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own, and what stands on it is dropped before.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// A manager on its ground.
pub struct Heap {
    manager: Box<dyn Manager>,
    pool: bool,
    /// Where blocks begin, and the bytes that bookkeeping takes of a pool.
    base: usize,
    own: usize,
    _memory: [Option<Mapping>; 2],
}

/// The addresses of an open ground: enough that only 16 times what is live at
/// once could be refused.
const OPEN: u64 = 1 << 30;

impl Heap {
    /// `None` where the ground holds no heap. `live` says how much will be live.
    pub fn new(kind: Kind, ground: Ground, live: u64) -> Result<Option<Heap>> {
        match ground {
            Ground::Area(bytes) => {
                let memory = Mapping::new(bytes.max(1), PAGE)?;
                // SAFETY: the mapping is the heap's alone, and lives as long.
                let area = unsafe { Area::from_raw(memory.base.as_ptr(), bytes) };
                let Some(manager) = area.and_then(|area| kind.make(area)) else { return Ok(None) };
                let base = first_block(&*manager);
                Ok(Some(Heap { manager, pool: false, base, own: 0, _memory: [Some(memory), None] }))
            }
            Ground::Blocks(bytes) => {
                let least = if kind == Kind::Ebuddy { 4 } else { 1 };
                let enough = bytes >= least * ALIGNMENT;
                enough.then(|| Self::over(kind, bytes & !(ALIGNMENT - 1), false)).transpose()
            }
            Ground::Open => {
                let most = 1 << 42;
                let bytes = live.saturating_mul(16).max(OPEN).min(most) as usize;
                Ok(Some(Self::over(kind, bytes & !(PAGE - 1), false)?))
            }
            Ground::Pool(bytes) => {
                let bytes = bytes & !(PAGE - 1);
                let own = pool_bookkeeping(kind, bytes);
                if own >= bytes {
                    return Ok(None);
                }
                let mut heap = Self::over(kind, bytes, true)?;
                if heap.manager.get(own).map(|block| block.addr().get()) != Some(heap.base) {
                    return Ok(None);
                }
                heap.own = heap.manager.stats().used as usize;
                Ok(Some(heap))
            }
        }
    }

    /// Tables apart, as the malloc has them in its regions.
    fn over(kind: Kind, bytes: usize, pool: bool) -> Result<Heap> {
        let granules = bytes / ALIGNMENT;
        let shift = ALIGNMENT.trailing_zeros();
        // Regions begin at multiples of 64 MiB, which over-aligned blocks notice.
        let blocks = Mapping::new(bytes, 64 << 20)?;
        let tables = Mapping::new(tables_bytes(kind, granules), PAGE)?;
        // SAFETY: both are the heap's alone, live as long, and are zeroed.
        let manager: Box<dyn Manager> = unsafe {
            match kind {
                Kind::Ffit => Box::new(Ffit::over(blocks.base, granules, shift, tables.base)),
                Kind::Buddy => Box::new(Buddy::over(blocks.base, granules, shift, tables.base)),
                Kind::Ebuddy => Box::new(Ebuddy::over(blocks.base, granules, shift, tables.base)),
            }
        };
        let base = blocks.base.addr().get();
        Ok(Heap { manager, pool, base, own: 0, _memory: [Some(blocks), Some(tables)] })
    }

    fn get(&mut self, size: u64, align: u8) -> Option<NonNull<u8>> {
        let size = usize::try_from(size).ok()?.max(1);
        let align = 1usize.checked_shl(align.into())?;
        if align <= ALIGNMENT { self.manager.get(size) } else { self.manager.get_aligned(size, align) }
    }

    fn free(&mut self, block: NonNull<u8>) -> Result<()> {
        // SAFETY: nobody uses blocks here.
        unsafe { self.manager.free(block.as_ptr()) }
            .map_err(|error| anyhow::anyhow!("a block that was live cannot be freed: {error:?}"))
    }

    /// As the malloc resizes in a pool, or else as the manager does.
    fn resize(&mut self, block: NonNull<u8>, size: u64) -> Option<NonNull<u8>> {
        let size = usize::try_from(size).ok()?.max(1);
        // SAFETY: nobody uses blocks here.
        let extended = unsafe { self.manager.extend(block.as_ptr(), size) };
        if extended.is_err() && self.pool {
            // A shrunk block that cannot move stays.
            return self.manager.usable_size(block.as_ptr()).filter(|&usable| usable >= size).map(|_| block);
        }
        extended.ok()
    }

    fn end_of(&self, block: NonNull<u8>) -> usize {
        let usable = self.manager.usable_size(block.as_ptr()).unwrap_or(0);
        (block.addr().get() - self.base).saturating_add(usable)
    }

    /// Bytes that the program's blocks occupy.
    pub fn reserved(&self) -> u64 {
        self.manager.stats().used - self.own as u64
    }

    pub fn manager(&self) -> &dyn Manager {
        &*self.manager
    }

    /// The address that offsets count from.
    pub fn base(&self) -> usize {
        self.base
    }
}

fn first_block(manager: &dyn Manager) -> usize {
    let mut first = 0;
    manager.walk(&mut |block| {
        first = block.address;
        ControlFlow::Break(())
    });
    first
}

fn tables_bytes(kind: Kind, granules: usize) -> usize {
    match kind {
        Kind::Ffit => Ffit::tables_bytes(granules),
        Kind::Buddy => Buddy::tables_bytes(granules),
        Kind::Ebuddy => Ebuddy::tables_bytes(granules),
    }
}

/// What the malloc keeps at the start of a pool without caches: a descriptor,
/// the manager's tables, and three bits a page; whole pages. The integration tests
/// hold it against the malloc itself.
fn pool_bookkeeping(kind: Kind, bytes: usize) -> usize {
    const DESCRIPTOR: usize = 512;
    let page_bits = bytes.div_ceil(PAGE).div_ceil(64) * 8;
    let tables = DESCRIPTOR + tables_bytes(kind, bytes / ALIGNMENT);
    (tables + 3 * page_bits).next_multiple_of(64).next_multiple_of(PAGE)
}

/// A refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The number of the request, from 1.
    pub request: u64,
    /// Nanoseconds since the first.
    pub time: u64,
    pub size: u64,
    /// Bytes that were live, as requested.
    pub live: u64,
}

/// What a heap looks like to an observer of a replay.
pub struct View<'a> {
    pub heap: &'a Heap,
    /// Bytes live, as requested.
    pub live: u64,
    /// The highest end of a block so far, in bytes from the start.
    pub reach: u64,
}

/// A run of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub requests: u64,
    /// The most bytes live at once, as requested.
    pub peak_live: u64,
    /// The most bytes that blocks occupied at once.
    pub peak_reserved: u64,
    /// The highest end of a block, in bytes from the start.
    pub reach: u64,
    pub blocks: u64,
    pub refused: Option<Refusal>,
    /// Nanoseconds that the whole took, the reading of the trace included.
    pub took: u64,
}

/// What a replay does beside the requests.
pub trait Observer {
    /// Called after each event, with its number from 0.
    fn after(&mut self, number: u64, time: u64, op: &Op, view: &View) -> ControlFlow<()>;
}

/// Nobody watches.
impl Observer for () {
    fn after(&mut self, _: u64, _: u64, _: &Op, _: &View) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Makes the requests of `trace` until one is refused. `latencies` takes the
/// nanoseconds of each.
pub fn run(
    trace: &Trace,
    heap: &mut Heap,
    observer: &mut dyn Observer,
    mut latencies: Option<&mut Histogram<u64>>,
) -> Result<Outcome> {
    let mut blocks: Vec<Option<(NonNull<u8>, u64)>> = vec![None; trace.most_blocks];
    let mut outcome = Outcome::default();
    let (mut live, mut number) = (0u64, 0);
    let mut wrong = None;
    let began = Instant::now();
    trace.each(|event| {
        let start = latencies.as_ref().map(|_| Instant::now());
        let mut request = None;
        let mut placed = None;
        match event.op {
            Op::Get { block, size, align } => {
                request = Some(size);
                placed = heap.get(size, align);
                if let Some(at) = placed {
                    blocks[block as usize] = Some((at, size));
                    live = live.saturating_add(size);
                }
            }
            Op::Resize { block, size } => {
                if let Some((at, old)) = blocks[block as usize] {
                    request = Some(size);
                    placed = heap.resize(at, size);
                    if let Some(at) = placed {
                        blocks[block as usize] = Some((at, size));
                        live = (live - old).saturating_add(size);
                    }
                }
            }
            Op::Free { block } => {
                if let Some((at, size)) = blocks[block as usize].take() {
                    live -= size;
                    if let Err(error) = heap.free(at) {
                        wrong = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            }
        }
        if let (Some(start), Some(latencies)) = (start, &mut latencies) {
            latencies.saturating_record(start.elapsed().as_nanos() as u64);
        }
        number += 1;
        if let (Some(size), None) = (request, placed) {
            outcome.refused = Some(Refusal { request: number, time: event.time, size, live });
            return ControlFlow::Break(());
        }
        if let Some(at) = placed {
            outcome.reach = outcome.reach.max(heap.end_of(at) as u64);
            outcome.peak_live = outcome.peak_live.max(live);
        }
        observer.after(number - 1, event.time, &event.op, &View { heap, live, reach: outcome.reach })
    })?;
    if let Some(error) = wrong {
        return Err(error);
    }
    outcome.took = began.elapsed().as_nanos() as u64;
    outcome.requests = number;
    outcome.peak_reserved = heap.manager.stats().peak - heap.own as u64;
    outcome.blocks = heap.manager.stats().blocks - u64::from(heap.own > 0);
    Ok(outcome)
}

/// One line of fragmentation over time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    pub time: u64,
    pub live: u64,
    pub reserved: u64,
    /// The end of the highest live block.
    pub footprint: u64,
    /// The largest free block below it.
    pub largest_hole: u64,
}

impl Sample {
    /// The part of the footprint that is in no block.
    pub fn fragmentation(&self) -> f64 {
        1.0 - self.reserved as f64 / self.footprint.max(1) as f64
    }

    pub fn of(time: u64, view: &View) -> Sample {
        let own = view.heap.own as u64;
        let (mut footprint, mut largest_hole, mut hole) = (own, 0, 0);
        view.heap.manager.walk(&mut |block| {
            if block.used {
                footprint = (block.address + block.size - view.heap.base) as u64;
                largest_hole = largest_hole.max(hole);
                hole = 0;
            } else {
                hole = block.size as u64;
            }
            ControlFlow::Continue(())
        });
        Sample { time, live: view.live, reserved: view.heap.reserved(), footprint: footprint - own, largest_hole }
    }
}

/// Samples at even distances of requests.
pub struct Sampler {
    every: u64,
    pub samples: Vec<Sample>,
}

impl Sampler {
    pub fn new(trace: &Trace, count: u64) -> Self {
        Sampler { every: trace.events.div_ceil(count).max(1), samples: Vec::new() }
    }
}

impl Observer for Sampler {
    fn after(&mut self, number: u64, time: u64, _: &Op, view: &View) -> ControlFlow<()> {
        if number % self.every == self.every - 1 {
            self.samples.push(Sample::of(time, view));
        }
        ControlFlow::Continue(())
    }
}

/// The most bytes live at once in a trace, as requested.
pub fn peak_live(trace: &Trace) -> Result<u64> {
    let mut sizes = vec![0u64; trace.most_blocks];
    let (mut live, mut peak) = (0u64, 0);
    trace.each(|event| {
        let (block, size) = match event.op {
            Op::Get { block, size, .. } | Op::Resize { block, size } => (block, size),
            Op::Free { block } => (block, 0),
        };
        live = (live - sizes[block as usize]).saturating_add(size);
        sizes[block as usize] = size;
        peak = peak.max(live);
        // What no machine has is refused by every heap.
        if live > 1 << 60 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(peak)
}

#[derive(Serialize)]
struct Report<'a> {
    program: String,
    heap: &'a str,
    ground: String,
    outcome: Outcome,
    ns_per_request: f64,
    latency_ns: Vec<(f64, u64)>,
    samples: Vec<Sample>,
}

/// `memman replay`.
pub fn command(trace: &Trace, kind: Kind, ground: Ground, json: bool) -> Result<()> {
    let live = peak_live(trace)?;
    let make = || {
        Heap::new(kind, ground, live)?
            .context("so small a pool holds no heap: give a larger --pool, --blocks or --area")
    };
    let mut sampler = Sampler::new(trace, 20);
    let outcome = run(trace, &mut make()?, &mut sampler, None)?;
    let mut latencies = Histogram::<u64>::new_with_max(10_000_000_000, 3)?;
    let speed = run(trace, &mut make()?, &mut (), None)?;
    run(trace, &mut make()?, &mut (), Some(&mut latencies))?;
    let ns_per_request = speed.took as f64 / speed.requests.max(1) as f64;
    let quantiles = [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0];
    let latency_ns: Vec<_> = quantiles.iter().map(|&part| (part, latencies.value_at_quantile(part))).collect();
    let ground_text = match ground {
        Ground::Open => "as much as it takes".to_owned(),
        Ground::Blocks(size) => format!("{} bytes of blocks", grouped(size as u64)),
        Ground::Area(size) => format!("an area of {} bytes", grouped(size as u64)),
        Ground::Pool(size) => format!("a pool of {} bytes", grouped(size as u64)),
    };
    if json {
        let report = Report {
            program: trace.program(),
            heap: kind.name(),
            ground: ground_text,
            outcome,
            ns_per_request,
            latency_ns,
            samples: sampler.samples,
        };
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    println!(
        "{}: {} of {} requests in {}, {} thread(s), on {} in {ground_text}",
        trace.program(),
        grouped(outcome.requests),
        grouped(trace.events),
        duration(trace.duration),
        trace.threads,
        kind.name()
    );
    for remark in trace.remarks() {
        println!("note: {remark}");
    }
    println!("peak live       {}", bytes(outcome.peak_live));
    println!("peak in blocks  {}, rounding included", bytes(outcome.peak_reserved));
    println!("highest end     {}", bytes(outcome.reach));
    match outcome.refused {
        Some(refused) => println!(
            "REFUSED         request {} for {} bytes, at {} with {} live",
            grouped(refused.request),
            grouped(refused.size),
            duration(refused.time),
            bytes(refused.live)
        ),
        None => println!("refused         nothing"),
    }
    println!("ns per request  {ns_per_request:.1}, reading the trace included");
    let shown: Vec<_> = latency_ns.iter().map(|(part, ns)| format!("{}% {}", part * 100.0, duration(*ns))).collect();
    println!("latency         {}; the clock's own cost included", shown.join(", "));
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["time", "live", "in blocks", "footprint", "largest hole", "fragmentation"]);
    for sample in &sampler.samples {
        table.add_row([
            duration(sample.time),
            bytes(sample.live),
            bytes(sample.reserved),
            bytes(sample.footprint),
            bytes(sample.largest_hole),
            format!("{:.1} %", 100.0 * sample.fragmentation()),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    println!("{table}");
    Ok(())
}
