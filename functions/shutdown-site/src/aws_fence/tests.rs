//! Faults at every request, two at once, a function that dies, people who interfere: what a fence writes into AWS is there
//! while it stands, gone afterwards, and nothing else ever changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws::fences::{Fault, Fences, MemoryPolicies, MemoryRoles};
use aws::notices::MemoryNotices;
use aws::store::{MemoryStore, Store};
use aws::{Invocation, Ports};
use jiff::{SignedDuration, Timestamp};
use recovery::aws_fence::{AwsFence, BucketFence, Denial, LINGER, PolicyReading};
use recovery::failure::FailureName;
use recovery::plan::Plan;
use recovery::run::Mode;
use recovery::site::{PlanName, Region, RunId, RunToken, SiteLabel};
use serde_json::{Value, json};

use super::{AwsPass, By, Held, WatchedAws, watch};
use crate::{Answer, Event, handle};

const BUCKET: &str = "example-lake-us-east-2";
const FOREIGN: &str = r#"{"Version":"2012-10-17","Id":"own","Statement":[{"Sid":"OnlyTls","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::example-lake-us-east-2/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}},"Odd":18446744073709551616}]}"#;

struct World {
    ports: Ports,
    store: MemoryStore,
    notices: MemoryNotices,
    fences: Fences,
    policies: MemoryPolicies,
    roles: MemoryRoles,
    now: Arc<Mutex<Timestamp>>,
    run: RunId,
    token: RunToken,
}

impl World {
    /// A run has raised its fence on the primary.
    async fn new(change: impl FnOnce(&mut Value)) -> Self {
        let now: Arc<Mutex<Timestamp>> =
            Arc::new(Mutex::new("2026-03-01T00:00:00Z".parse().unwrap()));
        let clock = Arc::clone(&now);
        let (ports, store, _, notices) = Ports::in_memory(
            PlanName::new("lakehouse"),
            Region::new("us-west-2"),
            // Time goes on, so that no two pages of the ledger are of the same millisecond.
            Arc::new(move || {
                let mut now = clock.lock().unwrap();
                *now = now.checked_add(SignedDuration::from_millis(1)).unwrap();
                *now
            }),
        );
        let (fences, policies, roles) = Fences::in_memory();
        let world = Self {
            ports,
            store,
            notices,
            fences,
            policies,
            roles,
            now,
            run: RunId::new("run-1"),
            token: RunToken::new("arn:run-1"),
        };
        world.plan(change).await;
        world.raise().await;
        world
    }

    async fn plan(&self, change: impl FnOnce(&mut Value)) {
        let mut plan: Value =
            serde_json::from_str(include_str!("../../../../infra/plan.example.json")).unwrap();
        change(&mut plan);
        Plan::parse(plan.to_string().as_bytes()).unwrap();
        self.ports.put("plan.json", &plan).await.unwrap();
    }

    async fn raise(&self) {
        let (run, token, now) = (&self.run, &self.token, self.ports.now());
        self.ports
            .change_state(|state| {
                state.take_lock(run, token, Mode::Failover, now)?;
                state.raise_fence(SiteLabel::Primary, run, token, now)
            })
            .await
            .unwrap();
    }

    async fn unfence(&self) {
        let now = self.ports.now();
        let lifted = self
            .ports
            .change_state(|state| {
                state.lock = None;
                state.lift_fence(
                    SiteLabel::Primary,
                    recovery::state::LiftGround::AcceptedOverride,
                    now,
                )
            })
            .await
            .unwrap();
        assert!(matches!(lifted, recovery::state::Lifted::Done(_)));
    }

    fn later(&self, by: SignedDuration) {
        let mut now = self.now.lock().unwrap();
        *now = now.checked_add(by).unwrap();
    }

    async fn hold(&self) -> Result<Held, aws::Failure> {
        let plan = self.ports.plan().await?;
        let invocation = Invocation::lasting(Duration::from_secs(60));
        AwsPass {
            ports: &self.ports,
            fences: &self.fences,
            plan: &plan,
            site: SiteLabel::Primary,
            run: &self.run,
            by: By::Run(&self.token),
            invocation: &invocation,
        }
        .hold_buckets()
        .await
    }

    async fn watch(&self) -> (Vec<WatchedAws>, Vec<super::Lifting>) {
        let plan = self.ports.plan().await.unwrap();
        let invocation = Invocation::lasting(Duration::from_secs(60));
        watch(&self.ports, &self.fences, &plan, &invocation)
            .await
            .unwrap()
    }

    async fn remembered(&self) -> AwsFence {
        let key = aws::keys::aws_fence(SiteLabel::Primary);
        self.ports.read(&key).await.unwrap().unwrap()
    }

    async fn denies(&self) -> bool {
        let plan = self.ports.plan().await.unwrap();
        let roles = plan.buckets_to_fence(SiteLabel::Primary).roles;
        let denial = Denial::new(&plan.name, BUCKET, roles);
        PolicyReading::new(self.policies.policy(BUCKET), self.ports.now()).denies(&denial)
    }

    async fn statuses(&self, stage: &str) -> Vec<String> {
        let pages = self.ports.ledger(&self.run).await.unwrap();
        let pages = pages.into_iter().filter(|page| page.stage == stage);
        pages
            .flat_map(|page| page.entries)
            .map(|entry| entry.status)
            .collect()
    }

    fn subjects(&self) -> Vec<String> {
        self.notices.sent().into_iter().map(|n| n.subject).collect()
    }
}

fn is_verified(held: &Held) -> bool {
    matches!(held.buckets.get(BUCKET), Some(BucketFence::Verified(_)))
}

#[tokio::test]
async fn a_fence_is_written_read_back_and_lifted_to_the_byte_in_the_targets_region_alone() {
    for before in [Some(FOREIGN), None] {
        let world = World::new(|_| ()).await;
        world.policies.set(BUCKET, before);
        assert!(is_verified(&world.hold().await.unwrap()));
        assert!(world.denies().await);
        assert_eq!(
            world.statuses("ReplicationFence").await,
            ["Attempted", "Acknowledged", "Verified"]
        );
        // The second pass reads and writes nothing.
        let calls = world.policies.calls();
        assert!(is_verified(&world.hold().await.unwrap()));
        assert_eq!(world.policies.calls(), calls + 1);
        assert_eq!(world.statuses("ReplicationFence").await.len(), 3);

        world.unfence().await;
        world.watch().await;
        assert_eq!(world.policies.policy(BUCKET).as_deref(), before);
        world.later(LINGER);
        world.watch().await;
        assert!(world.remembered().await.holds_nothing());
        assert_eq!(
            world.policies.regions(),
            BTreeSet::from([Region::new("us-east-2")])
        );
        assert!(
            world
                .subjects()
                .iter()
                .any(|s| s.contains("as before the fence"))
        );
    }
}

#[tokio::test]
async fn a_fault_at_any_request_never_makes_an_open_bucket_verified_and_the_next_pass_repairs_it() {
    let faults = [
        Fault::Fails(FailureName::Transient),
        Fault::Fails(FailureName::Throttled),
        Fault::Fails(FailureName::Conflict),
        Fault::AnswerLost,
        Fault::Stale,
        Fault::HangsAfter,
    ];
    // A clean pass has three requests; a fault adds some.
    for (call, fault) in (0..5).flat_map(|call| faults.map(|fault| (call, fault))) {
        let world = World::new(|_| ()).await;
        world.policies.set(BUCKET, Some(FOREIGN));
        world.policies.fault(call, fault);
        // A call that hangs is a function that is killed there.
        let held = tokio::time::timeout(Duration::from_millis(50), world.hold()).await;
        if let Ok(Ok(held)) = &held {
            assert!(
                !is_verified(held) || world.denies().await,
                "{call} {fault:?}"
            );
        }
        let said = world.statuses("ReplicationFence").await;
        assert!(
            !said.contains(&"Verified".to_owned()) || world.denies().await,
            "{call} {fault:?}"
        );
        // The fault may be met by a later pass; once it is over, the next must succeed.
        while world.policies.calls() <= call {
            let _later = tokio::time::timeout(Duration::from_millis(50), world.hold()).await;
        }
        let again = world.hold().await.unwrap();
        assert!(
            is_verified(&again) && world.denies().await,
            "{call} {fault:?}: {}",
            again.words()
        );
        assert_eq!(
            world.statuses("ReplicationFence").await.last().unwrap(),
            "Verified"
        );
        assert!(
            world.subjects().is_empty(),
            "{call} {fault:?}: {:?}",
            world.subjects()
        );

        world.unfence().await;
        world.policies.fault(call, fault);
        let met = world.policies.calls() + call;
        while world.policies.calls() <= met {
            let _killed = tokio::time::timeout(Duration::from_millis(50), world.watch()).await;
        }
        world.later(LINGER);
        world.watch().await;
        world.watch().await;
        assert_eq!(
            world.policies.policy(BUCKET).as_deref(),
            Some(FOREIGN),
            "{call} {fault:?}"
        );
        assert!(world.remembered().await.holds_nothing(), "{call} {fault:?}");
    }
}

#[tokio::test]
async fn two_passes_at_once_write_one_statement() {
    let world = World::new(|_| ()).await;
    world.policies.set(BUCKET, Some(FOREIGN));
    let (a, b, _) = tokio::join!(world.hold(), world.hold(), world.watch());
    assert!(is_verified(&a.unwrap()) && is_verified(&b.unwrap()));
    let policy: Value = serde_json::from_str(&world.policies.policy(BUCKET).unwrap()).unwrap();
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_statement_that_somebody_alters_or_removes_is_written_again_and_told_once() {
    let world = World::new(|_| ()).await;
    world.hold().await.unwrap();
    let fenced = world.policies.policy(BUCKET).unwrap();
    for altered in [Some(fenced.replace("\"Deny\"", "\"Allow\"")), None] {
        let told = world.subjects().len();
        world.policies.set(BUCKET, altered.as_deref());
        world.watch().await;
        world.watch().await;
        assert_eq!(
            world.policies.policy(BUCKET).as_deref(),
            Some(fenced.as_str())
        );
        let subjects = world.subjects();
        assert_eq!(subjects.len(), told + 1, "{subjects:?}");
        assert!(
            subjects
                .last()
                .unwrap()
                .contains("was altered and is repaired")
        );
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_changed_ends_the_run_by_name_and_is_told_once() {
    let large = json!({"Statement": [{"Sid": "x".repeat(20_400)}]}).to_string();
    for (policy, refused, says) in [
        (Some("[1]"), false, "cannot be understood"),
        (Some(large.as_str()), false, "S3 takes 20480"),
        (Some(FOREIGN), true, "AccessDenied"),
    ] {
        let world = World::new(|_| ()).await;
        world.policies.set(BUCKET, policy);
        if refused {
            world.policies.refuse_writes(BUCKET);
        }
        create_run(&world).await;
        let event = json!({"by": "run", "run": world.run, "token": world.token});
        let event: Event = serde_json::from_value(event).unwrap();
        let invocation = Invocation::lasting(Duration::from_secs(60));
        let answer = handle(event, &world.ports, &world.fences, &invocation).await;
        let Answer::Fenced { answer, reason } = answer.unwrap() else {
            panic!()
        };
        assert_eq!(answer, recovery::fence::FenceAnswer::FenceUnverified);
        assert!(
            reason.contains(BUCKET)
                && reason.contains(says)
                && reason.contains("replication_fence.exempt"),
            "{reason}"
        );
        assert_eq!(world.policies.policy(BUCKET).as_deref(), policy);
        world.watch().await;
        let subjects = world.subjects();
        assert_eq!(subjects.len(), 1, "{subjects:?}");
        assert!(subjects[0].contains("NOT FENCED"));
    }
}

async fn create_run(world: &World) {
    let site = json!({"primary": "https://a", "secondary": "https://b"});
    let run = json!({
        "format_version": 1, "run": world.run, "plan": "lakehouse", "mode": "failover", "attempt": 1, "token": world.token,
        "epoch": 0, "from": "primary", "target": "secondary", "begun_at": world.ports.now(),
        "evidence": {"verdict": null, "actionable": true, "failing_since": null, "signals": [], "replication": null,
            "baseline": {"format_version": 1, "digest": "d", "captured_at": world.ports.now(), "site": "primary", "objects": 0, "live": {}},
            "workspace_urls": site},
        "stages": [], "committed_at": null, "outcome": null, "reason": null, "closed_at": null, "told_at": null});
    let read: Result<recovery::run::RunDocument, _> = serde_json::from_value(run.clone());
    read.unwrap();
    world.ports.put("runs/run-1/run.json", &run).await.unwrap();
}

#[tokio::test]
async fn what_a_late_pass_puts_back_after_the_lifting_is_lifted_again() {
    let world = World::new(|_| ()).await;
    world.policies.set(BUCKET, Some(FOREIGN));
    world.hold().await.unwrap();
    let fenced = world.policies.policy(BUCKET);
    world.unfence().await;
    world.watch().await;
    world.policies.set(BUCKET, fenced.as_deref());
    world.later(LINGER);
    world.watch().await;
    assert_eq!(world.policies.policy(BUCKET).as_deref(), Some(FOREIGN));
    world.watch().await;
    assert!(world.remembered().await.holds_nothing());
    assert!(world.hold().await.is_err(), "no fence stands");
}

#[tokio::test]
async fn a_fence_raised_while_it_is_lifted_is_verified_only_when_the_lifter_can_do_no_harm() {
    let world = World::new(|_| ()).await;
    world.hold().await.unwrap();
    world.unfence().await;
    world.watch().await;
    world.raise().await;
    let held = world.hold().await.unwrap();
    assert!(
        !is_verified(&held) && world.denies().await,
        "{}",
        held.words()
    );
    world.later(LINGER);
    assert!(is_verified(&world.hold().await.unwrap()));
}

#[tokio::test]
async fn what_the_plan_no_longer_names_is_lifted_all_the_same() {
    let world = World::new(with_hard_fence).await;
    world.policies.set(BUCKET, Some(FOREIGN));
    world.watch().await;
    assert!(world.denies().await && world.roles.attached().len() == 2);
    world
        .plan(|plan| {
            plan["data_sets"] = json!([]);
            plan["groups"] = json!([]);
        })
        .await;
    world.unfence().await;
    world.watch().await;
    assert_eq!(world.policies.policy(BUCKET).as_deref(), Some(FOREIGN));
    assert!(world.roles.attached().is_empty());
}

fn with_hard_fence(plan: &mut Value) {
    let role = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
    plan["hard_fence"] = json!({"roles": {
        "primary": [role("primary-cross-account"), role("path/primary-profile")],
        "secondary": [role("secondary-cross-account")]}});
}

#[tokio::test]
async fn the_hard_fence_is_one_call_per_role_applied_and_never_verified_and_never_left_behind() {
    let world = World::new(with_hard_fence).await;
    world.watch().await;
    world.watch().await;
    assert_eq!(world.roles.attached().len(), 2);
    assert_eq!(world.roles.calls(), 2, "one call per role");
    let statuses = world.statuses("HardFence").await;
    assert_eq!(statuses.iter().filter(|s| *s == "Applied").count(), 2);
    assert!(!statuses.contains(&"Verified".to_owned()));

    world.unfence().await;
    world.roles.darken(true);
    // IAM is away: the pass is bounded, and what is left is remembered.
    let (_, lifting) = world.watch().await;
    assert_eq!(lifting[0].left.len(), 2 + 1);
    world.roles.darken(false);
    world.watch().await;
    assert!(world.roles.attached().is_empty());
    assert!(!world.remembered().await.holds_nothing(), "not yet proven");
    world.later(LINGER);
    world.watch().await;
    assert!(world.remembered().await.holds_nothing());
}

#[tokio::test]
async fn iam_that_does_not_answer_is_reported_and_keeps_no_bucket_waiting() {
    let world = World::new(with_hard_fence).await;
    world.roles.darken(true);
    world.watch().await;
    assert!(world.denies().await);
    let statuses = world.statuses("HardFence").await;
    assert_eq!(statuses.iter().filter(|s| *s == "Failed").count(), 2);
    world.roles.darken(false);
    world.later(SignedDuration::from_secs(30));
    world.watch().await;
    assert_eq!(world.roles.attached().len(), 2);
}

#[tokio::test]
async fn what_the_plan_spares_is_listed_with_its_reason_and_not_touched() {
    let world = World::new(|plan| {
        let spare = |name: &str| json!({"data_set": name, "why": "copied by a fenced job"});
        let all = ["lake", "sales", "ledger"].map(spare);
        plan["replication_fence"] = json!({"exempt": all});
    })
    .await;
    let held = world.hold().await.unwrap();
    world.hold().await.unwrap();
    assert!(held.buckets.is_empty() && world.policies.calls() == 0);
    assert_eq!(world.statuses("ReplicationFence").await, ["Listed"; 3]);
}

#[tokio::test]
async fn the_policy_as_it_was_is_kept_in_the_folder_of_the_run() {
    let world = World::new(|_| ()).await;
    world.policies.set(BUCKET, Some(FOREIGN));
    world.hold().await.unwrap();
    world.hold().await.unwrap();
    let keys = world
        .store
        .list("runs/run-1/bucket-policies/")
        .await
        .unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(world.store.all()[&keys[0]], FOREIGN.as_bytes());
}
