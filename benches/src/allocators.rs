//! The allocators that can be measured: where each library is, and which
//! version it is. One that is missing is one line on stderr, and left out.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An allocator as the runner sees it: a library to preload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Allocator {
    pub name: String,
    /// `None` for the C library's own.
    pub library: Option<PathBuf>,
    pub version: String,
    /// Variables set beside LD_PRELOAD.
    pub environment: Vec<(String, String)>,
}

/// The baseline of every ratio.
pub const BASELINE: &str = "glibc";

/// Debian's packages of the peers. benches/packages.txt has to name them.
const PACKAGED: &[(&str, &str, &str)] = &[
    ("jemalloc", "libjemalloc2", "libjemalloc.so.2"),
    ("mimalloc", "libmimalloc2.0", "libmimalloc.so.2.0"),
    ("tcmalloc", "libtcmalloc-minimal4", "libtcmalloc_minimal.so.4"),
];

/// What `MEMMAN_CONF` is set to for each row that memman has in the tables.
const MEMMAN: &[(&str, &str)] = &[("memman", ""), ("memman-ffit", "heap:ffit"), ("memman-buddy", "heap:buddy")];

/// Where Debian and others keep shared libraries.
fn library_directories() -> Vec<PathBuf> {
    let arch = std::env::consts::ARCH;
    vec![format!("/usr/lib/{arch}-linux-gnu").into(), "/usr/lib64".into(), "/usr/lib".into()]
}

/// The path of the C library itself, for programs that link another allocator.
pub fn libc_path() -> Option<PathBuf> {
    let arch = std::env::consts::ARCH;
    let places = [format!("/lib/{arch}-linux-gnu/libc.so.6"), "/lib64/libc.so.6".to_owned()];
    places.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Finds all allocators: glibc, memman in `memman_directory`, the packaged
/// peers, and the `extra` ones given as NAME=PATH[,VARIABLE=VALUE...].
///
/// # Errors
/// An `extra` that is malformed, whose library does not exist, or whose name is
/// taken.
pub fn find(memman_directory: &Path, extra: &[String]) -> Result<Vec<Allocator>> {
    let mut found = vec![Allocator {
        name: BASELINE.to_owned(),
        library: None,
        version: package_version("libc6").unwrap_or_else(|| "the system's".to_owned()),
        environment: Vec::new(),
    }];
    let memman = memman_directory.join("libmemman.so");
    if let Ok(path) = memman.canonicalize() {
        for (name, conf) in MEMMAN {
            let mut environment = Vec::new();
            if !conf.is_empty() {
                environment.push(("MEMMAN_CONF".to_owned(), (*conf).to_owned()));
            }
            found.push(Allocator {
                name: (*name).to_owned(),
                library: Some(path.clone()),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                environment,
            });
        }
    } else {
        eprintln!("memman is left out: no {} (make all)", memman.display());
    }
    for (name, package, file) in PACKAGED {
        match library_directories().iter().map(|d| d.join(file)).find(|path| path.exists()) {
            Some(path) => found.push(Allocator {
                name: (*name).to_owned(),
                library: Some(path),
                version: package_version(package).unwrap_or_else(|| "not packaged".to_owned()),
                environment: Vec::new(),
            }),
            None => eprintln!("{name} is left out: package {package} is not installed"),
        }
    }
    for text in extra {
        let allocator = parse_extra(text)?;
        if found.iter().any(|other| other.name == allocator.name) {
            bail!("--alloc {text}: there is an allocator of that name already");
        }
        found.push(allocator);
    }
    Ok(found)
}

fn parse_extra(text: &str) -> Result<Allocator> {
    let mut parts = text.split(',');
    let head = parts.next().unwrap_or_default();
    let Some((name, path)) = head.split_once('=') else {
        bail!("--alloc {text}: expected NAME=PATH");
    };
    let Ok(path) = Path::new(path).canonicalize() else {
        bail!("--alloc {text}: there is no file {path}");
    };
    let mut environment = Vec::new();
    for setting in parts {
        let Some((key, value)) = setting.split_once('=') else {
            bail!("--alloc {text}: expected VARIABLE=VALUE, not {setting}");
        };
        environment.push((key.to_owned(), value.to_owned()));
    }
    Ok(Allocator { name: name.to_owned(), version: path.display().to_string(), library: Some(path), environment })
}

/// The version of an installed Debian package.
pub fn package_version(package: &str) -> Option<String> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f=${Version}\n", package])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
}
