//! The report of a run: how long each stage took, what was lost, what was fenced and restored.

mod clock;
mod history;
mod next;
mod summary;
mod tally;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::clock::{Clock, StageSeconds};
use self::clock::{between, stage_seconds};
pub use self::history::{Comparison, HISTORY_FORMAT, History, PastRun};
use self::next::next_step;
use self::tally::Tally;

use crate::approval::{Decisions, Views};
use crate::inventory::Subject;
use crate::ledger::ReadPage;
use crate::plan::Seconds;
use crate::run::{Mode, Outcome, Repair, RunDocument, Stage, StageRecord};
use crate::site::{PlanName, RunId, SiteLabel};
use crate::validation::Check;
use crate::verdict::Verdict;

/// The version of `runs/<id>/report.json`.
pub const REPORT_FORMAT: u32 = 1;

/// `runs/<id>/report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// From the beginning of the failure (or of the run, if no failure was seen) until the endpoints were switched.
    pub rto_seconds: Option<f64>,
    /// The plan's objective.
    #[serde(default)]
    pub rto_objective_seconds: Option<u32>,
    /// Per data set and group: seconds of data lost, against the moment the failure began. `null`: unknown.
    pub rpo: BTreeMap<String, Option<i64>>,
    /// The objective of each of them, seconds.
    #[serde(default)]
    pub rpo_objectives: BTreeMap<String, u32>,
    /// What a person must do at the standby so that its tables can be used; none if they can be used as they are.
    #[serde(default)]
    pub repair: Option<Repair>,
    /// What was acted on at the old site and then read back as quiet, by kind.
    pub fenced: BTreeMap<String, usize>,
    /// What was acted on at the target and then read back as in the baseline, by kind.
    pub restored: BTreeMap<String, usize>,
    /// What AWS accepted and nothing can prove, by kind: roles under the hard fence.
    #[serde(default)]
    pub applied: BTreeMap<String, usize>,
    /// What was attempted and is not verified.
    pub unverified: Vec<Subject>,
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
    /// What to do next, in words.
    pub next: String,
}

/// Something left alone on purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// What.
    pub subject: Subject,
    /// Why.
    pub reason: String,
}

/// What somebody did by command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// What people did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Every decision.
    pub decisions: Vec<Decisions>,
    /// Every view of a page.
    pub views: Vec<Views>,
    /// Every act.
    pub acts: Vec<HumanAct>,
}

/// What a report is made from.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The run.
    pub run: &'a RunDocument,
    /// Its ledger.
    pub pages: &'a [ReadPage],
    /// What people did.
    pub people: People,
    /// What was checked at the target.
    pub checks: Vec<Check>,
    /// What readiness said.
    pub readiness: Vec<String>,
    /// Earlier runs.
    pub history: &'a History,
    /// The plan's objective; none if the plan cannot be read.
    pub rto_objective: Option<Seconds>,
    /// Whether a fence stands on the site that was left.
    pub fence_stands: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// In one sentence.
    pub reason: String,
    /// When the report is made.
    pub now: Timestamp,
}

/// What the ledger of a run says was acted on at the old site and then read back as quiet, by kind.
#[must_use]
pub fn fenced(run: &RunDocument, pages: &[ReadPage]) -> BTreeMap<String, usize> {
    Tally::of(run, pages).fenced
}

/// Makes the report from the run's own documents.
#[must_use]
pub fn make(facts: Facts<'_>) -> Report {
    let run = facts.run;
    let start = run.loss_moment();
    let switched = run
        .stages
        .iter()
        .filter(|s| s.stage == Stage::Endpoints)
        .filter_map(|s| s.finished_at)
        .max();
    let tally = Tally::of(run, facts.pages);
    let stages = stage_seconds(run, facts.now);
    let measured = run.evidence.replication.iter();
    let measured = measured.flat_map(|status| {
        let sets = status.data_sets.iter();
        let groups = status.groups.iter();
        sets.map(|d| {
            (
                d.name.as_str(),
                d.loss_seconds_at(start),
                d.objective_seconds,
            )
        })
        .chain(groups.map(|g| {
            (
                g.name.as_str(),
                g.loss_seconds_at(start),
                g.objective_seconds,
            )
        }))
    });
    Report {
        format_version: REPORT_FORMAT,
        run: run.run.clone(),
        plan: run.plan.clone(),
        mode: run.mode,
        attempts: run.attempt,
        outcome: facts.outcome,
        reason: facts.reason,
        from: run.from,
        target: run.target,
        verdict: run.evidence.verdict,
        failing_since: run.evidence.failing_since,
        begun_at: run.begun_at,
        committed_at: run.committed_at,
        closed_at: facts.now,
        compared: facts.history.compare(&run.run, run.mode, &stages),
        stages,
        timeline: run.stages.clone(),
        clock: Clock::of(run, facts.now),
        rto_seconds: switched.map(|at| between(start, at)),
        rto_objective_seconds: facts.rto_objective.map(|objective| objective.0),
        rpo: measured
            .clone()
            .map(|(name, loss, _)| (name.to_owned(), loss))
            .collect(),
        rpo_objectives: measured
            .map(|(name, _, objective)| (name.to_owned(), objective))
            .collect(),
        repair: run.evidence.repair.clone(),
        fenced: tally.fenced,
        restored: tally.restored,
        applied: tally.applied,
        unverified: tally.unverified.into_iter().collect(),
        listed: tally.listed.into_iter().collect(),
        decisions: facts.people.decisions,
        views: facts.people.views,
        acts: facts.people.acts,
        checks: facts.checks,
        readiness: facts.readiness,
        next: next_step(run, facts.outcome, facts.fence_stands),
    }
}
