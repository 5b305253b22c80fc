//! A run: its stages, its outcome, and where a resumed one goes on.

mod ended;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activation::debts::DebtsPointer;
use crate::baseline::BaselinePointer;
use crate::replication::{HeldBack, ProofProgress, ReplicationStatus};
use crate::site::{Epoch, PlanName, RunId, RunToken, SiteLabel};
use crate::state::Fence;
use crate::verdict::Verdict;

pub use ended::outcome_of;

/// The version of `runs/<id>/run.json`.
pub const RUN_FORMAT: u32 = 1;

/// What the state machine beside this version understands. An execution keeps the definition that it began with, also while functions are
/// deployed: what a definition does not know is not answered to it. 0 is the first; 1 calls again for a proof or a reading that goes on, and
/// asks anew for a loss that was not accepted.
pub const MACHINE: u32 = 1;

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Unplanned move away from a site that may be unreachable.
    Failover,
    /// Planned move between two reachable sites; failback is one.
    Switchover,
    /// A rehearsal that changes nothing users see and cleans up after itself.
    Drill,
}

impl Mode {
    /// The name as the console's input has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Switchover => "switchover",
            Self::Drill => "drill",
        }
    }

    /// Whether it makes the target the active site.
    #[must_use]
    pub const fn moves_users(self) -> bool {
        !matches!(self, Self::Drill)
    }
}

/// A stage of a run, in order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Stage {
    /// Plan, lock, evidence.
    Begin,
    /// What would be lost is measured and frozen.
    RecoveryPoints,
    /// Is the target ready?
    Readiness,
    /// A human decides.
    Approval,
    /// In a drill: what a fence would do, and whether it may; nothing is changed.
    Rehearsal,
    /// In a switchover: the active site is recorded for the last time before it is fenced.
    Capture,
    /// The old site is fenced as far as it can be reached.
    Fence,
    /// In a switchover: what the quiet site wrote last is waited for at the target.
    Drain,
    /// Is the target still ready?
    Recheck,
    /// Do the data sources answer?
    Sources,
    /// Pools.
    Pools,
    /// Clusters and warehouses.
    Compute,
    /// Does the target work?
    Validation,
    /// The compare-and-swap.
    Commit,
    /// Concurrent runs of jobs.
    JobConcurrency,
    /// Interrupted runs.
    OneTimeRuns,
    /// Schedules.
    Schedules,
    /// Pointers and URLs.
    Endpoints,
    /// In a switchover the old site, in a drill the target: brought into its recorded posture.
    Standby,
}

/// The named end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// Everything that was promised holds.
    Completed,
    /// A human said no.
    Declined,
    /// Nobody answered in time.
    ApprovalExpired,
    /// Another run took the lock.
    Preempted,
    /// The target is not ready.
    NotReady,
    /// The old site is reachable and could not be verified as quiet.
    FenceUnverified,
    /// The target did not prove to work.
    ValidationFailed,
    /// An operator ended it.
    Abandoned,
    /// The execution was stopped or timed out.
    Stopped,
    /// Anything else; the reason says what.
    Failed,
}

impl Outcome {
    /// The name as the state machine and people see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Declined => "Declined",
            Self::ApprovalExpired => "ApprovalExpired",
            Self::Preempted => "Preempted",
            Self::NotReady => "NotReady",
            Self::FenceUnverified => "FenceUnverified",
            Self::ValidationFailed => "ValidationFailed",
            Self::Abandoned => "Abandoned",
            Self::Stopped => "Stopped",
            Self::Failed => "Failed",
        }
    }
}

/// One passage through a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageRecord {
    /// Which stage.
    pub stage: Stage,
    /// In which attempt of the run (a resume is a new attempt).
    pub attempt: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
}

/// What was known before anybody was asked. Begin freezes it, and the stage `RecoveryPoints` what would be lost; nothing later
/// changes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The verdict on the old site.
    pub verdict: Option<Verdict>,
    /// Whether that verdict is one that calls for action.
    pub actionable: bool,
    /// When the failure began.
    pub failing_since: Option<Timestamp>,
    /// What the probes saw.
    pub signals: Vec<String>,
    /// The baseline that will be restored.
    pub baseline: BaselinePointer,
    /// What earlier runs could not bring up: it is restored too.
    #[serde(default)]
    pub debts: Option<DebtsPointer>,
    /// How far the data is behind: when the run began the newest measurement, then the run's own.
    pub replication: Option<ReplicationStatus>,
    /// How far the proof of the recovery points has come.
    #[serde(default)]
    pub proof: Option<ProofProgress>,
    /// What a person must do at the standby so that its tables can be used.
    #[serde(default)]
    pub repair: Option<Repair>,
    /// What the fence on the target held back, if a switchover found it fenced.
    #[serde(default)]
    pub held_back: Option<HeldBack>,
    /// The workspace URLs at that moment.
    pub workspace_urls: BTreeMap<SiteLabel, String>,
}

/// Two scripts in the run's folder, generated for a person to review and to run at the standby after the fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repair {
    /// The key of the shell script that moves objects aside; it comes first.
    pub shell: String,
    /// The key of the SQL script that restores tables.
    pub sql: String,
    /// Objects that are moved aside.
    pub moved: usize,
    /// Tables that are restored to an older version.
    pub restored: usize,
    /// Tables for which a person must find a way.
    pub by_hand: usize,
    /// Restored tables that hold markers of streams: batches that are run again are skipped.
    pub with_txn: usize,
}

impl Repair {
    /// One sentence for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = format!(
            "tables at the standby need a person: {} to restore, {} objects to move aside, {} by hand",
            self.restored, self.moved, self.by_hand
        );
        if self.with_txn > 0 {
            words.push_str(&format!(
                ", {} of them written by streams (read the warning)",
                self.with_txn
            ));
        }
        format!("{words}: read and run {}, then {}", self.shell, self.sql)
    }
}

/// `runs/<id>/run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunDocument {
    /// Always [`RUN_FORMAT`].
    pub format_version: u32,
    /// The run.
    pub run: RunId,
    /// The plan.
    pub plan: PlanName,
    /// What it does.
    pub mode: Mode,
    /// 1, and one more for each resume.
    pub attempt: u32,
    /// The execution that acts for it now.
    pub token: RunToken,
    /// What its state machine understands: see [`MACHINE`].
    #[serde(default)]
    pub machine: u32,
    /// The epoch in which it began. It may only go on in this one, or in the one that its own commit made.
    pub epoch: Epoch,
    /// The site that is left.
    pub from: SiteLabel,
    /// The site that becomes active.
    pub target: SiteLabel,
    /// When the first attempt began.
    pub begun_at: Timestamp,
    /// What was known then.
    pub evidence: Evidence,
    /// Every passage through a stage.
    pub stages: Vec<StageRecord>,
    /// What a switchover recorded of the active site just before its fence. It is restored instead of the evidence's baseline.
    #[serde(default)]
    pub captured: Option<BaselinePointer>,
    /// The fence on its target that a switchover has lifted. An abandon raises it again.
    #[serde(default)]
    pub lifted: Option<Fence>,
    /// When the target became the active site.
    pub committed_at: Option<Timestamp>,
    /// How it ended; none while it is under way.
    pub outcome: Option<Outcome>,
    /// The end in one sentence.
    pub reason: Option<String>,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// When people were told how it ended.
    pub told_at: Option<Timestamp>,
}

/// Where an execution goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResumeAt {
    /// From the evidence on.
    Readiness,
    /// It was approved: from the fence on.
    Fence,
    /// The target is the active site: only forward.
    Committed,
}

impl RunDocument {
    /// Whether its state machine goes on with a proof or a reading, and asks anew on its way.
    #[must_use]
    pub const fn is_called_again(&self) -> bool {
        self.machine >= 1
    }

    /// What is restored at the target.
    #[must_use]
    pub fn baseline(&self) -> &BaselinePointer {
        self.captured.as_ref().unwrap_or(&self.evidence.baseline)
    }

    /// The site that the run leaves as a standby, in its recorded posture.
    #[must_use]
    pub const fn standby(&self) -> SiteLabel {
        match self.mode {
            Mode::Failover | Mode::Switchover => self.from,
            Mode::Drill => self.target,
        }
    }

    /// What came after this moment is lost: when the failure began, or the run if no failure was seen.
    #[must_use]
    pub fn loss_moment(&self) -> Timestamp {
        self.evidence.failing_since.unwrap_or(self.begun_at)
    }

    /// Notes that a stage began, once per attempt.
    pub fn enter(&mut self, stage: Stage, now: Timestamp) {
        let attempt = self.attempt;
        if !self
            .stages
            .iter()
            .any(|s| s.stage == stage && s.attempt == attempt)
        {
            self.stages.push(StageRecord {
                stage,
                attempt,
                started_at: now,
                finished_at: None,
            });
        }
    }

    /// Notes that a stage of this attempt is done, once.
    pub fn finish(&mut self, stage: Stage, now: Timestamp) {
        self.enter(stage, now);
        let attempt = self.attempt;
        for record in &mut self.stages {
            if record.stage == stage && record.attempt == attempt {
                record.finished_at.get_or_insert(now);
            }
        }
    }

    /// Notes that a stage of this attempt must be done again. Its patience still counts from its first beginning.
    pub fn reopen_stage(&mut self, stage: Stage) {
        let attempt = self.attempt;
        for record in &mut self.stages {
            if record.stage == stage && record.attempt == attempt {
                record.finished_at = None;
            }
        }
    }

    /// When a stage of this attempt began; `now` if it has not.
    #[must_use]
    pub fn entered_at(&self, stage: Stage, now: Timestamp) -> Timestamp {
        self.stages
            .iter()
            .find(|s| s.stage == stage && s.attempt == self.attempt)
            .map_or(now, |s| s.started_at)
    }

    /// Whether a stage of this attempt is under way.
    #[must_use]
    pub fn is_in(&self, stage: Stage) -> bool {
        self.stages
            .iter()
            .any(|s| s.stage == stage && s.attempt == self.attempt && s.finished_at.is_none())
    }

    /// Whether a stage of this attempt is done.
    #[must_use]
    pub fn is_done(&self, stage: Stage) -> bool {
        self.stages
            .iter()
            .any(|s| s.stage == stage && s.attempt == self.attempt && s.finished_at.is_some())
    }

    /// Whether a stage was done in any attempt.
    #[must_use]
    pub fn is_finished(&self, stage: Stage) -> bool {
        self.stages
            .iter()
            .any(|s| s.stage == stage && s.finished_at.is_some())
    }

    /// Where a resumed run goes on: every stage can be repeated, so it starts at the last door that need not be passed
    /// again. An approval holds on only while the fence that it led to stands; else a human is asked anew.
    #[must_use]
    pub fn resume_at(&self, its_fence_stands: bool) -> ResumeAt {
        if self.committed_at.is_some() {
            ResumeAt::Committed
        } else if self.is_finished(Stage::Approval) && its_fence_stands {
            ResumeAt::Fence
        } else {
            ResumeAt::Readiness
        }
    }

    /// Opens the next attempt.
    ///
    /// # Errors
    /// The reason why this run cannot be resumed.
    pub fn reopen(&mut self, token: RunToken) -> Result<(), String> {
        match self.outcome {
            // An abandon that fell beside the commit: what has committed goes forward.
            Some(Outcome::Abandoned) if self.committed_at.is_some() => {
                self.begin_attempt(token);
                Ok(())
            }
            Some(Outcome::Completed | Outcome::Abandoned) => Err(format!(
                "run {} ended in {}; only a run that waits for something can be resumed",
                self.run,
                self.outcome.map_or("", Outcome::as_str)
            )),
            _ => {
                self.begin_attempt(token);
                Ok(())
            }
        }
    }

    fn begin_attempt(&mut self, token: RunToken) {
        if self.token != token {
            self.token = token;
            self.attempt = self.attempt.saturating_add(1);
        }
        self.outcome = None;
        self.reason = None;
        self.closed_at = None;
        self.told_at = None;
    }
}

/// The state machine's answer of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaptureAnswer {
    /// The active site is recorded.
    Captured,
    /// What was read is not to be trusted.
    Refused,
}

/// The state machine's answer of a rehearsed fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RehearsalAnswer {
    /// Everything that a fence would do is allowed.
    Rehearsed,
    /// Call again.
    Continue,
    /// Something is not.
    Refused,
}

/// The state machine's answer of a validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValidationAnswer {
    /// Every required check held, and still did at the end of the soak time.
    Passed,
    /// A canary runs, or the target soaks: look again.
    Continue,
    /// At least one required check did not hold.
    Failed,
}
