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

/// How often a run that failed before it had begun is started again: as `<incident>-2`, then `<incident>-3`.
pub const MOST_RESTARTS: u32 = 2;

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
    /// When its first run was started.
    pub started_at: Option<Timestamp>,
    /// How often a run was started again, at most [`MOST_RESTARTS`].
    #[serde(default)]
    pub restarts: u32,
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
            restarts: 0,
            blocked: Vec::new(),
            cleared_at: None,
            told: BTreeMap::new(),
        })
    }

    /// The name of its newest run, whether it was started or not.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run_after(self.restarts)
    }

    /// The name of the run that would be started now.
    #[must_use]
    pub fn next_run(&self) -> RunId {
        if self.started_at.is_none() {
            self.run()
        } else {
            self.run_after(self.restarts.saturating_add(1))
        }
    }

    /// Whether this run is one that this incident started.
    #[must_use]
    pub fn has_started(&self, run: &RunId) -> bool {
        (0..=self.restarts).any(|restarts| self.run_after(restarts) == *run)
    }

    /// The id of the incident that would have started this run: `incident-<epoch>-<seconds>`, and `-2` or `-3` behind it after a restart.
    #[must_use]
    pub fn id_of(run: &RunId) -> RunId {
        let text = run.as_str();
        let restart = (2..=MOST_RESTARTS.saturating_add(1))
            .find_map(|number| text.strip_suffix(&format!("-{number}")));
        match restart {
            // An incident whose seconds are 2 or 3 began in 1970.
            Some(id) if id.split('-').count() == 3 => RunId::new(id),
            _ => run.clone(),
        }
    }

    /// The name of the run after so many restarts.
    pub(crate) fn run_after(&self, restarts: u32) -> RunId {
        match restarts {
            0 => self.id.clone(),
            more => RunId::new(format!("{}-{}", self.id, more.saturating_add(1))),
        }
    }

    /// What becomes of an open incident with the verdict that stands now.
    #[must_use]
    pub fn next(&self, judgement: &Judgement, active: SiteLabel, run: RunProgress) -> Next {
        let is_over = run != RunProgress::UnderWay;
        if self.site != active {
            Next::End
        } else if judgement.verdict == Verdict::Healthy
            // Not down any more, and nothing is under way for it: the next disaster is an incident of its own.
            || (!judgement.actionable && is_over && is_known(judgement))
        {
            Next::Clear
        } else if !judgement.actionable {
            Next::Wait
        } else if self.started_at.is_none() {
            Next::Start
        } else if run != RunProgress::FailedToBegin {
            Next::Wait
        } else if self.restarts < MOST_RESTARTS {
            Next::Start
        } else {
            Next::GiveUp
        }
    }
}

/// How far the newest run of an incident has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunProgress {
    /// None was started, it goes on, or nobody knows.
    UnderWay,
    /// It has ended, in whatever outcome.
    Over,
    /// Its execution failed before there was a run: nobody was asked anything.
    FailedToBegin,
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
    /// Its next run is started, unless something stands in the way.
    Start,
    /// Every run that it may start failed before it began: people are told, and nothing more is started.
    GiveUp,
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
    fn the_incident_of_a_run_is_found_by_its_name() {
        for (run, id) in [
            ("incident-0-1795948470", "incident-0-1795948470"),
            ("incident-0-1795948470-2", "incident-0-1795948470"),
            ("incident-12-1795948470-3", "incident-12-1795948470"),
            ("incident-0-2", "incident-0-2"),
            ("by-hand-2", "by-hand-2"),
        ] {
            assert_eq!(Incident::id_of(&RunId::new(run)), RunId::new(id), "{run}");
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
        let spent = Incident {
            restarts: MOST_RESTARTS,
            ..started.clone()
        };
        use RunProgress::{FailedToBegin, Over, UnderWay};
        use Verdict::{ControlPlaneDown, Degraded, Healthy, Inconclusive, ProbeIsolated, Suspect};
        for (incident, verdict, run, expected) in [
            (&fresh, ControlPlaneDown, UnderWay, Next::Start),
            (&fresh, Suspect, UnderWay, Next::Wait),
            (&fresh, Inconclusive, UnderWay, Next::Wait),
            (&fresh, ProbeIsolated, UnderWay, Next::Wait),
            (&started, ControlPlaneDown, UnderWay, Next::Wait),
            (&started, ControlPlaneDown, Over, Next::Wait),
            (&started, ControlPlaneDown, FailedToBegin, Next::Start),
            (&spent, ControlPlaneDown, UnderWay, Next::Wait),
            (&spent, ControlPlaneDown, Over, Next::Wait),
            (&spent, ControlPlaneDown, FailedToBegin, Next::GiveUp),
            (&started, Degraded, UnderWay, Next::Wait),
            (&started, Degraded, Over, Next::Clear),
            (&started, Degraded, FailedToBegin, Next::Clear),
            (&started, Inconclusive, Over, Next::Wait),
            (&started, Inconclusive, FailedToBegin, Next::Wait),
            (&started, Healthy, UnderWay, Next::Clear),
            (&spent, Healthy, FailedToBegin, Next::Clear),
        ] {
            let next = incident.next(&judged(verdict), site, run);
            assert_eq!(next, expected, "{verdict} {run:?}");
        }
        let moved = started.next(&down, SiteLabel::Secondary, UnderWay);
        assert_eq!(moved, Next::End);
        assert_eq!(
            Incident::from_judgement(&judged(Verdict::Degraded), site, Epoch::first(), now),
            None
        );
    }

    #[test]
    fn each_start_has_a_name_of_its_own() {
        let now = Timestamp::from_second(7).unwrap();
        let down = judged(Verdict::RegionDown);
        let site = SiteLabel::Primary;
        let mut incident = Incident::from_judgement(&down, site, Epoch::first(), now).unwrap();
        assert_eq!(incident.next_run().as_str(), "incident-0-7");
        incident.started_at = Some(now);
        assert_eq!(incident.run().as_str(), "incident-0-7");
        assert_eq!(incident.next_run().as_str(), "incident-0-7-2");
        incident.restarts = 1;
        assert_eq!(incident.run().as_str(), "incident-0-7-2");
        assert_eq!(incident.next_run().as_str(), "incident-0-7-3");
        for (run, own) in [
            ("incident-0-7", true),
            ("incident-0-7-2", true),
            ("incident-0-7-3", false),
            ("by-hand", false),
        ] {
            assert_eq!(incident.has_started(&RunId::new(run)), own, "{run}");
        }
    }
}
