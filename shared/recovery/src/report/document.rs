//! `runs/<id>/report.json`. Its schema is published: `infra/report.schema.json`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lessons::Lesson;
use super::{Clock, Comparison, DataLoss, Drift, GotThrough, KindTally, StageSeconds};
use crate::activation::debts::DebtsPointer;
use crate::approval::{Decisions, Views};
use crate::inventory::Subject;
use crate::replication::HeldBack;
use crate::run::{Mode, Outcome, Repair, StageRecord};
use crate::site::{PlanName, Region, RunId, SiteLabel};
use crate::validation::Check;
use crate::verdict::Verdict;

/// The version of `runs/<id>/report.json`.
pub const REPORT_FORMAT: u32 = 1;

/// `runs/<id>/report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always [`REPORT_FORMAT`].
    pub format_version: u32,
    /// The run.
    pub run: RunId,
    /// The plan.
    pub plan: PlanName,
    /// What it did.
    pub mode: Mode,
    /// Attempts, the first included.
    pub attempts: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// In one sentence.
    pub reason: String,
    /// The site that was left and the one that became active.
    pub from: SiteLabel,
    /// The target.
    pub target: SiteLabel,
    /// The regions of the sites; empty if the plan cannot be read.
    #[serde(default)]
    pub regions: BTreeMap<SiteLabel, Region>,
    /// The verdict at the beginning.
    pub verdict: Option<Verdict>,
    /// When the failure began, by the signals.
    pub failing_since: Option<Timestamp>,
    /// When the run began.
    pub begun_at: Timestamp,
    /// When the target became active.
    pub committed_at: Option<Timestamp>,
    /// When the report was made.
    pub closed_at: Timestamp,
    /// Seconds per stage, over all attempts, in the order of the stages.
    pub stages: Vec<StageSeconds>,
    /// Every passage through a stage, in order.
    #[serde(default)]
    pub timeline: Vec<StageRecord>,
    /// Seconds per phase.
    #[serde(default)]
    pub clock: Clock,
    /// Each stage beside the same stage of earlier runs. Empty for the first run of its mode.
    #[serde(default)]
    pub compared: Vec<Comparison>,
    /// Where the clock of the RTO starts.
    #[serde(default)]
    pub rto_from: Option<Timestamp>,
    /// Seconds from where the clock starts until the endpoints were switched. `null`: that was never reached.
    pub rto_seconds: Option<f64>,
    /// Where the clock of the RTO starts and ends, in words.
    #[serde(default)]
    pub rto_clock: String,
    /// The plan's objective.
    #[serde(default)]
    pub rto_objective_seconds: Option<u32>,
    /// Per data set and group: seconds of data lost, against the moment the failure began. `null`: unknown.
    pub rpo: BTreeMap<String, Option<i64>>,
    /// The objective of each of them, seconds.
    #[serde(default)]
    pub rpo_objectives: BTreeMap<String, u32>,
    /// What is known of each data set and group, worst first.
    #[serde(default)]
    pub data: Vec<DataLoss>,
    /// What a person must do at the standby so that its tables can be used; none if they can be used as they are.
    #[serde(default)]
    pub repair: Option<Repair>,
    /// What the fence on the target held back, if a switchover found it fenced.
    #[serde(default)]
    pub held_back: Option<HeldBack>,
    /// The ledger by site and kind.
    #[serde(default)]
    pub ledger: Vec<KindTally>,
    /// What ran at the old site although it was fenced.
    #[serde(default)]
    pub got_through: GotThrough,
    /// What was acted on at the old site and then read back as quiet, by kind.
    pub fenced: BTreeMap<String, usize>,
    /// What was acted on at the target and then read back as in the baseline, by kind.
    pub restored: BTreeMap<String, usize>,
    /// What AWS accepted and nothing can prove, by kind: roles under the hard fence.
    #[serde(default)]
    pub applied: BTreeMap<String, usize>,
    /// What was attempted and is not verified.
    pub unverified: Vec<Subject>,
    /// What is owed since: what this run and earlier ones could not bring up, and nobody has given up.
    #[serde(default)]
    pub debts: Option<DebtsPointer>,
    /// What was left alone on purpose, with the reason.
    pub listed: Vec<Listed>,
    /// Every decision on every request of this run: who, why, by which door, and what was accepted.
    pub decisions: Vec<Decisions>,
    /// Who looked at the page of a request.
    #[serde(default)]
    pub views: Vec<Views>,
    /// What people did by command line while the run was under way.
    #[serde(default)]
    pub acts: Vec<HumanAct>,
    /// What was checked at the target before the commit.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// What readiness said of the target, before the approval and after the fence.
    #[serde(default)]
    pub readiness: Vec<String>,
    /// Objects in which the target differs from the baseline, as the run found them.
    #[serde(default)]
    pub drift: Vec<Drift>,
    /// What is left for people to do, in words.
    #[serde(default)]
    pub left_to_do: Vec<String>,
    /// What earlier runs and this one taught and nobody has resolved, and what was resolved since the report before.
    #[serde(default)]
    pub lessons: Vec<Lesson>,
    /// What to do next, in words.
    pub next: String,
}

/// Something left alone on purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// What.
    pub subject: Subject,
    /// Why.
    pub reason: String,
}

/// What somebody did by command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HumanAct {
    /// When.
    pub at: Timestamp,
    /// The act's name.
    pub act: String,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
}
