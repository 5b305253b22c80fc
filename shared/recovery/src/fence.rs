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
use crate::state::{Fence, FenceGap, SiteCondition};

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

/// What a run does after a pass of its fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceDecision {
    /// Another pass.
    Continue,
    /// The site is quiet; what it wrote last is waited for.
    Drain,
    /// Go on: the site is quiet, or left with this gap by the plan's own rule.
    Proceed(Option<FenceGap>),
    /// Go on only if people have accepted this gap.
    NeedsAcceptance(FenceGap),
    /// The run ends; the fence stays.
    GiveUp,
}

/// A pass gives way to another at its next look at its right, within seconds; one that was killed holds the site until its lease runs
/// out. So much longer a planned move waits for it before it gives up: where nobody has looked, nothing is known to be live.
const OTHER_PASS_ENDS_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// Whether an attempt that began to fence at `began` waits no longer, if what it waits for is another pass or not.
#[must_use]
pub fn is_patience_over(
    began: Timestamp,
    waits_for_other_pass: bool,
    policy: FencePolicy,
    now: Timestamp,
) -> bool {
    let patience = policy.give_up_after_seconds.signed();
    let limit = if waits_for_other_pass {
        patience + OTHER_PASS_ENDS_WITHIN
    } else {
        patience
    };
    now.duration_since(began) >= limit
}

/// Whether the run may go on, from the fence as it stands after a pass and from what that very pass found: `None` if it found nothing
/// out, and then the run does not go on by what an older one found. Patience counts from `began`, when this attempt
/// of the run began to fence: the fence itself may be older. A switchover leaves a site that answers, so it goes on only when that was
/// seen quiet.
#[must_use]
pub fn decide(
    fence: &Fence,
    found: Option<SiteCondition>,
    mode: Mode,
    began: Timestamp,
    policy: FencePolicy,
    now: Timestamp,
) -> FenceDecision {
    if matches!(found, Some(SiteCondition::Quiet(_))) {
        return if fence.drains {
            FenceDecision::Drain
        } else {
            FenceDecision::Proceed(None)
        };
    }
    let lasts = |since: Option<Timestamp>, limit: SignedDuration| {
        since.is_some_and(|since| now.duration_since(since) >= limit)
    };
    let patience_is_over = is_patience_over(began, found.is_none(), policy, now);
    if mode != Mode::Failover {
        return if patience_is_over {
            FenceDecision::GiveUp
        } else {
            FenceDecision::Continue
        };
    }
    let is_silent = found == Some(SiteCondition::Silent);
    let is_gone = is_silent || found == Some(SiteCondition::Refusing);
    let silence = policy.proceed_when_unreachable_for_seconds.signed();
    let refusal = policy.proceed_when_refusing_for_seconds.signed();
    if is_silent && lasts(fence.unreachable_since, silence) {
        FenceDecision::Proceed(Some(FenceGap::Unreachable))
    } else if is_gone && lasts(fence.refusing_since, refusal) {
        FenceDecision::NeedsAcceptance(FenceGap::Refusing)
    } else if patience_is_over && found == Some(SiteCondition::Answering) {
        FenceDecision::NeedsAcceptance(FenceGap::HalfDead)
    } else {
        FenceDecision::Continue
    }
}

/// The steps and what is live in a reading that lacks the list of jobs. Whose runs are spared is known by `record` only, so a run of a job
/// that it does not know is not ended, though it is live; and the queue is not emptied in one call.
#[must_use]
pub fn steps_without_jobs(
    site: &Inventory,
    record: Option<&Inventory>,
    kinds: &[Kind],
    now: Timestamp,
) -> (Vec<FenceStep>, Vec<Subject>) {
    let known: Vec<&Resource> = record
        .into_iter()
        .flat_map(|record| record.of_kind(Kind::Job))
        .collect();
    let is_known = |run: &ActiveRun| {
        run.job_id.is_none_or(|id| {
            let id = id.to_string();
            known.iter().any(|job| job.id == id)
        })
    };
    let mut merged = site.clone();
    merged.resources.retain(|r| r.kind != Kind::Job);
    merged
        .resources
        .extend(known.iter().map(|job| (*job).clone()));
    let of_jobs = |subject: &Subject| subject.kind == Kind::Job.as_str();
    let live = still_live(&merged, kinds);
    let live = live.into_iter().filter(|subject| !of_jobs(subject));
    merged.runs.retain(is_known);
    for run in &mut merged.runs {
        run.queued = false;
    }
    let steps = steps(&merged, kinds, now).into_iter();
    let steps = steps.filter(|step| step.subject.as_ref().is_some_and(|s| !of_jobs(s)));
    (steps.collect(), live.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::Seconds;
    use crate::site::{RunId, SiteLabel};
    use crate::state::QuietReading;

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

    fn policy() -> FencePolicy {
        FencePolicy {
            poll_seconds: Seconds(1),
            proceed_when_unreachable_for_seconds: Seconds(60),
            proceed_when_refusing_for_seconds: Seconds(300),
            give_up_after_seconds: Seconds(600),
            approvals_when_half_dead: 2,
            call_timeout_seconds: Seconds(5),
        }
    }

    fn after(seconds: i64) -> Timestamp {
        now() + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_failover_leaves_a_site_that_is_not_quiet_only_by_the_plans_rule_or_by_peoples_word() {
        use FenceDecision::{Continue, NeedsAcceptance, Proceed};
        use SiteCondition::{Answering, Refusing, Silent};
        // What each pass found and when; what is decided then.
        type Passes = &'static [(SiteCondition, i64, FenceDecision)];
        let table: [Passes; 6] = [
            &[
                (Answering, 1, Continue),
                (Answering, 599, Continue),
                (Answering, 600, NeedsAcceptance(FenceGap::HalfDead)),
            ],
            &[
                (Silent, 10, Continue),
                (Silent, 69, Continue),
                (Silent, 70, Proceed(Some(FenceGap::Unreachable))),
            ],
            // Silent late: its own time counts, not the patience with a site that answers.
            &[(Silent, 590, Continue), (Silent, 601, Continue)],
            &[
                (Refusing, 10, Continue),
                (Refusing, 309, Continue),
                (Refusing, 310, NeedsAcceptance(FenceGap::Refusing)),
            ],
            // One success among silence and refusals begins both anew; a silent pass among refusals does not end them.
            &[
                (Silent, 0, Continue),
                (Answering, 59, Continue),
                (Silent, 60, Continue),
                (Refusing, 100, Continue),
                (Silent, 200, Continue),
                (Silent, 259, Continue),
                (Refusing, 399, Continue),
                (Refusing, 400, NeedsAcceptance(FenceGap::Refusing)),
            ],
            &[
                (Refusing, 0, Continue),
                (Answering, 299, Continue),
                (Refusing, 300, Continue),
            ],
        ];
        for passes in table {
            let mut fence = Fence::raised(RunId::new("r"), now());
            for (condition, when, expected) in passes {
                let at = after(*when);
                fence.note_condition(*condition, at);
                let found = Some(*condition);
                let decided = decide(&fence, found, Mode::Failover, now(), policy(), at);
                assert_eq!(decided, *expected, "{passes:?} at {when} s");
            }
        }
        // A pass that found nothing out decides nothing, whatever an older one found: the site may have come back.
        for condition in [Silent, Refusing, Answering] {
            let mut fence = Fence::raised(RunId::new("r"), now());
            fence.note_condition(condition, now());
            let decided = decide(&fence, None, Mode::Failover, now(), policy(), after(9999));
            assert_eq!(decided, Continue, "{condition:?}");
        }
        let mut fence = Fence::raised(RunId::new("r"), now());
        fence.note_condition(Refusing, now());
        let quiet = SiteCondition::Quiet(QuietReading {
            began_at: now(),
            ended_at: now(),
        });
        fence.note_condition(quiet, now());
        assert_eq!(
            (fence.unreachable_since, fence.refusing_since),
            (None, None)
        );
        let decided = decide(
            &fence,
            Some(quiet),
            Mode::Failover,
            now(),
            policy(),
            after(1),
        );
        assert_eq!(decided, Proceed(None));
    }

    #[test]
    fn a_switchover_goes_on_only_from_a_quiet_site_and_waits_for_what_it_wrote() {
        let quiet = SiteCondition::Quiet(QuietReading {
            began_at: now(),
            ended_at: now(),
        });
        for (drains, condition, when, expected) in [
            (true, quiet, 1, FenceDecision::Drain),
            (false, quiet, 1, FenceDecision::Proceed(None)),
            (true, SiteCondition::Silent, 599, FenceDecision::Continue),
            (true, SiteCondition::Silent, 600, FenceDecision::GiveUp),
            (true, SiteCondition::Refusing, 600, FenceDecision::GiveUp),
            (true, SiteCondition::Answering, 600, FenceDecision::GiveUp),
        ] {
            let mut fence = Fence {
                drains,
                ..Fence::raised(RunId::new("r"), now())
            };
            fence.note_condition(condition, now());
            let mode = Mode::Switchover;
            let decided = decide(&fence, Some(condition), mode, now(), policy(), after(when));
            assert_eq!(decided, expected, "{condition:?} at {when} s");
        }
    }

    /// A pass that gave way has not looked: the run waits for the other pass before it gives up, and not for ever.
    #[test]
    fn a_switchover_whose_pass_gave_way_gives_up_only_when_the_other_pass_must_be_over() {
        let fence = Fence::raised(RunId::new("r"), now());
        let decide_at = |seconds| {
            let mode = Mode::Switchover;
            decide(&fence, None, mode, now(), policy(), after(seconds))
        };
        assert_eq!(decide_at(600), FenceDecision::Continue);
        assert_eq!(decide_at(659), FenceDecision::Continue);
        assert_eq!(decide_at(660), FenceDecision::GiveUp);
    }

    /// A list of jobs that fails must not end what runs at both sites on purpose.
    #[test]
    fn without_the_list_of_jobs_only_runs_of_known_jobs_are_ended() {
        let spared = json!({"job_id": 1, "settings": {"name": "s", "tags": {"dr-mode": "active-active"}, "continuous": {}}});
        let record = site(&[(Kind::Job, spared), cron_job(2, "0 0 9 * * ?")], &[]);
        let run = |id: i64, job: Option<i64>| {
            let mut run = json!({"run_id": id, "status": {"state": "QUEUED"}});
            if let Some(job) = job {
                run["job_id"] = json!(job);
            }
            run
        };
        let read = site(
            &[(
                Kind::Cluster,
                json!({"cluster_id": "c", "state": "RUNNING"}),
            )],
            &[
                run(11, Some(1)),
                run(12, Some(2)),
                run(13, Some(3)),
                run(14, None),
            ],
        );
        let acts = |record| {
            let (steps, _) = steps_without_jobs(&read, record, &Kind::ALL, now());
            steps.into_iter().map(|s| s.act).collect::<Vec<Act>>()
        };
        let end = |id: &str| Act::TerminateCluster { id: id.into() };
        let cancel = |run_id| Act::CancelRun { run_id };
        assert_eq!(acts(Some(&record)), [cancel(12), cancel(14), end("c")]);
        assert_eq!(acts(None), [cancel(14), end("c")]);
        let (_, live) = steps_without_jobs(&read, Some(&record), &Kind::ALL, now());
        let live: Vec<String> = live.into_iter().map(|s| s.id).collect();
        assert_eq!(
            live,
            ["c", "12", "13", "14"],
            "run 13 is live and nobody knows whose"
        );
    }
}
