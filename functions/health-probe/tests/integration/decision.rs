use aws::Failure;
use aws::executions::ExecutionStatus;
use aws::notices::{Audience, Forms, Notice, Notices};
use aws::store::Store;
use recovery::failure::FailureName;
use recovery::incident::CurrentIncident;
use recovery::run::Outcome;
use recovery::site::{RunId, RunToken, SiteLabel};
use recovery::state::{Hold, RunEnd, State};
use recovery::verdict::Verdict;
use serde_json::json;

use crate::setting::{NOWHERE, incidents, moved, read, small};

const PRIMARY: SiteLabel = SiteLabel::Primary;

fn told(world: &detection::World, audience: Audience) -> Vec<String> {
    let sent = world.notices.sent();
    let to = sent.into_iter().filter(|n| n.audience == audience);
    to.map(|n| format!("{}\n{}", n.subject, n.message))
        .collect()
}

/// SNS is down.
struct Mute;

#[async_trait::async_trait]
impl Notices for Mute {
    async fn publish(&self, _: Notice) -> Result<(), Failure> {
        Err(Failure::new(FailureName::Transient, "sns is down"))
    }

    async fn publish_in_forms(&self, notice: Notice, _: Forms) -> Result<(), Failure> {
        self.publish(notice).await
    }

    async fn listeners(&self, _: Audience) -> Result<Vec<String>, Failure> {
        Ok(vec![])
    }
}

async fn state(world: &detection::World, change: impl FnOnce(&mut State)) {
    let vantage = world.vantage(detection::CONTROL).unwrap();
    let mut state = vantage.prober.ports.state().await.unwrap();
    change(&mut state);
    vantage
        .prober
        .ports
        .put("state.json", &state)
        .await
        .unwrap();
}

#[tokio::test]
async fn one_incident_one_run_one_word_to_the_managers_and_one_page() {
    let world = small(|_| ()).await;
    world.round().await.unwrap();
    moved(&world, PRIMARY, NOWHERE).await;
    let mut verdicts = Vec::new();
    for _ in 0..6 {
        verdicts.push(world.round().await.unwrap().verdict.unwrap());
    }
    assert_eq!(verdicts[..2], [Verdict::Suspect; 2]);
    assert_eq!(verdicts[2..], [Verdict::ControlPlaneDown; 4]);
    let open = incidents(&world);
    assert_eq!(open.len(), 1);
    let started = world.executions.started();
    assert_eq!(started.len(), 1);
    let input = &started[&open[0].id];
    assert_eq!(*input, json!({"mode": "failover", "incident": open[0].id}));
    let managers = told(&world, Audience::Managers);
    assert_eq!(managers.len(), 1, "{managers:?}");
    for wanted in [
        "ConnectionRefused",
        "text for the case",
        "your account team",
        "A run is started as",
    ] {
        assert!(managers[0].contains(wanted), "{wanted}: {}", managers[0]);
    }
    let pages = told(&world, Audience::Escalation);
    assert_eq!(pages.len(), 1, "{pages:?}");
    assert!(pages[0].contains("page: ControlPlaneDown"), "{}", pages[0]);

    moved(&world, PRIMARY, &world.url(PRIMARY)).await;
    let answer = world.round().await.unwrap();
    assert_eq!(answer.verdict, Some(Verdict::Healthy));
    let current: CurrentIncident = read(&world, "incidents/current.json");
    assert_eq!(current.open, None);
    assert!(incidents(&world)[0].cleared_at.is_some());
    let managers = told(&world, Audience::Managers);
    assert!(managers[1].contains("cleared: incident-"), "{managers:?}");
    let pages = told(&world, Audience::Escalation);
    assert!(pages[1].contains("Healthy again"), "{pages:?}");
    world.round().await.unwrap();
    assert_eq!(world.notices.sent().len(), 4, "and no more words");
}

#[tokio::test]
async fn a_run_starts_although_nobody_can_be_told_and_they_are_told_later() {
    let mut world = small(|_| ()).await;
    moved(&world, PRIMARY, NOWHERE).await;
    let speaks = std::mem::replace(
        &mut world.vantages[0].prober.ports.notices,
        std::sync::Arc::new(Mute),
    );
    for _ in 0..2 {
        world.round().await.unwrap();
    }
    assert!(
        world
            .round()
            .await
            .unwrap_err()
            .to_string()
            .contains("sns is down")
    );
    assert_eq!(world.executions.started().len(), 1);
    world.vantages[0].prober.ports.notices = speaks;
    world.round().await.unwrap();
    assert_eq!(told(&world, Audience::Managers).len(), 1);
    assert_eq!(told(&world, Audience::Escalation).len(), 1);
    assert_eq!(world.executions.started().len(), 1);
}

#[tokio::test]
async fn the_next_disaster_is_an_incident_of_its_own() {
    let world = small(|_| ()).await;
    for _ in 0..2 {
        moved(&world, PRIMARY, NOWHERE).await;
        for _ in 0..3 {
            world.round().await.unwrap();
        }
        moved(&world, PRIMARY, &world.url(PRIMARY)).await;
        // The failures must leave the window, or they read as flapping.
        for _ in 0..6 {
            world.round().await.unwrap();
        }
    }
    assert_eq!(incidents(&world).len(), 2);
    assert_eq!(world.executions.started().len(), 2);
}

#[tokio::test]
async fn what_blocks_the_start_is_told_once_and_blocks_no_detection() {
    let world = small(|_| ()).await;
    world.round().await.unwrap();
    let until = world.now() + jiff::SignedDuration::from_secs(600);
    state(&world, |state| {
        state.cool_down_until = Some(until);
        state.unsettled = Some(RunId::new("earlier"));
    })
    .await;
    moved(&world, PRIMARY, NOWHERE).await;
    let mut last = None;
    for _ in 0..4 {
        last = Some(world.round().await.unwrap());
    }
    let last = last.unwrap();
    assert_eq!(last.verdict, Some(Verdict::ControlPlaneDown));
    let cooling = format!("blocked: cool-down until {until}");
    let unsettled = "blocked: nobody has vouched for the active site after run earlier".to_owned();
    assert_eq!(last.blocked, [cooling.clone(), unsettled]);
    assert_eq!(incidents(&world)[0].blocked, last.blocked);
    let managers = told(&world, Audience::Managers);
    assert_eq!(managers.len(), 1, "{managers:?}");
    assert!(managers[0].contains(&cooling), "{}", managers[0]);
    assert!(managers[0].contains("No run is started"), "{}", managers[0]);

    // Another reason is told, once.
    let hold = Hold {
        who: "ada".to_owned(),
        why: "maintenance".to_owned(),
        since: world.now(),
    };
    state(&world, |state| state.hold = Some(hold)).await;
    for _ in 0..3 {
        world.round().await.unwrap();
    }
    let managers = told(&world, Audience::Managers);
    assert_eq!(managers.len(), 2, "{managers:?}");
    assert!(
        managers[1].contains("blocked: hold by ada (maintenance)"),
        "{}",
        managers[1]
    );
    assert!(world.executions.started().is_empty());

    state(&world, |state| {
        state.hold = None;
        state.unsettled = None;
        state.cool_down_until = None;
    })
    .await;
    world.round().await.unwrap();
    assert_eq!(
        world.executions.started().len(),
        1,
        "nothing stands in the way any more"
    );
    assert!(incidents(&world)[0].blocked.is_empty());
}

#[tokio::test]
async fn an_unhealthy_target_blocks_and_is_paged_too() {
    let world = small(|_| ()).await;
    world.round().await.unwrap();
    moved(&world, SiteLabel::Secondary, NOWHERE).await;
    for _ in 0..3 {
        world.round().await.unwrap();
    }
    let pages = told(&world, Audience::Escalation);
    assert_eq!(pages.len(), 1, "{pages:?}");
    assert!(
        pages[0].contains("ControlPlaneDown on the secondary site"),
        "{pages:?}"
    );
    assert!(incidents(&world).is_empty(), "the standby is no incident");
    moved(&world, PRIMARY, NOWHERE).await;
    for _ in 0..3 {
        world.round().await.unwrap();
    }
    let blocked = "blocked: the verdict on the secondary site is ControlPlaneDown";
    assert_eq!(incidents(&world)[0].blocked, [blocked]);
    assert!(world.executions.started().is_empty());
}

#[tokio::test]
async fn a_verdict_pages_after_its_time() {
    let world = small(|plan| {
        plan["detection"]["page_after"] = json!({"CredentialProblem": 180});
    })
    .await;
    world.round().await.unwrap();
    let revoked = json!({"state": "revoked"});
    world
        .control(PRIMARY, "credentials", revoked)
        .await
        .unwrap();
    let mut pages = Vec::new();
    for _ in 0..5 {
        let answer = world.round().await.unwrap();
        assert_eq!(answer.verdict, Some(Verdict::CredentialProblem));
        pages.push(answer.pages.len());
    }
    assert_eq!(pages, [0, 0, 0, 1, 0]);
    let text = &told(&world, Audience::Escalation)[0];
    assert!(text.contains("No run starts by itself"), "{text}");
    assert!(incidents(&world).is_empty());
}

/// A world whose active site is down, with the id of the incident whose run was started.
async fn started() -> (detection::World, RunId) {
    let world = small(|_| ()).await;
    moved(&world, PRIMARY, NOWHERE).await;
    for _ in 0..3 {
        world.round().await.unwrap();
    }
    let id = incidents(&world)[0].id.clone();
    assert!(world.executions.started().contains_key(&id));
    (world, id)
}

/// Writes the document of a run.
async fn begun(world: &detection::World, id: &RunId, outcome: Option<Outcome>) {
    let run = json!({"format_version": 1, "run": id, "plan": "lakehouse", "mode": "failover", "attempt": 1, "token": "t", "epoch": 0,
        "from": "primary", "target": "secondary", "begun_at": world.now(),
        "evidence": {"verdict": "ControlPlaneDown", "actionable": true, "failing_since": null, "signals": [], "replication": null,
            "workspace_urls": {}, "baseline": {"format_version": 1, "digest": "d", "site": "primary", "captured_at": world.now(),
            "live": {}, "objects": 0}},
        "stages": [], "committed_at": null, "outcome": outcome, "reason": null, "closed_at": null, "told_at": null});
    let bytes = run.to_string().into_bytes();
    world
        .store
        .create(&format!("runs/{id}/run.json"), bytes)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_declined_run_is_not_asked_again_while_the_failure_lasts() {
    let (world, id) = started().await;
    begun(&world, &id, Some(Outcome::Declined)).await;
    for _ in 0..5 {
        world.round().await.unwrap();
    }
    assert_eq!(incidents(&world).len(), 1);
    assert_eq!(world.executions.started().len(), 1);
}

/// Review finding 13: one bad minute in BeginRun, and detection stood still while the region was dark.
#[tokio::test]
async fn a_run_that_failed_before_it_began_is_started_again_twice_at_most() {
    let (world, id) = started().await;
    let mut name = id.clone();
    for again in [2, 3] {
        world.executions.end(&name, ExecutionStatus::Failed);
        for _ in 0..3 {
            world.round().await.unwrap();
        }
        name = RunId::new(format!("{id}-{again}"));
        let started = world.executions.started();
        assert_eq!(started.len(), again, "{started:?}");
        let input = json!({"mode": "failover", "incident": id});
        assert_eq!(started.get(&name), Some(&input), "{name}");
        let managers = told(&world, Audience::Managers);
        assert_eq!(managers.len(), again, "{managers:?}");
        let newest = managers.last().unwrap();
        assert!(newest.contains(&format!("started as {name}")), "{newest}");
    }
    world.executions.end(&name, ExecutionStatus::Failed);
    let mut last = None;
    for _ in 0..3 {
        last = Some(world.round().await.unwrap());
    }
    assert_eq!(world.executions.started().len(), 3, "it stops");
    let managers = told(&world, Audience::Managers);
    assert_eq!(managers.len(), 4, "told once: {managers:?}");
    assert!(
        managers[3].contains(r#"{"mode":"failover"}"#),
        "{}",
        managers[3]
    );
    let pages = told(&world, Audience::Escalation);
    let gave_up = pages.iter().filter(|page| page.contains("by hand"));
    assert_eq!(gave_up.count(), 1, "somebody is woken once: {pages:?}");
    let blocked = last.unwrap().blocked;
    assert!(blocked[0].contains("3 runs failed"), "{blocked:?}");
    assert_eq!(incidents(&world)[0].blocked, blocked);
    assert_eq!(incidents(&world).len(), 1);
}

#[tokio::test]
async fn a_run_that_goes_on_has_begun_or_was_stopped_by_somebody_is_not_started_again() {
    for status in [
        ExecutionStatus::Running,
        ExecutionStatus::Stopped,
        ExecutionStatus::Succeeded,
    ] {
        let (world, id) = started().await;
        world.executions.end(&id, status);
        for _ in 0..4 {
            world.round().await.unwrap();
        }
        assert_eq!(world.executions.started().len(), 1, "{status:?}");
    }
    for outcome in [None, Some(Outcome::Failed)] {
        let (world, id) = started().await;
        world.executions.end(&id, ExecutionStatus::Failed);
        begun(&world, &id, outcome).await;
        for _ in 0..4 {
            world.round().await.unwrap();
        }
        assert_eq!(world.executions.started().len(), 1, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_second_start_waits_for_what_stands_in_its_way() {
    let (world, id) = started().await;
    let hold = Hold {
        who: "ada".to_owned(),
        why: "maintenance".to_owned(),
        since: world.now(),
    };
    state(&world, |state| state.hold = Some(hold)).await;
    world.executions.end(&id, ExecutionStatus::Failed);
    for _ in 0..3 {
        world.round().await.unwrap();
    }
    assert_eq!(world.executions.started().len(), 1);
    let blocked = &incidents(&world)[0].blocked;
    assert_eq!(blocked, &["blocked: hold by ada (maintenance)"]);
    state(&world, |state| state.hold = None).await;
    world.round().await.unwrap();
    let again = RunId::new(format!("{id}-2"));
    assert!(world.executions.started().contains_key(&again));
}

/// A person was faster than the probe, or started a run after that of the probe had failed. What they decided stands.
#[tokio::test]
async fn what_a_person_decided_on_a_run_of_their_own_starts_no_other() {
    for (outcome, starts) in [
        (Outcome::Declined, 1),
        (Outcome::ApprovalExpired, 1),
        (Outcome::Abandoned, 1),
        (Outcome::Failed, 2),
    ] {
        let (world, id) = started().await;
        world.executions.end(&id, ExecutionStatus::Failed);
        let end = RunEnd {
            run: RunId::new("by-hand"),
            token: RunToken::new("arn:by-hand"),
            outcome,
            reason: "no".to_owned(),
            at: world.now(),
        };
        state(&world, |state| state.ends.push(end)).await;
        for _ in 0..3 {
            world.round().await.unwrap();
        }
        assert_eq!(world.executions.started().len(), starts, "{outcome:?}");
    }
}
