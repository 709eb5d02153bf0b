//! Knuth's experiments (TAOCP vol. 1, 2.5) as a command, on the managers and on
//! models of other policies. May use: the analysis.

use anyhow::Result;
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use memman::analysis::knuth::{Sizes, SteadyRun, Summary, fill, least_capacity, steady};
use memman::analysis::policy::{Kind, Model, Owned, Policy, Subject};

/// Who is compared: the managers, and policies that no manager has.
#[derive(Clone, Copy)]
enum Who {
    Manager(Kind),
    Model(Policy),
}

const ALL: [Who; 8] = [
    Who::Manager(Kind::Ffit),
    Who::Manager(Kind::Buddy),
    Who::Manager(Kind::Ebuddy),
    Who::Model(Policy::BestFit),
    Who::Model(Policy::NextFit),
    Who::Model(Policy::GoodFit),
    Who::Model(Policy::HalfFit),
    Who::Model(Policy::LifoBuddy),
];

impl Who {
    fn name(self) -> &'static str {
        match self {
            Who::Manager(kind) => kind.name(),
            Who::Model(policy) => policy.name(),
        }
    }

    fn make(self, capacity: u64) -> Option<Box<dyn Subject>> {
        match self {
            Who::Manager(kind) => Some(Box::new(Owned::with_capacity(kind, capacity)?)),
            Who::Model(policy) => Some(Box::new(Model::new(policy, capacity))),
        }
    }
}

/// A subject in a box is a subject.
struct Boxed(Box<dyn Subject>);

impl Subject for Boxed {
    fn get(&mut self, size: u64) -> Option<u64> {
        self.0.get(size)
    }
    fn free(&mut self, start: u64) -> bool {
        self.0.free(start)
    }
    fn capacity(&self) -> u64 {
        self.0.capacity()
    }
    fn reserved(&self) -> u64 {
        self.0.reserved()
    }
    fn free_blocks(&self) -> u64 {
        self.0.free_blocks()
    }
}

/// Knuth's lifetimes.
const LIFETIMES: [u64; 3] = [10, 100, 1000];

/// Granules in which no steady state is ever refused.
const ROOMY: u64 = 1 << 23;

fn show(summary: Option<Summary>) -> String {
    summary.map_or("-".into(), |s| format!("{:.3} ({:.3} to {:.3})", s.mean, s.min, s.max))
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(header);
    table
}

/// `memman knuth`: tables of mean (least to largest) over the seeds
/// `first..first + seeds`.
pub fn command(first: u64, seeds: u64) -> Result<()> {
    let seeds = first..first.saturating_add(seeds);
    let rounds = (Sizes::ALL.len() * ALL.len() * (1 + LIFETIMES.len())) as u64;
    let bar = ProgressBar::new(rounds).with_style(ProgressStyle::with_template("{wide_bar} {msg} {pos}/{len}, {eta}")?);
    let mut filled = table(&["sizes", "granules", "heap", "requested", "reserved"]);
    let mut runs =
        table(&["sizes", "lifetimes", "heap", "live blocks", "free over live blocks", "pool over peak live"]);
    for sizes in Sizes::ALL {
        for who in ALL {
            bar.set_message(format!("{} {}", sizes.name(), who.name()));
            let outcomes: Vec<_> =
                seeds.clone().filter_map(|seed| Some(fill(sizes, seed, &mut *who.make(sizes.pool())?))).collect();
            filled.add_row([
                sizes.name().into(),
                sizes.pool().to_string(),
                who.name().into(),
                show(Summary::of(outcomes.iter().map(|outcome| outcome.requested_part()))),
                show(Summary::of(outcomes.iter().map(|outcome| outcome.reserved_part()))),
            ]);
            bar.inc(1);
        }
        for lifetime in LIFETIMES {
            for who in ALL {
                bar.set_message(format!("{} 1..{lifetime} {}", sizes.name(), who.name()));
                let run = |seed| SteadyRun::new(sizes, lifetime, seed);
                let outcomes: Vec<_> =
                    seeds.clone().filter_map(|seed| Some(steady(run(seed), &mut *who.make(ROOMY)?))).collect();
                let pools = seeds.clone().filter_map(|seed| {
                    let least = least_capacity(run(seed), |capacity| who.make(capacity).map(Boxed))?;
                    Some(least.capacity as f64 / least.peak as f64)
                });
                let live = Summary::of(outcomes.iter().map(|outcome| outcome.live_blocks));
                runs.add_row([
                    sizes.name().into(),
                    format!("1..{lifetime}"),
                    who.name().into(),
                    live.map_or("-".into(), |live| format!("{:.1}", live.mean)),
                    show(Summary::of(outcomes.iter().map(|outcome| outcome.free_over_live()))),
                    show(Summary::of(pools)),
                ]);
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    println!("seeds {} to {}: mean (least to largest)\n", seeds.start, seeds.end - 1);
    println!("Filled to the first refusal, lifetimes rising; parts of the granules:\n{filled}\n");
    println!("Steady state, 2000 steps after 2000:\n{runs}");
    Ok(())
}
