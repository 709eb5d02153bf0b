//! Real programs as workloads: finds each, and makes the input it works on.
//! Inputs are the same on every machine and in every run.

use crate::compile::sources;
use crate::workloads::{Client, Workload};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A real program with its work.
#[derive(Clone, Copy, Debug)]
pub enum Real {
    PythonObjects,
    PythonThreads,
    Sqlite,
    C,
    CPlusPlus,
    Perl,
    Lua,
    GitRepack,
    GitLog,
    Z3,
    Ghostscript,
    Redis,
}

impl Real {
    /// Finds the program and makes its input below `directory`.
    ///
    /// # Errors
    /// The program is not installed, or its input cannot be made.
    pub fn prepare(self, scale: f64, directory: &Path) -> Result<Workload> {
        let script = |program: &str, package: &str, file: &str| -> Result<Workload> {
            let path = sources().join("real").join(file).display().to_string();
            let arguments = vec![path, scale.to_string()];
            Ok(Workload::new(find_program(program, package)?, directory, arguments))
        };
        match self {
            Real::PythonObjects => python(script("python3", "python3", "objects.py")?),
            Real::PythonThreads => python(script("python3", "python3", "threads.py")?),
            Real::Perl => script("perl", "perl", "words.pl"),
            Real::Lua => script("lua5.4", "lua5.4", "tables.lua"),
            Real::Sqlite => sqlite(scale, directory),
            Real::C => compiler("gcc", "-O1", "large.c", &c_source(times(scale, 200.0)), directory),
            Real::CPlusPlus => {
                let source = cpp_source(times(scale, 8.0));
                compiler("g++", "-O0", "templates.cpp", &source, directory)
            }
            Real::GitRepack => git(scale, directory, &["repack", "-a", "-d", "-f", "-q"]),
            Real::GitLog => git(scale, directory, &["log", "-p", "--stat"]),
            Real::Z3 => {
                let path = write(directory, "formulas.smt2", &smt_source(times(scale, 14.0)))?;
                Ok(Workload::new(find_program("z3", "z3")?, directory, vec![path]))
            }
            Real::Ghostscript => ghostscript(scale, directory),
            Real::Redis => redis(scale, directory),
        }
    }
}

/// `amount` of work at this scale, never none.
fn times(scale: f64, amount: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 100 * 10^6
    let count = (scale * amount).round() as u64;
    count.max(1)
}

/// Debian's program before any other of the same name.
fn find_program(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = [PathBuf::from("/usr/bin")].into_iter().chain(std::env::split_paths(&path));
    places
        .map(|place| place.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("there is no {name}; install the package {package}"))
}

fn write(directory: &Path, name: &str, text: &str) -> Result<String> {
    let path = directory.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.display().to_string())
}

fn python(mut workload: Workload) -> Result<Workload> {
    // Without the first, Python's own pools stand before malloc.
    for (key, value) in [("PYTHONMALLOC", "malloc"), ("PYTHONHASHSEED", "0")] {
        workload.environment.push((key.to_owned(), value.to_owned()));
    }
    Ok(workload)
}

fn sqlite(scale: f64, directory: &Path) -> Result<Workload> {
    let query = fs::read_to_string(sources().join("real/query.sql"))?;
    let text = format!("create table scale as select {scale} as factor;\n{query}");
    let path = write(directory, "query.sql", &text)?;
    let program = find_program("sqlite3", "sqlite3")?;
    let mut workload = Workload::new(program, directory, vec![":memory:".to_owned()]);
    workload.input = Some(path.into());
    Ok(workload)
}

/// A compiler that writes its assembly to stdout, where it is compared.
fn compiler(name: &str, optimisation: &str, file: &str, source: &str, directory: &Path) -> Result<Workload> {
    let path = write(directory, file, source)?;
    let arguments = [optimisation, "-w", "-S", "-o", "-", &path].map(str::to_owned).to_vec();
    Ok(Workload::new(find_program(name, name)?, directory, arguments))
}

fn c_source(functions: u64) -> String {
    let mut text =
        String::from("#include <string.h>\nstruct node { struct node *next; int key, count; char name[24]; };\n");
    for n in 0..functions {
        let (a, b, c) = (n % 7 + 3, n * 31 % 97, n * 17 % 13 + 2);
        let _ = write!(
            text,
            "static int table_{n}[{c}] = {{ {b}, {a} }};\n\
             int visit_{n}(struct node *list, int depth, double weight)\n{{\n\
             \x20   int sum = {b};\n\
             \x20   for (struct node *p = list; p; p = p->next) {{\n\
             \x20       switch ((p->key + depth) % {a}) {{\n\
             \x20       case 0: sum += p->count * {c}; break;\n\
             \x20       case 1: sum ^= table_{n}[p->key % {c}]; p->count++; break;\n\
             \x20       case 2: weight = weight * {a}.5 + sum; break;\n\
             \x20       default: sum -= (int)strlen(p->name) + (sum >> {c});\n\
             \x20       }}\n\
             \x20       if (sum > {b}000 && depth < {a})\n\
             \x20           sum += visit_{m}(p->next, depth + 1, weight / {c});\n\
             \x20   }}\n\
             \x20   return weight > sum ? (int)weight % {c} : sum;\n}}\n",
            m = n.saturating_sub(1)
        );
    }
    text
}

fn cpp_source(types: u64) -> String {
    let mut text = String::from(
        "#include <algorithm>\n#include <functional>\n#include <map>\n#include <memory>\n\
         #include <string>\n#include <vector>\n\
         template <int N> struct key { int value; bool operator<(const key &o) const { return value < o.value; } };\n",
    );
    for n in 0..types {
        let _ = write!(
            text,
            "std::size_t use_{n}(int count)\n{{\n\
             \x20   std::map<key<{n}>, std::vector<std::pair<std::string, key<{n}>>>> index;\n\
             \x20   std::vector<std::shared_ptr<key<{n}>>> shared;\n\
             \x20   std::function<bool(const key<{n}> &)> odd = [](const key<{n}> &k) {{ return k.value & 1; }};\n\
             \x20   for (int i = 0; i < count; i++) {{\n\
             \x20       index[key<{n}>{{i}}].emplace_back(std::to_string(i), key<{n}>{{i + 1}});\n\
             \x20       shared.push_back(std::make_shared<key<{n}>>());\n\
             \x20   }}\n\
             \x20   std::sort(shared.begin(), shared.end(), [](auto &a, auto &b) {{ return *a < *b; }});\n\
             \x20   return index.size() + std::count_if(shared.begin(), shared.end(), [&](auto &p) {{ return odd(*p); }});\n}}\n"
        );
    }
    text
}

/// Pigeon holes in booleans and products in bit vectors, each in its own scope.
fn smt_source(problems: u64) -> String {
    let mut text = String::from("(set-logic QF_BV)\n");
    for n in 0..problems {
        let holes = 6;
        text.push_str("(push 1)\n");
        for pigeon in 0..=holes {
            let mut places = String::new();
            for hole in 0..holes {
                let _ = writeln!(text, "(declare-const p{pigeon}_{hole} Bool)");
                let _ = write!(places, " p{pigeon}_{hole}");
            }
            let _ = writeln!(text, "(assert (or{places}))");
        }
        for hole in 0..holes {
            for first in 0..=holes {
                for second in first + 1..=holes {
                    let _ = writeln!(text, "(assert (or (not p{first}_{hole}) (not p{second}_{hole})))");
                }
            }
        }
        let product = 1_000_003 + 7919 * n;
        let _ = write!(
            text,
            "(check-sat)\n(pop 1)\n(push 1)\n\
             (declare-const a (_ BitVec 22))\n(declare-const b (_ BitVec 22))\n\
             (assert (= (bvmul a b) (_ bv{product} 22)))\n\
             (assert (bvult a (_ bv2048 22)))\n(assert (bvult b (_ bv2048 22)))\n\
             (assert (bvult (_ bv1 22) a))\n(check-sat)\n(pop 1)\n"
        );
    }
    text
}

/// A repository of `scale` times 250 commits, made with fast-import.
fn git(scale: f64, directory: &Path, command: &[&str]) -> Result<Workload> {
    const FILES: u64 = 40;
    let commits = times(scale, 250.0);
    let program = find_program("git", "git")?;
    let repository = directory.join(format!("repository-{commits}.git"));
    let environment =
        [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_PAGER", "cat"), ("TZ", "UTC")];
    // A repository that was not made to its end has no such file.
    let complete = repository.join("complete");
    if !complete.exists() {
        let _ = fs::remove_dir_all(&repository);
        let mut stream = String::new();
        for n in 0..commits {
            let message = format!("Commit {n}\n");
            let _ = writeln!(stream, "commit refs/heads/main");
            let _ = writeln!(stream, "committer A <a@example.org> {} +0000", 1_600_000_000 + n * 60);
            let _ = writeln!(stream, "data {}\n{message}", message.len());
            for k in 0..6 {
                let file = (n * 7 + k * 11) % FILES;
                let mut text = String::new();
                for line in 0..220 {
                    // Most lines stay from one version to the next.
                    let version = if (line + n) % 19 == 0 { n } else { file };
                    let _ = writeln!(text, "line {line} of file {file} says {}", version * 2_654_435_761);
                }
                let _ = writeln!(stream, "M 100644 inline dir{}/file{file}.txt", file % 5);
                let _ = writeln!(stream, "data {}\n{text}", text.len());
            }
        }
        let path = write(directory, "import.stream", &stream)?;
        let run = |arguments: &[&str], input: Stdio| -> Result<()> {
            let output = Command::new(&program)
                .args(arguments)
                .envs(environment)
                .stdin(input)
                .output()
                .context("cannot run git")?;
            if !output.status.success() {
                bail!("git: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            Ok(())
        };
        let at = repository.display().to_string();
        run(&["init", "-q", "--bare", "-b", "main", &at], Stdio::null())?;
        run(&["--git-dir", &at, "fast-import", "--quiet"], File::open(&path)?.into())?;
        fs::write(&complete, "")?;
    }
    let mut arguments = vec!["--git-dir".to_owned(), repository.display().to_string()];
    arguments.extend(["-c", "pack.threads=2"].map(str::to_owned));
    arguments.extend(command.iter().map(|word| (*word).to_owned()));
    let mut workload = Workload::new(program, directory, arguments);
    workload.environment = environment.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
    Ok(workload)
}

fn ghostscript(scale: f64, directory: &Path) -> Result<Workload> {
    let drawing = sources().join("real/drawing.ps").display().to_string();
    let pages = format!("/pages {} def", times(scale, 60.0));
    let arguments = [
        "-q",
        "-dNOPAUSE",
        "-dBATCH",
        "-dSAFER",
        "-sDEVICE=pgmraw",
        "-r50",
        "-sOutputFile=/dev/null",
        "-c",
        &pages,
        "-f",
        &drawing,
    ];
    let program = find_program("gs", "ghostscript")?;
    Ok(Workload::new(program, directory, arguments.map(str::to_owned).to_vec()))
}

fn redis(scale: f64, directory: &Path) -> Result<Workload> {
    // A socket's path may have 107 bytes: it does not lie below `directory`.
    let socket = std::env::temp_dir().join(format!("memman-bench-{}.sock", std::process::id()));
    let path = socket.display().to_string();
    let log = directory.join("redis.log").display().to_string();
    let server = ["--port", "0", "--unixsocket", &path, "--save", "", "--appendonly", "no", "--logfile", &log];
    let requests = times(scale, 80_000.0).to_string();
    let client = |tests: &str, size: &str| {
        let all = ["-s", &path, "-q", "-n", &requests, "-r", "60000", "-d", size, "-P", "16", "-c", "20", "-t", tests];
        all.map(str::to_owned).to_vec()
    };
    let program = find_program("redis-server", "redis-server")?;
    let mut workload = Workload::new(program, directory, server.map(str::to_owned).to_vec());
    workload.links_an_allocator = true;
    workload.client = Some(Client {
        requests: vec![client("set,lpush,sadd,hset,zadd,lpop", "60"), client("set,get", "700")],
        program: find_program("redis-benchmark", "redis-tools")?,
        stop: (
            find_program("redis-cli", "redis-tools")?,
            ["-s", &path, "shutdown", "nosave"].map(str::to_owned).to_vec(),
        ),
        socket,
    });
    Ok(workload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_sources_grow_with_the_scale_and_stay_the_same() {
        assert_eq!(c_source(20), c_source(20));
        assert!(c_source(40).len() > c_source(20).len());
        assert_eq!(c_source(20).matches("int visit_").count(), 20);
        assert_eq!(cpp_source(3).matches("std::size_t use_").count(), 3);
        assert_eq!(smt_source(4).matches("(check-sat)").count(), 8);
    }

    #[test]
    fn a_program_that_is_missing_names_its_package() {
        let error = find_program("no-such-program", "no-such-package").unwrap_err();
        assert!(error.to_string().contains("install the package no-such-package"), "{error}");
    }
}
