//! The report of a run: how long each stage took, what was lost, what was fenced and restored.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::approval::{Decisions, Views};
use crate::inventory::Subject;
use crate::ledger::{ReadEntry, ReadPage};
use crate::run::{Mode, Outcome, Repair, RunDocument, Stage};
use crate::site::{PlanName, RunId, SiteLabel};
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
    /// From the beginning of the failure (or of the run, if no failure was seen) until the endpoints were switched.
    pub rto_seconds: Option<f64>,
    /// Per data set and group: seconds of data lost, against the moment the failure began. `null`: unknown.
    pub rpo: BTreeMap<String, Option<i64>>,
    /// What a person must do at the standby so that its tables can be used; none if they can be used as they are.
    #[serde(default)]
    pub repair: Option<Repair>,
    /// What was acted on at the old site and then read back as quiet, by kind.
    pub fenced: BTreeMap<String, usize>,
    /// What was acted on at the target and then read back as in the baseline, by kind.
    pub restored: BTreeMap<String, usize>,
    /// What was attempted and is not verified.
    pub unverified: Vec<Subject>,
    /// What was left alone on purpose, with the reason.
    pub listed: Vec<Listed>,
    /// Every decision on every request of this run: who, why, by which door, and what was accepted.
    pub decisions: Vec<Decisions>,
    /// Who looked at the page of a request.
    #[serde(default)]
    pub views: Vec<Views>,
    /// What to do next, in words.
    pub next: String,
}

/// Time of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSeconds {
    /// The stage.
    pub stage: Stage,
    /// Seconds, up to now for one that is not done.
    pub seconds: f64,
    /// Whether it was done.
    pub finished: bool,
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

/// What people did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Every decision.
    pub decisions: Vec<Decisions>,
    /// Every view of a page.
    pub views: Vec<Views>,
}

/// Makes the report from the run's own documents.
#[must_use]
pub fn make(
    run: &RunDocument,
    pages: &[ReadPage],
    people: People,
    fence_stands: bool,
    outcome: Outcome,
    reason: String,
    now: Timestamp,
) -> Report {
    let failing_since = run.evidence.failing_since;
    let start = run.loss_moment();
    let switched = run
        .stages
        .iter()
        .filter(|s| s.stage == Stage::Endpoints)
        .filter_map(|s| s.finished_at)
        .max();
    let tally = Tally::of(run, pages);
    Report {
        format_version: REPORT_FORMAT,
        run: run.run.clone(),
        plan: run.plan.clone(),
        mode: run.mode,
        attempts: run.attempt,
        outcome,
        reason,
        from: run.from,
        target: run.target,
        verdict: run.evidence.verdict,
        failing_since,
        begun_at: run.begun_at,
        committed_at: run.committed_at,
        closed_at: now,
        stages: stage_seconds(run, now),
        rto_seconds: switched.map(|at| seconds(start, at)),
        rpo: run
            .evidence
            .replication
            .iter()
            .flat_map(|status| {
                let sets = status.data_sets.iter();
                let groups = status.groups.iter();
                sets.map(|d| (d.name.as_str().to_owned(), d.loss_seconds_at(start)))
                    .chain(groups.map(|g| (g.name.as_str().to_owned(), g.loss_seconds_at(start))))
            })
            .collect(),
        repair: run.evidence.repair.clone(),
        fenced: tally.fenced,
        restored: tally.restored,
        unverified: tally.unverified.into_iter().collect(),
        listed: tally.listed.into_iter().collect(),
        decisions: people.decisions,
        views: people.views,
        next: next_step(run, outcome, fence_stands),
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.duration_since(from).as_secs_f64() * 1000.0).round() / 1000.0
}

fn stage_seconds(run: &RunDocument, now: Timestamp) -> Vec<StageSeconds> {
    let mut by_stage: BTreeMap<Stage, (f64, bool)> = BTreeMap::new();
    for record in &run.stages {
        let entry = by_stage.entry(record.stage).or_default();
        entry.0 += seconds(record.started_at, record.finished_at.unwrap_or(now));
        entry.1 |= record.finished_at.is_some();
    }
    by_stage
        .into_iter()
        .map(|(stage, (seconds, finished))| StageSeconds {
            stage,
            seconds,
            finished,
        })
        .collect()
}

/// What the ledger adds up to.
#[derive(Default)]
struct Tally {
    fenced: BTreeMap<String, usize>,
    restored: BTreeMap<String, usize>,
    unverified: BTreeSet<Subject>,
    listed: BTreeSet<Listed>,
}

impl Tally {
    fn of(run: &RunDocument, pages: &[ReadPage]) -> Self {
        let mut tally = Self::default();
        for (site, counts) in [(run.from, 0), (run.target, 1)] {
            let entries = || {
                pages
                    .iter()
                    .filter(move |p| p.site == site)
                    .flat_map(|p| &p.entries)
            };
            // What was verified once and acted upon again counts by the last word on it.
            let mut last: BTreeMap<(&Subject, &str), (&ReadEntry, bool)> = BTreeMap::new();
            for page in pages.iter().filter(|p| p.site == site) {
                for entry in page.entries.iter().filter(|e| e.status != "Listed") {
                    let Some(subject) = &entry.subject else {
                        continue;
                    };
                    let known = last
                        .entry((subject, page.stage.as_str()))
                        .or_insert((entry, false));
                    known.1 |= entry.status != "Verified";
                    if entry.at >= known.0.at {
                        known.0 = entry;
                    }
                }
            }
            let target = if counts == 0 {
                &mut tally.fenced
            } else {
                &mut tally.restored
            };
            let mut done = BTreeSet::new();
            for ((subject, _), (entry, acted)) in last {
                if entry.status != "Verified" {
                    tally.unverified.insert(subject.clone());
                } else if acted && done.insert(subject) {
                    *target.entry(subject.kind.clone()).or_default() += 1;
                }
            }
            for entry in entries().filter(|e| e.status == "Listed") {
                if let (Some(subject), Some(reason)) = (&entry.subject, &entry.reason) {
                    tally.listed.insert(Listed {
                        subject: subject.clone(),
                        reason: reason.clone(),
                    });
                }
            }
        }
        tally
    }
}

fn next_step(run: &RunDocument, outcome: Outcome, fence_stands: bool) -> String {
    let step = step_after(run, outcome);
    if fence_stands && run.committed_at.is_none() {
        format!(
            "THE {} SITE IS ACTIVE AND FENCED: what it runs stays paused until this run completes, or until somebody lifts the \
             fence (operate `unfence`) and restores by hand what the ledger names. {step}",
            run.from.as_str().to_uppercase()
        )
    } else {
        step
    }
}

fn step_after(run: &RunDocument, outcome: Outcome) -> String {
    let resume = format!(
        "start the state machine with {{\"mode\":\"resume\",\"run\":\"{}\"}}",
        run.run
    );
    match outcome {
        Outcome::Completed => {
            let repair = run.evidence.repair.as_ref();
            format!(
                "{}the fence on the {} site stands until an operator lifts it; shutdown-site watches it on its schedule",
                repair.map_or_else(String::new, |r| format!("{}. Then: ", r.in_words())),
                run.from
            )
        }
        Outcome::Abandoned => "nothing; the lock is free".to_owned(),
        Outcome::Declined | Outcome::ApprovalExpired => format!("to ask again, {resume}"),
        Outcome::NotReady => format!("repair what is named, then {resume}"),
        Outcome::FenceUnverified => format!(
            "see runs/{}/ledger for what is still live; then {resume}",
            run.run
        ),
        Outcome::ValidationFailed => {
            format!("repair the target, then {resume}; the fence stands meanwhile")
        }
        Outcome::Preempted | Outcome::Stopped | Outcome::Failed => {
            format!("when the cause is gone, {resume}")
        }
    }
}
