//! The bounds, the search and the experiments, held against each other and
//! against the managers.

mod search;
