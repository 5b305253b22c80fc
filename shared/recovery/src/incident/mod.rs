//! Incidents: an actionable verdict opens one; the same incident never starts two runs.
//!
//! 1. this file: the document, and what becomes of it with the next verdict;
//! 2. [`start`]: what stands in the way of a start;
//! 3. [`telling`]: who is told, once although functions die and overlap;
//! 4. [`message`]: what they are told, with a text for the vendor's support;
//! 5. [`paging`]: who is woken for any verdict but `Healthy`;
//! 6. [`automatic`]: when the plan may approve by itself.

pub mod automatic;
pub mod message;
pub mod paging;
pub mod start;
pub mod telling;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::automatic::{Automatic, may_approve};
pub use self::paging::{Paged, Paging, Wanted};
pub use self::start::{Block, blocks};
pub use self::telling::Telling;
use crate::site::{Epoch, RunId, SiteLabel};
use crate::verdict::{Judgement, Verdict};

/// The version of an incident document.
pub const INCIDENT_FORMAT: u32 = 1;

/// `incidents/<id>.json`. Its id is the name of the execution that it starts, so that starting twice is one start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Without signals that say `NameLost` the verdict would have been another: the plan does not approve by itself.
    #[serde(default)]
    pub rests_on_name_lost: bool,
    /// When its run was started.
    pub started_at: Option<Timestamp>,
    /// Why no run was started yet, if none was.
    #[serde(default)]
    pub blocked: Vec<String>,
    /// When the verdict was no longer actionable and nothing was under way.
    pub cleared_at: Option<Timestamp>,
    /// What people were told of it, by subject.
    #[serde(default)]
    pub told: BTreeMap<String, Telling>,
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
            rests_on_name_lost: judgement.rests_on_name_lost,
            started_at: None,
            blocked: Vec::new(),
            cleared_at: None,
            told: BTreeMap::new(),
        })
    }

    /// What becomes of an open incident with the verdict that stands now. `run_is_over`: its run has ended, in whatever outcome.
    #[must_use]
    pub fn next(&self, judgement: &Judgement, active: SiteLabel, run_is_over: bool) -> Next {
        if self.site != active {
            Next::End
        } else if judgement.verdict == Verdict::Healthy
            // Not down any more, and nothing is under way for it: the next disaster is an incident of its own.
            || (!judgement.actionable && run_is_over && is_known(judgement))
        {
            Next::Clear
        } else if judgement.actionable && self.started_at.is_none() {
            Next::Start
        } else {
            Next::Wait
        }
    }
}

/// A verdict that says that too little is known clears nothing.
fn is_known(judgement: &Judgement) -> bool {
    !matches!(
        judgement.verdict,
        Verdict::Inconclusive | Verdict::ProbeIsolated
    )
}

/// What becomes of an open incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Its site is no longer the active one: it is closed without a word, the run's report says all.
    End,
    /// It is over: people are told.
    Clear,
    /// Its run is started, unless something stands in the way.
    Start,
    /// It stays as it is.
    Wait,
}

/// `incidents/current.json`: the open incident, if any. Who opens one claims this first, so that two probes at once open one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentIncident {
    /// Always [`INCIDENT_FORMAT`].
    pub format_version: u32,
    /// The id of the open incident.
    pub open: Option<RunId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(verdict: Verdict) -> Judgement {
        Judgement {
            verdict,
            actionable: verdict.is_actionable(),
            why_not: vec![],
            evidence: vec![],
            since: None,
            rests_on_name_lost: false,
            layers: crate::verdict::Layers::default(),
            probes: vec![],
            fresh: vec![],
            isolated: vec![],
            stale: vec![],
        }
    }

    #[test]
    fn a_run_is_started_once_and_only_a_known_end_clears() {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let site = SiteLabel::Primary;
        let down = judged(Verdict::ControlPlaneDown);
        let fresh = Incident::from_judgement(&down, site, Epoch::first(), now).unwrap();
        assert_eq!(fresh.id.as_str(), "incident-0-1795000000");
        let started = Incident {
            started_at: Some(now),
            ..fresh.clone()
        };
        for (incident, verdict, over, expected) in [
            (&fresh, Verdict::ControlPlaneDown, false, Next::Start),
            (&fresh, Verdict::Suspect, false, Next::Wait),
            (&fresh, Verdict::Inconclusive, false, Next::Wait),
            (&fresh, Verdict::ProbeIsolated, false, Next::Wait),
            (&started, Verdict::ControlPlaneDown, false, Next::Wait),
            (&started, Verdict::ControlPlaneDown, true, Next::Wait),
            (&started, Verdict::Degraded, false, Next::Wait),
            (&started, Verdict::Degraded, true, Next::Clear),
            (&started, Verdict::Inconclusive, true, Next::Wait),
            (&started, Verdict::Healthy, false, Next::Clear),
        ] {
            let next = incident.next(&judged(verdict), site, over);
            assert_eq!(next, expected, "{verdict} {over}");
        }
        let moved = started.next(&down, SiteLabel::Secondary, false);
        assert_eq!(moved, Next::End);
        assert_eq!(
            Incident::from_judgement(&judged(Verdict::Degraded), site, Epoch::first(), now),
            None
        );
    }
}
