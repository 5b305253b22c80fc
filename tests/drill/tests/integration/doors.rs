//! The doors of the functions: nonsense is refused by name, and nothing is written.

use aws::store::Store;
use drill::estate::Estate;
use drill::world::World;
use drill::{Scenario, live, plan};
use recovery::state::State;
use serde_json::{Value, json};

async fn world(out: &std::path::Path) -> World {
    let estate = Estate::load(None, Scenario::Failover).unwrap();
    let plan = plan::for_scenario(
        Scenario::Failover,
        live::any_warehouse(&estate.original).as_deref(),
    );
    let root = drill::build::repository();
    let binaries = crate::scenarios::binaries().await;
    World::start(&root, &binaries, out, estate, &plan)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_malformed_event_to_any_function_is_a_named_error_and_writes_nothing() {
    let out = tempfile::tempdir().unwrap();
    let world = world(out.path()).await;
    assert!(world.deployment.functions.len() >= 12);
    for function in &world.deployment.functions {
        for event in [
            json!({"nonsense": true}),
            json!("text"),
            json!({"run": "../../state", "token": 1, "phase": "Everything"}),
        ] {
            let answer = world
                .cloud
                .invoke(&function.logical_id, &event)
                .await
                .unwrap();
            let name = answer.payload.get("errorType").and_then(Value::as_str);
            assert_eq!(
                name,
                Some("InvalidEvent"),
                "{} on {event}: {}",
                function.logical_id,
                answer.payload
            );
        }
    }
    assert_eq!(world.store().list("").await.unwrap(), ["plan.json"]);
    world.stop().await;
}

#[tokio::test]
async fn without_the_lock_no_function_of_a_run_acts() {
    let out = tempfile::tempdir().unwrap();
    let world = world(out.path()).await;
    let before = (
        world.primary.inventory().await.unwrap(),
        world.secondary.inventory().await.unwrap(),
    );
    let zombie = json!({"run": "old-run", "token": "arn:old"});
    for (function, extra) in [
        ("CheckReadinessFunction", json!({"phase": "target"})),
        ("RequestApprovalFunction", json!({})),
        ("ActivateSiteFunction", json!({"phase": "Schedules"})),
        ("ValidateSiteFunction", json!({})),
        ("SwitchEndpointsFunction", json!({"phase": "Commit"})),
        ("SwitchEndpointsFunction", json!({"phase": "Endpoints"})),
        ("ShutdownSiteFunction", json!({"by": "run"})),
    ] {
        let mut event = zombie.clone();
        for (key, value) in extra.as_object().unwrap() {
            event[key] = value.clone();
        }
        let answer = world.cloud.invoke(function, &event).await.unwrap();
        let name = answer.payload.get("errorType").and_then(Value::as_str);
        assert!(
            matches!(name, Some("LockLost" | "InvalidEvent")),
            "{function}: {}",
            answer.payload
        );
    }
    assert_eq!(
        drill::live::places(&before.0),
        drill::live::places(&world.primary.inventory().await.unwrap())
    );
    assert_eq!(
        drill::live::places(&before.1),
        drill::live::places(&world.secondary.inventory().await.unwrap())
    );
    assert_eq!(world.store().list("").await.unwrap(), ["plan.json"]);
    world.stop().await;
}

#[tokio::test]
async fn a_human_act_needs_who_and_why_and_a_hold_blocks_a_start() {
    let out = tempfile::tempdir().unwrap();
    let world = world(out.path()).await;
    assert!(
        world
            .operate(&json!({"act": "hold", "who": " ", "why": "x"}))
            .await
            .is_err()
    );
    assert!(
        world
            .operate(&json!({"act": "unfence", "site": "primary", "who": "a", "why": "b"}))
            .await
            .is_err(),
        "there is no fence to lift"
    );
    world
        .operate(&json!({"act": "hold", "who": "on call", "why": "migration tonight"}))
        .await
        .unwrap();
    let state: State = world.read(aws::keys::STATE).await.unwrap().unwrap();
    assert!(state.hold.is_some());
    let arn = world
        .cloud
        .start_execution(Some("held"), &json!({"mode": "failover"}))
        .await
        .unwrap();
    let ended = world
        .wait("the execution to end", 60, || async {
            let execution = world.cloud.describe_execution(&arn).await?;
            Ok((execution.status != local_cloud::ExecutionStatus::Running).then_some(execution))
        })
        .await
        .unwrap();
    assert_eq!(ended.error.as_deref(), Some("Failed"));
    assert!(ended.cause.as_deref().is_some_and(|c| !c.is_empty()));
    world
        .operate(&json!({"act": "release", "who": "on call", "why": "done"}))
        .await
        .unwrap();
    let state: State = world.read(aws::keys::STATE).await.unwrap().unwrap();
    assert!(state.hold.is_none() && state.lock.is_none());
    world.stop().await;
}
