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
    assert_eq!(
        world.store().list("").await.unwrap(),
        ["plan.json", "state.json"]
    );
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
    assert_eq!(
        world.store().list("").await.unwrap(),
        ["plan.json", "state.json"]
    );
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

/// How a function signed in at the primary, in order.
fn grants(world: &World) -> Vec<String> {
    let text = std::fs::read_to_string(&world.primary.recording).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| {
            line.get("path") == Some(&json!("/oidc/v1/token"))
                && line.get("status") == Some(&json!(200))
        })
        .map(|line| {
            let grant = line.pointer("/body/grant_type");
            grant.and_then(Value::as_str).unwrap().to_owned()
        })
        .collect()
}

/// One probe of both sites by a new process, which has no token yet; gives how it signed in at the primary.
async fn probed(world: &World) -> Vec<String> {
    let before = grants(world).len();
    let function = "HealthProbeFunction";
    world.cloud.kill_function(function);
    let event = json!({"scheduled": true});
    let answer = world.cloud.invoke(function, &event).await.unwrap();
    assert_eq!(answer.function_error, None, "{}", answer.payload);
    world
        .wait("a sign-in in the recording", 20, || async {
            Ok((grants(world).len() > before).then_some(()))
        })
        .await
        .unwrap();
    grants(world).split_off(before)
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

#[tokio::test]
async fn functions_sign_in_by_their_own_role_and_the_secret_takes_over_when_the_issuer_is_gone() {
    let out = tempfile::tempdir().unwrap();
    let world = world(out.path()).await;
    let grants = probed(&world).await;
    assert!(grants.iter().all(|grant| grant == EXCHANGE), "{grants:?}");
    world.cloud.set_issuer(false).await.unwrap();
    let grants = probed(&world).await;
    let secret = |grant: &String| grant == "client_credentials";
    assert!(grants.iter().all(secret), "{grants:?}");
    let text = std::fs::read_to_string(&world.primary.recording).unwrap();
    assert!(!text.contains("eyJ"), "an identity token was recorded");
    world.stop().await;
}

#[tokio::test]
async fn a_role_that_has_lost_a_statement_is_refused_and_a_drill_would_say_so() {
    let out = tempfile::tempdir().unwrap();
    let world = world(out.path()).await;
    let cloud = &world.cloud;
    cloud
        .remove_statement("CaptureBaselineFunctionRole", "KeepsBaselines")
        .await
        .unwrap();
    let answer = cloud
        .invoke("CaptureBaselineFunction", &json!({"by": "schedule"}))
        .await
        .unwrap();
    assert_eq!(
        answer.payload["errorType"], "AccessDenied",
        "{}",
        answer.payload
    );
    let decisions = cloud.decisions().await.unwrap();
    let refused: Vec<&str> = decisions
        .iter()
        .filter(|decision| decision.allowed_by.is_empty())
        .map(|decision| decision.role.as_str())
        .collect();
    assert_eq!(refused, ["CaptureBaselineFunctionRole"]);
    // Nobody else is any worse off, and what the role still has it may still do.
    assert!(
        decisions
            .iter()
            .any(|d| d.role == refused[0] && d.allowed_by == ["ReadsPlanAndSignals"])
    );
    world.stop().await;
}

/// The workspace takes the identities that its policies name, and no others.
#[tokio::test]
async fn an_identity_that_no_policy_names_opens_nothing() {
    let out = tempfile::tempdir().unwrap();
    let world = world(out.path()).await;
    let issuer = world.cloud.issuer().await.unwrap();
    let only = |subjects: Value, audience: &str, jwks: Value| json!({"issuer": issuer["issuer"], "jwks": jwks, "audiences": [audience], "subjects": subjects});
    let role = world.deployment.function("HealthProbeFunction").unwrap();
    let mine = json!([role.role]);
    let nobody = json!({"keys": []});
    let keys = &issuer["jwks"];
    for (policies, taken) in [
        (
            only(
                json!(["arn:aws:iam::123456789012:role/other"]),
                "databricks",
                keys.clone(),
            ),
            false,
        ),
        (only(mine.clone(), "somebody-else", keys.clone()), false),
        (only(mine.clone(), "databricks", nobody), false),
        (only(mine, "databricks", keys.clone()), true),
    ] {
        world
            .primary
            .control("federation", &policies)
            .await
            .unwrap();
        let exchanged = probed(&world).await.iter().all(|grant| grant == EXCHANGE);
        assert_eq!(exchanged, taken, "{policies}");
    }
    world.stop().await;
}
