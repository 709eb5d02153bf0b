//! Holds what the documents say to what there is: the settings and messages to
//! the code that has them, the table of cells to the one in the code, what is enough
//! to the bounds, and every link to a file.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use memman::analysis::bounds::{self, SizeRange};
use memman::heap;

#[path = "../src/malloc/classes.rs"]
#[allow(dead_code)] // what the malloc asks of it
mod classes;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What stands between each `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| Some(rest.split_once(after)?.0)).collect()
}

/// The keys that MEMMAN_CONF may have.
fn keys() -> BTreeSet<String> {
    let code = read("src/malloc/config.rs");
    let (_, keys) = code.split_once("match key {").unwrap();
    let (keys, _) = keys.split_once("unknown key").unwrap();
    // The keys' arms stand one step further left than those of their values.
    let indent = keys.lines().nth(1).unwrap().find('b').unwrap();
    let arms = keys.lines().filter(|line| line.find("b\"") == Some(indent) && line.contains("=>"));
    let keys: BTreeSet<String> = arms.map(|arm| between(arm, "b\"", "\"")[0].to_owned()).collect();
    assert!(keys.len() >= 8, "the keys were not found: {keys:?}");
    keys
}

/// The man page of the library.
fn manual() -> String {
    let mut awk = Command::new("awk");
    awk.args(["-f", "docs/memman.3.awk", "README.md", "docs/memman.3.in"]).current_dir(root());
    String::from_utf8(awk.output().expect("awk runs").stdout).unwrap()
}

#[test]
fn the_readme_has_every_setting_and_no_other() {
    let readme = read("README.md");
    let (_, table) = readme.split_once("| key | values | default | |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let documented: BTreeSet<String> = rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(documented, keys(), "README.md (left) and src/malloc/config.rs (right)");
}

#[test]
fn the_manual_has_every_setting_and_no_other() {
    let manual = manual();
    let documented: BTreeSet<String> = between(&manual, ".TP\n\\fB", "\\fR: ").into_iter().map(str::to_owned).collect();
    assert_eq!(documented, keys(), "memman.3 (left) and src/malloc/config.rs (right)");
}

#[test]
fn the_manual_has_every_function_and_message_of_the_malloc() {
    let manual = manual();
    let exports = read("tests/symbols/exports.txt");
    // C++'s operators are no functions of a manual.
    let functions = exports.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '_']));
    let functions = functions.map(|name| format!("\n.BR {name} ()"));
    let settings = ["src/malloc/config.rs", "src/malloc/process.rs", "src/malloc/operators.rs"].map(read).concat();
    let faults = read("src/malloc/blocks.rs");
    let warnings = between(&settings, "warn(&[b\"", "\"").into_iter().map(|said| format!("\nmemman: {said}"));
    let faults = between(&faults, "=> \"", "\"").into_iter().map(|said| format!("(): {said} 0x...\n"));
    let messages: Vec<String> = warnings.chain(faults).collect();
    assert!(messages.len() >= 6, "the messages were not found: {messages:?}");
    for text in functions.chain(messages) {
        assert!(manual.contains(&text), "memman.3 lacks {text:?}");
    }
}

#[test]
fn the_table_of_cells_is_that_of_the_code() {
    let percent = |part: usize, whole: usize| format!("{:.1}", 100.0 * part as f64 / whole as f64);
    let mut table = String::new();
    let mut below = 0;
    for class in 0..classes::CLASSES {
        let (cell, slab) = (classes::CELL[class] as usize, classes::SLAB);
        let unused = [percent(cell - (below + 1), cell), percent(slab % cell, slab)];
        let _ = writeln!(table, "| {cell} | {} | {} | {} |", slab / cell, unused[0], unused[1]);
        below = cell;
    }
    let document = read("docs/classes.md");
    let (_, documented) = document.split_once("|---:|---:|---:|---:|\n").unwrap();
    assert!(documented == table, "docs/classes.md should have these rows, and end with them:\n{table}");
}

/// What a heading is linked by: in small letters, with a hyphen for each space, without
/// other signs.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let sign = |sign: char| match sign {
        ' ' => Some('-'),
        sign => (sign.is_alphanumeric() || sign == '-' || sign == '_').then_some(sign),
    };
    headings.map(|heading| heading.to_lowercase().chars().filter_map(sign).collect()).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let in_folder = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let files = entries.map(|name| format!("{folder}/{}", name.to_str().unwrap()));
        files.filter(|name| name.ends_with(".md")).collect::<Vec<_>>()
    };
    let documents = ["README.md", "src/README.md", "benches/README.md"].map(str::to_owned).to_vec();
    let (mut links, mut headings) = (0, 0);
    for document in [documents, in_folder("docs"), in_folder("docs/performance")].concat() {
        let text = read(&document);
        for link in between(&text, "](", ")") {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") {
                continue;
            }
            links += 1;
            let target = Path::new(&document).parent().unwrap().join(file);
            assert!(root().join(&target).exists(), "{document}: no {link}");
            if !heading.is_empty() {
                headings += 1;
                let there = if file.is_empty() { text.clone() } else { read(target.to_str().unwrap()) };
                assert!(anchors(&there).iter().any(|anchor| anchor == heading), "{document}: no heading {link}");
            }
        }
    }
    assert!(links > 50 && headings > 2, "the links were not found: {links}, {headings} of them to headings");
}

/// A number as documents have it, with commas.
fn number(text: &str) -> Option<usize> {
    text.replace(',', "").parse().ok()
}

#[test]
fn what_is_said_to_be_enough_is() {
    let readme = read("README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let before = |words: &str| number(readme.split_once(words).expect(words).0.rsplit(' ').next().unwrap());
    // For 64 KiB live in blocks of 64 to 1024 bytes.
    assert_eq!(before(" bytes of ffit are enough"), bounds::ffit_required_size(64 << 10, 1024, 64));
    assert_eq!(before(" of buddy. They hold"), bounds::buddy_required_size(64 << 10, 1024, 64));

    let enough = read("docs/enough.md");
    let (_, table) = enough.split_once("memman size --profile blocks.json").unwrap();
    let of = |heap: &str| {
        let row = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|row| row.first() == Some(&heap));
        number(row.expect(heap)[1])
    };
    let profile = [SizeRange::at_most(40, 24), SizeRange::at_most(3, 4096)];
    assert_eq!(of("ffit"), bounds::ffit_profile_size(&profile, 13_248));
    assert_eq!(of("buddy"), bounds::buddy_profile_size(&profile, 13_248));
    assert_eq!(of("ebuddy"), bounds::ebuddy_profile_size(&profile, 13_248));
}
