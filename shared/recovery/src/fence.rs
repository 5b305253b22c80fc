//! The fence: what would fire or write first is quieted first; verified only by a later reading.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::act::{Act, Lane};
use crate::inventory::{ActiveRun, Inventory, Resource, Subject};
use crate::kind::{DrMode, Kind};
use crate::plan::FencePolicy;
use crate::quartz::NextFires;
use crate::run::Mode;
use crate::state::Fence;

/// One step of a pass.
#[derive(Clone, Debug, PartialEq)]
pub struct FenceStep {
    /// What it acts on; none for the workspace-wide cancel.
    pub subject: Option<Subject>,
    /// What it does.
    pub act: Act,
    /// What must have been done before: the pause of the job to which a run belongs, else the job would start another.
    pub after: Option<Subject>,
}

/// Everything of a site that a fence must quiet and that is still live in this reading, in the order of danger: what
/// fires at once, what fires next by its schedule, runs, pipelines, compute.
#[must_use]
pub fn steps(site: &Inventory, kinds: &[Kind], now: Timestamp) -> Vec<FenceStep> {
    let mut next = NextFires::after(now);
    let mut objects: Vec<(Timestamp, u8, FenceStep)> = live(site, kinds)
        .filter_map(|resource| {
            let entry = resource.kind.entry();
            let step = FenceStep {
                subject: Some(resource.subject()),
                act: (entry.quiesce)(resource)?,
                after: None,
            };
            let at = (entry.fires)(&resource.raw, &mut next);
            Some((at, (entry.danger)(&resource.raw), step))
        })
        .collect();
    objects.sort_by_key(|(at, danger, _)| (*at, *danger));
    let runs: Vec<&ActiveRun> = runs_to_end(site, kinds).collect();
    // One call ends all queued runs, but only if none of them belongs to a job that runs at both sites on purpose.
    let every_queued_run_is_ours =
        site.runs.iter().filter(|r| r.queued).count() == runs.iter().filter(|r| r.queued).count();
    let in_one_call = every_queued_run_is_ours && runs.iter().any(|run| run.queued);
    let live_jobs: BTreeMap<String, Subject> = live(site, kinds)
        .filter(|r| r.kind == Kind::Job)
        .map(|r| (r.id.clone(), r.subject()))
        .collect();
    let queued = in_one_call.then_some(FenceStep {
        subject: None,
        act: Act::CancelQueuedRuns,
        after: None,
    });
    let runs = runs
        .into_iter()
        .filter(|run| !(run.queued && in_one_call))
        .map(|run| FenceStep {
            subject: Some(run.subject()),
            act: Act::CancelRun { run_id: run.run_id },
            after: run
                .job_id
                .and_then(|id| live_jobs.get(&id.to_string()).cloned()),
        });
    let (first, rest): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .map(|(_, _, step)| step)
        .partition(|step| step.act.lane() == Lane::Jobs);
    first
        .into_iter()
        .chain(queued)
        .chain(runs)
        .chain(rest)
        .collect()
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
    let spared: BTreeSet<&str> = site
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

/// What a pass found, as the state machine and the watch see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FenceAnswer {
    /// Go on fencing after a pause.
    Continue,
    /// In a switchover: the site is quiet, and what it wrote last is waited for at the target.
    Drain,
    /// The run may go on: verified, or unreachable for as long as the plan says.
    Proceed,
    /// The site is reachable and cannot be made quiet within the plan's patience.
    FenceUnverified,
}

/// Whether the run may go on, from the fence as it stands after a pass. Patience counts from `began`, when this attempt
/// of the run began to fence: the fence itself may be older. A switchover leaves a site that answers, so it goes on only when that was
/// seen quiet.
#[must_use]
pub fn answer(
    fence: &Fence,
    pass_found_quiet: bool,
    mode: Mode,
    began: Timestamp,
    policy: FencePolicy,
    now: Timestamp,
) -> FenceAnswer {
    if pass_found_quiet {
        return if fence.drains {
            FenceAnswer::Drain
        } else {
            FenceAnswer::Proceed
        };
    }
    let longer = |since: Timestamp, limit: SignedDuration| now.duration_since(since) >= limit;
    let goes_on_unseen = mode == Mode::Failover;
    match fence.unreachable_since.filter(|_| goes_on_unseen) {
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
        let Act::UpdateJob { updates, .. } = &steps(&site, &Kind::ALL, now())[0].act else {
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
        let acts: Vec<Act> = steps(&site, &Kind::ALL, now())
            .into_iter()
            .map(|s| s.act)
            .collect();
        assert_eq!(
            acts,
            [Act::CancelRun { run_id: 8 }],
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
            unreachable_since,
            ..Fence::raised(RunId::new("r"), now())
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
                answer(
                    &fence(unreachable),
                    quiet,
                    Mode::Failover,
                    now(),
                    policy,
                    after(when)
                ),
                expected,
                "at {when} s"
            );
        }
    }

    #[test]
    fn a_switchover_goes_on_only_from_a_quiet_site_and_waits_for_what_it_wrote() {
        let policy = FencePolicy {
            poll_seconds: Seconds(1),
            proceed_when_unreachable_for_seconds: Seconds(60),
            give_up_after_seconds: Seconds(600),
            call_timeout_seconds: Seconds(5),
        };
        let after = |seconds: i64| now() + SignedDuration::from_secs(seconds);
        let fence = |drains, unreachable_since| Fence {
            drains,
            unreachable_since,
            ..Fence::raised(RunId::new("r"), now())
        };
        for (drains, unreachable, quiet, when, expected) in [
            (true, None, true, 1, FenceAnswer::Drain),
            (false, None, true, 1, FenceAnswer::Proceed),
            (true, Some(after(0)), false, 599, FenceAnswer::Continue),
            (
                true,
                Some(after(0)),
                false,
                600,
                FenceAnswer::FenceUnverified,
            ),
        ] {
            let fence = fence(drains, unreachable);
            let mode = Mode::Switchover;
            let said = answer(&fence, quiet, mode, now(), policy, after(when));
            assert_eq!(said, expected, "at {when} s");
        }
    }
}
