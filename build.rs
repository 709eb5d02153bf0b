//! Makes include/ffit.h and include/buddy.h from src/capi with cbindgen.
//!
//! The headers are always made in OUT_DIR, where tests/headers.rs finds them.
//! Those in include/ are brought up to date where they differ and can be
//! written; with MEMMAN_HEADERS=frozen, as `make test` has it, they are left,
//! and the test says that they are stale.

use std::path::{Path, PathBuf};
use std::{env, fs};

struct Header {
    file: &'static str,
    source: &'static str,
    guard: &'static str,
    includes: &'static str,
    about: &'static str,
}

const HEADERS: [Header; 2] = [
    Header {
        file: "ffit.h",
        source: "src/capi/ffit.rs",
        guard: "MEMMAN_FFIT_H",
        includes: "#include <stddef.h>\n#include <stdint.h>\n#include <stdlib.h>",
        about: "\
/* memman: the first-fit heap (Knuth, The Art of Computer Programming, vol. 1,
 * section 2.5): address-ordered, and exact: a request gets the lowest-addressed
 * free block that is large enough, in time bounded by the logarithm of the heap.
 *
 * A heap lives in a memory area that the caller gives, and is described by a
 * descriptor; there is no global state, and no limit on the number of heaps:
 *
 *     static char area[65536];
 *     static ffit_heap_t heap;
 *
 *     heap.mh = (uintptr_t)area;
 *     heap.hs = sizeof area;
 *     if (ffit_init(&heap) != FFIT_HEAP_OK) ...
 *     char *block = ffit_get_block(&heap, 100);
 *     ffit_free_block(&heap, block);
 *
 * Blocks have no headers: the bookkeeping stands at the end of the area, and the
 * contents of a block, used or free, are never read or written, but for copying
 * in ffit_extend_block. A NULL descriptor is an empty heap that refuses
 * everything. Unless told otherwise, calls from several threads are safe. No
 * function allocates or waits for anything but the heap's lock.
 *
 * Link with -lmemman, which is the program's malloc then, too; heaps on descriptors
 * take nothing from it. This file is made by build.rs from src/capi/ffit.rs. */",
    },
    Header {
        file: "buddy.h",
        source: "src/capi/buddy.rs",
        guard: "MEMMAN_BUDDY_H",
        includes: "#include <stddef.h>\n#include <stdint.h>\n#include <stdlib.h>\n#include \"ffit.h\"",
        about: "\
/* memman: the buddy system (Knuth, The Art of Computer Programming, vol. 1,
 * section 2.5), with or without an emergency heap. Blocks are powers of two, and
 * a request gets the leftmost window of its size that is free, in time bounded
 * by the number of sizes. What the buddy heap cannot give, for its size or its
 * fragmentation, is asked of the emergency heap, a first-fit heap in the same
 * area, where the descriptor's `e` says that there is one.
 *
 * A heap lives in a memory area that the caller gives, and is described by a
 * descriptor; there is no global state, and no limit on the number of heaps:
 *
 *     static char area[65536];
 *     static buddy_heap_t heap;
 *
 *     heap.mh = (uintptr_t)area;
 *     heap.hs = sizeof area;
 *     heap.e  = 1;
 *     if (buddy_init(&heap) != BUDDY_HEAP_OK) ...
 *     char *block = buddy_get_block(&heap, 100);
 *     buddy_free_block(&heap, block);
 *
 * Blocks have no headers: the bookkeeping stands outside them in the area, and
 * the contents of a block, used or free, are never read or written, but for
 * copying in buddy_extend_block. A NULL descriptor is an empty heap that refuses
 * everything. Unless told otherwise, calls from several threads are safe. No
 * function allocates or waits for anything but the heap's lock.
 *
 * Link with -lmemman, which is the program's malloc then, too; heaps on descriptors
 * take nothing from it. This file is made by build.rs from src/capi/buddy.rs. */",
    },
];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    let frozen = env::var_os("MEMMAN_HEADERS").is_some_and(|value| value == "frozen");
    for header in &HEADERS {
        println!("cargo:rerun-if-changed={}", header.source);
        println!("cargo:rerun-if-changed=include/{}", header.file);
        let text = generate(&root, header);
        fs::write(out.join(header.file), &text).expect("OUT_DIR can be written");
        let committed = root.join("include").join(header.file);
        if fs::read_to_string(&committed).is_ok_and(|old| old == text) {
            continue;
        }
        if frozen {
            // Said only here, as it would make every `make test` build anew.
            println!("cargo:rerun-if-env-changed=MEMMAN_HEADERS");
        } else {
            write(&committed, &text);
        }
    }
}

/// The text of a header.
fn generate(root: &Path, header: &Header) -> String {
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml"))
        .unwrap_or_else(|error| panic!("cbindgen.toml: {error}"));
    config.header = Some(header.about.to_owned());
    config.include_guard = Some(header.guard.to_owned());
    config.after_includes = Some(header.includes.to_owned());
    let mut text = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join(header.source))
        .generate()
        .unwrap_or_else(|error| panic!("{}: {error}", header.source))
        .write(&mut text);
    let text = String::from_utf8(text).expect("cbindgen writes UTF-8");
    // What Rust calls safety, C calls the caller's duties.
    text.replace(" * # Safety\n * ", " * Requires: ")
}

/// Writes `text`; a source tree that cannot be written is no error.
fn write(path: &Path, text: &str) {
    let written =
        fs::create_dir_all(path.parent().expect("a file has a directory")).and_then(|()| fs::write(path, text));
    if let Err(error) = written {
        println!("cargo:warning={} is stale, and cannot be written: {error}", path.display());
    }
}
