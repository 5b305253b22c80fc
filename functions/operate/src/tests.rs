//! Acts as people send them, on in-memory ports.

use std::sync::Arc;
use std::time::Duration;

use aws::fence_watch::MemoryFenceWatch;
use aws::notices::MemoryNotices;
use aws::{Failure, Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::failure::FailureName;
use recovery::run::Mode;
use recovery::site::{PlanName, Region, RunId, RunToken};
use recovery::state::State;
use serde_json::{Value, json};

use crate::{Answer, Event, Reply, handle};

async fn ports() -> (Ports, MemoryNotices) {
    let plan: Value =
        serde_json::from_str(include_str!("../../../infra/plan.example.json")).unwrap();
    let name = PlanName::new(plan["name"].as_str().unwrap());
    let clock = Arc::new(Timestamp::now);
    let (ports, _, _, notices) = Ports::in_memory(name, Region::new("us-west-2"), clock);
    ports.create(keys::PLAN, &plan).await.unwrap();
    (ports, notices)
}

/// A plan whose run r1 changed sites and did not complete, in its cool-down.
async fn after_r1(ports: &Ports) {
    ports
        .change_state(|state| {
            state.cool_down_until = Some(Timestamp::MAX);
            state.unsettled = Some(RunId::new("r1"));
            Ok(())
        })
        .await
        .unwrap();
}

async fn act(ports: &Ports, act: Value) -> Result<Answer, Failure> {
    let event: Event = serde_json::from_value(act).unwrap();
    let mut invocation = Invocation::lasting(Duration::from_secs(30));
    invocation.request_id = ports.random_bits().unwrap().to_string();
    match handle(event, ports, &MemoryFenceWatch::default(), &invocation).await? {
        Reply::Plain(answer) => Ok(answer),
        Reply::Http(answer) => panic!("{answer:?}"),
    }
}

fn vouch(run: &str) -> Value {
    json!({"act": "vouch", "run": run, "who": "Ada", "why": "compared by hand"})
}

async fn state(ports: &Ports) -> State {
    ports.state().await.unwrap()
}

#[tokio::test]
async fn acknowledge_ends_the_cool_down_and_nothing_else() {
    let (ports, _) = ports().await;
    after_r1(&ports).await;
    let acknowledge = json!({"act": "acknowledge", "who": "Ada", "why": "seen"});
    act(&ports, acknowledge).await.unwrap();
    assert_eq!(state(&ports).await.cool_down_until, None);
    assert_eq!(state(&ports).await.unsettled, Some(RunId::new("r1")));
}

#[tokio::test]
async fn vouch_settles_the_run_that_it_names_and_nothing_else() {
    let (ports, _) = ports().await;
    after_r1(&ports).await;
    let refused = act(&ports, vouch("r2")).await.unwrap_err();
    assert_eq!(refused.name, FailureName::InvalidEvent);
    assert!(refused.message.contains("r1"), "{}", refused.message);
    assert_eq!(state(&ports).await.unsettled, Some(RunId::new("r1")));
    act(&ports, vouch("r1")).await.unwrap();
    assert_eq!(state(&ports).await.unsettled, None);
    assert_eq!(state(&ports).await.cool_down_until, Some(Timestamp::MAX));
    // The answer was lost, and the act is sent again.
    let again = act(&ports, vouch("r1")).await.unwrap();
    assert!(again.done.contains("nothing"), "{}", again.done);
}

#[tokio::test]
async fn nobody_can_vouch_while_a_run_is_under_way() {
    let (ports, _) = ports().await;
    after_r1(&ports).await;
    for holder in ["r1", "r2"] {
        ports
            .change_state(|state| {
                state.lock = None;
                let token = RunToken::new("t");
                state.take_lock(
                    &RunId::new(holder),
                    &token,
                    Mode::Failover,
                    Timestamp::now(),
                )
            })
            .await
            .unwrap();
        let refused = act(&ports, vouch("r1")).await.unwrap_err();
        assert_eq!(refused.name, FailureName::Blocked);
        assert_eq!(state(&ports).await.unsettled, Some(RunId::new("r1")));
    }
}

#[tokio::test]
async fn an_act_that_was_done_is_answered_with_its_deed_though_sns_is_down() {
    let (ports, notices) = ports().await;
    notices.set_down(true);
    let hold = json!({"act": "hold", "who": "Ada", "why": "migration"});
    let answer = act(&ports, hold).await.expect("the hold stands");
    assert!(state(&ports).await.hold.is_some());
    assert!(
        answer.done.starts_with("every start is blocked"),
        "{}",
        answer.done
    );
    assert!(
        answer.done.contains("the managers could not be notified: "),
        "{}",
        answer.done
    );
}
