//! The `memman` program: runs programs on memman, records what they request,
//! and says how much memory is enough. Here stand the commands and their
//! options; what they do stands in the modules.

mod launch;
mod trace;
mod units;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

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
    fn name(self) -> &'static str {
        match self {
            Heap::Ffit => "ffit",
            Heap::Buddy => "buddy",
            Heap::Ebuddy => "ebuddy",
        }
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
