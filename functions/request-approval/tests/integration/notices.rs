//! SNS is down: a run waits for people all the same, and tries again to reach them.

use recovery::approval::{ApprovalAnswer, Choice, Door, Request, Wish};
use recovery::site::RunId;
use recovery::verdict::DownCause;

use super::automatic::{RUN, World};

/// The example plan lets a request expire after less than this, seconds.
const LONG_AFTER: i64 = 100_000;

async fn without_opt_in() -> World {
    World::new(|plan| {
        plan.as_object_mut().unwrap().remove("automatic_failover");
    })
    .await
}

async fn request(world: &World) -> Request {
    let all = world.ports.requests(&RunId::new(RUN)).await.unwrap();
    all.first().unwrap().clone()
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_stays_open_and_is_sent_later() {
    let world = without_opt_in().await;
    world.notices.set_down(true);
    for _ in 0..6 {
        let answer = world.try_ask().await.expect("SNS must not end the run");
        assert_eq!(answer.answer, ApprovalAnswer::Pending);
        assert!(
            answer.reason.contains("could not be notified"),
            "{}",
            answer.reason
        );
        assert!(answer.reason.contains("SNS is down"), "{}", answer.reason);
        assert_eq!(request(&world).await.sent_at, None);
    }
    world.notices.set_down(false);
    assert_eq!(world.ask().await.reason, "asked");
    assert_eq!(world.notices.sent().len(), 1);
    assert!(request(&world).await.sent_at.is_some());
}

#[tokio::test]
async fn a_decision_by_command_line_counts_while_nobody_can_be_notified() {
    let world = without_opt_in().await;
    world.notices.set_down(true);
    let _ = world.try_ask().await;
    let wish = Wish {
        decision: Choice::Decline,
        who: "Ada".to_owned(),
        why: "our own change".to_owned(),
        via: Door::Invoke {
            request: "r".to_owned(),
        },
        accepted: vec![],
    };
    let id = request(&world).await.id;
    world.ports.record_decision(&id, wish).await.unwrap();
    assert_eq!(world.ask().await.answer, ApprovalAnswer::Declined);
}

#[tokio::test]
async fn an_expiry_that_cannot_be_sent_is_an_expiry() {
    let world = without_opt_in().await;
    world.ask().await;
    world.notices.set_down(true);
    world.later(LONG_AFTER, DownCause::ConnectTimeout).await;
    let answer = world.try_ask().await.expect("SNS must not fail the run");
    assert_eq!(answer.answer, ApprovalAnswer::Expired);
    assert!(
        answer.reason.contains("could not be notified"),
        "{}",
        answer.reason
    );
}

#[tokio::test]
async fn a_reminder_that_cannot_be_sent_does_not_keep_the_plan_from_deciding() {
    let world = World::new(|_| ()).await;
    world.ask().await;
    world.notices.set_down(true);
    world.later(900, DownCause::ConnectTimeout).await;
    let answer = world.try_ask().await.expect("SNS must not end the run");
    assert!(
        answer.reason.contains("the plan has approved by itself"),
        "{}",
        answer.reason
    );
    assert_eq!(world.ask().await.answer, ApprovalAnswer::Approved);
}

#[tokio::test]
async fn the_plan_does_not_decide_before_people_could_be_asked() {
    let world = World::new(|_| ()).await;
    world.notices.set_down(true);
    world.later(900, DownCause::ConnectTimeout).await;
    for _ in 0..3 {
        let answer = world.try_ask().await.expect("SNS must not end the run");
        assert!(
            answer.reason.contains("could not be notified"),
            "{}",
            answer.reason
        );
        assert!(!answer.reason.contains("the plan"), "{}", answer.reason);
    }
}

/// An escalation that never gets out is due at each look: the managers are reminded all the same.
#[tokio::test]
async fn an_escalation_that_cannot_be_sent_holds_back_no_reminder() {
    let world = without_opt_in().await;
    world.ask().await;
    world.notices.set_escalation_down(true);
    // The example plan escalates after 900 s and reminds every 600 s.
    for (later, expected) in [(610, 2), (300, 2), (310, 3), (620, 4)] {
        world.later(later, DownCause::ConnectTimeout).await;
        world.try_ask().await.unwrap();
        world.try_ask().await.unwrap();
        assert_eq!(world.notices.sent().len(), expected);
    }
    assert_eq!(request(&world).await.escalated_at, None);
    world.notices.set_escalation_down(false);
    world.try_ask().await.unwrap();
    assert!(request(&world).await.escalated_at.is_some());
}
