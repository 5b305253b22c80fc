//! Recovery points compared with a naive check of every version, on complete and damaged tables.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

mod brute;
mod cli;
mod faults;
mod made;
mod property;
mod shared;
mod steps;
mod support;
