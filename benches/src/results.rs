//! What a run found, as it is kept in results.json, and the arithmetic on it:
//! medians, ratios to glibc, geometric means.

use crate::allocators::{Allocator, BASELINE};
use crate::measure::Thp;
use crate::workloads::Group;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Serialize, Deserialize)]
pub struct Results {
    /// UTC, as in 2026-11-23 07:10.
    pub date: String,
    pub machine: Machine,
    pub command: String,
    pub rounds: u32,
    pub scale: f64,
    pub thp: Thp,
    /// How long the machine rested before each run; otherwise its memory was warm.
    pub cold_seconds: Option<u64>,
    pub allocators: Vec<Allocator>,
    pub workloads: Vec<WorkloadResult>,
    pub latencies: Vec<Latency>,
    pub pools: Vec<Pool>,
}

#[derive(Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    pub system: String,
    /// The system's setting of transparent huge pages.
    pub huge_pages: String,
}

#[derive(Serialize, Deserialize)]
pub struct WorkloadResult {
    pub name: String,
    pub group: Group,
    pub pattern: String,
    /// By the allocator's name.
    pub runs: BTreeMap<String, Runs>,
}

#[derive(Default, Serialize, Deserialize)]
pub struct Runs {
    pub samples: Vec<Sample>,
    /// Why the allocator has no figure here; the samples then do not count.
    pub failure: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Sample {
    pub wall_ms: f64,
    pub user_ms: f64,
    pub system_ms: f64,
    pub rss_kib: u64,
    /// What the workload measured itself.
    pub metrics: BTreeMap<String, f64>,
}

/// The times of one operation, in ns; of several rounds, the medians.
#[derive(Clone, Serialize, Deserialize)]
pub struct Latency {
    pub allocator: String,
    pub case: String,
    pub operation: String,
    pub mean: f64,
    pub p50: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub p99_99: f64,
}

/// A manager on a fixed pool of 1 MiB.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pool {
    pub name: String,
    /// Of a get and a free, half full.
    pub times: Vec<Latency>,
    /// Requested bytes over the area at the first failure, by mix.
    pub fill: BTreeMap<String, f64>,
    /// Gets refused while half full.
    pub refused: f64,
}

/// What of a sample is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Wall,
    Cpu,
    Rss,
}

impl Measure {
    fn of(self, sample: &Sample) -> f64 {
        match self {
            Measure::Wall => sample.wall_ms,
            Measure::Cpu => sample.user_ms + sample.system_ms,
            #[allow(clippy::cast_precision_loss)] // far below 2^53 KiB
            Measure::Rss => sample.rss_kib as f64,
        }
    }
}

impl Results {
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// # Errors
    /// The file cannot be read, or is not what [`write`](Self::write) wrote.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no result", path.display()))
    }

    /// The geometric mean of an allocator's ratios to glibc over the workloads of
    /// `groups` in which every allocator has a figure: else a failure would
    /// flatter the one that failed.
    pub fn geomean(&self, measure: Measure, allocator: &str, groups: &[Group]) -> Option<f64> {
        geometric_mean(self.comparable(groups).filter_map(|w| w.ratio(measure, allocator)))
    }

    /// The geometric mean of the best ratio of any peer: what a user would have
    /// who chose the right allocator for each program.
    pub fn best_of_all(&self, measure: Measure, groups: &[Group]) -> Option<f64> {
        geometric_mean(self.comparable(groups).filter_map(|workload| {
            let peers = self.allocators.iter().filter(|a| !a.name.starts_with("memman"));
            peers.filter_map(|a| workload.ratio(measure, &a.name)).min_by(f64::total_cmp)
        }))
    }

    /// How often as fast the workload `more` is done as `fewer`, the same work with
    /// fewer threads: the quotient of their times. `None` where either has none.
    pub fn scaling(&self, fewer: &str, more: &str, allocator: &str) -> Option<f64> {
        let time = |name| {
            let workload = self.workloads.iter().find(|workload| workload.name == name)?;
            workload.median(Measure::Wall, allocator).filter(|time| *time > 0.0)
        };
        Some(time(fewer)? / time(more)?)
    }

    /// The number of workloads that [`geomean`](Self::geomean) stands on.
    pub fn comparable_count(&self, groups: &[Group]) -> usize {
        self.comparable(groups).count()
    }

    fn comparable(&self, groups: &[Group]) -> impl Iterator<Item = &WorkloadResult> {
        let in_groups = self.workloads.iter().filter(move |w| groups.contains(&w.group));
        in_groups.filter(|w| self.allocators.iter().all(|a| w.median(Measure::Wall, &a.name).is_some()))
    }
}

impl WorkloadResult {
    /// `None` where the allocator has no figure.
    pub fn median(&self, measure: Measure, allocator: &str) -> Option<f64> {
        self.median_by(allocator, |sample| Some(measure.of(sample)))
    }

    /// The median of a measurement of the workload's own.
    pub fn median_metric(&self, metric: &str, allocator: &str) -> Option<f64> {
        self.median_by(allocator, |sample| sample.metrics.get(metric).copied())
    }

    fn median_by(&self, allocator: &str, of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let runs = self.runs.get(allocator).filter(|runs| runs.failure.is_none())?;
        median(runs.samples.iter().filter_map(of).collect())
    }

    /// The median over glibc's.
    pub fn ratio(&self, measure: Measure, allocator: &str) -> Option<f64> {
        let base = self.median(measure, BASELINE).filter(|base| *base > 0.0)?;
        Some(self.median(measure, allocator)? / base)
    }
}

/// The middle value; of an even number, the mean of the middle two.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values.map(f64::ln).collect();
    #[allow(clippy::cast_precision_loss)] // a few dozen
    let count = logs.len() as f64;
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / count).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(wall_ms: f64, rss_kib: u64) -> Sample {
        Sample { wall_ms, user_ms: 0.0, system_ms: 0.0, rss_kib, metrics: BTreeMap::new() }
    }

    fn workload(group: Group, runs: &[(&str, &[f64])]) -> WorkloadResult {
        let runs = runs.iter().map(|(name, walls)| {
            let samples = walls.iter().map(|&wall| sample(wall, 1000)).collect();
            ((*name).to_owned(), Runs { samples, failure: None })
        });
        WorkloadResult { name: "w".to_owned(), group, pattern: String::new(), runs: runs.collect() }
    }

    fn results(workloads: Vec<WorkloadResult>, names: &[&str]) -> Results {
        let allocators = names.iter().map(|name| Allocator {
            name: (*name).to_owned(),
            library: None,
            version: String::new(),
            environment: Vec::new(),
        });
        Results {
            date: String::new(),
            machine: Machine {
                cpu: String::new(),
                cores: 2,
                kernel: String::new(),
                system: String::new(),
                huge_pages: String::new(),
            },
            command: String::new(),
            rounds: 1,
            scale: 1.0,
            thp: Thp::System,
            cold_seconds: None,
            allocators: allocators.collect(),
            workloads,
            latencies: Vec::new(),
            pools: Vec::new(),
        }
    }

    #[test]
    fn a_median_is_not_moved_by_one_disturbed_round() {
        assert_eq!(median(vec![3.0, 900.0, 1.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn a_geomean_weighs_half_and_double_alike() {
        let found = results(
            vec![
                workload(Group::Real, &[("glibc", &[10.0]), ("a", &[5.0])]),
                workload(Group::Real, &[("glibc", &[10.0]), ("a", &[20.0])]),
            ],
            &["glibc", "a"],
        );
        let mean = found.geomean(Measure::Wall, "a", &[Group::Real]).unwrap();
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
        let best = found.best_of_all(Measure::Wall, &[Group::Real]).unwrap();
        assert!((best - 0.5_f64.sqrt()).abs() < 1e-12, "{best}");
    }

    #[test]
    fn a_workload_in_which_one_fails_counts_for_nobody() {
        let mut failing = workload(Group::Real, &[("glibc", &[10.0]), ("a", &[1.0])]);
        failing.runs.get_mut("a").unwrap().failure = Some("exit code 139".to_owned());
        let passing = workload(Group::Real, &[("glibc", &[10.0]), ("a", &[9.0])]);
        let found = results(vec![failing, passing], &["glibc", "a"]);
        assert_eq!(found.comparable_count(&[Group::Real]), 1);
        let mean = found.geomean(Measure::Wall, "a", &[Group::Real]).unwrap();
        assert!((mean - 0.9).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn scaling_is_the_time_of_fewer_threads_over_that_of_more() {
        let named = |name: &str, runs| WorkloadResult { name: name.to_owned(), ..workload(Group::Real, runs) };
        let found = results(
            vec![named("w-1", &[("a", &[30.0, 28.0, 99.0]), ("b", &[7.0])]), named("w-2", &[("a", &[15.0])])],
            &["a", "b"],
        );
        assert_eq!(found.scaling("w-1", "w-2", "a"), Some(2.0));
        assert_eq!(found.scaling("w-1", "w-2", "b"), None);
        assert_eq!(found.scaling("w-1", "w-8", "a"), None);
    }

    #[test]
    fn groups_are_averaged_apart() {
        let found = results(
            vec![
                workload(Group::Real, &[("glibc", &[10.0]), ("a", &[5.0])]),
                workload(Group::Memory, &[("glibc", &[10.0]), ("a", &[90.0])]),
            ],
            &["glibc", "a"],
        );
        let mean = found.geomean(Measure::Wall, "a", &[Group::Real]).unwrap();
        assert!((mean - 0.5).abs() < 1e-12, "{mean}");
    }
}
