//! The results as tables, for the terminal and as Markdown.

use crate::allocators::BASELINE;
use crate::measure::Thp;
use crate::results::{Latency, Measure, Results};
use crate::workloads::{Group, SCALING};
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write as _;

/// Where the tables are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Terminal,
    Markdown,
}

/// The groups whose time counts.
const TIMED: &[Group] = &[Group::OneThread, Group::TwoThreads, Group::EightThreads, Group::ManyThreads, Group::Real];

/// All tables, with what they were measured on.
pub fn render(results: &Results, form: Form) -> String {
    let mut text = String::new();
    heading(&mut text, form, "Measured");
    preamble(&mut text, results);
    if !results.workloads.is_empty() {
        heading(&mut text, form, "Geometric means");
        text.push_str("Ratios to glibc, smaller is better.\n\n");
        text.push_str(&geomeans(results, form));
        for (measure, title, unit) in [
            (Measure::Wall, "Time", "ms"),
            (Measure::Cpu, "User and system time", "ms"),
            (Measure::Rss, "Peak resident memory", "MiB"),
        ] {
            heading(&mut text, form, title);
            let _ = writeln!(text, "glibc in {unit}; the others as a ratio to it.\n");
            text.push_str(&ratios(results, form, measure));
        }
        if let Some(table) = scaling(results, form) {
            heading(&mut text, form, "Scaling from fewer threads to more");
            text.push_str(
                "The same requests in all: the time with fewer threads over the time with more, larger is better. ",
            );
            text.push_str(
                "From one thread to two on two cores 2 is all there is; where the cores have work already, 1.\n\n",
            );
            text.push_str(&table);
        }
        if let Some(table) = metrics(results, form) {
            heading(&mut text, form, "Resident memory as the workloads see it, in MiB");
            text.push_str(&table);
        }
        failures(&mut text, results);
    }
    if !results.latencies.is_empty() {
        heading(&mut text, form, "Latency");
        text.push_str("ns of one operation: p50 / p99 / p99.9 / p99.99. ");
        text.push_str("The clock's own cost is in every figure: see its row.\n\n");
        text.push_str(&latencies(results, form));
    }
    if !results.pools.is_empty() {
        heading(&mut text, form, "Fixed pool of 1 MiB");
        text.push_str("Half full: ns of one operation, mean / p99.9, the clock included. ");
        text.push_str("Filled at the first failure: requested bytes over the area.\n\n");
        text.push_str(&pools(results, form));
    }
    text
}

fn heading(text: &mut String, form: Form, title: &str) {
    let mark = if form == Form::Markdown { "## " } else { "" };
    let _ = writeln!(text, "\n{mark}{title}\n");
}

fn preamble(text: &mut String, results: &Results) {
    let machine = &results.machine;
    let thp = match results.thp {
        Thp::System => machine.huge_pages.as_str(),
        Thp::Never => "never, by prctl",
    };
    let memory = results.cold_seconds.map_or(String::new(), |rest| format!("; each run after {rest} seconds of rest"));
    let _ = writeln!(
        text,
        "{} UTC, {} ({} cores), {}, Linux {}, transparent huge pages: {thp}{memory}.\n\
         Medians of {} rounds, scale {}: `{}`\n",
        results.date,
        machine.cpu,
        machine.cores,
        machine.system,
        machine.kernel,
        results.rounds,
        results.scale,
        results.command
    );
    for allocator in &results.allocators {
        let mut settings = String::new();
        for (key, value) in &allocator.environment {
            let _ = write!(settings, ", {key}={value}");
        }
        let _ = writeln!(text, "- {}: {}{settings}", allocator.name, allocator.version);
    }
}

fn table(form: Form, header: &[String]) -> Table {
    let mut table = Table::new();
    table.load_preset(match form {
        Form::Terminal => presets::UTF8_BORDERS_ONLY,
        Form::Markdown => presets::ASCII_MARKDOWN,
    });
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `first`, then a column for each allocator.
fn header(results: &Results, first: &str) -> Vec<String> {
    let names = results.allocators.iter().map(|allocator| allocator.name.clone());
    [first.to_owned()].into_iter().chain(names).collect()
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

fn geomeans(results: &Results, form: Form) -> String {
    let mut columns = header(results, "");
    columns.push("best peer on each".to_owned());
    let mut table = table(form, &columns);
    let sets = [TIMED].into_iter().chain(TIMED.iter().map(std::slice::from_ref));
    let sets: Vec<&[Group]> = sets.filter(|set| results.comparable_count(set) > 0).collect();
    for (measure, title) in [(Measure::Wall, "time"), (Measure::Cpu, "user + system"), (Measure::Rss, "peak RSS")] {
        for set in &sets {
            let name = if set.len() > 1 { "all" } else { set[0].name() };
            let count = results.comparable_count(set);
            let mut row = vec![format!("{title}, {name} ({count})")];
            row.extend(results.allocators.iter().map(|allocator| {
                let mean = results.geomean(measure, &allocator.name, set);
                mean.map_or_else(|| "-".to_owned(), |mean| format!("{mean:.3}"))
            }));
            let best = results.best_of_all(measure, set);
            row.push(best.map_or_else(|| "-".to_owned(), |best| format!("{best:.3}")));
            table.add_row(row);
        }
    }
    format!("{table}\n")
}

fn ratios(results: &Results, form: Form, measure: Measure) -> String {
    let mut table = table(form, &header(results, "workload"));
    for workload in &results.workloads {
        if workload.group == Group::Memory && measure != Measure::Rss {
            continue;
        }
        let mut row = vec![workload.name.clone()];
        row.extend(results.allocators.iter().map(|allocator| {
            if allocator.name == BASELINE {
                let base = workload.median(measure, BASELINE);
                let scale = if measure == Measure::Rss { 1024.0 } else { 1.0 };
                return base.map_or_else(|| "-".to_owned(), |base| format!("{:.1}", base / scale));
            }
            ratio(workload.ratio(measure, &allocator.name))
        }));
        table.add_row(row);
    }
    format!("{table}\n")
}

/// How the allocators scale; `None` where no pair of workloads was run.
fn scaling(results: &Results, form: Form) -> Option<String> {
    let mut table = table(form, &header(results, "workloads"));
    for (fewer, more) in SCALING {
        let quotients = results.allocators.iter().map(|allocator| results.scaling(fewer, more, &allocator.name));
        let quotients: Vec<Option<f64>> = quotients.collect();
        if quotients.iter().any(Option::is_some) {
            let row = [format!("{fewer} to {more}")].into_iter();
            table.add_row(row.chain(quotients.into_iter().map(ratio)));
        }
    }
    (!table.is_empty()).then(|| format!("{table}\n"))
}

/// What the workloads measured themselves; `None` where none did.
fn metrics(results: &Results, form: Form) -> Option<String> {
    let mut table = table(form, &header(results, "workload"));
    for workload in &results.workloads {
        let samples = workload.runs.values().flat_map(|runs| &runs.samples);
        let Some(first) = samples.into_iter().next() else {
            continue;
        };
        for metric in first.metrics.keys() {
            let name = metric.trim_end_matches("_kib").trim_start_matches("rss_");
            let mut row = vec![format!("{}: {name}", workload.name)];
            row.extend(results.allocators.iter().map(|allocator| {
                let value = workload.median_metric(metric, &allocator.name);
                value.map_or_else(|| "-".to_owned(), |kib| format!("{:.1}", kib / 1024.0))
            }));
            table.add_row(row);
        }
    }
    (!table.is_empty()).then(|| format!("{table}\n"))
}

fn failures(text: &mut String, results: &Results) {
    for workload in &results.workloads {
        for (allocator, runs) in &workload.runs {
            if let Some(failure) = &runs.failure {
                let _ = writeln!(text, "\n{} under {allocator}: {failure}", workload.name);
            }
        }
    }
}

/// Each case and operation once, in the order of the results.
pub fn latency_rows(results: &Results) -> Vec<(&str, &str)> {
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for latency in &results.latencies {
        let row = (latency.case.as_str(), latency.operation.as_str());
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

fn latencies(results: &Results, form: Form) -> String {
    let mut table = table(form, &header(results, "case"));
    for (case, operation) in latency_rows(results) {
        let mut row = vec![format!("{case} {operation}")];
        row.extend(results.allocators.iter().map(|allocator| {
            let found = results
                .latencies
                .iter()
                .find(|l| l.allocator == allocator.name && l.case == case && l.operation == operation);
            found.map_or_else(
                || "-".to_owned(),
                |l| format!("{:.0} / {:.0} / {:.0} / {:.0}", l.p50, l.p99, l.p99_9, l.p99_99),
            )
        }));
        table.add_row(row);
    }
    format!("{table}\n")
}

fn pools(results: &Results, form: Form) -> String {
    let columns = ["manager", "get", "free", "mixed", "powers of two", "uniform", "refused half full"];
    let mut table = table(form, &columns.map(str::to_owned));
    for pool in &results.pools {
        let time = |operation: &str| {
            let found = pool.times.iter().find(|latency| latency.operation == operation);
            found.map_or_else(|| "-".to_owned(), |l: &Latency| format!("{:.0} / {:.0}", l.mean, l.p99_9))
        };
        let fill = |mix: &str| pool.fill.get(mix).map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        table.add_row([
            pool.name.clone(),
            time("get"),
            time("free"),
            fill("mixed"),
            fill("powers"),
            fill("uniform"),
            format!("{:.0}", pool.refused),
        ]);
    }
    format!("{table}\n")
}
