//! The function on Delta tables in memory, with the in-memory twins of the other ports.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

mod held_back;
mod lake;
mod runs;
mod schedule;
mod setting;
