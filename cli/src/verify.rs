//! The exhaustive search as a command: the least sufficient pool against the
//! bound, and the shortest sequence that breaks the next smaller one, replayed on
//! the real manager. May use: `replay`, `trace`, `units`, the analysis.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use memman::analysis::bounds::{SizeRange, first_fit_granules, leftmost_buddy_granules, robson_granules};
use memman::analysis::policy::{Kind, Model, Owned, Policy};
use memman::analysis::search::{Limits, NoAnswer, Op, Question, least_pool, replay};
use memman::heap::ALIGNMENT;

use crate::replay::{Ground, Heap};
use crate::trace;
use crate::units::{bytes, grouped};

/// The policies by the names of the command line.
const POLICIES: [(&str, Policy); 7] = [
    ("ffit", Policy::FirstFit),
    ("buddy", Policy::LeftmostBuddy),
    ("best-fit", Policy::BestFit),
    ("next-fit", Policy::NextFit),
    ("good-fit", Policy::GoodFit),
    ("half-fit", Policy::HalfFit),
    ("lifo-buddy", Policy::LifoBuddy),
];

/// Reads the name of a policy.
pub fn parse_policy(text: &str) -> Result<Policy, String> {
    let found = POLICIES.iter().find(|(name, _)| *name == text).map(|&(_, policy)| policy);
    found.ok_or_else(|| {
        let names: Vec<_> = POLICIES.iter().map(|(name, _)| *name).collect();
        format!("'{text}' is no policy: it is one of {}", names.join(", "))
    })
}

/// What `memman verify` is asked for; sizes in granules.
pub struct Options {
    pub policies: Vec<Policy>,
    pub live: u32,
    pub largest: u32,
    pub powers: bool,
    pub limits: Limits,
    pub output: Option<PathBuf>,
}

/// The manager whose placement a policy is.
fn kind_of(policy: Policy) -> Option<Kind> {
    match policy {
        Policy::FirstFit => Some(Kind::Ffit),
        Policy::LeftmostBuddy => Some(Kind::Buddy),
        _ => None,
    }
}

fn sequence(ops: &[Op]) -> String {
    ops.iter().map(Op::to_string).collect::<Vec<_>>().join(", ")
}

/// `memman verify`.
pub fn command(options: &Options) -> Result<()> {
    ensure!(options.live > 0 && options.largest > 0, "--max-live and --max-block are at least 1 granule");
    ensure!(options.largest <= options.live, "--max-block is larger than --max-live: no such block is ever requested");
    ensure!(options.largest <= 64, "a pool of at most 64 granules can be searched: --max-block is too large");
    ensure!(options.output.is_none() || options.policies.len() == 1, "-o takes the sequence of one --policy");
    let sizes: Vec<u32> = (1..=options.largest).filter(|size| !options.powers || size.is_power_of_two()).collect();
    let ranges: Vec<_> = sizes.iter().map(|&size| SizeRange::any(size as usize, size as usize)).collect();
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template("{spinner} {msg}, {elapsed}")?);
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["policy", "least pool", "bound", "bound/least", "states"]);
    let mut broken = Vec::new();
    for &policy in &options.policies {
        let question = if options.powers {
            Question::powers_of_two(policy, options.live, options.largest)
        } else {
            Question::all_sizes(policy, options.live, options.largest)
        };
        let answer = least_pool(&question, options.limits, &mut |progress| {
            bar.set_message(format!(
                "{}: pool {}, {} states, {} to do, {} requests deep, {}",
                policy.name(),
                progress.pool,
                grouped(progress.states),
                grouped(progress.to_do),
                progress.depth,
                bytes(progress.bytes as u64)
            ));
            bar.tick();
            ControlFlow::Continue(())
        });
        let bound = match policy {
            Policy::FirstFit => first_fit_granules(&ranges, options.live as usize, 1),
            Policy::LeftmostBuddy => leftmost_buddy_granules(&ranges, options.live as usize, 1),
            _ => None,
        };
        let shown = bound.map_or(String::new(), |bound| bound.to_string());
        match answer {
            Ok(least) => {
                let ratio = bound.map_or(String::new(), |bound| format!("{:.3}", bound as f64 / f64::from(least.pool)));
                table.add_row([policy.name().into(), least.pool.to_string(), shown, ratio, grouped(least.states)]);
                ensure!(
                    bound.is_none_or(|bound| bound >= u64::from(least.pool)),
                    "the bound for {} is exceeded: {}",
                    policy.name(),
                    sequence(&least.breaking)
                );
                broken.push((policy, least.pool, least.breaking));
            }
            Err(NoAnswer::OutOfMemory { at_least }) => {
                table.add_row([
                    policy.name().into(),
                    format!(">= {at_least}"),
                    shown,
                    String::new(),
                    "more --memory".into(),
                ]);
            }
            Err(NoAnswer::TooSmall(_)) => {
                table.add_row([
                    policy.name().into(),
                    "not found".into(),
                    shown,
                    String::new(),
                    "too large a pool".into(),
                ]);
            }
            Err(other) => bail!("{}: {other}", policy.name()),
        }
    }
    bar.finish_and_clear();
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    let which = if options.powers { "powers of two" } else { "all sizes" };
    println!("at most {} granules live, blocks of {which} up to {}", options.live, options.largest);
    println!("{table}");
    let robson = robson_granules(options.live.into(), options.largest.into());
    println!("No allocator that does not move blocks can do with less than {robson} (Robson's lower bound).");
    for (policy, pool, breaking) in &broken {
        if breaking.is_empty() {
            continue;
        }
        let smaller = pool - 1;
        let last = breaking.len() - 1;
        let (refused, where_) = match kind_of(*policy) {
            Some(kind) => {
                let mut heap = Owned::with_capacity(kind, smaller.into()).context("so small a heap there is not")?;
                (replay(breaking, &mut heap), "the manager")
            }
            None => (replay(breaking, &mut Model::new(*policy, smaller.into())), "the model"),
        };
        ensure!(refused == Some(last), "{}: its own sequence is not refused by {where_}", policy.name());
        println!(
            "\n{}: {where_} refuses the last request in {smaller} granules:\n  {}",
            policy.name(),
            sequence(breaking)
        );
        if let Some(path) = &options.output {
            write(path, *policy, smaller, breaking)?;
        }
    }
    Ok(())
}

/// Writes the sequence as a trace, in units of the managers' granule, and says
/// how it is replayed.
fn write(path: &Path, policy: Policy, granules: u32, breaking: &[Op]) -> Result<()> {
    let mut gets = 0;
    let op = |op: &Op| match *op {
        Op::Get(size) => {
            gets += 1;
            trace::Op::Get { block: gets - 1, size: u64::from(size) * ALIGNMENT as u64, align: 0 }
        }
        Op::Free(get) => trace::Op::Free { block: get },
    };
    let ops: Vec<_> = breaking.iter().map(op).collect();
    trace::write(path, policy.name(), &ops)?;
    let Some(kind) = kind_of(policy) else {
        println!("  written to {}", path.display());
        return Ok(());
    };
    let wanted = u64::from(granules) * ALIGNMENT as u64;
    let mut area = wanted as usize;
    while Heap::new(kind, Ground::Area(area), 0)?.is_none_or(|heap| heap.manager().stats().size < wanted) {
        area += ALIGNMENT;
    }
    println!("  memman replay {} --heap {} --area {area}", path.display(), kind.name());
    Ok(())
}
