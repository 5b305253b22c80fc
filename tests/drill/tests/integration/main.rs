//! End-to-end tests: the deployed template, real binaries, the real state machine. Each test names the promise it keeps.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may end a test; clippy allows it only in the tests themselves"
)]

mod checker;
mod doors;
#[cfg(test)]
mod estate;
mod planted;
mod replication;
mod scenarios;
