//! The headers in include/ are those that build.rs makes, and every C and C++
//! that they promise to be.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const HEADERS: [&str; 2] = ["ffit.h", "buddy.h"];

fn include() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/include"))
}

#[test]
fn the_committed_headers_are_not_stale() {
    for header in HEADERS {
        let made = std::fs::read_to_string(Path::new(env!("OUT_DIR")).join(header)).unwrap();
        let committed = std::fs::read_to_string(include().join(header)).unwrap_or_default();
        assert!(made == committed, "include/{header} is stale: build once without MEMMAN_HEADERS, and commit it");
    }
}

/// Compiles `source`; what the compiler says must be nothing.
fn compiles(compiler: &str, language: &str, source: &str) {
    let mut child = Command::new(compiler)
        .args([language, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-I"])
        .arg(include())
        .args(["-x", if language.contains("++") { "c++" } else { "c" }, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{compiler}: {error}"));
    child.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{compiler} {language}: {source}\n{errors}");
}

#[test]
fn they_compile_as_c99_c11_and_cxx17() {
    let users = [
        "#include <ffit.h>\nint f(void);\nint f(void) { ffit_heap_t h = {0, 0, {0}}; return ffit_init(&h); }\n",
        "#include <buddy.h>\nint f(void);\nint f(void) { buddy_heap_t h = {0, 0, 1, {0}}; return buddy_init(&h); }\n",
        "#include \"buddy.h\"\n#include \"ffit.h\"\n#include \"buddy.h\"\n\
         static ffit_heap_t h;\nuint32_t *f(void *p);\nuint32_t *f(void *p) {\n\
         int rc = FFIT_HEAP_OK | FFIT_HEAP_FOUND | BUDDY_HEAP_NOTFOUND | BUDDY_HEAP_INTERNAL;\n\
         return (uint32_t *)ffit_extend_block(&h, p, 10, &rc);\n}\n",
    ];
    for source in users {
        compiles("gcc", "-std=c99", source);
        compiles("gcc", "-std=c11", source);
        compiles("g++", "-std=c++17", source);
    }
}
