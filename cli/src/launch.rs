//! Starts programs on memman: finds the libraries, says where a preload cannot
//! work, and executes. May use: `units`.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const LIBRARY: &str = "libmemman.so.1";
const RECORDER: &str = "libmemman_record.so";

/// What is said by variables is made up to a multiple of this many bytes: a
/// program that copies its environment then makes the same requests, whether it
/// is run or recorded, and with whichever options.
const ROOM: usize = 256;

/// Where no trace can be: it is in the environment of a program that is only run.
const NOWHERE: &str = "/dev/null/";

/// The least pool that the malloc accepts.
pub const LEAST_POOL: usize = 16 << 10;

/// What a program is run on.
pub struct Launch<'a> {
    pub heap: Option<&'a str>,
    pub pool: Option<usize>,
    pub stats: bool,
    /// The trace to write.
    pub record: Option<&'a Path>,
    pub program: &'a [OsString],
}

impl Launch<'_> {
    /// Replaces this process by the program; returns only on an error.
    pub fn execute(&self) -> Result<()> {
        let (name, arguments) = self.program.split_first().context("no program given: put it behind --")?;
        if self.pool.is_some_and(|pool| pool < LEAST_POOL) {
            bail!("a pool has at least {LEAST_POOL} bytes");
        }
        let path = find_program(name)?;
        check_reachable(&path, 0)?;
        let library = find_library(LIBRARY, "MEMMAN_LIBRARY")?;
        let mut command = Command::new(&path);
        command.arg0(name).args(arguments);
        let mut preloads: Vec<OsString> =
            std::env::var_os("LD_PRELOAD").filter(|old| !old.is_empty()).into_iter().collect();
        if let Some(trace) = self.record {
            // Before the library, so that it sees each request first.
            preloads.push(find_library(RECORDER, "MEMMAN_RECORDER")?.into());
            command.env("MEMMAN_RECORD", made_up_path(&prepare_trace(trace)?));
        } else if std::env::var_os("MEMMAN_RECORD").is_none() {
            command.env("MEMMAN_RECORD", made_up(NOWHERE.into(), b'-'));
        }
        preloads.push(library.into());
        command.env("LD_PRELOAD", made_up(preloads.join(OsStr::new(":")), b':'));
        command.env("MEMMAN_CONF", made_up(self.configuration(std::env::var_os("MEMMAN_CONF")), b','));
        let error = command.exec();
        Err(error).with_context(|| format!("{} cannot be run", path.display()))
    }

    /// What was set already stays, as far as no option says otherwise: the
    /// last of two values counts.
    fn configuration(&self, old: Option<OsString>) -> OsString {
        let mut items: Vec<OsString> = old.filter(|old| !old.is_empty()).into_iter().collect();
        items.extend(self.heap.map(|heap| format!("heap:{heap}").into()));
        items.extend(self.pool.map(|pool| format!("pool:{pool}").into()));
        items.extend(self.stats.then(|| "stats:exit".into()));
        items.join(OsStr::new(","))
    }
}

/// A value with `filler`, which changes nothing, up to a multiple of [`ROOM`].
fn made_up(value: OsString, filler: u8) -> OsString {
    let mut bytes = value.into_vec();
    bytes.resize(bytes.len().max(1).next_multiple_of(ROOM), filler);
    OsString::from_vec(bytes)
}

/// An absolute path with `/.` before it, up to a multiple of [`ROOM`]; one that
/// is longer stays.
fn made_up_path(path: &Path) -> OsString {
    let path = path.as_os_str().as_bytes();
    let missing = ROOM.saturating_sub(path.len());
    let before = [&b"/"[..missing % 2], &b"/.".repeat(missing / 2)].concat();
    OsString::from_vec([&before, path].concat())
}

/// The new trace's absolute path. An old trace makes place for it: the
/// recorder takes another name where the file is there.
fn prepare_trace(trace: &Path) -> Result<PathBuf> {
    let shown = trace.display();
    match fs::symlink_metadata(trace) {
        Ok(old) if !old.is_file() => bail!("{shown} is no file: give -o another name"),
        Ok(_) => fs::remove_file(trace).with_context(|| format!("{shown} cannot be replaced"))?,
        Err(_) => {}
    }
    let path = std::path::absolute(trace).with_context(|| format!("{shown} is no path"))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.is_dir() {
        bail!("{} is no directory: a trace cannot be written there", directory.display());
    }
    Ok(path)
}

fn find_library(name: &str, variable: &str) -> Result<PathBuf> {
    let found = match std::env::var_os(variable).filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            if !path.is_file() {
                bail!("{variable} is {}, where there is no library", path.display());
            }
            path
        }
        None => {
            let own = std::env::current_exe().context("the place of this program is not known")?;
            let beside = own.parent().unwrap_or(Path::new("/"));
            let installed = [beside.join(name), beside.join("../lib").join(name)];
            let built = own.ancestors().skip(1).map(|above| above.join("build").join(name));
            let Some(path) = installed.into_iter().chain(built).find(|path| path.is_file()) else {
                bail!("{name} is not found: build it with make, or say in {variable} where it is");
            };
            path
        }
    };
    let path = fs::canonicalize(&found).with_context(|| format!("{} cannot be read", found.display()))?;
    if path.as_os_str().as_bytes().iter().any(|byte| b" :;\t\n".contains(byte)) {
        bail!("{} has a space or a colon in its path, which LD_PRELOAD cannot take: link or copy it", path.display());
    }
    Ok(path)
}

fn find_program(name: &OsStr) -> Result<PathBuf> {
    let shown = name.display();
    let candidates: Vec<PathBuf> = if name.as_bytes().contains(&b'/') {
        vec![name.into()]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        std::env::split_paths(&path).map(|directory| directory.join(name)).collect()
    };
    let executable = |path: &&PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    match candidates.iter().find(executable) {
        Some(path) => Ok(path.clone()),
        None if candidates.iter().any(|path| path.is_file()) => bail!("{shown} may not be executed: see chmod"),
        None => bail!("{shown}: no such program"),
    }
}

/// Says why the loader would not preload anything into `path`.
fn check_reachable(path: &Path, scripts: u32) -> Result<()> {
    let shown = path.display();
    let about = fs::metadata(path).with_context(|| format!("{shown} cannot be read"))?;
    // SAFETY: no arguments, no failures.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    let mode = about.permissions().mode();
    let set_id = mode & 0o4000 != 0 && about.uid() != user || mode & 0o2010 == 0o2010 && about.gid() != group;
    if set_id || has_capabilities(path) && user != 0 {
        bail!("{shown} runs with other rights than yours, so that nothing can be preloaded: run it as its owner");
    }
    let Ok(mut file) = File::open(path) else {
        // It may be executed but not read: the loader will know.
        return Ok(());
    };
    let mut head = Vec::new();
    file.by_ref().take(64 << 10).read_to_end(&mut head).with_context(|| format!("{shown} cannot be read"))?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        return match words.next() {
            // What env looks up is not checked: it may have options.
            Some(interpreter) if scripts < 4 => check_reachable(Path::new(OsStr::from_bytes(interpreter)), scripts + 1),
            _ => Ok(()),
        };
    }
    match link_of(&head) {
        Link::Dynamic | Link::Unknown => Ok(()),
        Link::Static => {
            bail!("{shown} is linked statically, so that nothing can be preloaded: link it with libmemman.a")
        }
        Link::Foreign => bail!("{shown} is no 64-bit x86 program: the library cannot be loaded into it"),
    }
}

fn has_capabilities(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: two strings, and no buffer: it only asks how long the value is.
    unsafe { libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) > 0 }
}

#[derive(Debug, PartialEq)]
enum Link {
    Dynamic,
    Static,
    Foreign,
    /// No ELF file, or not in the bytes that were read.
    Unknown,
}

/// How a program is linked, from the first bytes of its file.
fn link_of(head: &[u8]) -> Link {
    if !head.starts_with(b"\x7fELF") {
        return Link::Unknown;
    }
    let number = |at: usize, len: usize| -> Option<u64> {
        let bytes = head.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    };
    const X86_64: u64 = 62;
    const PT_INTERP: u64 = 3;
    if number(4, 2) != Some(0x0102) || number(18, 2) != Some(X86_64) {
        return Link::Foreign;
    }
    let (Some(table), Some(entry), Some(entries)) = (number(32, 8), number(54, 2), number(56, 2)) else {
        return Link::Unknown;
    };
    for index in 0..entries {
        match table.checked_add(index * entry).and_then(|at| number(usize::try_from(at).ok()?, 4)) {
            Some(PT_INTERP) => return Link::Dynamic,
            Some(_) => {}
            None => return Link::Unknown,
        }
    }
    Link::Static
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(heap: Option<&'static str>, pool: Option<usize>, stats: bool) -> Launch<'static> {
        Launch { heap, pool, stats, record: None, program: &[] }
    }

    #[test]
    fn options_are_put_behind_what_is_set() {
        let all = launch(Some("ffit"), Some(1 << 20), true);
        assert_eq!(all.configuration(Some("cache:off".into())), "cache:off,heap:ffit,pool:1048576,stats:exit");
        assert_eq!(launch(None, None, false).configuration(None), "");
        assert_eq!(launch(None, None, false).configuration(Some("heaps:2".into())), "heaps:2");
    }

    #[test]
    fn values_are_made_up_to_the_same_length() {
        for len in [0, 1, 2, 255, 256] {
            assert_eq!(made_up("x".repeat(len).into(), b',').len(), ROOM);
        }
        assert_eq!(made_up("x".repeat(257).into(), b',').len(), 2 * ROOM);
        for path in ["/tmp/a", "/tmp/ab"] {
            let made_up = made_up_path(Path::new(path));
            assert_eq!(made_up.len(), ROOM);
            assert_eq!(Path::new(&made_up).components().collect::<PathBuf>(), Path::new(path));
        }
        let long = format!("/{}", "x".repeat(2 * ROOM));
        assert_eq!(made_up_path(Path::new(&long)), long.as_str());
    }

    #[test]
    fn damaged_programs_are_not_judged() {
        assert_eq!(link_of(b""), Link::Unknown);
        assert_eq!(link_of(b"\x7fELF"), Link::Foreign);
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[18] = 62;
        assert_eq!(link_of(&head), Link::Static);
        head[32..40].fill(0xff);
        head[54..58].fill(0xff);
        assert_eq!(link_of(&head), Link::Unknown);
    }
}
