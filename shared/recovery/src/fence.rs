//! The fence: what would fire or write first is quieted first; verified only by a later reading.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::inventory::{ActiveRun, Inventory, Resource, Subject};
use crate::kind::{DrMode, Kind, Object, Place, live_places, paused};
use crate::plan::FencePolicy;
use crate::quartz;
use crate::state::Fence;

/// One act of fencing.
#[derive(Clone, Debug, PartialEq)]
pub enum FenceAct {
    /// Pause every live place. More than one update if `triggers` is live too: the API refuses it beside the others.
    PauseJob {
        /// The job.
        job_id: i64,
        /// The complete top-level fields to send, one object per request.
        updates: Vec<Object>,
    },
    /// Cancel every queued run of the workspace in one call.
    CancelQueuedRuns,
    /// Cancel one active run.
    CancelRun {
        /// The run.
        run_id: i64,
    },
    /// Cancel the active update.
    StopPipeline {
        /// The pipeline.
        id: String,
    },
    /// Terminate (never delete) an interactive cluster.
    TerminateCluster {
        /// The cluster.
        id: String,
    },
    /// Stop a warehouse.
    StopWarehouse {
        /// The warehouse.
        id: String,
    },
    /// Keep no idle instances.
    DrainPool {
        /// The complete pool as it is to be.
        pool: Object,
    },
}

/// One step of a pass.
#[derive(Clone, Debug, PartialEq)]
pub struct FenceStep {
    /// What it acts on; none for the workspace-wide cancel.
    pub subject: Option<Subject>,
    /// What it does.
    pub act: FenceAct,
}

impl FenceStep {
    /// The act in words, for the ledger.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self.act {
            FenceAct::PauseJob { .. } => "pause",
            FenceAct::CancelQueuedRuns => "cancel all queued runs",
            FenceAct::CancelRun { .. } => "cancel",
            FenceAct::StopPipeline { .. } | FenceAct::StopWarehouse { .. } => "stop",
            FenceAct::TerminateCluster { .. } => "terminate",
            FenceAct::DrainPool { .. } => "keep no idle instances",
        }
    }
}

/// Everything of a site that a fence must quiet and that is still live in this reading, in the order of danger: what
/// fires at once, what fires next by its schedule, runs, pipelines, compute.
#[must_use]
pub fn steps(site: &Inventory, kinds: &[Kind], now: Timestamp) -> Vec<FenceStep> {
    let mut jobs: Vec<(Timestamp, FenceStep)> = Vec::new();
    let mut rest = Vec::new();
    for resource in live(site, kinds) {
        match step(resource) {
            Some(
                step @ FenceStep {
                    act: FenceAct::PauseJob { .. },
                    ..
                },
            ) => jobs.push((fires_at(&resource.raw, now), step)),
            Some(step) => rest.push((order(resource.kind), step)),
            None => {}
        }
    }
    jobs.sort_by_key(|(at, _)| *at);
    rest.sort_by_key(|(order, _)| *order);

    let runs: Vec<&ActiveRun> = runs_to_end(site, kinds).collect();
    let mut steps: Vec<FenceStep> = jobs.into_iter().map(|(_, step)| step).collect();
    // One call ends all queued runs, but only if none of them belongs to a job that runs at both sites on purpose.
    let every_queued_run_is_ours =
        site.runs.iter().filter(|r| r.queued).count() == runs.iter().filter(|r| r.queued).count();
    if every_queued_run_is_ours && runs.iter().any(|run| run.queued) {
        steps.push(FenceStep {
            subject: None,
            act: FenceAct::CancelQueuedRuns,
        });
    }
    steps.extend(
        runs.into_iter()
            .filter(|run| !(run.queued && every_queued_run_is_ours))
            .map(|run| FenceStep {
                subject: Some(run.subject()),
                act: FenceAct::CancelRun { run_id: run.run_id },
            }),
    );
    steps.extend(rest.into_iter().map(|(_, step)| step));
    steps
}

/// What is still live, as the ledger calls it. Empty means that this reading found the site quiet.
#[must_use]
pub fn still_live(site: &Inventory, kinds: &[Kind]) -> Vec<Subject> {
    live(site, kinds)
        .map(Resource::subject)
        .chain(runs_to_end(site, kinds).map(ActiveRun::subject))
        .collect()
}

fn live<'a>(site: &'a Inventory, kinds: &'a [Kind]) -> impl Iterator<Item = &'a Resource> {
    site.resources
        .iter()
        .filter(|r| kinds.contains(&r.kind) && r.mode() == DrMode::ActivePassive && r.is_live())
}

/// The active runs that a fence ends: all but those of jobs that are not fenced. One-time runs belong to no job.
fn runs_to_end<'a>(site: &'a Inventory, kinds: &'a [Kind]) -> impl Iterator<Item = &'a ActiveRun> {
    let spared: std::collections::BTreeSet<&str> = site
        .of_kind(Kind::Job)
        .filter(|job| job.mode() != DrMode::ActivePassive)
        .map(|job| job.id.as_str())
        .collect();
    let fences_jobs = kinds.contains(&Kind::Job);
    site.runs.iter().filter(move |run| {
        let job = run.job_id.map(|id| id.to_string());
        fences_jobs && !job.is_some_and(|id| spared.contains(id.as_str()))
    })
}

fn step(resource: &Resource) -> Option<FenceStep> {
    let id = resource.id.clone();
    let act = match resource.kind {
        Kind::Job => FenceAct::PauseJob {
            job_id: id.parse().ok()?,
            updates: pause_updates(&resource.raw),
        },
        Kind::Pipeline => FenceAct::StopPipeline { id },
        Kind::Cluster => FenceAct::TerminateCluster { id },
        Kind::Warehouse => FenceAct::StopWarehouse { id },
        Kind::InstancePool => {
            let mut pool = resource.raw.clone();
            pool.insert("min_idle_instances".to_owned(), 0.into());
            FenceAct::DrainPool { pool }
        }
    };
    Some(FenceStep {
        subject: Some(resource.subject()),
        act,
    })
}

/// The updates that pause every live place of a job: whole top-level fields, since `jobs/update` replaces them whole.
fn pause_updates(job: &Object) -> Vec<Object> {
    let mut together = Object::new();
    let mut updates = Vec::new();
    for place in live_places(job) {
        let Some(setting) = job.get("settings").and_then(|s| s.get(place.field())) else {
            continue;
        };
        if place == Place::Triggers {
            let mut alone = Object::new();
            alone.insert(place.field().to_owned(), paused(setting));
            updates.push(alone);
        } else {
            together.insert(place.field().to_owned(), paused(setting));
        }
    }
    if !together.is_empty() {
        updates.insert(0, together);
    }
    updates
}

const fn order(kind: Kind) -> u8 {
    match kind {
        Kind::Job => 0,
        Kind::Pipeline => 1,
        Kind::Warehouse => 2,
        Kind::Cluster => 3,
        Kind::InstancePool => 4,
    }
}

/// When a live job would next start a run. Continuous jobs, triggers by event and expressions that cannot be read count
/// as firing now; a periodic trigger has no known phase, so it counts as now too.
fn fires_at(job: &Object, now: Timestamp) -> Timestamp {
    let only_schedule = live_places(job) == [Place::Schedule];
    if !only_schedule {
        return now;
    }
    job.get("settings")
        .and_then(|s| s.get("schedule"))
        .and_then(|schedule| quartz::next_fire(schedule, now))
        .unwrap_or(now)
}

/// What a pass found, as the state machine and the watch see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FenceAnswer {
    /// Go on fencing after a pause.
    Continue,
    /// The run may go on: verified, or unreachable for as long as the plan says.
    Proceed,
    /// The site is reachable and cannot be made quiet within the plan's patience.
    FenceUnverified,
}

/// The condition of a failover, from the fence as it stands after a pass. Patience counts from `began`, when this attempt
/// of the run began to fence: the fence itself may be older.
#[must_use]
pub fn answer(
    fence: &Fence,
    pass_found_quiet: bool,
    began: Timestamp,
    policy: FencePolicy,
    now: Timestamp,
) -> FenceAnswer {
    if pass_found_quiet {
        return FenceAnswer::Proceed;
    }
    let longer = |since: Timestamp, limit: SignedDuration| now.duration_since(since) >= limit;
    match fence.unreachable_since {
        Some(since) if longer(since, policy.proceed_when_unreachable_for_seconds.signed()) => {
            FenceAnswer::Proceed
        }
        None if longer(began, policy.give_up_after_seconds.signed()) => {
            FenceAnswer::FenceUnverified
        }
        _ => FenceAnswer::Continue,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::Seconds;
    use crate::site::{RunId, SiteLabel};

    fn now() -> Timestamp {
        "2026-03-01T00:00:00Z".parse().unwrap()
    }

    fn site(resources: &[(Kind, Value)], runs: &[Value]) -> Inventory {
        Inventory {
            site: SiteLabel::Primary,
            read_at: now(),
            resources: resources
                .iter()
                .map(|(kind, raw)| Resource::new(*kind, raw.as_object().unwrap().clone()).unwrap())
                .collect(),
            runs: runs
                .iter()
                .map(|raw| ActiveRun::new(raw.as_object().unwrap()).unwrap())
                .collect(),
        }
    }

    fn cron_job(id: i64, cron: &str) -> (Kind, Value) {
        (
            Kind::Job,
            json!({"job_id": id, "settings": {"name": format!("j{id}"), "schedule":
            {"quartz_cron_expression": cron, "timezone_id": "UTC", "pause_status": "UNPAUSED", "odd": [1]}}}),
        )
    }

    #[test]
    fn what_fires_first_is_fenced_first() {
        let site = site(
            &[
                (
                    Kind::Cluster,
                    json!({"cluster_id": "c", "state": "RUNNING"}),
                ),
                cron_job(1, "0 0 9 * * ?"),
                cron_job(2, "0 0 1 * * ?"),
                (
                    Kind::Job,
                    json!({"job_id": 3, "settings": {"name": "j3", "continuous": {"pause_status": "UNPAUSED"}}}),
                ),
                (
                    Kind::Pipeline,
                    json!({"pipeline_id": "p", "state": "RUNNING"}),
                ),
            ],
            &[json!({"run_id": 7, "job_id": 1, "status": {"state": "RUNNING"}})],
        );
        let order: Vec<String> = steps(&site, &Kind::ALL, now())
            .into_iter()
            .map(|step| {
                step.subject
                    .map_or("-".into(), |s| format!("{}:{}", s.kind, s.id))
            })
            .collect();
        assert_eq!(
            order,
            [
                "job:3",
                "job:2",
                "job:1",
                "run:7",
                "pipeline:p",
                "cluster:c"
            ]
        );
    }

    #[test]
    fn a_pause_keeps_every_field_of_what_it_replaces() {
        let site = site(&[cron_job(1, "0 0 9 * * ?")], &[]);
        let FenceAct::PauseJob { updates, .. } = &steps(&site, &Kind::ALL, now())[0].act else {
            panic!()
        };
        assert_eq!(
            Value::Object(updates[0].clone()),
            json!({"schedule": {"quartz_cron_expression": "0 0 9 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED", "odd": [1]}})
        );
    }

    #[test]
    fn active_active_jobs_and_their_runs_are_spared_and_one_time_runs_are_not() {
        let site = site(
            &[(
                Kind::Job,
                json!({"job_id": 1, "settings": {"name": "s", "tags": {"dr-mode": "active-active"}, "continuous": {}}}),
            )],
            &[
                json!({"run_id": 7, "job_id": 1, "status": {"state": "QUEUED"}}),
                json!({"run_id": 8, "status": {"state": "QUEUED"}}),
            ],
        );
        let acts: Vec<FenceAct> = steps(&site, &Kind::ALL, now())
            .into_iter()
            .map(|s| s.act)
            .collect();
        assert_eq!(
            acts,
            [FenceAct::CancelRun { run_id: 8 }],
            "the workspace-wide cancel would hit run 7"
        );
    }

    #[test]
    fn a_failover_goes_on_only_when_verified_or_unreachable_for_long_enough() {
        let policy = FencePolicy {
            poll_seconds: Seconds(1),
            proceed_when_unreachable_for_seconds: Seconds(60),
            give_up_after_seconds: Seconds(600),
            call_timeout_seconds: Seconds(5),
        };
        let after = |seconds: i64| now() + SignedDuration::from_secs(seconds);
        let fence = |unreachable_since| Fence {
            run: RunId::new("r"),
            since: now(),
            verified_at: None,
            unreachable_since,
        };
        for (unreachable, quiet, when, expected) in [
            (None, true, 1, FenceAnswer::Proceed),
            (None, false, 599, FenceAnswer::Continue),
            (None, false, 600, FenceAnswer::FenceUnverified),
            (Some(after(10)), false, 69, FenceAnswer::Continue),
            (Some(after(10)), false, 70, FenceAnswer::Proceed),
            (Some(after(590)), false, 601, FenceAnswer::Continue),
        ] {
            assert_eq!(
                answer(&fence(unreachable), quiet, now(), policy, after(when)),
                expected,
                "at {when} s"
            );
        }
    }
}
