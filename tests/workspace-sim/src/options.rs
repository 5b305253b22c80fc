//! What a simulator is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Inventory;

/// Everything a simulated workspace is started with.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// The loopback address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The objects the workspace holds at its start.
    pub inventory: Inventory,
    /// The workspace id, sent as `X-Databricks-Org-Id` with every API answer.
    pub workspace_id: u64,
    /// Whether the documented request rates are enforced.
    pub rate_limits: bool,
    /// How many times the documented rates are allowed: 1, but for a test whose client runs faster too.
    pub rate_scale: f64,
    /// The file every exchange is recorded in, one JSON line each.
    pub record: Option<PathBuf>,
    /// How many simulated seconds pass in one real second.
    pub time_scale: f64,
    /// How long the simulated platform takes for what it does.
    pub delays: Delays,
}

/// Durations of the simulated platform, in simulated seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delays {
    /// A run stays PENDING this long.
    pub run_start: f64,
    /// A run stays RUNNING this long, then it succeeds.
    pub run_duration: f64,
    /// A cancelled run stays TERMINATING this long.
    pub run_cancel: f64,
    /// A cluster stays PENDING or RESTARTING this long.
    pub cluster_start: f64,
    /// A cluster stays TERMINATING this long.
    pub cluster_stop: f64,
    /// A warehouse stays STARTING this long.
    pub warehouse_start: f64,
    /// A warehouse stays STOPPING this long.
    pub warehouse_stop: f64,
    /// A pipeline stays STARTING this long.
    pub pipeline_start: f64,
    /// A pipeline stays STOPPING this long.
    pub pipeline_stop: f64,
    /// An update of a triggered pipeline stays RUNNING this long, then it completes.
    pub pipeline_update: f64,
    /// A pool needs this long to follow a change of `min_idle_instances`.
    pub pool_fill: f64,
    /// A statement runs this long on a running warehouse.
    pub statement: f64,
    /// An app stays STARTING this long.
    pub app_start: f64,
    /// An app stays STOPPING this long.
    pub app_stop: f64,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            run_start: 2.0,
            run_duration: 60.0,
            run_cancel: 5.0,
            cluster_start: 180.0,
            cluster_stop: 30.0,
            warehouse_start: 60.0,
            warehouse_stop: 10.0,
            pipeline_start: 60.0,
            pipeline_stop: 20.0,
            pipeline_update: 300.0,
            pool_fill: 60.0,
            statement: 0.5,
            app_start: 30.0,
            app_stop: 10.0,
        }
    }
}
