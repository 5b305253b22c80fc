//! Automatic failover: what the probe has started is approved by the plan, or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws::notices::MemoryNotices;
use aws::{Failure, Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::approval::{ApprovalAnswer, Choice, Door, Question, Wish};
use recovery::incident::Incident;
use recovery::plan::Plan;
use recovery::replication::{Basis, ProofProgress};
use recovery::run::{Mode, RunDocument};
use recovery::signals::Signals;
use recovery::site::{Region, RunId, RunToken, SiteLabel};
use recovery::verdict::{DownCause, Observation, Outcome, Probe, Signal, Vantage};
use request_approval::{Answer, Event, handle};
use serde_json::{Value, json};

pub(super) const RUN: &str = "incident-0-1";
const BEGAN: i64 = 1_795_000_000;

pub(super) struct World {
    pub(super) ports: Ports,
    pub(super) notices: MemoryNotices,
    clock: Arc<AtomicI64>,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGAN + second).unwrap()
}

impl World {
    /// A run that the probe has started, four minutes after the failure began.
    pub(super) async fn new(change: impl FnOnce(&mut Value)) -> Self {
        let clock = Arc::new(AtomicI64::new(BEGAN + 240));
        let hand = Arc::clone(&clock);
        let now = move || Timestamp::from_second(hand.load(Ordering::Relaxed)).unwrap();
        let example = include_str!("../../../../infra/plan.example.json");
        let mut plan: Value = serde_json::from_str(example).unwrap();
        plan["detection"]["vantages"] = json!(["us-west-2", "eu-west-1"]);
        plan["detection"]["policy"]["quorum"] = json!(2);
        plan["automatic_failover"] = json!({"grace_seconds": 600});
        plan["groups"] = json!([]);
        plan["data_sets"] = json!([{"type": "marker", "name": "lake", "rpo_seconds": 900,
            "buckets": {"primary": "lake-one", "secondary": "lake-two"}}]);
        change(&mut plan);
        let plan = Plan::parse(plan.to_string().as_bytes()).unwrap();
        let (ports, _, _, notices) =
            Ports::in_memory(plan.name.clone(), Region::new("us-west-2"), Arc::new(now));
        ports.put(keys::PLAN, &plan).await.unwrap();
        let run = json!({"format_version": 1, "run": RUN, "plan": "lakehouse", "mode": "failover", "attempt": 1, "token": "t",
            "epoch": 0, "from": "primary", "target": "secondary", "begun_at": at(200),
            "evidence": {"verdict": "ControlPlaneDown", "actionable": true, "failing_since": at(0), "signals": [],
                "replication": {"format_version": 1, "measured_at": at(100), "from": "primary", "groups": [], "data_sets": [
                    {"name": "lake", "recovery_point": at(-60), "basis": "Marker", "objective_seconds": 900, "problems": []}]},
                "workspace_urls": {}, "baseline": {"format_version": 1, "digest": "d", "site": "primary", "captured_at": at(-600),
                "live": {}, "objects": 0}},
            "stages": [], "committed_at": null, "outcome": null, "reason": null, "closed_at": null, "told_at": null});
        let run: RunDocument = serde_json::from_value(run).unwrap();
        ports
            .put(&keys::of_run(&run.run, "run.json"), &run)
            .await
            .unwrap();
        let incident = json!({"format_version": 1, "id": RUN, "site": "primary", "verdict": "ControlPlaneDown", "since": at(0),
            "opened_at": at(180), "evidence": [], "started_at": at(180), "cleared_at": null});
        let incident: Incident = serde_json::from_value(incident).unwrap();
        ports
            .put(&keys::incident(&incident.id), &incident)
            .await
            .unwrap();
        ports
            .change_state(|state| {
                let token = RunToken::new("t");
                state.take_lock(&RunId::new(RUN), &token, Mode::Failover, at(200))
            })
            .await
            .unwrap();
        let world = Self {
            ports,
            notices,
            clock,
        };
        world.probed(DownCause::ConnectTimeout).await;
        world
    }

    /// Every vantage has seen the primary like this since the failure began, and the secondary healthy.
    async fn probed(&self, cause: DownCause) {
        let minutes = (self.clock.load(Ordering::Relaxed) - BEGAN) / 60;
        for vantage in ["us-west-2", "eu-west-1"] {
            let mut signals = Signals::default();
            for minute in 0..=minutes {
                for (site, outcome) in [
                    (SiteLabel::Primary, Outcome::from(cause)),
                    (SiteLabel::Secondary, Outcome::Healthy),
                ] {
                    signals.add(Observation {
                        at: at(minute * 60),
                        vantage: Vantage::new(vantage),
                        site,
                        signals: vec![Signal::new(Probe::ControlPlaneApi, outcome)],
                    });
                }
            }
            self.ports
                .put(&keys::signals(vantage), &signals)
                .await
                .unwrap();
        }
    }

    pub(super) async fn later(&self, seconds: i64, cause: DownCause) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
        self.probed(cause).await;
    }

    pub(super) async fn ask(&self) -> Answer {
        self.try_ask().await.unwrap()
    }

    pub(super) async fn try_ask(&self) -> Result<Answer, Failure> {
        let event = Event {
            run: RunId::new(RUN),
            token: RunToken::new("t"),
        };
        let invocation = Invocation::lasting(Duration::from_secs(30));
        handle(event, &self.ports, &invocation).await
    }

    /// The next answer that is no message to people.
    async fn settled(&self) -> Answer {
        for _ in 0..10 {
            let answer = self.ask().await;
            if !["asked", "reminded", "escalated"].contains(&answer.reason.as_str()) {
                return answer;
            }
        }
        panic!("it asks for ever");
    }
}

#[tokio::test]
async fn the_plan_approves_after_its_own_grace_and_not_before() {
    let world = World::new(|_| ()).await;
    assert_eq!(world.ask().await.reason, "asked", "people are asked first");
    let waiting = world.settled().await;
    assert_eq!(waiting.answer, ApprovalAnswer::Pending);
    assert!(
        waiting.reason.contains("has not lasted long enough"),
        "{}",
        waiting.reason
    );
    world.later(300, DownCause::ConnectTimeout).await;
    let waiting = world.settled().await;
    assert!(
        waiting.reason.contains("has not lasted long enough"),
        "{}",
        waiting.reason
    );
    world.later(60, DownCause::ConnectTimeout).await;
    let decided = world.settled().await;
    assert_eq!(decided.reason, "the plan has approved by itself");
    let approved = world.ask().await;
    assert_eq!(approved.answer, ApprovalAnswer::Approved);
    assert!(
        approved.reason.contains("by the plan"),
        "{}",
        approved.reason
    );
    assert!(
        approved.reason.contains("longer than the plan's 600 s"),
        "{}",
        approved.reason
    );
}

#[tokio::test]
async fn a_lost_name_is_never_grounds() {
    let world = World::new(|_| ()).await;
    world.later(900, DownCause::NameLost).await;
    let waiting = world.settled().await;
    assert_eq!(waiting.answer, ApprovalAnswer::Pending);
    assert!(
        waiting.reason.contains("rests on a name that is lost"),
        "{}",
        waiting.reason
    );
}

#[tokio::test]
async fn a_loss_above_the_objective_waits_for_a_person() {
    let world = World::new(|plan| plan["data_sets"][0]["rpo_seconds"] = json!(30)).await;
    world.later(900, DownCause::ConnectTimeout).await;
    let waiting = world.settled().await;
    assert_eq!(waiting.answer, ApprovalAnswer::Pending);
    assert!(
        waiting.reason.contains("above the objective of 30 s"),
        "{}",
        waiting.reason
    );
}

#[tokio::test]
async fn whoever_declines_first_ends_it() {
    let world = World::new(|_| ()).await;
    world.ask().await;
    world.ask().await;
    let all = world.ports.requests(&RunId::new(RUN)).await.unwrap();
    let wish = Wish {
        decision: Choice::Decline,
        who: "Ada".to_owned(),
        why: "our own change".to_owned(),
        via: Door::Invoke {
            request: "r".to_owned(),
        },
        accepted: vec![],
    };
    let id = &all.first().unwrap().id;
    world.ports.record_decision(id, wish).await.unwrap();
    world.later(900, DownCause::ConnectTimeout).await;
    assert_eq!(world.settled().await.answer, ApprovalAnswer::Declined);
}

#[tokio::test]
async fn without_the_opt_in_a_person_decides() {
    let world = World::new(|plan| {
        plan.as_object_mut().unwrap().remove("automatic_failover");
    })
    .await;
    world.later(900, DownCause::ConnectTimeout).await;
    let waiting = world.settled().await;
    assert_eq!(waiting.answer, ApprovalAnswer::Pending);
    assert_eq!(waiting.reason, "waiting for a decision");
}

impl World {
    /// The proof of the recovery points has come so far; `known`: whether it has found one.
    async fn proven(&self, untried: usize, known: bool) {
        let (run, token) = (RunId::new(RUN), RunToken::new("t"));
        let since = at(200);
        self.ports
            .change_own_run(&run, &token, |d| {
                let status = d.evidence.replication.as_mut().unwrap();
                for set in &mut status.data_sets {
                    set.recovery_point = known.then(|| at(-60));
                    set.basis = known.then_some(Basis::Proof);
                }
                d.evidence.proof = Some(ProofProgress {
                    since,
                    total: 2,
                    untried,
                    spent_ms: 0,
                    is_over: false,
                });
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_plan_decides_on_no_unfinished_proof_and_on_what_the_finished_one_has_found() {
    let world = World::new(|_| ()).await;
    world.proven(1, false).await;
    world.later(900, DownCause::ConnectTimeout).await;
    let waiting = world.settled().await;
    assert_eq!(waiting.answer, ApprovalAnswer::Proving);
    assert!(
        waiting.reason.contains("still being proven"),
        "{}",
        waiting.reason
    );
    let run = RunId::new(RUN);
    let asked = world
        .ports
        .request(&run, &Question::Start)
        .await
        .unwrap()
        .unwrap();
    let said = asked.overrides[0].to_string();
    assert!(said.contains("nobody knows yet"), "{said}");

    // Known, and within the objective: what was asked to be accepted is not needed any more, so it is asked anew.
    world.proven(0, true).await;
    let void = world.ask().await;
    assert_eq!(void.answer, ApprovalAnswer::Void, "{}", void.reason);
    assert_eq!(
        world.settled().await.reason,
        "the plan has approved by itself"
    );
    assert_eq!(world.ask().await.answer, ApprovalAnswer::Approved);
}

/// An acceptance of what nobody knew yet is none of what is known later.
#[tokio::test]
async fn who_accepted_that_nobody_knows_yet_is_asked_anew_about_a_number() {
    let world = World::new(|plan| {
        plan.as_object_mut().unwrap().remove("automatic_failover");
        plan["data_sets"][0]["rpo_seconds"] = json!(30);
    })
    .await;
    world.proven(1, false).await;
    assert_eq!(world.ask().await.answer, ApprovalAnswer::Proving);
    let run = RunId::new(RUN);
    let asked = world
        .ports
        .request(&run, &Question::Start)
        .await
        .unwrap()
        .unwrap();
    let wish = Wish {
        decision: Choice::Approve,
        who: "Ada".to_owned(),
        why: "we need it".to_owned(),
        via: Door::Invoke {
            request: "r".to_owned(),
        },
        accepted: asked.overrides.clone(),
    };
    world.ports.record_decision(&asked.id, wish).await.unwrap();
    assert_eq!(
        world.ask().await.answer,
        ApprovalAnswer::Approved,
        "it stays unknown"
    );
    let (plan, document) = (
        world.ports.plan().await.unwrap(),
        world.ports.run(&run).await.unwrap(),
    );
    assert_eq!(
        world
            .ports
            .unaccepted_losses(&plan, &document)
            .await
            .unwrap(),
        []
    );
    world.proven(0, false).await;
    let document = world.ports.run(&run).await.unwrap();
    assert_eq!(
        world
            .ports
            .unaccepted_losses(&plan, &document)
            .await
            .unwrap(),
        []
    );

    world.proven(0, true).await;
    let document = world.ports.run(&run).await.unwrap();
    let unaccepted = world
        .ports
        .unaccepted_losses(&plan, &document)
        .await
        .unwrap();
    assert_eq!(unaccepted.len(), 1, "60 s of an objective of 30");
    let void = world.ask().await;
    assert_eq!(void.answer, ApprovalAnswer::Void, "{}", void.reason);
    assert_eq!(
        world.ask().await.answer,
        ApprovalAnswer::Pending,
        "asked anew"
    );
}
