//! Stored documents across versions: what an earlier version wrote is read, what a newer one of the same format added is kept, and a
//! newer format is refused by name.

use aws::{Ports, keys};
use recovery::failure::FailureName;
use recovery::run::{RunDocument, Stage};
use recovery::site::SiteLabel;
use recovery::state::State;
use serde_json::{Value, json};

use crate::world::{before_the_commit, now, run_id, stopped, token, world};

/// `state.json` as the first version wrote it, in the middle of a run.
const FIRST_STATE: &str = include_str!("fixtures/state-1.json");
/// `run.json` as the first version wrote it.
const FIRST_RUN: &str = include_str!("fixtures/run-1.json");

async fn write(ports: &Ports, key: &str, document: &Value) {
    ports.put(key, document).await.unwrap();
}

async fn raw(ports: &Ports, key: &str) -> Value {
    let stored = ports.store.get(key).await.unwrap().unwrap();
    serde_json::from_slice(&stored.bytes).unwrap()
}

#[tokio::test]
async fn documents_of_the_first_version_are_read_and_a_fence_of_it_proves_no_quiet() {
    let state: State = serde_json::from_str(FIRST_STATE).unwrap();
    let fence = state.fences.get(&SiteLabel::Primary).unwrap();
    assert!(fence.verified_at.is_some());
    assert!(
        !fence.is_quiet(now()),
        "it does not say when it was read last"
    );
    let run: RunDocument = serde_json::from_str(FIRST_RUN).unwrap();
    assert!(state.require_lock(&run.run, &run.token).is_ok());
}

/// A rolling deploy and a rollback: the older function changes what the newer one wrote.
#[tokio::test]
async fn what_a_newer_writer_added_survives_every_change() {
    let ports = before_the_commit().await;
    let run_key = keys::of_run(&run_id(), "run.json");
    let mut state = raw(&ports, keys::STATE).await;
    state["added"] = json!({"x": 1});
    state["lock"]["added"] = json!(2);
    state["fences"]["primary"]["added"] = json!(3);
    write(&ports, keys::STATE, &state).await;
    let mut run = raw(&ports, &run_key).await;
    run["added"] = json!(4);
    run["stages"][0]["added"] = json!(5);
    run["evidence"]["baseline"]["added"] = json!(6);
    write(&ports, &run_key, &run).await;

    let (id, token) = (run_id(), token("run-1"));
    ports.enter(&id, &token, Stage::Pools).await.unwrap();
    let hold = |state: &mut State| state.hold_pass(SiteLabel::Primary, "pass", now(), now());
    ports.change_state(hold).await.unwrap();
    let (state, run) = (raw(&ports, keys::STATE).await, raw(&ports, &run_key).await);
    assert_eq!(state["fences"]["primary"]["pass"]["request"], "pass");
    assert_eq!(state["added"]["x"], 1);
    assert_eq!(
        (
            &state["lock"]["added"],
            &state["fences"]["primary"]["added"]
        ),
        (&json!(2), &json!(3))
    );
    assert_eq!(
        (&run["added"], &run["stages"][0]["added"]),
        (&json!(4), &json!(5))
    );
    assert_eq!(run["evidence"]["baseline"]["added"], 6);

    stopped(&ports, "run-1").await.unwrap();
    let (state, run) = (raw(&ports, keys::STATE).await, raw(&ports, &run_key).await);
    assert_eq!(
        state["lock"],
        Value::Null,
        "what was taken away does not come back"
    );
    assert_eq!(
        (&state["added"]["x"], &run["added"]),
        (&json!(1), &json!(4))
    );
}

/// Review finding 15.
#[tokio::test]
async fn a_newer_format_is_refused_by_name_and_not_changed() {
    let ports = world().await;
    let newer =
        json!({"format_version": 99, "plan": "another", "active_site": "secondary", "epoch": 7});
    write(&ports, keys::STATE, &newer).await;
    let refused = ports.state().await.unwrap_err();
    assert_eq!(refused.name, FailureName::StateCorrupt);
    assert!(refused.message.contains("format_version 99"), "{refused}");
    let changed = ports.change_state(|_| Ok(())).await.unwrap_err();
    assert_eq!(changed.name, FailureName::StateCorrupt);
    assert_eq!(raw(&ports, keys::STATE).await, newer);
}
