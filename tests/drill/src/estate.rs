//! The two workspaces at the beginning of a drill.

use std::path::Path;

use serde_json::{Value, json};
use workspace_sim::Inventory;

use crate::plan::{PRIMARY_REGION, SECONDARY_REGION};
use crate::planted::{Planted, plant};
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
    /// How the standby differs on purpose.
    pub planted: Vec<Planted>,
}

impl Estate {
    /// From an inventory file, or from the example.
    ///
    /// # Errors
    /// If the file cannot be read or is no inventory.
    pub fn load(file: Option<&Path>, scenario: Scenario) -> Result<Self, DrillError> {
        let primary = inventory(file)?;
        let (primary, standby, planted) = match scenario {
            Scenario::DriftedStandby => {
                let differing = plant(&primary, standby_of)?;
                (differing.primary, differing.standby, differing.planted)
            }
            Scenario::ResumeAfterRepair => {
                let primary = with_a_canary(&primary)?;
                let standby = standby_of(&primary)?;
                (primary, standby, Vec::new())
            }
            _ => {
                let standby = standby_of(&primary)?;
                (primary, standby, Vec::new())
            }
        };
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
            planted,
        })
    }
}

/// The job that a plan of a drill runs to see whether jobs run.
pub const CANARY: &str = "DR canary";

/// The estate with a job that may run at both sites at any time.
fn with_a_canary(primary: &Inventory) -> Result<Inventory, DrillError> {
    let mut json = primary.to_json();
    if let Some(jobs) = json.get_mut("jobs").and_then(Value::as_array_mut) {
        jobs.push(json!({"job_id": 20_261_126, "settings": {
            "name": CANARY, "tags": {"dr-mode": "excluded"}, "max_concurrent_runs": 1,
            "tasks": [{"task_key": "look", "notebook_task": {"notebook_path": "/Workspace/Shared/dr/canary"}}],
        }}));
    }
    Ok(Inventory::from_json(json)?)
}

/// An inventory from a file, or the example.
///
/// # Errors
/// If the file cannot be read or is no inventory.
pub fn inventory(file: Option<&Path>) -> Result<Inventory, DrillError> {
    Ok(match file {
        Some(path) => Inventory::load(path)?,
        None => Inventory::from_json(serde_json::from_str(EXAMPLE).unwrap_or_default())?,
    })
}

/// A well-prepared standby of an estate.
///
/// # Errors
/// Never for an inventory.
pub fn standby_of(primary: &Inventory) -> Result<Inventory, DrillError> {
    in_its_own_zones(&primary.standby("secondary"))
}

/// A zone of the primary's region does not exist in the secondary's.
fn in_its_own_zones(standby: &Inventory) -> Result<Inventory, DrillError> {
    fn move_zones(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    match value {
                        Value::String(zone) if name == "zone_id" => {
                            *zone = zone.replace(PRIMARY_REGION, SECONDARY_REGION);
                        }
                        value => move_zones(value),
                    }
                }
            }
            Value::Array(list) => list.iter_mut().for_each(move_zones),
            _ => {}
        }
    }
    let mut json = standby.to_json();
    move_zones(&mut json);
    Ok(Inventory::from_json(json)?)
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
