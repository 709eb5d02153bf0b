//! How much memory is enough: the bounds, the search that holds them against
//! every request sequence there is, and Knuth's experiments. May use: the
//! managers. The bounds are `no_std` and do not allocate; the rest needs std.

pub mod bounds;
#[cfg(feature = "std")]
pub mod knuth;
#[cfg(feature = "std")]
pub mod policy;
#[cfg(feature = "std")]
pub mod robson;
#[cfg(feature = "std")]
pub mod search;
