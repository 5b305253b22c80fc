//! Where the time of a failover would go.

use serde::Serialize;

use super::{Estate, Rates, pace};
use crate::activation::{self, Aim, Phase};
use crate::plan::Plan;
use crate::report::words;

/// What cannot be computed from an inventory and has to be assumed. Each is told with the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumptions {
    /// Until somebody has approved.
    pub decision_seconds: f64,
    /// Until a cluster or a warehouse runs.
    pub compute_seconds: f64,
    /// Checks and statements at the target.
    pub validation_seconds: f64,
    /// One page of a list.
    pub page_seconds: f64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            decision_seconds: 300.0,
            compute_seconds: 300.0,
            validation_seconds: 60.0,
            page_seconds: 0.5,
        }
    }
}

/// One part of the time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// What it is.
    pub name: &'static str,
    /// Seconds, if the old site is dark.
    pub dark_seconds: f64,
    /// Seconds, if it answers.
    pub reachable_seconds: f64,
}

impl Assumptions {
    pub(super) fn in_words(self, plan: &Plan, rates: &Rates) -> Vec<String> {
        vec![
            format!(
                "a run uses {} % of each documented rate and nobody else uses more than the rest; rates that Databricks does not publish count as 10 a second",
                rates.percent()
            ),
            format!(
                "detection: {} failed probes, one each {}, and {} of grace, as in the plan",
                plan.detection.policy.confirmations,
                words::seconds(i64::from(plan.detection.interval_seconds.0)),
                words::seconds(i64::from(plan.detection.policy.grace_seconds)),
            ),
            format!(
                "somebody approves within {}; clusters and warehouses run after {}; checks and statements take {}",
                words::duration(self.decision_seconds),
                words::duration(self.compute_seconds),
                words::duration(self.validation_seconds),
            ),
            format!(
                "one page of a list takes {}; a dark site is waited for {}, as in the plan",
                words::duration(self.page_seconds),
                words::seconds(i64::from(
                    plan.fence.proceed_when_unreachable_for_seconds.0
                )),
            ),
            "not counted: the proof of recovery points, quotas and capacity of the other region, waves, and what people do after the run".to_owned(),
        ]
    }
}

pub(super) fn parts(
    estate: &Estate,
    standby: &Estate,
    plan: &Plan,
    rates: &Rates,
    assumptions: Assumptions,
    fence_seconds: f64,
) -> Vec<Part> {
    let policy = &plan.detection.policy;
    let probes = plan
        .detection
        .interval_seconds
        .0
        .saturating_mul(policy.confirmations);
    let both = |name, seconds| Part {
        name,
        dark_seconds: seconds,
        reachable_seconds: seconds,
    };
    let reading = pace::reading(&standby.inventory, rates, assumptions);
    let mut parts = vec![
        both("detect", f64::from(probes.max(policy.grace_seconds))),
        both("decide", reading + assumptions.decision_seconds),
        Part {
            name: "fence",
            dark_seconds: f64::from(plan.fence.proceed_when_unreachable_for_seconds.0),
            reachable_seconds: fence_seconds,
        },
        both("recheck", reading),
    ];
    for (phase, name) in [
        (Phase::Pools, "pools"),
        (Phase::Compute, "compute"),
        (Phase::JobConcurrency, "job concurrency"),
        (Phase::OneTimeRuns, "one-time runs"),
        (Phase::Schedules, "schedules"),
    ] {
        let work = activation::work(
            phase,
            Aim::TakeOver,
            &plan.kinds,
            &[],
            (&estate.inventory).into(),
            &standby.inventory,
        );
        let mut seconds = pace::acts(work.steps.iter().map(|step| &step.act), rates);
        if phase == Phase::Compute && !work.steps.is_empty() {
            seconds += assumptions.compute_seconds;
        }
        // What is there already is seen by one reading; what was changed is proven by another.
        let readings = if work.steps.is_empty() { 1.0 } else { 2.0 };
        parts.push(both(name, readings * reading + seconds));
        if phase == Phase::Compute {
            parts.push(both("validate", assumptions.validation_seconds));
        }
    }
    parts.push(both("switch", reading));
    parts
}
