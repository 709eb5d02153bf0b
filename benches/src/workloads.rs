//! The suite: every workload's name, group and pattern, and how it is started.
//! Work of our own is in benches/micro; what real programs need is made by
//! [`crate::inputs`].

use crate::{compile, inputs};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What is averaged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    OneThread,
    TwoThreads,
    EightThreads,
    ManyThreads,
    Real,
    /// Only the memory counts: the time is a pause or a start.
    Memory,
}

impl Group {
    pub fn name(self) -> &'static str {
        match self {
            Group::OneThread => "1 thread",
            Group::TwoThreads => "2 threads",
            Group::EightThreads => "8 threads",
            Group::ManyThreads => "64 threads",
            Group::Real => "real",
            Group::Memory => "memory",
        }
    }
}

/// A line of the suite.
pub struct Spec {
    pub name: &'static str,
    pub group: Group,
    pub pattern: &'static str,
    kind: Kind,
}

enum Kind {
    /// A source in benches/micro, and what follows SCALE on its command line.
    Own(&'static str, &'static [&'static str]),
    Real(inputs::Real),
}

const fn own(
    name: &'static str,
    group: Group,
    source: &'static str,
    arguments: &'static [&'static str],
    pattern: &'static str,
) -> Spec {
    Spec { name, group, pattern, kind: Kind::Own(source, arguments) }
}

const fn real(name: &'static str, real: inputs::Real, pattern: &'static str) -> Spec {
    Spec { name, group: Group::Real, pattern, kind: Kind::Real(real) }
}

/// All of them, in the order of the tables.
#[rustfmt::skip]
pub const SPECS: &[Spec] = &[
    own("factor", Group::OneThread, "factor.c", &[], "tiny short-lived bignums (cfrac)"),
    own("cubes", Group::OneThread, "cubes.c", &[], "lists that grow and shrink (espresso)"),
    own("nbody", Group::OneThread, "nbody.c", &[], "few blocks that live long (barnes)"),
    own("liveset-1", Group::OneThread, "liveset.c", &["1"], "live set of random sizes (alloc-test)"),
    own("batch", Group::OneThread, "batch.c", &[], "equal blocks in batches (glibc-simple)"),
    own("large", Group::OneThread, "large.c", &[], "large blocks again and again (malloc-large)"),
    own("shuffle-1", Group::OneThread, "shuffle.c", &["1"], "waves freed in three orders (shbench)"),
    own("fragment", Group::OneThread, "fragment.c", &[], "95 % of a fragmented heap freed, then refilled"),
    own("grow", Group::OneThread, "grow.c", &[], "growing reallocs"),
    own("zeroed", Group::OneThread, "zeroed.c", &[], "calloc mix"),
    own("containers-1", Group::OneThread, "containers.cpp", &["1"], "C++ containers"),
    own("liveset-2", Group::TwoThreads, "liveset.c", &["2"], "live sets of random sizes (alloc-test)"),
    own("server-2", Group::TwoThreads, "server.c", &["2"], "server whose threads hand on their blocks (larson)"),
    own("handoff-2", Group::TwoThreads, "handoff.c", &["2"], "one allocates, another frees (xmalloc)"),
    own("scratch-2", Group::TwoThreads, "scratch.c", &["2"], "passive false sharing (cache-scratch)"),
    own("thrash-2", Group::TwoThreads, "thrash.c", &["2"], "active false sharing (cache-thrash)"),
    own("exchange-2", Group::TwoThreads, "exchange.c", &["2"], "blocks swapped between threads (mstress)"),
    own("leavers-2", Group::TwoThreads, "leavers.c", &["2"], "threads that end and leave blocks behind (mleak)"),
    own("cross-2", Group::TwoThreads, "cross.c", &["2"], "random sizes freed across threads (rptest)"),
    own("churn-2", Group::TwoThreads, "churn.c", &["2"], "own blocks replaced at random (glibc-thread)"),
    own("shuffle-2", Group::TwoThreads, "shuffle.c", &["2"], "waves freed in three orders (shbench)"),
    own("containers-2", Group::TwoThreads, "containers.cpp", &["2"], "C++ containers"),
    own("server-8", Group::EightThreads, "server.c", &["8"], "server whose threads hand on their blocks (larson)"),
    own("handoff-8", Group::EightThreads, "handoff.c", &["8"], "four allocate, four free (xmalloc)"),
    own("exchange-8", Group::EightThreads, "exchange.c", &["8"], "blocks swapped between threads (mstress)"),
    own("cross-8", Group::EightThreads, "cross.c", &["8"], "random sizes freed across threads (rptest)"),
    own("churn-8", Group::EightThreads, "churn.c", &["8"], "own blocks replaced at random (glibc-thread)"),
    own("shuffle-8", Group::EightThreads, "shuffle.c", &["8"], "waves freed in three orders (shbench)"),
    own("brief-8", Group::EightThreads, "brief.c", &["8"], "20,000 short threads"),
    own("churn-64", Group::ManyThreads, "churn.c", &["64"], "own blocks replaced at random"),
    own("exchange-64", Group::ManyThreads, "exchange.c", &["64"], "blocks swapped between threads"),
    real("python-objects", inputs::Real::PythonObjects, "objects, dictionaries, JSON in Python"),
    real("python-threads", inputs::Real::PythonThreads, "a queue between threads in Python"),
    real("sqlite", inputs::Real::Sqlite, "an in-memory database"),
    real("cc1", inputs::Real::C, "gcc -O1 on a large C file"),
    real("cc1plus", inputs::Real::CPlusPlus, "g++ on templates and containers"),
    real("perl", inputs::Real::Perl, "hashes and strings in Perl"),
    real("lua", inputs::Real::Lua, "tables and closures in Lua"),
    real("git-repack", inputs::Real::GitRepack, "all objects of a repository packed anew"),
    real("git-log", inputs::Real::GitLog, "the history of a repository with all patches"),
    real("z3", inputs::Real::Z3, "a solver on bit vectors"),
    real("ghostscript", inputs::Real::Ghostscript, "pages of text and curves drawn"),
    real("redis", inputs::Real::Redis, "a server of keys under a benchmark client"),
    own("tiny", Group::Memory, "tiny.c", &[], "a program that allocates almost nothing"),
    own("settle", Group::Memory, "fragment.c", &["settle"], "what is kept after freeing 95 % of a fragmented heap"),
];

/// Pairs of workloads that make the same requests in all, the second with more
/// threads: how an allocator scales. A thread's live blocks are its own, so that
/// more threads also have more memory live.
pub const SCALING: &[(&str, &str)] = &[
    ("liveset-1", "liveset-2"),
    ("shuffle-1", "shuffle-2"),
    ("containers-1", "containers-2"),
    ("churn-2", "churn-64"),
    ("exchange-2", "exchange-64"),
    ("churn-8", "churn-64"),
    ("exchange-8", "exchange-64"),
];

/// A program ready to be run, again and again.
pub struct Workload {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub directory: PathBuf,
    pub environment: Vec<(String, String)>,
    pub input: Option<PathBuf>,
    /// Where the program is a server: who uses it, and what is timed.
    pub client: Option<Client>,
    /// Whether the program is linked with an allocator of its own, so that the
    /// C library's has to be preloaded like any other.
    pub links_an_allocator: bool,
}

/// A program that uses a server.
pub struct Client {
    /// Exists once the server listens.
    pub socket: PathBuf,
    pub program: PathBuf,
    /// One run of the client for each.
    pub requests: Vec<Vec<String>>,
    /// What ends the server.
    pub stop: (PathBuf, Vec<String>),
}

impl Workload {
    /// A program that needs nothing but its arguments.
    pub fn new(program: PathBuf, directory: &Path, arguments: Vec<String>) -> Self {
        Workload {
            program,
            arguments,
            directory: directory.to_owned(),
            environment: Vec::new(),
            input: None,
            client: None,
            links_an_allocator: false,
        }
    }
}

impl Spec {
    /// Compiles the program, or makes its input, below `directory`.
    ///
    /// # Errors
    /// What is missing: a compiler, a program, its package.
    pub fn prepare(&self, scale: f64, directory: &Path) -> Result<Workload> {
        match &self.kind {
            Kind::Own(source, arguments) => {
                let program = compile::program(&format!("micro/{source}"), directory, &[])?;
                let mut all = vec![scale.to_string()];
                all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
                Ok(Workload::new(program, directory, all))
            }
            Kind::Real(real) => real.prepare(scale, directory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The source and the number of threads of a workload of our own.
    fn own(name: &str) -> (&'static str, u32) {
        let spec = SPECS.iter().find(|spec| spec.name == name).unwrap_or_else(|| panic!("no workload {name}"));
        match spec.kind {
            Kind::Own(source, &[threads]) => (source, threads.parse().unwrap()),
            _ => panic!("{name} has no number of threads"),
        }
    }

    #[test]
    fn what_scales_is_one_program_with_more_threads() {
        for (fewer, more) in SCALING {
            let ((one, few), (other, many)) = (own(fewer), own(more));
            assert!(one == other && few < many, "{fewer} and {more}");
        }
    }
}
