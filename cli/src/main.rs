//! The `memman` program.

fn main() {}
