//! Wherever the function dies, whatever answer is lost, however two of them overlap: no acknowledged observation is lost, there is
//! one incident and one run, and the managers are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws::executions::ExecutionStatus;
use aws::notices::Audience;
use aws::store::Store;
use detection::World;
use recovery::incident::CurrentIncident;
use recovery::signals::Signals;
use recovery::site::{RunId, SiteLabel};
use serde_json::json;

use crate::setting::{NOWHERE, incidents, moved, read, signals, small};
use protocol::faulty::{Fault, Faulty};

const KEY: &str = "signals/us-west-2.json";

/// A world in which the next probe gives an actionable verdict.
async fn before_the_verdict() -> World {
    let world = small(|_| ()).await;
    moved(&world, SiteLabel::Primary, NOWHERE).await;
    for _ in 0..2 {
        world.round().await.unwrap();
    }
    world.later(60);
    world
}

fn put(world: &mut World, fault: Fault, at: usize) -> (Arc<Faulty>, Arc<dyn Store>) {
    let ports = &mut world.vantages[0].prober.ports;
    let plain = Arc::clone(&ports.store);
    let faulty = Faulty::new(Arc::clone(&plain), fault, at);
    ports.store = Arc::<Faulty>::clone(&faulty);
    (faulty, plain)
}

/// What must hold once the fault is over and the probe has run twice more.
fn assert_promises(world: &World, faulty: &Faulty, what: &str) {
    let open = incidents(world);
    assert_eq!(open.len(), 1, "{what}: {open:?}");
    let current: CurrentIncident = read(world, "incidents/current.json");
    assert_eq!(current.open.as_ref(), Some(&open[0].id), "{what}");
    let started = world.executions.started();
    assert_eq!(started.len(), 1, "{what}: {started:?}");
    assert!(started.contains_key(&open[0].id), "{what}");
    assert!(open[0].started_at.is_some(), "{what}");
    let kept: BTreeSet<_> = signals(world, "us-west-2")
        .observations
        .iter()
        .map(|o| (o.at, o.site))
        .collect();
    for (key, bytes) in faulty.acknowledged.lock().unwrap().iter() {
        if key == KEY {
            let acknowledged: Signals = serde_json::from_slice(bytes).unwrap();
            for o in acknowledged.observations {
                assert!(kept.contains(&(o.at, o.site)), "{what}: lost {}", o.at);
            }
        }
    }
}

fn told(world: &World, audience: Audience, word: &str) -> usize {
    let sent = world.notices.sent();
    sent.iter()
        .filter(|n| n.audience == audience && n.subject.contains(word))
        .count()
}

async fn at_every_request(fault: Fault) {
    for at in 0..200 {
        let mut world = before_the_verdict().await;
        let (faulty, plain) = put(&mut world, fault, at);
        tokio::select! {
            // A failure is an answer of the function: the schedule starts it again in a minute.
            result = world.probe(&world.vantages[0]) => drop(result),
            () = faulty.dies.notified() => {}
        }
        let happened = faulty.happened();
        world.vantages[0].prober.ports.store = plain;
        for _ in 0..2 {
            world.round().await.unwrap();
        }
        let what = format!("{fault:?} at request {at}");
        assert_promises(&world, &faulty, &what);
        let evidence = told(&world, Audience::Managers, "ControlPlaneDown");
        assert!((1..=2).contains(&evidence), "{what}: {evidence} messages");
        let pages = told(&world, Audience::Escalation, "ControlPlaneDown");
        assert!((1..=2).contains(&pages), "{what}: {pages} pages");
        if !happened {
            assert!(at > 10, "the probe makes more requests than {at}");
            return;
        }
    }
    panic!("the probe never ends");
}

#[tokio::test]
async fn killed_before_any_request() {
    at_every_request(Fault::DiesBefore).await;
}

#[tokio::test]
async fn killed_after_any_request() {
    at_every_request(Fault::DiesAfter).await;
}

#[tokio::test]
async fn any_request_lost() {
    at_every_request(Fault::LostRequest).await;
}

#[tokio::test]
async fn any_answer_lost() {
    at_every_request(Fault::LostAnswer).await;
}

/// A world whose run failed before it began: the next probe starts another.
async fn before_the_restart() -> (World, RunId) {
    let world = before_the_verdict().await;
    world.round().await.unwrap();
    let id = incidents(&world)[0].id.clone();
    world.executions.end(&id, ExecutionStatus::Failed);
    world.later(60);
    (world, id)
}

fn assert_started_once_more(world: &World, id: &RunId, what: &str) {
    let names: Vec<RunId> = world.executions.started().into_keys().collect();
    assert_eq!(names, [id.clone(), RunId::new(format!("{id}-2"))], "{what}");
    assert_eq!(incidents(world)[0].restarts, 1, "{what}");
}

#[tokio::test]
async fn a_run_is_started_once_more_wherever_the_probe_dies_or_an_answer_is_lost() {
    for fault in [
        Fault::DiesBefore,
        Fault::DiesAfter,
        Fault::LostRequest,
        Fault::LostAnswer,
    ] {
        for at in 0.. {
            let (mut world, id) = before_the_restart().await;
            let (faulty, plain) = put(&mut world, fault, at);
            tokio::select! {
                result = world.probe(&world.vantages[0]) => drop(result),
                () = faulty.dies.notified() => {}
            }
            let happened = faulty.happened();
            world.vantages[0].prober.ports.store = plain;
            for _ in 0..2 {
                world.round().await.unwrap();
            }
            let what = format!("{fault:?} at request {at}");
            assert_started_once_more(&world, &id, &what);
            let restarts = told(&world, Audience::Managers, "failed before it began");
            assert!((1..=2).contains(&restarts), "{what}: {restarts} messages");
            if !happened {
                assert!(at > 10, "the probe makes more requests than {at}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn two_at_once_start_one_run_more() {
    for turns in 0..25 {
        let (mut world, id) = before_the_restart().await;
        drop(put(&mut world, Fault::Yields(turns), usize::MAX));
        let vantage = &world.vantages[0];
        let second = async {
            for _ in 0..turns * 3 {
                tokio::task::yield_now().await;
            }
            world.later(i64::from(turns % 2 == 0));
            world.probe(vantage).await
        };
        let (one, two) = tokio::join!(world.probe(vantage), second);
        one.unwrap();
        two.unwrap();
        world.round().await.unwrap();
        let what = format!("{turns} turns");
        assert_started_once_more(&world, &id, &what);
        let restarts = told(&world, Audience::Managers, "failed before it began");
        assert_eq!(restarts, 1, "{what}");
    }
}

#[tokio::test]
async fn two_at_once_open_one_incident_and_tell_once() {
    for turns in 0..25 {
        let mut world = before_the_verdict().await;
        let (faulty, _) = put(&mut world, Fault::Yields(turns), usize::MAX);
        let vantage = &world.vantages[0];
        // The second one comes in somewhere in the middle of the first, a second later or at the same moment.
        let second = async {
            for _ in 0..turns * 3 {
                tokio::task::yield_now().await;
            }
            world.later(i64::from(turns % 2 == 0));
            world.probe(vantage).await
        };
        let (one, two) = tokio::join!(world.probe(vantage), second);
        one.unwrap();
        two.unwrap();
        world.round().await.unwrap();
        let what = format!("{turns} turns");
        assert_promises(&world, &faulty, &what);
        assert_eq!(
            told(&world, Audience::Managers, "ControlPlaneDown"),
            1,
            "{what}"
        );
        assert_eq!(
            told(&world, Audience::Escalation, "ControlPlaneDown"),
            1,
            "{what}"
        );
    }
}

#[tokio::test]
async fn an_incident_that_was_claimed_and_never_written_is_written_or_given_back() {
    let claimed = json!({"format_version": 1, "open": "incident-0-7"}).to_string();
    let world = before_the_verdict().await;
    world
        .store
        .create("incidents/current.json", claimed.clone().into_bytes())
        .await
        .unwrap();
    world.round().await.unwrap();
    assert_eq!(incidents(&world)[0].id.as_str(), "incident-0-7");
    assert_eq!(world.executions.started().len(), 1);

    let world = small(|_| ()).await;
    world
        .store
        .create("incidents/current.json", claimed.into_bytes())
        .await
        .unwrap();
    world.round().await.unwrap();
    let current: CurrentIncident = read(&world, "incidents/current.json");
    assert_eq!(current.open, None);
    assert!(world.notices.sent().is_empty());
}
