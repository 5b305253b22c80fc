//! One simulated workspace, the real passes of fencing and restoring, and faults: what must never happen, whatever goes wrong.

pub mod bench;
pub mod gaps;
pub mod judge;
mod pair;
pub mod site;

pub use site::{Pace, Site};

/// What went wrong with the test itself.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The simulator.
    #[error("the simulated workspace: {0}")]
    Simulator(#[from] workspace_sim::SimError),
    /// The inventory.
    #[error("the inventory: {0}")]
    Inventory(#[from] workspace_sim::InventoryError),
    /// A control route.
    #[error("a control route of the simulator: {0}")]
    Control(#[from] reqwest::Error),
    /// Our own code.
    #[error("{0}")]
    Failure(#[from] aws::Failure),
    /// The workspace did not answer.
    #[error("reading the workspace: {0}")]
    Workspace(String),
    /// A file.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// The plan.
    #[error("the plan: {0}")]
    Plan(String),
}
