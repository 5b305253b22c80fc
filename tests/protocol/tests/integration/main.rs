//! The life of a run across the functions that begin, commit, abandon, resume and close it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod baselines;
mod debts;
mod executions;
mod faults;
mod first_state;
mod formats;
mod interleavings;
mod unfence;
mod world;
