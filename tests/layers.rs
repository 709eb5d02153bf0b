//! Holds the paths in src/ to the rule of src/README.md: a layer uses only what
//! the table there says, a room of malloc only what its own head says; and the
//! README knows every room.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn readme() -> String {
    fs::read_to_string(src().join("README.md")).unwrap()
}

/// Every Rust file, as its path below src/.
fn files() -> Vec<PathBuf> {
    fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.strip_prefix(src()).unwrap().to_owned());
            }
        }
    }
    let mut files = Vec::new();
    collect(&src(), &mut files);
    files.sort();
    files
}

/// The module that a file is: `heap/ffit/tree.rs` is heap, ffit, tree.
fn module(file: &Path) -> Vec<String> {
    let path = file.with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
    parts.filter(|part| part != "mod" && part != "lib").collect()
}

/// What stands between backticks.
fn names(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The lines of the README's table with this heading, by their first column.
fn table(heading: &str) -> BTreeMap<String, String> {
    let text = readme();
    let (_, table) = text.split_once(heading).expect("the README has the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut columns = row.trim_matches('|').split('|');
        let first = names(columns.next().unwrap()).pop_first().expect("a name");
        (first, columns.next().unwrap().trim().to_owned())
    })
    .collect()
}

/// The paths in `tokens` that begin with `crate`, `super` or `self`, in the
/// module `here`, as paths from the crate's root.
fn paths(tokens: TokenStream, here: &[String], found: &mut BTreeSet<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(word) if word == "mod" => {
                if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                {
                    let inside = [here, &[name.to_string()]].concat();
                    paths(body.stream(), &inside, found);
                    at += 2;
                }
            }
            TokenTree::Ident(word) if is_colons(&tokens, at + 1) => {
                let start = match word.to_string().as_str() {
                    "crate" => Some(Vec::new()),
                    "self" => Some(here.to_vec()),
                    "super" => Some(here[..here.len() - 1].to_vec()),
                    _ => None,
                };
                if let Some(start) = start {
                    at = path(&tokens, at + 3, start, found);
                    continue;
                }
            }
            TokenTree::Group(group) => paths(group.stream(), here, found),
            _ => {}
        }
        at += 1;
    }
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    is_colon(tokens.get(at)) && is_colon(tokens.get(at + 1))
}

/// Follows one path, and all branches of a `{ }` in it; where it ends.
fn path(tokens: &[TokenTree], mut at: usize, mut so_far: Vec<String>, found: &mut BTreeSet<Vec<String>>) -> usize {
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(word)) if word == "super" => {
                so_far.pop();
            }
            Some(TokenTree::Ident(word)) if word == "self" => {}
            Some(TokenTree::Ident(word)) => so_far.push(word.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
                for branch in inside.split(is_comma) {
                    path(branch, 0, so_far.clone(), found);
                }
                return at + 1;
            }
            _ => {
                // A `*`, or the end of a branch.
                found.insert(so_far);
                return at + 1;
            }
        }
        if !is_colons(tokens, at + 1) {
            found.insert(so_far);
            return at + 1;
        }
        at += 3;
    }
}

fn paths_of(file: &Path) -> BTreeSet<Vec<String>> {
    let text = fs::read_to_string(src().join(file)).unwrap();
    let tokens = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut found = BTreeSet::new();
    paths(tokens, &module(file), &mut found);
    found
}

#[test]
fn a_layer_uses_only_what_the_readme_lets_it() {
    let rule = table("| layer | may use |");
    let mut broken = Vec::new();
    let mut uses = 0;
    for file in files() {
        let Some(layer) = module(&file).first().cloned() else { continue };
        let allowed = names(rule.get(&layer).unwrap_or_else(|| panic!("the README does not know {layer}")));
        for path in paths_of(&file) {
            let Some(used) = path.first().filter(|&used| rule.contains_key(used)) else { continue };
            uses += usize::from(*used != layer);
            if *used != layer && !allowed.contains(used) {
                broken.push(format!("{} uses {}", file.display(), path.join("::")));
            }
        }
    }
    assert!(uses > 10, "the paths were not found");
    assert!(broken.is_empty(), "against src/README.md:\n{}", broken.join("\n"));
}

#[test]
fn every_layer_stands_above_what_it_uses() {
    let text = readme();
    let (_, below) = text.split_once("| layer | may use |").unwrap();
    for (layer, allowed) in table("| layer | may use |") {
        let place = |layer: &str| below.find(&format!("\n| `{layer}` |")).expect("a line of its own");
        for used in names(&allowed) {
            assert!(place(&layer) < place(&used), "{layer} may use {used}, but does not stand above it");
        }
    }
}

#[test]
fn a_room_of_malloc_uses_only_what_its_head_says() {
    let rooms: BTreeSet<String> = files()
        .iter()
        .filter(|file| file.starts_with("malloc"))
        .filter_map(|file| module(file).get(1).cloned())
        .collect();
    assert!(rooms.len() > 5);
    let mut broken = Vec::new();
    for file in files().into_iter().filter(|file| file.starts_with("malloc") && !file.ends_with("mod.rs")) {
        let text = fs::read_to_string(src().join(&file)).unwrap();
        let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        let head = head.join(" ");
        let Some((_, rule)) = head.split_once("May use:") else {
            broken.push(format!("{} does not say what it may use", file.display()));
            continue;
        };
        // To the end of the sentence, and of the paragraph.
        let rule = rule.split(". ").next().unwrap().split("  ").next().unwrap();
        if rule.trim_start().starts_with("all of `malloc`") {
            continue;
        }
        let allowed = names(rule);
        let own = module(&file)[1].clone();
        for path in paths_of(&file).into_iter().filter(|path| path.first().is_some_and(|layer| layer == "malloc")) {
            let Some(room) = path.get(1).filter(|&room| rooms.contains(room) && *room != own) else { continue };
            if !allowed.contains(room) {
                broken.push(format!("{} uses `{room}`, and its head does not say so", file.display()));
            }
        }
    }
    broken.dedup();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_readme_knows_every_room_and_no_other() {
    let known: BTreeSet<String> = table("| file | what lives there |").into_keys().collect();
    let there: BTreeSet<String> = files().iter().map(|file| file.to_str().unwrap().to_owned()).collect();
    let symmetric: Vec<_> = known.symmetric_difference(&there).collect();
    assert!(symmetric.is_empty(), "only in src/README.md, or missing there: {symmetric:?}");
}
