//! One run of one program under one allocator: starts it through the launcher,
//! reads back what it used and what it said.

use crate::allocators::Allocator;
use crate::results::Sample;
use crate::workloads::{Client, Workload};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program that runs longer than this is killed, and its run has failed.
const LIMIT_SECONDS: u32 = 120;

/// What the runner may do about transparent huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Thp {
    /// As the system is set up.
    System,
    /// Switched off for the measured program.
    Never,
}

/// What is the same for every run.
pub struct Bench {
    pub launcher: PathBuf,
    /// For what one run leaves behind until it is read.
    pub scratch: PathBuf,
    pub thp: Thp,
    /// Rest before each run, instead of warm memory.
    pub cold: Option<Duration>,
}

/// What a program did: what it used, what it measured, what it answered.
pub struct Outcome {
    pub sample: Sample,
    /// Its lines of output that name a latency.
    pub latencies: Vec<String>,
    /// A hash of all its other output, to compare under all allocators.
    pub answer: u64,
}

impl Bench {
    /// Runs `workload` once under `allocator`, after `warm` KiB of memory were
    /// written to, or after a rest.
    ///
    /// # Errors
    /// The program cannot be started, ends with another code than 0, or takes too
    /// long.
    pub fn run(&self, workload: &Workload, allocator: &Allocator, warm: u64) -> Result<Outcome> {
        let result = self.scratch.join("usage");
        let output = self.scratch.join("stdout");
        let errors = self.scratch.join("stderr");
        let _ = fs::remove_file(&result);
        if let Some(client) = &workload.client {
            let _ = fs::remove_file(&client.socket);
        }
        let warm = match self.cold {
            Some(rest) => {
                thread::sleep(rest);
                0
            }
            None => warm,
        };
        let mut command = Command::new(&self.launcher);
        let thp = if self.thp == Thp::Never { "never" } else { "system" };
        command.arg(&result).arg(LIMIT_SECONDS.to_string()).arg(thp).arg(warm.to_string());
        command.arg(&workload.program).args(&workload.arguments);
        command.current_dir(&workload.directory);
        command.stdin(match &workload.input {
            Some(path) => File::open(path).with_context(|| format!("no {}", path.display()))?.into(),
            None => Stdio::null(),
        });
        command.stdout(File::create(&output)?).stderr(File::create(&errors)?);
        // Settings of the caller's shell must not reach the measured programs.
        command.env_remove("MEMMAN_CONF").env_remove("LD_PRELOAD");
        for (key, value) in workload.environment.iter().chain(&allocator.environment) {
            command.env(key, value);
        }
        let preload = match &allocator.library {
            None if workload.links_an_allocator => crate::allocators::libc_path(),
            library => library.clone(),
        };
        if let Some(path) = preload {
            command.env("LD_PRELOAD", path);
        }
        let mut child = Started(command.spawn().context("cannot start the launcher")?);
        let client_wall = match &workload.client {
            Some(client) => Some(drive(client, &mut child.0)?),
            None => None,
        };
        child.0.wait().context("lost the launcher")?;
        let mut sample = read_usage(&result)?;
        let said = fs::read_to_string(&errors).unwrap_or_default();
        match sample.1 {
            0 => {}
            137 if sample.0.wall_ms >= f64::from(LIMIT_SECONDS) * 1000.0 => {
                bail!("killed after {LIMIT_SECONDS} s")
            }
            code => bail!("exit code {code}: {}", said.lines().last().unwrap_or("nothing said")),
        }
        if let Some(warning) = said.lines().find(|line| line.contains("cannot be preloaded")) {
            bail!("{warning}");
        }
        if let Some(wall) = client_wall {
            sample.0.wall_ms = wall.as_secs_f64() * 1000.0;
        }
        Ok(digest(sample.0, &fs::read(&output)?))
    }
}

/// A launcher that is told to end when the runner gives up on it.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let Ok(pid) = i32::try_from(self.0.id()) else {
                return;
            };
            // SAFETY: the launcher is our child and not yet waited for, so the
            // id is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
            let _ = self.0.wait();
        }
    }
}

/// Runs the client against a server that has just been started, then ends the
/// server. Returns how long the client took.
fn drive(client: &Client, server: &mut Child) -> Result<Duration> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !client.socket.exists() {
        if Instant::now() > deadline || server.try_wait()?.is_some() {
            bail!("the server does not open its socket");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let run = |arguments: &[String], program: &Path| -> Result<()> {
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot run {}", program.display()))?;
        if !output.status.success() {
            bail!("{} fails: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    };
    let begin = Instant::now();
    for arguments in &client.requests {
        run(arguments, &client.program)?;
    }
    let took = begin.elapsed();
    run(&client.stop.1, &client.stop.0)?;
    Ok(took)
}

/// The launcher's line: wall, user, system time in microseconds, KiB, exit code.
fn read_usage(path: &Path) -> Result<(Sample, i32)> {
    let text = fs::read_to_string(path).context("the launcher gave no result")?;
    let numbers: Vec<i64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[wall, user, system, rss, code] = numbers.as_slice() else {
        bail!("the launcher gave a bad result: {}", text.trim());
    };
    #[allow(clippy::cast_precision_loss)] // microseconds of minutes, KiB of gigabytes
    let ms = |micros: i64| micros as f64 / 1000.0;
    let sample = Sample {
        wall_ms: ms(wall),
        user_ms: ms(user),
        system_ms: ms(system),
        rss_kib: u64::try_from(rss).unwrap_or(0),
        metrics: Default::default(),
    };
    Ok((sample, i32::try_from(code).unwrap_or(-1)))
}

/// Sorts a program's output into metrics, latencies and its answer.
fn digest(mut sample: Sample, output: &[u8]) -> Outcome {
    let mut hasher = DefaultHasher::new();
    let mut latencies = Vec::new();
    for line in output.split(|&byte| byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            ["metric", name, value] => {
                if let Ok(value) = value.parse() {
                    sample.metrics.insert((*name).to_owned(), value);
                }
            }
            ["latency", ..] => latencies.push(text.into_owned()),
            _ => line.hash(&mut hasher),
        }
    }
    Outcome { sample, latencies, answer: hasher.finish() }
}
