//! Incidents: an actionable verdict opens one; the same incident never starts two runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::site::{Epoch, RunId, SiteLabel};
use crate::verdict::{Judgement, Verdict};

/// The version of an incident document.
pub const INCIDENT_FORMAT: u32 = 1;

/// `incidents/<id>.json`. Its id is the name of the execution that it starts, so that starting twice is one start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Always [`INCIDENT_FORMAT`].
    pub format_version: u32,
    /// `incident-<epoch>-<seconds since 1970 at which the failure began>`.
    pub id: RunId,
    /// The failed site.
    pub site: SiteLabel,
    /// The verdict that opened it.
    pub verdict: Verdict,
    /// When the failure began, as the signals say.
    pub since: Timestamp,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// What the probes saw.
    pub evidence: Vec<String>,
    /// When its run was started.
    pub started_at: Option<Timestamp>,
    /// Why no run was started yet, if none was.
    pub blocked: Option<String>,
    /// When the verdict was Healthy again.
    pub cleared_at: Option<Timestamp>,
}

impl Incident {
    /// The incident that this judgement opens, if it is actionable.
    #[must_use]
    pub fn from_judgement(
        judgement: &Judgement,
        site: SiteLabel,
        epoch: Epoch,
        now: Timestamp,
    ) -> Option<Self> {
        if !judgement.actionable {
            return None;
        }
        let since = judgement.since.unwrap_or(now);
        Some(Self {
            format_version: INCIDENT_FORMAT,
            id: RunId::new(format!("incident-{epoch}-{}", since.as_second())),
            site,
            verdict: judgement.verdict,
            since,
            opened_at: now,
            evidence: judgement.evidence.clone(),
            started_at: None,
            blocked: None,
            cleared_at: None,
        })
    }
}

/// `incidents/current.json`: the open incident, if any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurrentIncident {
    /// Always [`INCIDENT_FORMAT`].
    pub format_version: u32,
    /// The id of the open incident.
    pub open: Option<RunId>,
}
