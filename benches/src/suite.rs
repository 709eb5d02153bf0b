//! Runs the suite: every workload under every allocator, round robin, so that
//! whatever else the machine does falls on all alike; then the latencies and
//! the fixed pools.

use crate::RunOptions;
use crate::allocators::{self, Allocator, BASELINE};
use crate::compile;
use crate::measure::Bench;
use crate::results::{Latency, Machine, Pool, Results, Runs, WorkloadResult, median};
use crate::workloads::{SPECS, Spec, Workload};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More than the cases of the latencies take, in KiB.
const LATENCY_WARM: u64 = 128 << 10;

/// Runs what `options` ask for.
///
/// # Errors
/// Bad options, or a compiler or directory that cannot be used. A workload that
/// cannot run, or fails, is one line on stderr and in the results.
pub fn run(options: &RunOptions) -> Result<Results> {
    let scale = options.scale()?;
    let chosen = choose_allocators(options)?;
    fs::create_dir_all(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    let directory = options.out.canonicalize()?;
    // Two runs at once would spoil each other's figures, but not their answers.
    let scratch = directory.join(format!("scratch-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let launcher = compile::program("probe/launch.c", &directory, &["-static"])?;
    let bench = Bench { launcher, scratch, thp: options.thp, cold: options.cold.map(Duration::from_secs) };

    let wanted = |spec: &&Spec| options.wants(&[spec.name, spec.group.name()]);
    let specs: Vec<&Spec> = SPECS.iter().filter(wanted).collect();
    let latency = options.wants(&["latency"]);
    let pools = options.wants(&["pool"]).then(|| find_pools(options, &directory));
    let pools = pools.unwrap_or_default();
    if specs.is_empty() && !latency && pools.is_empty() {
        bail!("--only {}: nothing has that name; see memman-bench list", options.only.join(","));
    }

    let mut results = Results {
        date: date(),
        machine: machine(),
        command: std::env::args().skip(1).fold("memman-bench".to_owned(), |all, a| all + " " + &a),
        rounds: options.rounds(),
        scale,
        thp: options.thp,
        cold_seconds: options.cold,
        allocators: chosen,
        workloads: Vec::new(),
        latencies: Vec::new(),
        pools: Vec::new(),
    };
    let per_workload = u64::from(options.rounds()) * results.allocators.len() as u64;
    let steps =
        per_workload * (specs.len() as u64 + u64::from(latency)) + u64::from(options.rounds()) * pools.len() as u64;
    let bar = progress(steps);
    for spec in specs {
        bar.set_message(spec.name);
        match spec.prepare(scale, &directory) {
            Ok(workload) => results.workloads.push(WorkloadResult {
                name: spec.name.to_owned(),
                group: spec.group,
                pattern: spec.pattern.to_owned(),
                runs: rounds(&bench, spec, &workload, &results, &bar),
            }),
            Err(error) => {
                say(&bar, &format!("{} is left out: {error:#}", spec.name));
                bar.inc(per_workload);
            }
        }
    }
    if latency {
        results.latencies = latencies(&bench, &directory, &results, &bar)?;
    }
    if !pools.is_empty() {
        results.pools = measure_pools(&bench, &directory, &pools, &results, &bar)?;
    }
    bar.finish_and_clear();
    let _ = fs::remove_dir_all(&bench.scratch);
    Ok(results)
}

fn choose_allocators(options: &RunOptions) -> Result<Vec<Allocator>> {
    let mut found = allocators::find(&options.library, &options.alloc)?;
    if !options.allocators.is_empty() {
        for name in &options.allocators {
            if !found.iter().any(|allocator| allocator.name == *name) {
                let names: Vec<&str> = found.iter().map(|a| a.name.as_str()).collect();
                bail!("--allocators {name}: there are only {}", names.join(", "));
            }
        }
        // The baseline stays: without it there is no ratio.
        found.retain(|a| a.name == BASELINE || options.allocators.contains(&a.name));
    }
    Ok(found)
}

fn progress(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} ({eta} left)") {
        bar.set_style(style);
    }
    bar
}

/// One line that the progress bar does not overwrite.
fn say(bar: &ProgressBar, line: &str) {
    bar.suspend(|| eprintln!("{line}"));
}

fn rounds(
    bench: &Bench,
    spec: &Spec,
    workload: &Workload,
    results: &Results,
    bar: &ProgressBar,
) -> BTreeMap<String, Runs> {
    let mut all: BTreeMap<String, Runs> = BTreeMap::new();
    let baseline = &results.allocators[0];
    // One run that is not counted brings programs and inputs into the page cache,
    // and gives the answer that all others are held to.
    let (answer, mut peak) = match bench.run(workload, baseline, 0) {
        Ok(outcome) => (outcome.answer, outcome.sample.rss_kib),
        Err(error) => {
            say(bar, &format!("{} is left out: under {BASELINE}: {error:#}", spec.name));
            bar.inc(u64::from(results.rounds) * results.allocators.len() as u64);
            return all;
        }
    };
    for round in 0..results.rounds {
        // Each round starts with another allocator, and every other goes backwards:
        // none always follows the same.
        let first = round as usize % results.allocators.len();
        let (end, start) = results.allocators.split_at(first);
        let mut order: Vec<&Allocator> = start.iter().chain(end).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for allocator in order {
            let runs = all.entry(allocator.name.clone()).or_default();
            bar.inc(1);
            if runs.failure.is_some() {
                continue;
            }
            // More than the largest of them took so far.
            match bench.run(workload, allocator, peak * 2) {
                Ok(outcome) if outcome.answer == answer => {
                    peak = peak.max(outcome.sample.rss_kib);
                    runs.samples.push(outcome.sample);
                }
                Ok(_) => runs.failure = Some("another output than under glibc".to_owned()),
                Err(error) => runs.failure = Some(format!("{error:#}")),
            }
            if let Some(failure) = &runs.failure {
                say(bar, &format!("{} under {}: {failure}", spec.name, allocator.name));
            }
        }
    }
    all
}

fn latencies(bench: &Bench, directory: &Path, results: &Results, bar: &ProgressBar) -> Result<Vec<Latency>> {
    bar.set_message("latency");
    let program = compile::program("probe/latency.c", directory, &[])?;
    let workload = Workload::new(program, directory, vec![results.scale.to_string()]);
    let mut found = Vec::new();
    for _ in 0..results.rounds {
        for allocator in &results.allocators {
            match bench.run(&workload, allocator, LATENCY_WARM) {
                Ok(outcome) => {
                    found.extend(outcome.latencies.iter().filter_map(|line| parse_latency(line, &allocator.name)))
                }
                Err(error) => say(bar, &format!("latency under {}: {error:#}", allocator.name)),
            }
            bar.inc(1);
        }
    }
    Ok(medians(&found))
}

/// latency CASE OPERATION COUNT MEAN P50 P99 P99.9 P99.99
fn parse_latency(line: &str, allocator: &str) -> Option<Latency> {
    let words: Vec<&str> = line.split(' ').collect();
    let &[_, case, operation, _count, ref times @ ..] = words.as_slice() else {
        return None;
    };
    let times: Vec<f64> = times.iter().filter_map(|word| word.parse().ok()).collect();
    let &[mean, p50, p99, p99_9, p99_99] = times.as_slice() else {
        return None;
    };
    Some(Latency {
        allocator: allocator.to_owned(),
        case: case.to_owned(),
        operation: operation.to_owned(),
        mean,
        p50,
        p99,
        p99_9,
        p99_99,
    })
}

/// The rounds of each allocator, case and operation as one, in the order of
/// their first appearance.
fn medians(found: &[Latency]) -> Vec<Latency> {
    let key = |l: &Latency| (l.allocator.clone(), l.case.clone(), l.operation.clone());
    let mut merged: Vec<Latency> = Vec::new();
    for latency in found {
        if merged.iter().any(|other| key(other) == key(latency)) {
            continue;
        }
        let same: Vec<&Latency> = found.iter().filter(|l| key(l) == key(latency)).collect();
        let middle = |of: fn(&Latency) -> f64| median(same.iter().map(|l| of(l)).collect()).unwrap_or_default();
        merged.push(Latency {
            mean: middle(|l| l.mean),
            p50: middle(|l| l.p50),
            p99: middle(|l| l.p99),
            p99_9: middle(|l| l.p99_9),
            p99_99: middle(|l| l.p99_99),
            ..latency.clone()
        });
    }
    merged
}

/// The plug-ins of memman's own managers, where its library and headers are,
/// and those asked for.
fn find_pools(options: &RunOptions, directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Ok(library) = options.library.join("libmemman.a").canonicalize() {
        for name in ["ffit", "buddy", "ebuddy"] {
            match compile::plugin(name, &library, directory) {
                Ok(path) => found.push(path),
                Err(error) => eprintln!("pool {name} is left out: {error:#}"),
            }
        }
    }
    for path in &options.pool {
        match path.canonicalize() {
            Ok(path) => found.push(path),
            Err(_) => eprintln!("pool {} is left out: no such file", path.display()),
        }
    }
    found
}

fn measure_pools(
    bench: &Bench,
    directory: &Path,
    plugins: &[PathBuf],
    results: &Results,
    bar: &ProgressBar,
) -> Result<Vec<Pool>> {
    bar.set_message("pool");
    let program = compile::program("probe/pool.c", directory, &["-ldl"])?;
    // Round by round, so that what else the machine does falls on all.
    let mut samples = vec![(Vec::new(), BTreeMap::new()); plugins.len()];
    for _ in 0..results.rounds {
        for (plugin, (times, metrics)) in plugins.iter().zip(&mut samples) {
            bar.inc(1);
            let arguments = vec![plugin.display().to_string(), results.scale.to_string()];
            let workload = Workload::new(program.clone(), directory, arguments);
            let name = pool_name(plugin);
            match bench.run(&workload, &results.allocators[0], 0) {
                Ok(outcome) => {
                    times.extend(outcome.latencies.iter().filter_map(|l| parse_latency(l, &name)));
                    *metrics = outcome.sample.metrics;
                }
                Err(error) => say(bar, &format!("pool {name}: {error:#}")),
            }
        }
    }
    let mut found: Vec<Pool> = Vec::new();
    for (plugin, (times, metrics)) in plugins.iter().zip(samples) {
        if times.is_empty() {
            continue;
        }
        let fill = metrics
            .iter()
            .filter_map(|(metric, millionths)| Some((metric.strip_prefix("fill_")?.to_owned(), millionths / 1e6)));
        found.push(Pool {
            fill: fill.collect(),
            refused: metrics.get("refused_half_full").copied().unwrap_or_default(),
            times: medians(&times),
            name: pool_name(plugin),
        });
    }
    Ok(found)
}

/// The name of a plug-in: `tlsf` of `pool-tlsf.so`.
fn pool_name(plugin: &Path) -> String {
    let stem = plugin.file_stem().unwrap_or_default().to_string_lossy();
    stem.strip_prefix("pool-").unwrap_or(&stem).to_owned()
}

fn date() -> String {
    // SAFETY: time and gmtime_r write only to what they are given.
    let t = unsafe {
        let mut broken_down: libc::tm = std::mem::zeroed();
        let now = libc::time(std::ptr::null_mut());
        libc::gmtime_r(&now, &mut broken_down);
        broken_down
    };
    let (year, month) = (t.tm_year + 1900, t.tm_mon + 1);
    format!("{year}-{month:02}-{:02} {:02}:{:02}", t.tm_mday, t.tm_hour, t.tm_min)
}

fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| -> Option<String> {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line[key.len()..].trim_matches([' ', '\t', ':', '=', '"']).to_owned())
    };
    let unknown = || "unknown".to_owned();
    let huge = read("/sys/kernel/mm/transparent_hugepage/enabled");
    let chosen = huge.split('[').nth(1).and_then(|rest| rest.split(']').next());
    Machine {
        cpu: after(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        system: after(&read("/etc/os-release"), "PRETTY_NAME").unwrap_or_else(unknown),
        huge_pages: chosen.unwrap_or("unknown").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_latencies_is_read_whole_or_not_at_all() {
        let read = parse_latency("latency 16-1K malloc 300 21.5 20 30 150 900", "glibc").unwrap();
        assert_eq!((read.case.as_str(), read.operation.as_str()), ("16-1K", "malloc"));
        assert_eq!((read.mean, read.p50, read.p99_99), (21.5, 20.0, 900.0));
        assert!(parse_latency("latency 16-1K malloc 300 21.5 20 30 150", "glibc").is_none());
        assert!(parse_latency("latency 16-1K malloc 300 x 20 30 150 900", "glibc").is_none());
    }

    #[test]
    fn rounds_merge_to_medians_of_each_operation() {
        let line = |mean: f64| format!("latency c get 1 {mean} 1 2 3 4");
        let mut found: Vec<Latency> = [9.0, 1.0, 2.0].iter().filter_map(|m| parse_latency(&line(*m), "a")).collect();
        found.extend(parse_latency("latency c free 1 7 1 2 3 4", "a"));
        let merged = medians(&found);
        assert_eq!(merged.iter().map(|l| l.mean).collect::<Vec<_>>(), [2.0, 7.0]);
    }

    #[test]
    fn every_workload_has_a_name_of_its_own() {
        let mut names: Vec<&str> = SPECS.iter().map(|spec| spec.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SPECS.len());
    }
}
