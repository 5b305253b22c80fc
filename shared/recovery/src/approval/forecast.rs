//! How long a failover would take from the approval until the users are switched: from what must be changed and how often the
//! platform lets us, from the plan's time-outs, and from earlier runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::plan::Plan;
use crate::report::{History, PastRun};
use crate::run::{Outcome, RunDocument, Stage};
use crate::verdict::Verdict;

/// During a run we use 95 % of a documented rate.
const SHARE: f64 = 0.95;

/// The stages that follow the approval, up to the users' switch.
const STAGES: [Stage; 11] = [
    Stage::Fence,
    Stage::Recheck,
    Stage::Sources,
    Stage::Pools,
    Stage::Compute,
    Stage::Validation,
    Stage::Commit,
    Stage::JobConcurrency,
    Stage::OneTimeRuns,
    Stage::Schedules,
    Stage::Endpoints,
];

/// A prediction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// Not faster than this, seconds.
    pub at_least_seconds: u64,
    /// Not slower than this, seconds, or the run ends by itself.
    pub at_most_seconds: u64,
    /// How many earlier runs it rests on. With none only the rates and the plan's time-outs speak.
    pub earlier_runs: usize,
    /// What it rests on, in words.
    pub basis: String,
}

/// Writes that one live object of a kind costs, and how many of them a second the platform documents for one workspace ("Resource
/// limits", docs.databricks.com/aws/en/resources/limits, 2026-07-28; 10 where nothing is published).
const fn writes_per_second(kind: Kind) -> f64 {
    match kind {
        Kind::Pipeline => 50.0,
        Kind::Job
        | Kind::Cluster
        | Kind::Warehouse
        | Kind::InstancePool
        | Kind::App
        | Kind::DashboardSchedule
        | Kind::Alert => 10.0,
    }
}

/// The prediction. Of the runs of the history only completed ones of the same mode count.
#[must_use]
pub fn forecast(plan: &Plan, run: &RunDocument, history: &History) -> Forecast {
    let earlier: Vec<&PastRun> = history
        .runs
        .iter()
        .filter(|past| past.outcome == Outcome::Completed && past.mode == run.mode)
        .filter(|past| past.run != run.run)
        .collect();
    let (mut least, mut most) = (0.0_f64, 0.0_f64);
    for stage in STAGES {
        let floor = floor(plan, run, stage);
        let taken: Vec<f64> = earlier
            .iter()
            .flat_map(|past| &past.stages)
            .filter(|s| s.stage == stage && s.finished)
            .map(|s| s.seconds)
            .collect();
        let fastest = taken.iter().copied().reduce(f64::min);
        let slowest = taken.iter().copied().reduce(f64::max);
        least += fastest.map_or(floor, |seconds| seconds.max(floor));
        most += slowest
            .unwrap_or_else(|| patience(plan, run, stage))
            .max(floor);
    }
    let objects: usize = run.evidence.baseline.live.values().sum();
    let rests_on = match earlier.len() {
        0 => "no earlier run: the lower number is what the platform's rate limits allow, the upper one where the plan gives up"
            .to_owned(),
        1 => "one earlier run and the platform's rate limits".to_owned(),
        n => format!("{n} earlier runs and the platform's rate limits"),
    };
    Forecast {
        at_least_seconds: whole(least),
        at_most_seconds: whole(most),
        earlier_runs: earlier.len(),
        basis: format!("{objects} live objects; {rests_on}"),
    }
}

fn whole(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a sum of times: positive, and a cast saturates"
    )]
    let whole = seconds.max(0.0).ceil() as u64;
    whole
}

/// What a stage cannot be faster than.
fn floor(plan: &Plan, run: &RunDocument, stage: Stage) -> f64 {
    let live = &run.evidence.baseline.live;
    match stage {
        Stage::Fence if is_silent(run) => {
            f64::from(plan.fence.proceed_when_unreachable_for_seconds.0)
        }
        // Each live object is written to once.
        Stage::Fence => writes(live, &Kind::ALL),
        Stage::Pools => writes(live, &[Kind::InstancePool]),
        Stage::Compute => writes(live, &[Kind::Cluster, Kind::Warehouse]),
        Stage::Schedules => writes(live, &[Kind::Job, Kind::Pipeline]),
        _ => 0.0,
    }
}

/// The old site answers nobody: its fence is a wait, not work.
fn is_silent(run: &RunDocument) -> bool {
    matches!(
        run.evidence.verdict,
        Some(Verdict::ControlPlaneDown | Verdict::RegionDown)
    )
}

fn writes(live: &BTreeMap<Kind, usize>, kinds: &[Kind]) -> f64 {
    kinds
        .iter()
        .filter_map(|kind| Some((kind, live.get(kind)?)))
        .map(|(kind, count)| {
            let count = f64::from(u32::try_from(*count).unwrap_or(u32::MAX));
            count / (writes_per_second(*kind) * SHARE)
        })
        .sum()
}

/// After this the plan gives a stage up.
fn patience(plan: &Plan, run: &RunDocument, stage: Stage) -> f64 {
    let seconds = |seconds: crate::plan::Seconds| f64::from(seconds.0);
    match stage {
        Stage::Fence if is_silent(run) => seconds(plan.fence.proceed_when_unreachable_for_seconds),
        Stage::Fence => seconds(plan.fence.give_up_after_seconds),
        Stage::Pools
        | Stage::Compute
        | Stage::JobConcurrency
        | Stage::OneTimeRuns
        | Stage::Schedules => seconds(plan.activation.give_up_after_seconds),
        Stage::Sources if plan.data_sources.sources.is_empty() => 0.0,
        Stage::Sources => seconds(plan.data_sources.wait_at_most_seconds),
        Stage::Validation => {
            let statements = u32::try_from(plan.validation.statements.len()).unwrap_or(u32::MAX);
            let validation = &plan.validation;
            let canaries = match validation.canaries.as_slice() {
                [] => 0.0,
                _ => seconds(validation.canary_timeout_seconds),
            };
            f64::from(statements) * seconds(validation.statement_timeout_seconds)
                + canaries
                + seconds(validation.soak_seconds)
        }
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::approval::tests::{plan, run};
    use crate::report::{HISTORY_FORMAT, StageSeconds};
    use crate::run::Mode;
    use crate::site::RunId;

    fn past(name: &str, outcome: Outcome, seconds: &[(Stage, f64)]) -> PastRun {
        PastRun {
            run: RunId::new(name),
            mode: Mode::Failover,
            outcome,
            closed_at: jiff::Timestamp::UNIX_EPOCH,
            rto_seconds: None,
            stages: seconds
                .iter()
                .map(|(stage, seconds)| StageSeconds {
                    stage: *stage,
                    seconds: *seconds,
                    finished: true,
                })
                .collect(),
        }
    }

    fn with_jobs(count: usize, verdict: Verdict) -> RunDocument {
        let mut run = run(true);
        run.evidence.verdict = Some(verdict);
        run.evidence.baseline.live = BTreeMap::from([(Kind::Job, count)]);
        run
    }

    #[test]
    fn twelve_thousand_jobs_take_twenty_minutes_to_pause_and_as_long_to_restore() {
        let found = forecast(
            &plan(1),
            &with_jobs(12_000, Verdict::ComputeDown),
            &History::default(),
        );
        // 12,000 / 9.5 a second, twice.
        assert_eq!(found.at_least_seconds, 2527);
        assert_eq!(found.earlier_runs, 0);
        assert!(found.at_most_seconds > found.at_least_seconds);
        assert!(
            found.basis.contains("12000 live objects"),
            "{}",
            found.basis
        );
    }

    #[test]
    fn a_silent_site_costs_the_wait_of_the_plan_and_no_writes() {
        let plan = plan(1);
        let found = forecast(
            &plan,
            &with_jobs(9_500, Verdict::RegionDown),
            &History::default(),
        );
        let wait = u64::from(plan.fence.proceed_when_unreachable_for_seconds.0);
        assert_eq!(found.at_least_seconds, wait + 1000);
    }

    #[test]
    fn earlier_completed_runs_narrow_it_and_others_do_not_count() {
        let (plan, run) = (plan(1), with_jobs(0, Verdict::RegionDown));
        let all: Vec<(Stage, f64)> = STAGES.iter().map(|stage| (*stage, 10.0)).collect();
        let slow: Vec<(Stage, f64)> = STAGES.iter().map(|stage| (*stage, 20.0)).collect();
        let history = History {
            format_version: HISTORY_FORMAT,
            runs: vec![
                past("a", Outcome::Completed, &all),
                past("b", Outcome::Completed, &slow),
                past("c", Outcome::Failed, &[(Stage::Compute, 9_999.0)]),
                past("r", Outcome::Completed, &[(Stage::Compute, 9_999.0)]),
            ],
        };
        let found = forecast(&plan, &run, &history);
        let wait = u64::from(plan.fence.proceed_when_unreachable_for_seconds.0);
        assert_eq!(found.earlier_runs, 2);
        assert_eq!(found.at_least_seconds, wait + 10 * 10);
        assert_eq!(found.at_most_seconds, wait + 10 * 20);
    }
}
