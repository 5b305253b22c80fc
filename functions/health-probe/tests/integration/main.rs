//! The function against simulated workspaces and the hosts around them, with the in-memory twins of the AWS ports.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

mod decision;
mod faults;
mod metrics;
mod observers;
mod probes;
mod setting;
