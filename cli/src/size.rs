//! How much memory is enough: for a trace, by replays and by the bounds; for a
//! profile, by the bounds. May use: `replay`, `trace`, `units`, the analysis.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use memman::analysis::bounds::{
    SizeRange, UNLIMITED, any_allocator_required_size, buddy_profile_size, ebuddy_profile_size, ffit_profile_size,
};
use memman::analysis::policy::Kind;
use serde::{Deserialize, Serialize};

use crate::replay::{Ground, Heap, PAGE, peak_live, run};
use crate::trace::{Op, Trace};
use crate::units::grouped;

/// What is known of a program's requests.
pub struct Profile {
    pub ranges: Vec<SizeRange>,
    pub max_live: usize,
}

/// A profile as a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    max_live: Option<usize>,
    sizes: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// One size, or else a range.
    size: Option<usize>,
    min: Option<usize>,
    max: Option<usize>,
    count: Option<usize>,
}

/// No profile that a person or a program means is longer.
const LONGEST_PROFILE: u64 = 1 << 20;

impl Profile {
    pub fn read(path: &Path) -> Result<Profile> {
        let shown = path.display();
        let mut text = String::new();
        let file = File::open(path).with_context(|| format!("{shown} cannot be read"))?;
        file.take(LONGEST_PROFILE + 1).read_to_string(&mut text).with_context(|| format!("{shown} is no text"))?;
        if text.len() as u64 > LONGEST_PROFILE {
            bail!("{shown} is longer than a profile can be, {LONGEST_PROFILE} bytes");
        }
        Self::parse(&text).with_context(|| format!("{shown} is no profile"))
    }

    fn parse(text: &str) -> Result<Profile> {
        let file: ProfileFile = serde_json::from_str(text)?;
        let mut ranges = Vec::new();
        for (number, line) in file.sizes.iter().enumerate() {
            let (min, max) = match (line.size, line.min, line.max) {
                (Some(size), None, None) => (size, size),
                (None, Some(min), Some(max)) => (min, max),
                _ => bail!("line {} of sizes needs either size, or min and max", number + 1),
            };
            if max < min || max == 0 {
                bail!("line {} of sizes ends before it begins", number + 1);
            }
            ranges.push(SizeRange { min, max, count: line.count.unwrap_or(UNLIMITED) });
        }
        let max_live = file.max_live.unwrap_or(UNLIMITED);
        if ranges.is_empty() {
            bail!("it has no sizes");
        }
        if max_live == UNLIMITED && ranges.iter().any(|range| range.count == UNLIMITED) {
            bail!("give max_live, or a count for every size: nothing limits what is live");
        }
        Ok(Profile { ranges, max_live })
    }

    /// The most bytes that can be live.
    fn live(&self) -> usize {
        let counted = |sum: usize, range: &SizeRange| sum.saturating_add(range.count.saturating_mul(range.max));
        self.max_live.min(self.ranges.iter().fold(0, counted))
    }

    fn guaranteed(&self, kind: Kind) -> Option<usize> {
        match kind {
            Kind::Ffit => ffit_profile_size(&self.ranges, self.max_live),
            Kind::Buddy => buddy_profile_size(&self.ranges, self.max_live),
            Kind::Ebuddy => ebuddy_profile_size(&self.ranges, self.max_live),
        }
    }

    /// No allocator can promise the sizes with less.
    fn any_allocator(&self) -> usize {
        let largest = self.ranges.iter().map(|range| range.max).max().unwrap_or(1);
        let smallest = self.ranges.iter().map(|range| range.min.max(1)).min().unwrap_or(1);
        // Counts limit the adversary that the lower bound is of.
        if self.ranges.iter().all(|range| range.count == UNLIMITED) {
            any_allocator_required_size(self.live(), largest, smallest)
        } else {
            self.live()
        }
    }

    /// The profile of a trace: ranges of sizes, and the most of each at once. A
    /// resize is counted as the new block beside the old; over-alignment as
    /// bytes.
    pub fn of(trace: &Trace) -> Result<Profile> {
        let mut now = vec![0usize; RANGES];
        let mut most: Vec<Option<(usize, usize, usize)>> = vec![None; RANGES];
        let mut sizes = vec![0usize; trace.most_blocks];
        let (mut live, mut peak) = (0usize, 0);
        trace.each(|event| {
            let (block, size) = match event.op {
                Op::Get { block, size, align } => {
                    let extra = 1u64.checked_shl(align.into()).unwrap_or(u64::MAX).saturating_sub(16);
                    (block as usize, size.max(1).saturating_add(extra))
                }
                Op::Resize { block, size } => (block as usize, size.max(1)),
                Op::Free { block } => {
                    let old = std::mem::take(&mut sizes[block as usize]);
                    live -= old;
                    now[range_of(old)] -= 1;
                    return ControlFlow::Continue(());
                }
            };
            let size = usize::try_from(size).unwrap_or(usize::MAX).min(1 << 60);
            let range = range_of(size);
            now[range] += 1;
            live = live.saturating_add(size);
            peak = peak.max(live);
            let (low, high, count) = most[range].unwrap_or((size, size, 0));
            most[range] = Some((low.min(size), high.max(size), count.max(now[range])));
            let old = std::mem::replace(&mut sizes[block], size);
            if old != 0 {
                live -= old;
                now[range_of(old)] -= 1;
            }
            if live > 1 << 61 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let ranges = most.into_iter().flatten().map(|(min, max, count)| SizeRange { min, max, count }).collect();
        Ok(Profile { ranges, max_live: peak })
    }
}

/// As many ranges as a bound keeps apart.
const RANGES: usize = 64;

/// Each multiple of 16 up to 128, then two ranges to an octave.
fn range_of(size: usize) -> usize {
    let granules = size.max(1).div_ceil(16);
    if granules <= 8 {
        return granules - 1;
    }
    let octave = (granules - 1).ilog2() as usize;
    let upper = (granules - 1) >> (octave - 1) & 1;
    (8 + 2 * (octave - 3) + upper).min(RANGES - 1)
}

#[derive(Serialize)]
struct Row {
    heap: &'static str,
    /// Least bytes in which the trace runs: of an area, and of a pool of the malloc.
    least_area: Option<usize>,
    least_pool: Option<usize>,
    /// Bytes of area that are enough for every program with this profile.
    guaranteed: Option<usize>,
}

#[derive(Serialize)]
struct Report {
    program: Option<String>,
    requests: Option<u64>,
    peak_live: usize,
    /// Live bytes that the bounds were asked for.
    charged_live: usize,
    /// No allocator can do with less for every program with this profile.
    any_allocator: usize,
    rows: Vec<Row>,
}

/// The least ground that serves the trace, in steps of `step` bytes, by
/// bisection; its neighbour below does not serve. For first fit and buddy none
/// below does.
fn least(
    trace: &Trace,
    kind: Kind,
    live: u64,
    ground: fn(usize) -> Ground,
    step: usize,
    bar: &ProgressBar,
) -> Result<Option<usize>> {
    let serves = |steps: usize| -> Result<bool> {
        bar.inc(1);
        bar.tick();
        match Heap::new(kind, ground(steps * step), live)? {
            Some(mut heap) => Ok(run(trace, &mut heap, &mut (), None)?.refused.is_none()),
            None => Ok(false),
        }
    };
    let mut low = live as usize / step / 2;
    let mut high = (live as usize).div_ceil(step).max(1) * 9 / 8 + 1;
    while !serves(high)? {
        low = high;
        high = high.saturating_mul(5) / 4 + 1;
        if high.saturating_mul(step) as u64 > (live.max(1 << 16)).saturating_mul(64) {
            return Ok(None);
        }
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if serves(middle)? { high = middle } else { low = middle }
    }
    Ok(Some(high * step))
}

/// What `memman size` is asked for.
pub enum Question<'a> {
    Trace(&'a Trace),
    Profile(Profile),
}

/// Live bytes above which a replay is not tried.
const MOST_LIVE: u64 = 1 << 38;

/// `memman size`.
pub fn command(question: &Question, json: bool) -> Result<()> {
    let report = match question {
        Question::Trace(trace) => of_trace(trace)?,
        Question::Profile(profile) => of_profile(profile)?,
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        if let Question::Trace(trace) = question {
            for remark in trace.remarks() {
                println!("note: {remark}");
            }
        }
        print(&report);
    }
    Ok(())
}

fn of_profile(profile: &Profile) -> Result<Report> {
    let largest = profile.ranges.iter().map(|range| range.max).max().unwrap_or(0);
    if profile.max_live < largest && profile.max_live < profile.ranges.iter().map(|range| range.min).min().unwrap_or(0)
    {
        bail!("no block fits into {} live bytes", profile.max_live);
    }
    let row = |kind: Kind| Row {
        heap: kind.name(),
        least_area: None,
        least_pool: None,
        guaranteed: profile.guaranteed(kind),
    };
    Ok(Report {
        program: None,
        requests: None,
        peak_live: profile.live(),
        charged_live: profile.live(),
        any_allocator: profile.any_allocator(),
        rows: Kind::ALL.into_iter().map(row).collect(),
    })
}

fn of_trace(trace: &Trace) -> Result<Report> {
    let live = peak_live(trace)?;
    if live > MOST_LIVE {
        bail!("the trace has {live} bytes live at once: more than can be replayed");
    }
    let profile = Profile::of(trace)?;
    let bar =
        ProgressBar::no_length().with_style(ProgressStyle::with_template("{spinner} {msg}: {pos} replays, {elapsed}")?);
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        bar.set_message(kind.name());
        rows.push(Row {
            heap: kind.name(),
            least_area: least(trace, kind, live, Ground::Area, 16, &bar)?,
            least_pool: least(trace, kind, live, Ground::Pool, PAGE, &bar)?,
            guaranteed: profile.guaranteed(kind),
        });
    }
    bar.finish_and_clear();
    Ok(Report {
        program: Some(trace.program()),
        requests: Some(trace.events),
        peak_live: live as usize,
        charged_live: profile.live(),
        any_allocator: profile.any_allocator(),
        rows,
    })
}

fn print(report: &Report) {
    if let (Some(program), Some(requests)) = (&report.program, report.requests) {
        println!("{program}: {} requests", grouped(requests));
    }
    println!("peak live {} bytes", grouped(report.peak_live as u64));
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    let cell = |bytes: Option<usize>| bytes.map_or("does not fit".to_owned(), |bytes| grouped(bytes as u64));
    let times = |bytes: Option<usize>| {
        bytes.map_or(String::new(), |bytes| format!("{:.2}", bytes as f64 / report.peak_live.max(1) as f64))
    };
    if report.program.is_some() {
        table.set_header(["heap", "least area", "/live", "least pool", "/live", "guaranteed", "/live"]);
        for row in &report.rows {
            let figures = [row.least_area, row.least_pool, row.guaranteed];
            let cells = figures.iter().flat_map(|&bytes| [cell(bytes), times(bytes)]);
            table.add_row(std::iter::once(row.heap.to_owned()).chain(cells));
        }
    } else {
        table.set_header(["heap", "guaranteed", "/live"]);
        for row in &report.rows {
            table.add_row([row.heap.to_owned(), cell(row.guaranteed), times(row.guaranteed)]);
        }
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    println!("{table}");
    println!(
        "No allocator that does not move blocks can promise this profile less than {} bytes.",
        grouped(report.any_allocator as u64)
    );
    if report.program.is_some() {
        println!(
            "least area: bytes for ffit_init or buddy_init in which this very trace is served; least pool: the same for\n\
             memman run --pool; guaranteed: an area for every program with these sizes and counts, {} bytes live with\n\
             both blocks of a resize counted. Shrinking in place is outside the guarantee.",
            grouped(report.charged_live as u64)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_with_sizes() {
        let mut last = 0;
        for size in 1..100_000 {
            let range = range_of(size);
            assert!(range == last || range == last + 1, "{size}");
            last = range;
        }
        assert_eq!((range_of(16), range_of(17), range_of(usize::MAX)), (0, 1, RANGES - 1));
    }

    #[test]
    fn a_profile_is_read() {
        let text = r#"{"sizes": [{"size": 24, "count": 40}, {"min": 4000, "max": 4096, "count": 3}]}"#;
        let profile = Profile::parse(text).expect("a profile");
        assert_eq!(profile.ranges[1], SizeRange { min: 4000, max: 4096, count: 3 });
        assert_eq!(profile.live(), 40 * 24 + 3 * 4096);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        let size = r#"{"sizes": [{"size": 24}]}"#;
        for text in ["", "{}", "[]", size, r#"{"sizes": []}"#, r#"{"sizes": [{"min": 5, "max": 4, "count": 1}]}"#] {
            assert!(Profile::parse(text).is_err(), "{text}");
        }
        assert!(Profile::parse(r#"{"sizes": [{"size": -1, "count": 1}]}"#).is_err());
        assert!(Profile::parse(r#"{"sizes": [{"size": 8, "max": 9, "count": 1}], "max_live": 10}"#).is_err());
    }
}
