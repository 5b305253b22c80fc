//! End-to-end tests: the deployed template, real binaries, the real state machine. Each test names the promise it keeps.

mod checker;
mod doors;
mod scenarios;
