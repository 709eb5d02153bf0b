//! memman: Knuth's dynamic storage managers (TAOCP vol. 1, sec. 2.5) as heaps
//! on explicit descriptors, and a drop-in malloc that stands on them.
//!
//! The rooms, top to bottom, are described in `src/README.md`; each may use
//! only what stands under it.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod analysis;
pub mod capi;
// Beside std there is no malloc, for which some methods of the managers are.
#[cfg_attr(feature = "std", allow(dead_code))]
pub mod heap;
#[cfg(not(feature = "std"))]
mod malloc;
// What tests can run of it, and a model checker: `make model`.
#[cfg(all(test, feature = "std"))]
mod malloc {
    #[cfg(not(loom))]
    mod pace;
    #[cfg(loom)]
    mod remote;
    #[cfg(not(loom))]
    mod ring;
    #[cfg(not(loom))]
    mod spares;
}
// A model has a kernel of its own.
#[cfg_attr(all(test, loom), allow(dead_code))]
mod platform;
pub mod sync;

// The README's examples in Rust are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
