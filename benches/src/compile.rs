//! Compiles the C and C++ sources in benches/, each once for all allocators,
//! and again only when it has changed.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Without these the compiler may take a malloc and its free for nothing.
const NO_BUILTINS: &[&str] =
    &["-fno-builtin-malloc", "-fno-builtin-calloc", "-fno-builtin-realloc", "-fno-builtin-free"];

/// The directory of the sources.
pub fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles `source` (relative to benches/) into `directory`, and returns the
/// path of the program.
///
/// # Errors
/// The compiler's first line of complaint, or that there is no compiler.
pub fn program(source: &str, directory: &Path, flags: &[&str]) -> Result<PathBuf> {
    let path = sources().join(source);
    let stem = path.file_stem().context("a source has a name")?;
    let target = programs(directory)?.join(stem);
    let plus_plus = path.extension().is_some_and(|extension| extension == "cpp");
    let (compiler, standard) = if plus_plus { ("c++", "-std=gnu++17") } else { ("cc", "-std=gnu11") };
    let mut command = Command::new(compiler);
    command.args([standard, "-O2", "-g", "-Wall", "-Wextra", "-Wno-unused-function", "-pthread"]);
    command.args(NO_BUILTINS).arg("-o").arg(&target).arg(&path).args(flags).arg("-lm");
    if !is_fresh(&target, &path) {
        run(command, source)?;
    }
    Ok(target)
}

/// Compiles the plug-in for one of memman's own managers against the headers
/// in include/ and the static `library`, whose malloc stays inside: the program
/// `pool` keeps the C library's.
///
/// # Errors
/// As [`program`].
pub fn plugin(name: &str, library: &Path, directory: &Path) -> Result<PathBuf> {
    let (source, define) = match name {
        "ffit" => ("probe/pool_ffit.c", None),
        "buddy" => ("probe/pool_buddy.c", Some("-DEMERGENCY=0")),
        _ => ("probe/pool_buddy.c", Some("-DEMERGENCY=1")),
    };
    let target = programs(directory)?.join(format!("pool-{name}.so"));
    let include = sources().join("../include");
    let mut command = Command::new("cc");
    command.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC"]);
    command.args(define).arg("-I").arg(include).arg("-o").arg(&target);
    command.arg(sources().join(source)).arg(library).args(["-Wl,--exclude-libs,ALL", "-Wl,-z,defs"]);
    run(command, source)?;
    Ok(target)
}

/// Where the programs go: no file or directory of another kind has their names.
fn programs(directory: &Path) -> Result<PathBuf> {
    let path = directory.join("programs");
    std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

fn run(mut command: Command, source: &str) -> Result<()> {
    let compiler = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {compiler}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said
            .lines()
            .find(|line| ["error:", "undefined", "cannot"].iter().any(|word| line.contains(word)))
            .or_else(|| said.lines().next());
        bail!("{compiler} fails on {source}: {}", first.unwrap_or("no reason given"));
    }
    Ok(())
}

/// Whether `target` is newer than its source and the headers that all share.
fn is_fresh(target: &Path, source: &Path) -> bool {
    let modified = |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
    let Some(built) = modified(target) else {
        return false;
    };
    let headers = ["micro/bench.h", "probe/clock.h", "probe/pool_plugin.h"];
    headers
        .iter()
        .map(|header| sources().join(header))
        .chain([source.to_owned()])
        .all(|input| modified(&input).is_some_and(|changed| changed < built))
}
