//! The malloc that programs run with unchanged: thread caches over slabs over
//! core heaps over the OS, or over a fixed pool. May use: `heap`, `sync`,
//! `platform`, of `analysis` the bounds; no std, no allocation, no panics that
//! unwind.
//!
//! `src/README.md` walks one malloc and one free from end to end.

mod blocks;
mod cache;
mod classes;
mod config;
mod currents;
mod empties;
mod entry;
mod exports;
mod free;
mod heaps;
mod huge;
mod huge_pages;
mod lists;
mod mappings;
mod message;
mod operators;
mod outbox;
mod pace;
mod process;
mod region;
mod remote;
mod report;
mod ring;
mod shared;
mod slab;
mod spares;
mod tables;
mod threads;
