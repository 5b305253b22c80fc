//! Why a drill could not be carried out. A broken promise is not an error: it is a result.

use std::path::PathBuf;

use local_cloud::CloudError;
use workspace_sim::{InventoryError, SimError};

/// Why a drill could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The local cloud failed.
    #[error("the local cloud failed: {0}")]
    Cloud(#[from] CloudError),
    /// A simulated workspace failed.
    #[error("a simulated workspace failed: {0}")]
    Sim(#[from] SimError),
    /// The inventory cannot be used.
    #[error("the inventory cannot be used: {0}")]
    Inventory(#[from] InventoryError),
    /// The inventory cannot be rehearsed.
    #[error("{0}")]
    Rehearsal(String),
    /// A role lacks a permission, and so the drill did not go on.
    #[error("{error}; refused: {refused}")]
    Refused {
        /// Where it ended.
        error: Box<Self>,
        /// What was refused.
        refused: String,
    },
    /// A file cannot be written or read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A report does not fit its schema.
    #[error("{report} does not fit infra/report.schema.json: {reason}", report = report.display())]
    Report {
        /// The report.
        report: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The guide does not lead where it says.
    #[error("{0}")]
    Guide(String),
    /// The functions could not be built.
    #[error("the functions could not be built: {0}")]
    Build(String),
    /// AWS, which is local here, refused something.
    #[error("the local cloud refused: {0}")]
    Aws(String),
    /// A simulator's control route failed.
    #[error("a simulator's control route failed: {0}")]
    Control(#[from] reqwest::Error),
    /// Something that must happen did not happen in time.
    #[error("waited {seconds} s in vain for {what}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
}

impl DrillError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl From<aws::Failure> for DrillError {
    fn from(failure: aws::Failure) -> Self {
        Self::Aws(failure.to_string())
    }
}
