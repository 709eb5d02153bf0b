//! The program from outside: on traces that `verify` writes, and on C programs
//! under the libraries where `make tools` has built them; where it has not, the
//! tests that need them say so and pass. Small and quick.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

const MEMMAN: &str = env!("CARGO_BIN_EXE_memman");

fn memman(arguments: &[&str]) -> Output {
    Command::new(MEMMAN).args(arguments).output().expect("it runs")
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// What it prints where all is well.
fn prints(arguments: &[&str]) -> String {
    let output = memman(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The one line of error.
fn refuses(arguments: &[&str]) -> String {
    let output = memman(arguments);
    let error = text(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}: {:?}", output.status);
    assert!(error.starts_with("memman: ") && error.lines().count() == 1, "{arguments:?}: {error}");
    error
}

fn path(directory: &TempDir, name: &str) -> String {
    directory.path().join(name).to_str().expect("UTF-8").to_owned()
}

/// The libraries, where they are built: the tests do not build them, as cargo
/// is busy then.
fn libraries() -> Option<PathBuf> {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build");
    let there = build.join("libmemman.so.1").is_file() && build.join("libmemman_record.so").is_file();
    if !there {
        eprintln!("not tested: make tools first");
    }
    there.then_some(build)
}

fn compile(directory: &TempDir, name: &str, source: &str) -> String {
    let (from, to) = (path(directory, &format!("{name}.c")), path(directory, name));
    fs::write(&from, source).expect("written");
    let status = Command::new("cc").args(["-O1", "-pthread", "-fno-builtin", &from, "-o", &to]).status();
    assert!(status.expect("there is a C compiler").success());
    to
}

/// Runs `memman` with arguments, and more behind `--`, on the built libraries.
fn launch(build: &Path, arguments: &[&str], program: &[&str]) -> Output {
    Command::new(MEMMAN)
        .env("MEMMAN_LIBRARY", build.join("libmemman.so.1"))
        .env("MEMMAN_RECORDER", build.join("libmemman_record.so"))
        .env_remove("LD_PRELOAD")
        .env_remove("MEMMAN_CONF")
        .args(arguments)
        .arg("--")
        .args(program)
        .output()
        .expect("it runs")
}

fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&prints(arguments)).expect("JSON")
}

/// Blocks of many sizes, resized and freed in no order; 3 where one is refused.
const CHURN: &str = r#"
#include <stdlib.h>
#include <string.h>
int main(void) {
    static char *blocks[512];
    unsigned x = 7;
    for (int i = 0; i < 20000; i++) {
        x = x * 1664525 + 1013904223;
        unsigned at = (x >> 8) % 512, size = (x >> 12) % 3000 + 1;
        char *block;
        switch (x >> 30) {
        case 0: free(blocks[at]); blocks[at] = NULL; continue;
        case 1: block = realloc(blocks[at], size); break;
        case 2: free(blocks[at]); blocks[at] = NULL; block = aligned_alloc(64, size); break;
        default: free(blocks[at]); blocks[at] = NULL; block = calloc(1, size); break;
        }
        if (block == NULL) return 3;
        memset(block, 1, size);
        blocks[at] = block;
    }
    return 0;
}
"#;

#[test]
fn a_program_runs_in_the_pool_that_size_names_and_in_none_below() {
    let Some(build) = libraries() else { return };
    let directory = TempDir::new().expect("a directory");
    let program = compile(&directory, "churn", CHURN);
    for heap in ["ffit", "buddy"] {
        let trace = path(&directory, heap);
        let record = launch(&build, &["record", "--heap", heap, "-o", &trace], &[&program]);
        assert!(record.status.success(), "{}", text(&record.stderr));
        let size = json(&["size", &trace, "--json"]);
        let row = size["rows"].as_array().expect("rows").iter().find(|row| row["heap"] == heap).expect("a row");
        let least = row["least_pool"].as_u64().expect("a number");
        for (pool, code) in [(least, 0), (least - 4096, 3), (least * 9 / 10, 3)] {
            let run = launch(&build, &["run", "--heap", heap, "--pool", &pool.to_string()], &[&program]);
            assert_eq!(run.status.code(), Some(code), "{heap}: {pool} of {least}: {}", text(&run.stderr));
        }
        assert!(row["guaranteed"].as_u64() > row["least_area"].as_u64());
        let area = row["least_area"].as_u64().expect("a number");
        for (area, refused) in [(area, false), (area - 16, true)] {
            let replay = json(&["replay", &trace, "--heap", heap, "--area", &area.to_string(), "--json"]);
            assert_eq!(!replay["outcome"]["refused"].is_null(), refused, "{heap}: {area}");
        }
    }
}

#[test]
fn threads_forks_and_crashes_leave_readable_traces() {
    let Some(build) = libraries() else { return };
    let directory = TempDir::new().expect("a directory");
    let program = compile(
        &directory,
        "crash",
        r#"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void *work(void *mine) {
    for (int i = 0; i < 1000; i++) free(malloc(100));
    free(mine);
    return malloc(77);
}
int main(void) {
    void *last = NULL;
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, malloc(333));
        pthread_join(thread, &last);
        free(last);
    }
    if (fork() == 0) {
        for (int i = 0; i < 500; i++) last = malloc(50);
        _exit(0);
    }
    wait(NULL);
    for (int i = 0; i < 300; i++) last = malloc(4444);
    kill(getpid(), SIGKILL);
}
"#,
    );
    let trace = path(&directory, "trace");
    let record = launch(&build, &["record", "-o", &trace], &[&program]);
    assert!(!record.status.success(), "it was killed");
    let parent = json(&["replay", &trace, "--json"]);
    assert!(parent["outcome"]["peak_live"].as_u64() >= Some(300 * 4444));
    assert!(parent["outcome"]["requests"].as_u64() >= Some(20 * 2004 + 300));
    let children: Vec<_> = fs::read_dir(directory.path())
        .expect("read")
        .filter_map(|entry| entry.ok()?.path().to_str().map(str::to_owned))
        .filter(|name| name.starts_with(&format!("{trace}.")))
        .collect();
    assert_eq!(children.len(), 1, "{children:?}");
    let child = json(&["replay", &children[0], "--json"]);
    let requests = child["outcome"]["requests"].as_u64().expect("a number");
    assert!((500..600).contains(&requests), "{requests}");
    // Cut anywhere, it is read as far as it goes.
    let whole = fs::read(&trace).expect("read");
    let cut = path(&directory, "cut");
    fs::write(&cut, &whole[..whole.len().min(4096 + 64 + 5000)]).expect("written");
    assert!(json(&["replay", &cut, "--json"])["outcome"]["requests"].as_u64() > Some(100));
}

#[test]
fn the_environment_is_as_large_when_run_as_when_recorded() {
    let Some(build) = libraries() else { return };
    let directory = TempDir::new().expect("a directory");
    let source = r#"
#include <stdio.h>
#include <string.h>
extern char **environ;
int main(void) {
    for (char **entry = environ; *entry != NULL; entry++)
        printf("%.*s %zu\n", (int)strcspn(*entry, "="), *entry, strlen(*entry));
}
"#;
    let program = compile(&directory, "environment", source);
    let said = |arguments: &[&str]| text(&launch(&build, arguments, &[&program]).stdout);
    let run = said(&["run", "--heap", "ffit", "--pool", "27222016"]);
    assert!(run.contains("MEMMAN_CONF ") && run.contains("MEMMAN_RECORD "), "{run}");
    assert_eq!(said(&["record", "--heap", "ffit", "--pool", "1G", "-o", &path(&directory, "a trace")]), run);
    assert_eq!(said(&["run"]), run);
}

#[test]
fn every_program_that_a_process_executes_has_a_trace() {
    let Some(build) = libraries() else { return };
    let directory = TempDir::new().expect("a directory");
    let program = compile(&directory, "end", "int main(void) { return !__builtin_malloc(12345); }");
    let trace = path(&directory, "trace");
    let record = launch(&build, &["record", "-o", &trace], &["env", "env", "env", &program]);
    assert!(record.status.success() && record.stderr.is_empty(), "{}", text(&record.stderr));
    let ours = |name: &String| name.starts_with(&trace) && name.ends_with(".3");
    let last = fs::read_dir(directory.path())
        .expect("read")
        .filter_map(|entry| entry.ok()?.path().to_str().map(str::to_owned))
        .find(ours)
        .expect("a fourth trace");
    assert_eq!(json(&["replay", &last, "--json"])["program"], program);
}

#[test]
fn a_trace_that_cannot_grow_ends_early_and_the_program_does_not() {
    let Some(build) = libraries() else { return };
    let directory = TempDir::new().expect("a directory");
    let source = r#"
#include <stdlib.h>
#include <sys/resource.h>
int main(void) {
    struct rlimit limit = {300000, 300000};
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 1000000; i++) free(malloc(100));
    return 7;
}
"#;
    let program = compile(&directory, "loop", source);
    let trace = path(&directory, "trace");
    let record = launch(&build, &["record", "-o", &trace], &[&program]);
    assert_eq!(record.status.code(), Some(7));
    assert_eq!(text(&record.stderr), "memman: the trace cannot grow: recording ends here\n");
    assert!(fs::metadata(&trace).expect("a trace").len() <= 300_000);
    let replay = prints(&["replay", &trace]);
    assert!(replay.contains("recording ended before the program did"), "{replay}");
    assert!(json(&["replay", &trace, "--json"])["outcome"]["requests"].as_u64() > Some(50_000));
}

#[test]
fn what_breaks_a_pool_is_a_trace_that_replays() {
    let directory = TempDir::new().expect("a directory");
    for heap in ["ffit", "buddy", "ebuddy"] {
        let trace = path(&directory, heap);
        let said = prints(&["verify", "--max-live", "6", "--max-block", "4", "--policy", heap, "-o", &trace]);
        let hint = said.lines().find_map(|line| line.trim().strip_prefix("memman ")).expect("how to replay it");
        let words: Vec<&str> = hint.split(' ').chain(["--json"]).collect();
        assert!(!json(&words)["outcome"]["refused"].is_null(), "{hint}");
        assert!(json(&["replay", &trace, "--json"])["outcome"]["refused"].is_null(), "with room it is served");
        refuses(&["verify", "--max-live", "6", "--max-block", "4", "--policy", heap, "-o", &trace]);
    }
}

#[test]
fn exact_values_are_found() {
    let said = prints(&["verify", "--max-live", "8", "--max-block", "4", "--powers"]);
    let least = |policy: &str| {
        let line = said.lines().find(|line| line.trim().starts_with(policy)).expect("a line");
        line.trim()[policy.len()..].split_whitespace().next().expect("a number").to_owned()
    };
    assert_eq!((least("first fit"), least("leftmost buddy")), ("16".into(), "16".into()));
}

const COUNTED: &str = r#"{"sizes": [{"size": 64, "count": 3}, {"size": 16, "count": 2}]}"#;

/// The rows of a search that ended as it is to end.
fn rows(arguments: &[&str], outcome: &str) -> Vec<serde_json::Value> {
    let report = json(&[&["verify", "--json"], arguments].concat());
    let rows = report["rows"].as_array().expect("rows").clone();
    assert!(rows.iter().all(|row| row["outcome"] == outcome), "{report:#}");
    rows
}

#[test]
fn a_profile_with_counts_is_searched_and_held_against_the_bounds() {
    let directory = TempDir::new().expect("a directory");
    let profile = path(&directory, "profile.json");
    fs::write(&profile, COUNTED).expect("written");
    let rows = rows(&["--profile", &profile], "exact");
    let figures: Vec<_> =
        rows.iter().map(|row| (row["policy"].as_str(), row["least"].as_u64(), row["bound"].as_u64())).collect();
    let expected = [("first fit", 22, 26), ("leftmost buddy", 20, 20), ("ebuddy", 21, 21)];
    assert_eq!(figures, expected.map(|(policy, least, bound)| (Some(policy), Some(least), Some(bound))));
    // As bytes that a replay counts, no more is live than the profile allows.
    let trace = path(&directory, "trace");
    let said = prints(&["verify", "--profile", &profile, "--policy", "ffit", "-o", &trace]);
    let hint = said.lines().find_map(|line| line.trim().strip_prefix("memman ")).expect("how to replay it");
    let replayed = json(&hint.split(' ').chain(["--json"]).collect::<Vec<_>>());
    assert!(replayed["outcome"]["peak_live"].as_u64() <= Some(3 * 64 + 2 * 16), "{replayed:#}");
}

#[test]
fn a_search_that_is_not_ended_says_what_is_known() {
    let question = ["--max-live", "20", "--max-block", "8", "--policy", "ffit"];
    for (limit, outcome) in
        [(["--states", "20000"], "stopped"), (["--time", "1"], "stopped"), (["--memory", "1M"], "out of memory")]
    {
        let rows = rows(&[&question[..], &limit].concat(), outcome);
        let (least, bound) = (rows[0]["least"].as_u64().expect("a number"), rows[0]["bound"].as_u64());
        assert!(least > 20 && Some(least) < bound, "{limit:?}: {rows:?}");
    }
}

#[test]
fn an_interrupt_ends_a_search_with_what_is_known() {
    let question = ["verify", "--max-live", "20", "--max-block", "8", "--policy", "ffit"];
    let child = Command::new(MEMMAN).args(question).stdout(Stdio::piped()).spawn().expect("it runs");
    std::thread::sleep(Duration::from_secs(1));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("there is kill");
    assert!(killed.success());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("stopped"), "{}", text(&output.stdout));
}

#[test]
fn a_lower_bound_takes_only_sizes_that_the_profile_has() {
    let directory = TempDir::new().expect("a directory");
    let any_allocator = |sizes: &str| {
        let profile = path(&directory, "profile.json");
        fs::write(&profile, format!(r#"{{"sizes": [{sizes}], "max_live": 65536}}"#)).expect("written");
        json(&["size", "--profile", &profile, "--json"])["any_allocator"].as_u64().expect("a number")
    };
    let whole = any_allocator(r#"{"min": 16, "max": 64}"#);
    assert_eq!(whole, 65536 * 2 - 64 + 16);
    assert_eq!(any_allocator(r#"{"size": 64}, {"size": 16}, {"size": 32}"#), whole);
    assert_eq!(any_allocator(r#"{"size": 16}, {"size": 64}"#), 65536);
    assert_eq!(any_allocator(r#"{"size": 16}, {"size": 64}, {"size": 32, "count": 3}"#), 65536);
}

#[test]
fn a_profile_gives_the_number() {
    let directory = TempDir::new().expect("a directory");
    let profile = path(&directory, "profile.json");
    fs::write(&profile, r#"{"sizes": [{"size": 24, "count": 40}, {"size": 4096, "count": 3}]}"#).expect("written");
    let size = json(&["size", "--profile", &profile, "--json"]);
    assert_eq!(size["peak_live"], 13_248);
    let embedded = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/embedded.c")).expect("read");
    let area = format!("AREA = {} }}", size["rows"][0]["guaranteed"]);
    assert!(embedded.contains(&area), "the example has another number than {area}");
}

#[test]
fn pictures_are_drawn() {
    let directory = TempDir::new().expect("a directory");
    let trace = path(&directory, "trace");
    prints(&["verify", "--max-live", "6", "--max-block", "2", "--policy", "ffit", "-o", &trace]);
    for (name, start) in [("a.svg", "<svg"), ("a.html", "<!doctype html>")] {
        let picture = path(&directory, name);
        prints(&["plot", &trace, "-o", &picture]);
        assert!(fs::read_to_string(&picture).expect("a picture").starts_with(start));
    }
    assert!(refuses(&["plot", &trace, "-o", "a.gif"]).contains(".png"));
}

#[test]
fn every_command_has_a_man_page() {
    let directory = TempDir::new().expect("a directory");
    prints(&["man", &path(&directory, "")]);
    let names = ["", "-run", "-record", "-replay", "-size", "-verify", "-knuth", "-plot", "-man"];
    for name in names.map(|name| format!("memman{name}.1")) {
        assert!(directory.path().join(&name).is_file(), "{name}");
    }
}

#[test]
fn errors_are_one_line() {
    let directory = TempDir::new().expect("a directory");
    let empty = path(&directory, "empty");
    fs::write(&empty, "").expect("written");
    let here = directory.path().to_str().expect("UTF-8");
    for arguments in [
        &["run"][..],
        &["run", "--pool", "1X", "--", "true"],
        &["run", "--", "no-such-program-anywhere"],
        &["run", "--", here],
        &["record", "-o", "/no/such/directory/trace", "--", "true"],
        &["record", "-o", here, "--", "true"],
        &["replay", "/no/such/trace"],
        &["replay", &empty],
        &["replay", here],
        &["size"],
        &["size", &empty],
        &["size", "--profile", &empty],
        &["size", "--max-live", "64K", "--max-block", "4K"],
        &["size", "--max-live", "64K", "--max-block", "4K", "--min-block", "8K"],
        &["verify", "--max-live", "0", "--max-block", "0"],
        &["verify", "--max-live", "4294967295", "--max-block", "4294967295"],
        &["verify", "--max-live", "4", "--max-block", "8"],
        &["verify", "--max-live", "4"],
        &["verify", "--profile", &empty],
        &["verify", "--profile", &empty, "--max-live", "4"],
        &["verify", "--max-live", "6", "--max-block", "2", "--policy", "worst-fit"],
        &["knuth", "--seeds", "0"],
        &["plot", &empty, "-o", "a.svg"],
    ] {
        refuses(arguments);
    }
}

#[test]
fn a_static_program_is_refused() {
    if libraries().is_none() {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let (from, to) = (path(&directory, "static.c"), path(&directory, "static"));
    fs::write(&from, "int main(void) { return 0; }").expect("written");
    let status = Command::new("cc").args(["-static", &from, "-o", &to]).status().expect("there is a C compiler");
    assert!(status.success());
    assert!(refuses(&["run", "--", &to]).contains("statically"));
}
