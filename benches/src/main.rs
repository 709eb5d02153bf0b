//! `memman-bench`: measures allocators against each other. This room is the
//! command line; each step lives in a module of its own, and none knows the
//! library it measures: an allocator is a path to preload.

mod allocators;
mod compile;
mod inputs;
mod measure;
mod plot;
mod report;
mod results;
mod suite;
mod workloads;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Measures memman against other allocators", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run workloads under each allocator, print the tables, write them to --out
    Run(RunOptions),
    /// List the workloads: name, group and the pattern each stands for
    List,
    /// Print the tables of an earlier run again, and draw its plots
    Report {
        /// results.json of a run
        results: PathBuf,
    },
}

/// What a run does. Every choice is recorded in its results.
#[derive(Args)]
pub struct RunOptions {
    /// A fifth of the work, and three rounds: under five minutes
    #[arg(long)]
    quick: bool,
    /// Only what has one of these words in its name or group (comma-separated);
    /// `latency` and `pool` are names too
    #[arg(long, value_delimiter = ',', value_name = "WORD")]
    only: Vec<String>,
    /// How often each workload runs under each allocator [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Multiplies the work of each workload [default: 1]
    #[arg(long)]
    scale: Option<f64>,
    /// One more allocator: NAME=LIBRARY[,VARIABLE=VALUE...]
    #[arg(long, value_name = "NAME=PATH")]
    alloc: Vec<String>,
    /// Only these allocators, of all that are there (comma-separated names)
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    allocators: Vec<String>,
    /// A manager of a fixed pool: a library as in benches/probe/pool_plugin.h
    #[arg(long, value_name = "PATH")]
    pool: Vec<PathBuf>,
    /// Transparent huge pages: as the system says, or never
    #[arg(long, value_enum, default_value = "system")]
    thp: measure::Thp,
    /// No warm memory: before each run the machine rests for so many seconds, in which
    /// a host may take back what is free
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    cold: Option<u64>,
    /// The directory of the memman libraries, shared and static
    #[arg(long, value_name = "DIR", default_value = "build")]
    library: PathBuf,
    /// Where programs, inputs, results, tables and plots go
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
}

impl RunOptions {
    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 })
    }

    fn scale(&self) -> Result<f64> {
        let scale = self.scale.unwrap_or(if self.quick { 0.2 } else { 1.0 });
        if !(0.001..=100.0).contains(&scale) {
            bail!("--scale {scale}: must lie between 0.001 and 100");
        }
        Ok(scale)
    }

    /// Whether `--only` asks for what has these names.
    fn wants(&self, names: &[&str]) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| names.iter().any(|name| name.contains(word.as_str())))
    }
}

fn main() -> ExitCode {
    match act(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memman-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(command: Command) -> Result<()> {
    match command {
        Command::Run(options) => {
            let results = suite::run(&options)?;
            let path = options.out.join("results.json");
            results.write(&path)?;
            publish(&results, &options.out)?;
            println!("written: results.json, report.md and plots in {}", options.out.display());
        }
        Command::List => {
            for spec in workloads::SPECS {
                println!("{:<16} {:<10} {}", spec.name, spec.group.name(), spec.pattern);
            }
        }
        Command::Report { results: path } => {
            let results = results::Results::read(&path)?;
            publish(&results, path.parent().context("the results have no directory")?)?;
        }
    }
    Ok(())
}

/// Prints the tables, and writes them and the plots beside the results.
fn publish(results: &results::Results, directory: &std::path::Path) -> Result<()> {
    print!("{}", report::render(results, report::Form::Terminal));
    let markdown = directory.join("report.md");
    std::fs::write(&markdown, report::render(results, report::Form::Markdown))
        .with_context(|| format!("cannot write {}", markdown.display()))?;
    plot::draw(results, directory)
}
