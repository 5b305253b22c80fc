//! Why a scenario could not be played. A verdict that was not expected is not an error: it is a result.

use aws::Failure;
use recovery::plan::PlanError;
use workspace_sim::{InventoryError, SimError};

/// Why a scenario could not be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectionError {
    /// A simulated workspace did not start.
    #[error("a simulated workspace did not start: {0}")]
    Sim(#[from] SimError),
    /// Its inventory is unfit.
    #[error("the inventory of a simulated workspace is unfit: {0}")]
    Inventory(#[from] InventoryError),
    /// A simulator's control route failed.
    #[error("a simulator's control route failed: {0}")]
    Control(#[from] reqwest::Error),
    /// The hosts outside of the sites could not be served.
    #[error("the hosts outside of the sites could not be served: {0}")]
    Outside(#[from] std::io::Error),
    /// The plan is refused.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A document is no JSON.
    #[error("a document is no json: {0}")]
    Json(#[from] serde_json::Error),
    /// The probe function failed.
    #[error("the probe function failed: {0}")]
    Probe(#[from] Failure),
    /// The sites were not healthy before anything was done to them.
    #[error("the world was {0} before anything was done to it; is this machine overloaded?")]
    SickFromTheStart(recovery::verdict::Verdict),
}
