//! The exhaustive search as a command: the least sufficient pool against the
//! bounds, and the shortest sequence that breaks the next smaller one, replayed on the real
//! manager. May use: `profile`, `trace`, `units`, the analysis.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use memman::analysis::bounds::{
    SizeRange, any_buddy_profile_granules, ebuddy_granules, first_fit_granules, leftmost_buddy_granules,
};
use memman::analysis::policy::{Kind, Model, Owned, Policy};
use memman::analysis::search::{Known, Limits, NoAnswer, Op, Placement, Progress, Question, least_pool, replay};
use memman::heap::ALIGNMENT;
use serde::Serialize;

use crate::profile::Profile;
use crate::trace;
use crate::units::{bytes, grouped};

/// The placements by the names of the command line.
const PLACEMENTS: [(&str, Placement); 9] = [
    ("ffit", Placement::By(Policy::FirstFit)),
    ("buddy", Placement::By(Policy::LeftmostBuddy)),
    ("ebuddy", Placement::Ebuddy),
    ("best-fit", Placement::By(Policy::BestFit)),
    ("next-fit", Placement::By(Policy::NextFit)),
    ("good-fit", Placement::By(Policy::GoodFit)),
    ("half-fit", Placement::By(Policy::HalfFit)),
    ("lifo-buddy", Placement::By(Policy::LifoBuddy)),
    ("any-buddy", Placement::AnyBuddy),
];

/// Reads the name of a placement.
pub fn parse_placement(text: &str) -> Result<Placement, String> {
    let found = PLACEMENTS.iter().find(|(name, _)| *name == text).map(|&(_, placement)| placement);
    found.ok_or_else(|| {
        let names: Vec<_> = PLACEMENTS.iter().map(|(name, _)| *name).collect();
        format!("'{text}' is no policy: it is one of {}", names.join(", "))
    })
}

/// The managers.
pub const MANAGERS: [Placement; 3] = [PLACEMENTS[0].1, PLACEMENTS[1].1, PLACEMENTS[2].1];

/// The manager that places blocks so.
fn kind_of(placement: Placement) -> Option<Kind> {
    match placement {
        Placement::By(Policy::FirstFit) => Some(Kind::Ffit),
        Placement::By(Policy::LeftmostBuddy) => Some(Kind::Buddy),
        Placement::Ebuddy => Some(Kind::Ebuddy),
        _ => None,
    }
}

/// Which requests are allowed.
pub struct Requests {
    profile: Profile,
    /// Units of the profile in a granule.
    granule: u32,
    /// In words.
    shown: String,
}

impl Requests {
    /// Blocks of up to `largest` granules, `live` of them live at once.
    pub fn granules(live: u32, largest: u32, powers: bool) -> Result<Self> {
        ensure!(live > 0 && largest > 0, "--max-live and --max-block are at least 1 granule");
        ensure!(largest <= live, "--max-block is larger than --max-live: no such block is ever requested");
        ensure!(largest <= 64, "a pool of at most 64 granules can be searched: --max-block is too large");
        let any = |size| SizeRange::any(size, size);
        let orders = 0..=largest.ilog2();
        let (ranges, which) = match powers {
            true => (orders.map(|order| any(1 << order)).collect(), "powers of two"),
            false => (vec![SizeRange::any(1, largest as usize)], "all sizes"),
        };
        let profile = Profile { ranges, max_live: live as usize };
        Ok(Requests {
            profile,
            granule: 1,
            shown: format!("at most {live} granules live, blocks of {which} up to {largest}"),
        })
    }

    /// The profile in a file, in bytes, on the managers' granules.
    pub fn read(path: &Path) -> Result<Self> {
        let profile = Profile::read(path)?;
        let live = profile.live();
        ensure!(u32::try_from(live).is_ok(), "{}: {live} live bytes are more than can be searched", path.display());
        let shown = format!("the profile of {}, in granules of {ALIGNMENT} bytes", path.display());
        Ok(Requests { profile, granule: ALIGNMENT as u32, shown })
    }

    fn question(&self, placement: Placement) -> Question {
        let (max_live, profile) = (self.profile.live() as u32, self.profile.ranges.clone());
        Question { placement, max_live, granule: self.granule, profile }
    }

    /// The proved bound in granules; for the policies that have none, none.
    fn bound(&self, placement: Placement) -> Option<u64> {
        let bound = match placement {
            Placement::By(Policy::FirstFit) => first_fit_granules,
            Placement::By(Policy::LeftmostBuddy) => leftmost_buddy_granules,
            Placement::By(Policy::LifoBuddy) | Placement::AnyBuddy => any_buddy_profile_granules,
            Placement::Ebuddy => ebuddy_granules,
            Placement::By(_) => return None,
        };
        bound(&self.profile.ranges, self.profile.max_live, self.granule as usize)
    }

    /// In fewer granules no allocator can serve every program.
    fn any_allocator(&self) -> u64 {
        self.profile.any_allocator().div_ceil(self.granule as usize) as u64
    }

    /// The bytes that a trace asks for to get so many granules.
    fn bytes(&self, granules: u32) -> u64 {
        if self.granule == 1 {
            return u64::from(granules) * ALIGNMENT as u64;
        }
        let (granules, granule) = (granules as usize, self.granule as usize);
        let fits = |range: &SizeRange| {
            let least = range.min.max((granules - 1) * granule + 1);
            (least <= range.max && least.div_ceil(granule) == granules).then_some(least)
        };
        self.profile.ranges.iter().filter_map(fits).min().unwrap_or(granules * granule) as u64
    }
}

/// What `memman verify` is asked for.
pub struct Options {
    pub requests: Requests,
    pub placements: Vec<Placement>,
    pub limits: Limits,
    pub time: Option<Duration>,
    pub states: Option<u64>,
    pub json: bool,
    pub output: Option<PathBuf>,
}

/// What is known of one placement.
#[derive(Serialize)]
struct Row {
    policy: &'static str,
    /// "exact", or why it is not.
    outcome: &'static str,
    /// The least sufficient pool in granules, or what it is at least.
    least: u32,
    /// The proved bound.
    bound: Option<u64>,
    /// Over the least pool.
    bound_over_least: Option<f64>,
    states: u64,
    seconds: f64,
    /// Requests of which the last is refused in a granule less than `least`.
    breaking: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    requests: String,
    /// In fewer granules no allocator can serve every program.
    any_allocator: u64,
    rows: Vec<Row>,
}

/// Set by SIGINT, after which a second one ends the program.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn interrupt(signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
    // SAFETY: signal is async-signal-safe.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// `memman verify`.
pub fn command(options: &Options) -> Result<()> {
    ensure!(options.output.is_none() || options.placements.len() == 1, "-o takes the sequence of one --policy");
    // SAFETY: the handler stores a flag.
    unsafe { libc::signal(libc::SIGINT, interrupt as *const () as libc::sighandler_t) };
    let mut report = Report {
        requests: options.requests.shown.clone(),
        any_allocator: options.requests.any_allocator(),
        rows: Vec::new(),
    };
    let mut sequences = Vec::new();
    for &placement in &options.placements {
        if INTERRUPTED.load(Ordering::Relaxed) {
            break;
        }
        let (row, breaking) = search(options, placement)?;
        if let Some(&last) = breaking.last() {
            let refused = refused_at(placement, row.least - 1, &breaking)?;
            ensure!(
                refused == Some(breaking.len() - 1),
                "{}: its own sequence, which ends in {last}, is not refused",
                row.policy
            );
        }
        sequences.push((placement, breaking));
        report.rows.push(row);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    for (row, (placement, breaking)) in report.rows.iter().zip(&sequences) {
        if let Some(path) = options.output.as_deref().filter(|_| !breaking.is_empty()) {
            let hint = write(path, &options.requests, *placement, row.least - 1, breaking)?;
            if !options.json {
                println!("  {hint}");
            }
        }
        ensure!(
            row.bound.is_none_or(|bound| bound >= u64::from(row.least)),
            "the bound for {} is exceeded: {}",
            row.policy,
            row.breaking.join(", ")
        );
    }
    Ok(())
}

/// Searches one placement: what is known, and what breaks the next smaller pool.
fn search(options: &Options, placement: Placement) -> Result<(Row, Vec<Op>)> {
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template("{spinner} {msg}, {elapsed}")?);
    let begun = Instant::now();
    let mut report = |progress: &Progress| {
        bar.set_message(format!(
            "{}: pool {}, {} states, {} to do, {} requests deep, {}",
            placement.name(),
            progress.pool,
            grouped(progress.states),
            grouped(progress.to_do),
            progress.depth,
            bytes(progress.bytes as u64)
        ));
        bar.tick();
        let ended = INTERRUPTED.load(Ordering::Relaxed)
            || options.time.is_some_and(|time| begun.elapsed() >= time)
            || options.states.is_some_and(|states| progress.states >= states);
        if ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let question = options.requests.question(placement);
    let (outcome, known) = match least_pool(&question, options.limits, &mut report) {
        Ok(least) => ("exact", Known { at_least: least.pool, breaking: least.breaking, states: least.states }),
        Err(NoAnswer::OutOfMemory(known)) => ("out of memory", known),
        Err(NoAnswer::Stopped(known)) => ("stopped", known),
        Err(NoAnswer::TooSmall(known)) => ("too large a pool", known),
        Err(NoAnswer::Unsuitable(why)) => return Err(why).context(placement.name()),
    };
    let Known { at_least: least, breaking, states } = known;
    bar.finish_and_clear();
    let bound = options.requests.bound(placement);
    let row = Row {
        policy: placement.name(),
        outcome,
        least,
        bound,
        bound_over_least: bound.map(|bound| bound as f64 / f64::from(least)),
        states,
        seconds: begun.elapsed().as_secs_f64(),
        breaking: breaking.iter().map(Op::to_string).collect(),
    };
    Ok((row, breaking))
}

/// Where the manager refuses a sequence in so many granules, or, of a policy that
/// is no manager's, the model. `None` too where there is neither.
fn refused_at(placement: Placement, granules: u32, sequence: &[Op]) -> Result<Option<usize>> {
    Ok(match (kind_of(placement), placement) {
        (Some(kind), _) => match Owned::with_capacity(kind, granules.into()) {
            Some(mut heap) => replay(sequence, &mut heap),
            // So small a heap there is not: it refuses everything.
            None => Some(sequence.len() - 1),
        },
        (None, Placement::By(policy)) => replay(sequence, &mut Model::new(policy, granules.into())),
        // The adversary chose the places: the sequence does not tell them.
        (None, _) => Some(sequence.len() - 1),
    })
}

fn print(report: &Report) {
    println!("{}", report.requests);
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["policy", "least pool", "bound", "bound/least", "states", "seconds", ""]);
    for row in &report.rows {
        let exact = row.outcome == "exact";
        table.add_row([
            row.policy.to_owned(),
            if exact { row.least.to_string() } else { format!(">= {}", row.least) },
            row.bound.map_or("none".to_owned(), |bound| bound.to_string()),
            row.bound_over_least.map_or(String::new(), |ratio| format!("{}{ratio:.3}", if exact { "" } else { "<= " })),
            grouped(row.states),
            format!("{:.1}", row.seconds),
            if exact { String::new() } else { row.outcome.to_owned() },
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(5) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    println!("{table}");
    println!(
        "No allocator that does not move blocks can do with less than {} (Robson's lower bound).",
        report.any_allocator
    );
    for row in report.rows.iter().filter(|row| !row.breaking.is_empty()) {
        println!("\n{}, in {} granules the last is refused:\n  {}", row.policy, row.least - 1, row.breaking.join(", "));
    }
}

/// Writes the sequence as a trace, in units of the managers' granule, and says
/// how it is replayed.
fn write(path: &Path, requests: &Requests, placement: Placement, granules: u32, breaking: &[Op]) -> Result<String> {
    let mut gets = 0;
    let op = |op: &Op| match *op {
        Op::Get(size) => {
            gets += 1;
            trace::Op::Get { block: gets - 1, size: requests.bytes(size), align: 0 }
        }
        Op::Free(get) => trace::Op::Free { block: get },
    };
    let ops: Vec<_> = breaking.iter().map(op).collect();
    trace::write(path, placement.name(), &ops)?;
    let (shown, blocks) = (path.display(), granules as usize * ALIGNMENT);
    Ok(match kind_of(placement) {
        Some(kind) => format!("memman replay {shown} --heap {} --blocks {blocks}", kind.name()),
        None => format!("written to {shown}"),
    })
}
