//! The `memman` program: runs programs on memman, records what they request,
//! and says how much memory is enough. Here stand the commands and their
//! options; what they do stands in the modules.

mod knuth;
mod launch;
mod plot;
mod profile;
mod replay;
mod size;
mod trace;
mod units;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use memman::analysis::bounds::SizeRange;
use memman::analysis::policy::Kind;
use memman::analysis::search::{Limits, Placement};
use profile::Profile;
use replay::Ground;
use trace::Trace;
use verify::{Options, Requests};

#[derive(Parser)]
#[command(name = "memman", version, about = "How much memory is enough: heaps after Knuth under any program")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Heap {
    /// Address-ordered first fit
    Ffit,
    /// The leftmost binary buddy system
    Buddy,
    /// The buddy system with an emergency heap under first fit
    Ebuddy,
}

impl Heap {
    fn kind(self) -> Kind {
        match self {
            Heap::Ffit => Kind::Ffit,
            Heap::Buddy => Kind::Buddy,
            Heap::Ebuddy => Kind::Ebuddy,
        }
    }

    fn name(self) -> &'static str {
        self.kind().name()
    }
}

#[derive(Subcommand)]
enum Command {
    /// Run a program on memman
    ///
    /// The library is looked for in MEMMAN_LIBRARY, beside this program, in ../lib
    /// and in build/ above it. What MEMMAN_CONF says holds as far as no option
    /// says otherwise.
    Run {
        /// The manager behind malloc; ebuddy where nothing is said
        #[arg(long)]
        heap: Option<Heap>,
        /// The whole heap in so many bytes (K, M, G, T for powers of 1024), and never more
        #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
        pool: Option<usize>,
        /// A table of what the heaps did, on standard error when the program ends
        #[arg(long)]
        stats: bool,
        /// The program and its arguments
        #[arg(last = true, required = true, value_name = "PROG")]
        program: Vec<OsString>,
    },
    /// Run a program on memman and write every request that it makes to a trace
    ///
    /// Processes that the program starts write traces of their own, FILE.PID. What
    /// was written is in the file even when the program crashes.
    Record {
        /// The trace to write; an old one is replaced
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// The manager behind malloc; ebuddy where nothing is said
        #[arg(long)]
        heap: Option<Heap>,
        /// The whole heap in so many bytes, and never more
        #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
        pool: Option<usize>,
        /// The program and its arguments
        #[arg(last = true, required = true, value_name = "PROG")]
        program: Vec<OsString>,
    },
    /// Run a trace through a manager: footprint, fragmentation, speed, first refusal
    Replay {
        /// The trace
        file: PathBuf,
        /// The manager
        #[arg(long, default_value = "ebuddy")]
        heap: Heap,
        /// In a pool of so many bytes, as memman run --pool; else in as much as it takes
        #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
        pool: Option<usize>,
        /// In an area of so many bytes, as ffit_init and buddy_init get it
        #[arg(long, value_name = "SIZE", value_parser = units::parse_size, conflicts_with = "pool")]
        area: Option<usize>,
        /// In so many bytes of blocks, the tables apart, as memman verify counts them
        #[arg(long, value_name = "SIZE", value_parser = units::parse_size, conflicts_with_all = ["pool", "area"])]
        blocks: Option<usize>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Draw a trace: memory and fragmentation over time, the heap, sizes, lifetimes
    Plot {
        /// The trace
        file: PathBuf,
        /// The picture: its name ends in .svg, .png or .html
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// The manager
        #[arg(long, default_value = "ffit")]
        heap: Heap,
    },
    /// Say how much memory is enough, for a trace or for a profile
    ///
    /// For a trace: the least area and the least pool in which each manager serves
    /// it, and what is guaranteed for every program with its sizes and counts. For a
    /// profile the guarantee.
    Size {
        /// A trace
        #[arg(conflicts_with_all = ["max_live", "max_block", "min_block", "profile"], required_unless_present_any = ["max_live", "profile"])]
        file: Option<PathBuf>,
        /// The most bytes live at once
        #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
        max_live: Option<usize>,
        /// The largest block
        #[arg(long, value_name = "SIZE", value_parser = units::parse_size, required_unless_present_any = ["file", "profile"])]
        max_block: Option<usize>,
        /// The smallest block: every block is charged as one of these, so a small one costs dearly
        #[arg(long, value_name = "SIZE", value_parser = units::parse_size, required_unless_present_any = ["file", "profile"])]
        min_block: Option<usize>,
        /// Sizes and counts, as JSON: {"sizes": [{"size": 24, "count": 40}, {"min": 1, "max": 9, "count": 3}]}
        #[arg(long, value_name = "FILE", conflicts_with_all = ["max_block", "min_block"])]
        profile: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Search every request sequence for the least pool that never refuses
    ///
    /// The least pool in granules beside what is proved to be enough, and a
    /// shortest sequence that breaks the next smaller one. ffit, buddy and ebuddy are the managers' own
    /// placement, and what is found is replayed on them; the others are models. Ctrl-C
    /// and the limits end a search with what is known by then.
    Verify {
        /// The most granules live at once
        #[arg(long, value_name = "GRANULES", requires = "max_block", required_unless_present = "profile")]
        max_live: Option<u32>,
        /// The largest block, in granules
        #[arg(long, value_name = "GRANULES", required_unless_present = "profile")]
        max_block: Option<u32>,
        /// Only blocks of powers of two
        #[arg(long)]
        powers: bool,
        /// Sizes and counts in bytes instead, as for memman size; a granule has 16
        #[arg(long, value_name = "FILE", conflicts_with_all = ["max_live", "max_block", "powers"])]
        profile: Option<PathBuf>,
        /// ffit, buddy, ebuddy (these three where nothing is said), best-fit, next-fit, good-fit, half-fit, lifo-buddy or any-buddy; may be repeated
        #[arg(long, value_parser = verify::parse_placement)]
        policy: Vec<Placement>,
        /// Memory for the states (K, M, G for powers of 1024)
        #[arg(long, default_value = "1G", value_name = "SIZE", value_parser = units::parse_size)]
        memory: usize,
        /// End the search of a policy after so many seconds
        #[arg(long, value_name = "SECONDS")]
        time: Option<u64>,
        /// End a search that has found so many states
        #[arg(long, value_name = "NUMBER")]
        states: Option<u64>,
        /// Threads
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
        threads: u16,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Write the sequence that breaks a smaller pool as a trace
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Knuth's experiments, on the managers and on other policies
    Knuth {
        /// How many runs of each
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        seeds: u64,
        /// The first seed
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..1 << 60))]
        first_seed: u64,
    },
    /// Write the man pages of this program and of its commands
    Man {
        /// Where to, a directory
        directory: PathBuf,
    },
}

fn execute(command: Command) -> Result<()> {
    match command {
        Command::Run { heap, pool, stats, program } => {
            launch::Launch { heap: heap.map(Heap::name), pool, stats, record: None, program: &program }.execute()
        }
        Command::Record { output, heap, pool, program } => {
            let heap = heap.map(Heap::name);
            launch::Launch { heap, pool, stats: false, record: Some(&output), program: &program }.execute()
        }
        Command::Replay { file, heap, pool, area, blocks, json } => {
            let ground = match (pool, area, blocks) {
                (Some(bytes), ..) => Ground::Pool(bytes),
                (_, Some(bytes), _) => Ground::Area(bytes),
                (.., Some(bytes)) => Ground::Blocks(bytes),
                (None, None, None) => Ground::Open,
            };
            replay::command(&Trace::open(&file)?, heap.kind(), ground, json)
        }
        Command::Plot { file, output, heap } => plot::command(&Trace::open(&file)?, heap.kind(), &output),
        Command::Verify {
            max_live,
            max_block,
            powers,
            profile,
            policy,
            memory,
            time,
            states,
            threads,
            json,
            output,
        } => {
            let requests = match (profile, max_live, max_block) {
                (Some(path), ..) => Requests::read(&path)?,
                (None, Some(live), Some(largest)) => Requests::granules(live, largest, powers)?,
                _ => anyhow::bail!("give --max-live and --max-block, or a --profile"),
            };
            let placements = if policy.is_empty() { verify::MANAGERS.into() } else { policy };
            let limits = Limits { memory, threads: threads.into() };
            let time = time.map(Duration::from_secs);
            verify::command(&Options { requests, placements, limits, time, states, json, output })
        }
        Command::Man { directory } => {
            let shown = directory.display().to_string();
            clap_mangen::generate_to(Arguments::command().flatten_help(true), &directory)
                .with_context(|| format!("man pages cannot be written to {shown}"))
        }
        Command::Knuth { seeds, first_seed } => knuth::command(first_seed, seeds),
        Command::Size { file: Some(file), json, .. } => {
            size::command(&size::Question::Trace(&Trace::open(&file)?), json)
        }
        Command::Size { max_live, max_block, min_block, profile, json, .. } => {
            let profile = match (profile, max_live, max_block, min_block) {
                (Some(path), max_live, ..) => {
                    let mut profile = Profile::read(&path)?;
                    profile.max_live = max_live.unwrap_or(profile.max_live).min(profile.max_live);
                    profile
                }
                (None, Some(max_live), Some(max_block), Some(min_block)) => {
                    anyhow::ensure!(min_block <= max_block, "--min-block is larger than --max-block");
                    Profile { ranges: vec![SizeRange::any(min_block, max_block)], max_live }
                }
                _ => anyhow::bail!("give a trace, a --profile, or --max-live, --max-block and --min-block"),
            };
            size::command(&size::Question::Profile(profile), json)
        }
    }
}

fn main() -> ExitCode {
    // A closed pipe ends this program as it ends any other.
    // SAFETY: before any thread is there.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            // The first line says what is wrong; the others would repeat the help.
            let text = error.render().to_string();
            let line = text.lines().next().unwrap_or_default();
            let missing: Vec<&str> = text.lines().skip(1).map_while(|line| line.strip_prefix("  ")).collect();
            eprintln!("memman: {} {}; see --help", line.trim_start_matches("error: "), missing.join(" "));
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    match execute(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memman: {error:#}");
            ExitCode::FAILURE
        }
    }
}
