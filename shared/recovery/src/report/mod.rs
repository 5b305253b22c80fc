//! The report of a run: how long each stage took, what was lost, what was fenced and restored.

mod clock;
mod data;
mod document;
mod drift;
mod history;
mod lessons;
mod next;
mod recovery_time;
mod summary;
mod tally;
mod through;
pub mod words;

use std::collections::BTreeMap;

use jiff::Timestamp;

use self::clock::stage_seconds;
pub use self::clock::{Clock, Phase, StageSeconds};
pub use self::data::DataLoss;
pub use self::document::{HumanAct, Listed, REPORT_FORMAT, Report};
pub use self::drift::Drift;
pub use self::history::{Comparison, HISTORY_FORMAT, History, PastRun};
pub use self::lessons::{LESSONS_FORMAT, Lesson, Lessons, Resolved};
use self::next::{left_to_do, next_step};
use self::recovery_time::RecoveryTime;
pub use self::tally::KindTally;
use self::tally::Tally;
pub use self::through::GotThrough;

use crate::activation::debts::DebtsPointer;
use crate::approval::{Decisions, Views};
use crate::ledger::ReadPage;
use crate::plan::Plan;
use crate::run::{Outcome, RunDocument};
use crate::site::SiteLabel;
use crate::state::Fence;
use crate::validation::Check;

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
    /// Where the target differs from the baseline.
    pub drift: Vec<Drift>,
    /// Earlier runs.
    pub history: &'a History,
    /// What earlier runs taught.
    pub lessons: &'a Lessons,
    /// The plan; none if it cannot be read.
    pub plan: Option<&'a Plan>,
    /// The fence on the site that was left, if one stands.
    pub fence: Option<&'a Fence>,
    /// What is owed now.
    pub debts: Option<DebtsPointer>,
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
    let recovery = RecoveryTime::of(run);
    let tally = Tally::of(run, facts.pages);
    let stages = stage_seconds(run, facts.now);
    let data = data::losses(run.evidence.replication.as_ref(), start);
    let mut report = Report {
        format_version: REPORT_FORMAT,
        run: run.run.clone(),
        plan: run.plan.clone(),
        mode: run.mode,
        attempts: run.attempt,
        outcome: facts.outcome,
        reason: facts.reason,
        from: run.from,
        target: run.target,
        regions: facts.plan.map_or_else(BTreeMap::new, |plan| {
            let of = |site| (site, plan.sites.get(site).region.clone());
            SiteLabel::ALL.map(of).into()
        }),
        verdict: run.evidence.verdict,
        failing_since: run.evidence.failing_since,
        begun_at: run.begun_at,
        committed_at: run.committed_at,
        closed_at: facts.now,
        compared: facts.history.compare(&run.run, run.mode, &stages),
        stages,
        timeline: run.stages.clone(),
        clock: Clock::of(run, facts.now),
        rto_from: Some(recovery.from),
        rto_seconds: recovery.seconds,
        rto_clock: recovery.clock,
        rto_objective_seconds: facts.plan.map(|plan| plan.objectives.rto_seconds.0),
        rpo: data
            .iter()
            .map(|set| (set.name.clone(), set.loss_seconds))
            .collect(),
        rpo_objectives: data
            .iter()
            .map(|set| (set.name.clone(), set.objective_seconds))
            .collect(),
        data,
        repair: run.evidence.repair.clone(),
        held_back: run.evidence.held_back.clone(),
        ledger: tally.rows(),
        got_through: GotThrough::of(run, facts.pages, facts.fence),
        fenced: tally.fenced,
        restored: tally.restored,
        applied: tally.applied,
        unverified: tally.unverified.into_iter().collect(),
        debts: facts.debts,
        listed: tally.listed.into_iter().collect(),
        decisions: facts.people.decisions,
        views: facts.people.views,
        acts: facts.people.acts,
        checks: facts.checks,
        readiness: facts.readiness,
        drift: facts.drift,
        left_to_do: Vec::new(),
        lessons: facts
            .lessons
            .for_report(facts.history.last_before(&run.run)),
        next: next_step(run, facts.outcome, facts.fence.is_some()),
    };
    report.left_to_do = left_to_do(&report, facts.fence.is_some());
    report
}
