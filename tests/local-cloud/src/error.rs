//! What can go wrong in the local cloud.

use std::path::PathBuf;

use crate::schedule::ScheduleError;
use crate::venv::VenvError;

/// A failure of the local cloud itself; a function that fails is an answer, not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudError {
    /// The Python environment could not be made.
    #[error(transparent)]
    Venv(#[from] VenvError),
    /// A file or a folder could not be used.
    #[error("cannot use {path}: {source}; check that the folder exists and is writable")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A loopback port could not be bound.
    #[error("cannot listen on loopback for {what}: {source}")]
    Listen {
        /// What should have listened.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// moto did not start.
    #[error("the moto process did not start: {reason}; read {log}")]
    Start {
        /// What happened.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// A command to the moto process failed.
    #[error("local cloud command {command} failed: {reason}")]
    Command {
        /// The command.
        command: String,
        /// What moto or the network said.
        reason: String,
    },
    /// An answer of the moto process could not be read.
    #[error("the answer to local cloud command {command} is not as expected: {source}")]
    Answer {
        /// The command.
        command: String,
        /// Where the answer differs.
        source: serde_json::Error,
    },
    /// Something was asked of the stack before there is one.
    #[error("nothing is deployed yet; call deploy first")]
    NotDeployed,
    /// A logical id that the deployed stack does not have.
    #[error("the deployed stack has no {kind} {name}; it has {known}")]
    Unknown {
        /// What was looked for.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A deployed schedule cannot be played.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}
