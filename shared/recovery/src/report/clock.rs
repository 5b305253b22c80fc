//! Where the time of a run went, in the words in which objectives are asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::{RunDocument, Stage};

/// Seconds of a run by phase, over all attempts. In a failover their sum is at most the RTO: what lies between two attempts is in none
/// of them. In a planned move the old site works until the fence, so that what comes before is no part of the RTO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Clock {
    /// From the first failed signal to the beginning of the run. None if no failure was seen.
    pub detect: Option<f64>,
    /// Evidence, readiness, and the people's answer.
    pub decide: f64,
    /// The fence with what belongs to it: its rehearsal, the last capture, the drain, the second look at the target.
    pub fence: f64,
    /// Pools, clusters, warehouses, concurrency, one-time runs, schedules.
    pub activate: f64,
    /// Proving that the target works.
    pub validate: f64,
    /// The commit, pointers and URLs.
    pub switch: f64,
}

impl Clock {
    /// The phases of a run; a stage that is not done counts up to `now`.
    #[must_use]
    pub fn of(run: &RunDocument, now: Timestamp) -> Self {
        let seconds: BTreeMap<Stage, f64> = stage_seconds(run, now)
            .into_iter()
            .map(|s| (s.stage, s.seconds))
            .collect();
        let sum = |phase| {
            let all = seconds
                .iter()
                .filter(|(stage, _)| Phase::of(**stage) == Some(phase));
            rounded(all.map(|(_, seconds)| seconds).sum())
        };
        Self {
            detect: run
                .evidence
                .failing_since
                .map(|since| between(since, run.begun_at)),
            decide: sum(Phase::Decide),
            fence: sum(Phase::Fence),
            activate: sum(Phase::Activate),
            validate: sum(Phase::Validate),
            switch: sum(Phase::Switch),
        }
    }

    /// The phases in order, with their names as in the document.
    #[must_use]
    pub fn phases(&self) -> [(&'static str, Option<f64>); 6] {
        [
            ("detect", self.detect),
            ("decide", Some(self.decide)),
            ("fence", Some(self.fence)),
            ("activate", Some(self.activate)),
            ("validate", Some(self.validate)),
            ("switch", Some(self.switch)),
        ]
    }
}

/// What a stage belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Evidence, readiness, people's answer.
    Decide,
    /// The fence with what belongs to it: its rehearsal, the last capture, the drain, the second look at the target.
    Fence,
    /// Bringing the target up.
    Activate,
    /// Proving that it works.
    Validate,
    /// Moving the users.
    Switch,
}

impl Phase {
    /// The phase of a stage. None for what comes after the users have moved, or was never about them.
    #[must_use]
    pub const fn of(stage: Stage) -> Option<Self> {
        Some(match stage {
            Stage::Begin | Stage::RecoveryPoints | Stage::Readiness | Stage::Approval => {
                Self::Decide
            }
            Stage::Rehearsal
            | Stage::Capture
            | Stage::Fence
            | Stage::Drain
            | Stage::Recheck
            | Stage::Sources => Self::Fence,
            Stage::Pools
            | Stage::Compute
            | Stage::JobConcurrency
            | Stage::OneTimeRuns
            | Stage::Schedules => Self::Activate,
            Stage::Validation => Self::Validate,
            Stage::Commit | Stage::Endpoints => Self::Switch,
            Stage::Standby => return None,
        })
    }
}

/// Time of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageSeconds {
    /// The stage.
    pub stage: Stage,
    /// Seconds, up to now for one that is not done.
    pub seconds: f64,
    /// Whether it was done.
    pub finished: bool,
}

/// Seconds from one moment to another, to the millisecond.
pub(super) fn between(from: Timestamp, to: Timestamp) -> f64 {
    rounded(to.duration_since(from).as_secs_f64())
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Seconds per stage, over all attempts, in the order of the stages.
pub(super) fn stage_seconds(run: &RunDocument, now: Timestamp) -> Vec<StageSeconds> {
    let mut by_stage: BTreeMap<Stage, (f64, bool)> = BTreeMap::new();
    for record in &run.stages {
        let entry = by_stage.entry(record.stage).or_default();
        entry.0 += between(record.started_at, record.finished_at.unwrap_or(now));
        entry.1 |= record.finished_at.is_some();
    }
    by_stage
        .into_iter()
        .map(|(stage, (seconds, finished))| StageSeconds {
            stage,
            seconds: rounded(seconds),
            finished,
        })
        .collect()
}
