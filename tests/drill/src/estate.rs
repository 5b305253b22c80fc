//! The two workspaces at the beginning of a drill.

use std::path::Path;

use serde_json::Value;
use workspace_sim::Inventory;

use crate::{DrillError, Scenario, live};

/// The example that the project ships.
const EXAMPLE: &str = include_str!("../inventories/example.json");

/// Both sites as the drill begins.
pub struct Estate {
    /// What the primary holds.
    pub primary: Inventory,
    /// What the standby holds.
    pub secondary: Inventory,
    /// The primary's raw JSON: what the standby must run in the end.
    pub original: Value,
}

impl Estate {
    /// From an inventory file, or from the example.
    ///
    /// # Errors
    /// If the file cannot be read or is no inventory.
    pub fn load(file: Option<&Path>, scenario: Scenario) -> Result<Self, DrillError> {
        let primary = match file {
            Some(path) => Inventory::load(path)?,
            None => Inventory::from_json(serde_json::from_str(EXAMPLE).unwrap_or_default())?,
        };
        let standby = primary.standby("secondary");
        let secondary = if scenario == Scenario::MissingJob {
            without_a_live_job(&standby, &primary)?
        } else {
            standby
        };
        let original = primary.to_json();
        Ok(Self {
            primary,
            secondary,
            original,
        })
    }
}

/// The standby without the first job that is live at the primary.
fn without_a_live_job(standby: &Inventory, primary: &Inventory) -> Result<Inventory, DrillError> {
    let live = live::places(&primary.to_json());
    let victim = live
        .keys()
        .next()
        .map(|(job, _)| job.clone())
        .unwrap_or_default();
    let mut json = standby.to_json();
    if let Some(jobs) = json.get_mut("jobs").and_then(Value::as_array_mut) {
        jobs.retain(|job| {
            let settings = job.get("settings");
            let name = settings.and_then(|s| s.get("name")).and_then(Value::as_str);
            let key = settings
                .and_then(|s| s.get("tags"))
                .and_then(|t| t.get("dr-key"))
                .and_then(Value::as_str);
            name != Some(victim.as_str()) && key != Some(victim.as_str())
        });
    }
    Ok(Inventory::from_json(json)?)
}
