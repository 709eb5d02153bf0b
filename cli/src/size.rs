//! How much memory is enough: for a trace, by replays and by the bounds; for a
//! profile, by the bounds. May use: `profile`, `replay`, `trace`, `units`,
//! the managers.

use anyhow::{Result, bail};
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use memman::analysis::policy::Kind;
use serde::Serialize;

use crate::profile::Profile;
use crate::replay::{Ground, Heap, PAGE, peak_live, run};
use crate::trace::Trace;
use crate::units::grouped;

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
