//! `runs/<id>/validation.json`: what was checked at the target before the commit.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::site::SiteLabel;

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// Seconds it took.
    pub seconds: f64,
    /// What was seen.
    pub detail: String,
}

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationDocument {
    /// Always 1.
    pub format_version: u32,
    /// When.
    pub checked_at: Timestamp,
    /// Where.
    pub site: SiteLabel,
    /// Every check.
    pub checks: Vec<Check>,
}
