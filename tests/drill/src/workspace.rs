//! One simulated workspace and its control routes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use workspace_sim::{Delays, Inventory, SimOptions, Simulator};

use crate::DrillError;

/// Simulated seconds that a run or a triggered update of a pipeline lasts.
const RUNS_LAST: f64 = 3600.0;

/// An entry of a simulator's own record.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// When, real time, milliseconds since 1970.
    pub at_ms: i64,
    /// What.
    pub kind: String,
    /// Everything else.
    #[serde(flatten)]
    pub fields: serde_json::Map<String, Value>,
}

impl Event {
    /// A text field, or nothing.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or("")
    }
}

/// A simulated workspace that belongs to this drill.
pub struct SimulatedWorkspace {
    simulator: Simulator,
    http: reqwest::Client,
    /// Where every exchange is recorded.
    pub recording: PathBuf,
}

impl SimulatedWorkspace {
    /// Starts one on a free loopback port.
    ///
    /// # Errors
    /// If it cannot listen or record.
    pub async fn start(
        inventory: Inventory,
        workspace_id: u64,
        recording: &Path,
        time_scale: f64,
    ) -> Result<Self, DrillError> {
        let simulator = Simulator::start(SimOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            inventory,
            workspace_id,
            rate_limits: true,
            rate_scale: 1.0,
            record: Some(recording.to_owned()),
            time_scale,
            // Long enough that what runs as the drill begins still runs when the region dies.
            delays: Delays {
                run_duration: RUNS_LAST,
                pipeline_update: RUNS_LAST,
                ..Delays::default()
            },
        })
        .await?;
        Ok(Self {
            simulator,
            http: reqwest::Client::builder().no_proxy().build()?,
            recording: recording.to_owned(),
        })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.simulator.url()
    }

    /// Its own record.
    ///
    /// # Errors
    /// If the control route fails.
    pub async fn events(&self) -> Result<Vec<Event>, DrillError> {
        Ok(self
            .http
            .get(format!("{}/__sim/events", self.url()))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?)
    }

    /// What it holds now.
    ///
    /// # Errors
    /// If the control route fails.
    pub async fn inventory(&self) -> Result<Value, DrillError> {
        Ok(self
            .http
            .get(format!("{}/__sim/inventory", self.url()))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?)
    }

    /// A control route.
    ///
    /// # Errors
    /// If it fails.
    pub async fn control(&self, route: &str, body: &Value) -> Result<(), DrillError> {
        self.http
            .post(format!("{}/__sim/{route}", self.url()))
            .json(body)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// No fault acts any more.
    ///
    /// # Errors
    /// If the control route fails.
    pub async fn end_faults(&self) -> Result<(), DrillError> {
        self.http
            .delete(format!("{}/__sim/faults", self.url()))
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// The whole site goes dark.
    ///
    /// # Errors
    /// If the control route fails.
    pub async fn darken(&self, platform_keeps_running: bool) -> Result<(), DrillError> {
        let platform = if platform_keeps_running {
            "running"
        } else {
            "stopped"
        };
        self.control("dark", &json!({"platform": platform})).await
    }

    /// The site is back.
    ///
    /// # Errors
    /// If the control route fails.
    pub async fn light(&self) -> Result<(), DrillError> {
        self.control("light", &json!({})).await
    }

    /// Ends it and flushes its recording.
    pub async fn stop(self) {
        self.simulator.stop().await;
    }
}
