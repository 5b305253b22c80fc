//! What a failover of an inventory would take, before the drill plays one.

use std::path::Path;

use jiff::Timestamp;
use recovery::plan::Plan;
use recovery::rehearsal::{Assumptions, Estate as Rehearsed, Rehearsal, rehearse};
use recovery::site::SiteLabel;
use sites::documented_rates;

use crate::DrillError;
use crate::estate::Estate;

/// The durations of the drill's own plan are short. A rehearsal goes by those of the example of a plan.
const PLAN: &str = include_str!("../../../infra/plan.example.json");

/// Rehearses both sites of a drill as they are at its beginning.
///
/// # Errors
/// If the inventory or the example plan cannot be read.
pub fn of(estate: &Estate, now: Timestamp) -> Result<Rehearsal, DrillError> {
    let plan = Plan::parse(PLAN.as_bytes()).map_err(|e| DrillError::Rehearsal(e.to_string()))?;
    let site = |document, label| {
        Rehearsed::of(&document, label, now).map_err(|e| DrillError::Rehearsal(e.to_string()))
    };
    let primary = site(estate.primary.to_json(), SiteLabel::Primary)?;
    let secondary = site(estate.secondary.to_json(), SiteLabel::Secondary)?;
    let rates = documented_rates();
    Ok(rehearse(
        &primary,
        &secondary,
        &plan,
        &rates,
        Assumptions::default(),
        now,
    ))
}

/// Leaves it as `rehearsal.json`.
///
/// # Errors
/// If the file cannot be written.
pub fn save(rehearsal: &Rehearsal, folder: &Path) -> Result<(), DrillError> {
    std::fs::create_dir_all(folder).map_err(DrillError::file(folder))?;
    let file = folder.join("rehearsal.json");
    let text = serde_json::to_vec_pretty(rehearsal).unwrap_or_default();
    std::fs::write(&file, text).map_err(DrillError::file(&file))
}

/// For a terminal.
#[must_use]
pub fn in_words(rehearsal: &Rehearsal) -> String {
    format!(
        "{}  - durations of the plan are those of infra/plan.example.json; the standby is taken for a well-prepared copy\n",
        rehearsal.in_words()
    )
}
