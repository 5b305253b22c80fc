//! What a run could not bring up is owed until it is up or given up by name, whatever fails and whoever acts in between.

use std::collections::BTreeMap;

use aws::{Ports, keys};
use jiff::{SignedDuration, Timestamp};
use recovery::activation::Phase;
use recovery::activation::debts::Debt;
use recovery::baseline::{BASELINE_FORMAT, Baseline};
use recovery::failure::FailureName;
use recovery::inventory::{Inventory, Resource};
use recovery::kind::Kind;
use recovery::site::{RunId, SiteLabel};
use serde_json::json;

use crate::faults::survive;
use crate::world::{
    act, before_the_commit, commit, completed, execute, now, resume, run_id, stopped, work_off,
};

fn job(name: &str, status: &str) -> Resource {
    let schedule = json!({"quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "UTC", "pause_status": status});
    let raw = json!({"job_id": 7, "settings": {"name": name, "schedule": schedule}});
    Resource::new(Kind::Job, raw.as_object().unwrap().clone()).unwrap()
}

/// What the phase of schedules of the run left.
async fn leave(ports: &Ports, names: &[&str]) {
    let run = ports.run(&run_id()).await.unwrap();
    let debts = names.iter().map(|name| Debt {
        phase: Phase::Schedules,
        original: job(name, "UNPAUSED"),
        why: "refused".to_owned(),
        run: run_id(),
        since: now(),
        noted_at: now(),
        added: serde_json::Map::new(),
    });
    let debts = debts.collect();
    ports
        .keep_debts(&run, Phase::Schedules, debts)
        .await
        .unwrap();
}

/// Committed, and its last phase has left two jobs.
async fn committed_with_two_left() -> Ports {
    let ports = before_the_commit().await;
    commit(&ports, "run-1").await.unwrap();
    leave(&ports, &["late", "later"]).await;
    ports
}

/// Completed, with two jobs owed.
async fn with_two_owed() -> Ports {
    let ports = committed_with_two_left().await;
    completed(&ports, "run-1").await.unwrap();
    ports
}

/// What is owed, by the list that the state names.
async fn owed(ports: &Ports) -> Vec<String> {
    let state = ports.state().await.unwrap();
    let debts = ports.debts(state.debts.as_ref(), state.active_site).await;
    let debts = debts.unwrap();
    assert_eq!(
        state.debts.map(|owed| owed.count).unwrap_or_default(),
        debts.objects().len()
    );
    debts.debts.into_iter().map(|d| d.original.name).collect()
}

/// A capture of the active site that shows these jobs.
async fn capture(ports: &Ports, at: Timestamp, jobs: &[Resource]) {
    let state = ports.state().await.unwrap();
    let baseline = Baseline {
        format_version: BASELINE_FORMAT,
        epoch: state.epoch,
        inventory: Inventory {
            site: state.active_site,
            read_at: at,
            resources: jobs.to_vec(),
            runs: vec![],
        },
        permissions: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    let digest = ports.store_baseline(&baseline).await.unwrap();
    let pointer = baseline.pointer(&digest);
    ports.put(keys::BASELINE, &pointer).await.unwrap();
}

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

async fn give_up(ports: &Ports, names: &[&str]) -> Result<(), aws::Failure> {
    let give_up =
        json!({"act": "give-up", "kind": "job", "names": names, "who": "Ada", "why": "not needed"});
    act(ports, give_up).await
}

/// Review finding 8: the run completed, and what it could not bring up was forgotten at the first capture.
#[tokio::test]
async fn what_a_run_could_not_bring_up_is_owed_when_it_completes_whatever_fails_on_the_way() {
    let end = async |ports: &Ports| completed(ports, "run-1").await;
    survive(
        committed_with_two_left,
        end,
        async |ports: &Ports, what: &str| {
            assert_eq!(owed(ports).await, ["late", "later"], "{what}");
            assert_eq!(ports.state().await.unwrap().unsettled, None, "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_resumed_phase_says_anew_what_is_left_and_an_older_attempt_says_nothing_of_it() {
    let ports = committed_with_two_left().await;
    let zombie = ports.run(&run_id()).await.unwrap();
    stopped(&ports, "run-1").await.unwrap();
    assert!(owed(&ports).await.is_empty(), "it is not over");
    resume(&ports, "again").await.unwrap();
    leave(&ports, &["late"]).await;
    ports
        .keep_debts(&zombie, Phase::Schedules, vec![])
        .await
        .unwrap();
    completed(&ports, "again").await.unwrap();
    assert_eq!(owed(&ports).await, ["late"]);
}

#[tokio::test]
async fn whoever_vouches_for_the_active_site_forgives_nothing_by_that() {
    let ports = committed_with_two_left().await;
    stopped(&ports, "run-1").await.unwrap();
    let blocked = give_up(&ports, &["late"]).await.unwrap_err();
    assert!(blocked.message.contains("nothing is owed"), "{blocked}");
    let vouch = json!({"act": "vouch", "run": "run-1", "who": "Ada", "why": "looked"});
    act(&ports, vouch).await.unwrap();
    assert_eq!(owed(&ports).await, ["late", "later"]);
}

/// A run that was vouched for and resumed says anew what it leaves.
#[tokio::test]
async fn a_resume_after_the_vouch_loses_nothing_of_what_it_leaves() {
    let ports = committed_with_two_left().await;
    stopped(&ports, "run-1").await.unwrap();
    let vouch = json!({"act": "vouch", "run": "run-1", "who": "Ada", "why": "looked"});
    act(&ports, vouch).await.unwrap();
    resume(&ports, "again").await.unwrap();
    let unsettled = ports.state().await.unwrap().unsettled;
    assert_eq!(unsettled, Some(run_id()), "it changes the site again");
    leave(&ports, &["late", "third"]).await;
    stopped(&ports, "again").await.unwrap();
    let vouch = json!({"act": "vouch", "run": "run-1", "who": "Ada", "why": "looked again"});
    act(&ports, vouch).await.unwrap();
    assert_eq!(owed(&ports).await, ["late", "third"]);
    resume(&ports, "a third time").await.unwrap();
    leave(&ports, &["third"]).await;
    completed(&ports, "a third time").await.unwrap();
    assert_eq!(owed(&ports).await, ["third"]);
}

/// A second failover begins before the first was settled, and is given up: whoever vouches for it owes what the first has left.
#[tokio::test]
async fn what_a_committed_run_left_is_owed_although_a_later_one_began_and_was_given_up() {
    let ports = committed_with_two_left().await;
    stopped(&ports, "run-1").await.unwrap();
    let unfence = json!({"act": "unfence", "site": "primary", "who": "Ada", "why": "well", "confirm": ports.plan_name});
    act(&ports, unfence).await.unwrap();
    execute(&ports, "run-2", json!({"mode": "failover"}))
        .await
        .unwrap();
    let (second, token) = (RunId::new("run-2"), crate::world::token("run-2"));
    ports
        .change_state(|state| state.raise_fence(SiteLabel::Secondary, &second, &token, now()))
        .await
        .unwrap();
    let abandon = json!({"act": "abandon", "run": "run-2", "who": "Ada", "why": "no"});
    act(&ports, abandon).await.unwrap();
    let vouch = json!({"act": "vouch", "run": "run-2", "who": "Ada", "why": "looked"});
    act(&ports, vouch).await.unwrap();
    assert_eq!(owed(&ports).await, ["late", "later"]);
}

#[tokio::test]
async fn a_vouch_survives_every_failure() {
    let stopped_in_the_middle = || async {
        let ports = committed_with_two_left().await;
        stopped(&ports, "run-1").await.unwrap();
        ports
    };
    let vouch = async |ports: &Ports| {
        let vouch = json!({"act": "vouch", "run": "run-1", "who": "Ada", "why": "looked"});
        act(ports, vouch).await
    };
    survive(
        stopped_in_the_middle,
        vouch,
        async |ports: &Ports, what: &str| {
            assert_eq!(owed(ports).await, ["late", "later"], "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_later_run_restores_what_is_owed_and_people_see_it_before_they_decide() {
    let ports = with_two_owed().await;
    capture(&ports, later(60), &[job("late", "PAUSED")]).await;
    act(&ports, json!({"act": "unfence", "site": "primary", "who": "Ada", "why": "well", "confirm": ports.plan_name}))
        .await
        .unwrap();
    execute(&ports, "run-2", json!({"mode": "failover"}))
        .await
        .unwrap();
    let run = ports.run(&RunId::new("run-2")).await.unwrap();
    assert_eq!(run.evidence.debts, ports.state().await.unwrap().debts);
    let shown = run.evidence.signals.join("\n");
    assert!(shown.contains("2 objects that earlier runs could not bring up are restored too: job \"late\", job \"later\""), "{shown}");
    // It restores by the list that it has found.
    let blocked = give_up(&ports, &["late"]).await.unwrap_err();
    assert_eq!(blocked.name, FailureName::Blocked, "{blocked}");
}

#[tokio::test]
async fn a_list_that_is_gone_keeps_nobody_from_a_failover_and_is_given_up_by_its_digest() {
    let ports = with_two_owed().await;
    let pointer = ports.state().await.unwrap().debts.unwrap();
    ports
        .change_state(|state| {
            state.fences.clear();
            if let Some(owed) = &mut state.debts {
                owed.key = "debts/gone.json.gz".to_owned();
            }
            Ok(())
        })
        .await
        .unwrap();
    execute(&ports, "run-2", json!({"mode": "failover"}))
        .await
        .unwrap();
    let run = ports.run(&RunId::new("run-2")).await.unwrap();
    assert_eq!(run.evidence.debts, None);
    assert!(
        run.evidence
            .signals
            .join("\n")
            .contains("2 objects that earlier runs could not bring up are NOT restored")
    );
    stopped(&ports, "run-2").await.unwrap();
    assert!(give_up(&ports, &["late"]).await.is_err());
    let other = json!({"act": "give-up", "digest": "0".repeat(64), "who": "Ada", "why": "lost"});
    act(&ports, other).await.unwrap_err();
    let list = json!({"act": "give-up", "digest": pointer.digest, "who": "Ada", "why": "lost"});
    act(&ports, list).await.unwrap();
    assert!(owed(&ports).await.is_empty());
}

/// A resume may be waiting for a list that is gone.
#[tokio::test]
async fn a_whole_list_can_be_given_up_while_a_run_is_unsettled_and_single_names_cannot() {
    let ports = with_two_owed().await;
    ports
        .change_state(|state| {
            state.unsettled = Some(run_id());
            Ok(())
        })
        .await
        .unwrap();
    let blocked = give_up(&ports, &["late"]).await.unwrap_err();
    assert_eq!(blocked.name, FailureName::Blocked, "{blocked}");
    let pointer = ports.state().await.unwrap().debts.unwrap();
    let list = json!({"act": "give-up", "digest": pointer.digest, "who": "Ada", "why": "lost"});
    act(&ports, list).await.unwrap();
    assert!(owed(&ports).await.is_empty());
}

#[tokio::test]
async fn giving_up_by_name_survives_every_failure_and_leaves_the_rest_owed() {
    let one = async |ports: &Ports| match give_up(ports, &["late"]).await {
        // Asked again after its answer was lost.
        Err(f) if f.message.contains("no debt is job \"late\"") => Ok(()),
        other => other,
    };
    survive(with_two_owed, one, async |ports: &Ports, what: &str| {
        assert_eq!(owed(ports).await, ["later"], "{what}");
    })
    .await;
}

#[tokio::test]
async fn a_capture_that_shows_it_up_settles_a_debt_once_and_an_older_one_does_not() {
    let settled_by = async |at: Timestamp, status: &str| {
        let ports = with_two_owed().await;
        capture(&ports, at, &[job("late", status)]).await;
        work_off(&ports).await.unwrap();
        work_off(&ports).await.unwrap();
        owed(&ports).await
    };
    assert_eq!(settled_by(later(60), "UNPAUSED").await, ["later"]);
    assert_eq!(settled_by(later(60), "PAUSED").await, ["late", "later"]);
    assert_eq!(settled_by(now(), "UNPAUSED").await, ["late", "later"]);
    // A record with the same content, seen again after the run.
    let ports = with_two_owed().await;
    for seconds in [0, 60] {
        capture(&ports, later(seconds), &[job("late", "UNPAUSED")]).await;
        work_off(&ports).await.unwrap();
    }
    assert_eq!(owed(&ports).await, ["later"]);
}

#[tokio::test]
async fn settling_survives_every_failure() {
    let captured = || async {
        let ports = with_two_owed().await;
        let both = [job("late", "UNPAUSED"), job("later", "PAUSED")];
        capture(&ports, later(60), &both).await;
        ports
    };
    survive(
        captured,
        async |ports: &Ports| work_off(ports).await,
        async |ports: &Ports, what: &str| {
            assert_eq!(owed(ports).await, ["later"], "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn while_a_run_is_under_way_nothing_is_settled() {
    let ports = with_two_owed().await;
    capture(&ports, later(60), &[job("late", "UNPAUSED")]).await;
    ports
        .change_state(|state| {
            state.unsettled = Some(run_id());
            Ok(())
        })
        .await
        .unwrap();
    work_off(&ports).await.unwrap();
    assert_eq!(owed(&ports).await, ["late", "later"]);
    assert_eq!(
        ports.state().await.unwrap().active_site,
        SiteLabel::Secondary
    );
}
