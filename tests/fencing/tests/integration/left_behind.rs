//! What does not start at the target keeps nobody in a region that is down, if people say so by name.

use std::time::Duration;

use activate_site::{Progress, Reply};
use fencing::site::{RUN, SITE};
use fencing::{Pace, Site};
use recovery::activation::Phase;
use recovery::approval::{Choice, Door, Override, Question, Request, Wish};
use recovery::failure::FailureName;
use recovery::run::Mode;
use recovery::site::RunId;
use serde_json::json;

use crate::estate::small;

const START: &str = "/api/2.1/clusters/start";

/// A run that brings this site up, at which a cluster cannot be started: by a refusal for good, or by an answer that may change.
async fn without_cluster(mode: Mode, status: u16) -> Site {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    site.raise().await.unwrap();
    site.fence_once().await.unwrap();
    site.lift().await.unwrap();
    site.begin_from(SITE.other(), mode, &record).await.unwrap();
    let fault = json!({"method": "POST", "path": START, "kind": "status", "status": status,
        "body": {"error_code": "INVALID_PARAMETER_VALUE", "message": "no such node type"}});
    site.control("faults", &fault).await.unwrap();
    site
}

async fn progress(site: &Site) -> Progress {
    match site.activate_in_run(Phase::Compute).await.unwrap() {
        Reply::Phase(answer) => answer.answer,
        other => panic!("{other:?}"),
    }
}

async fn question(site: &Site) -> Option<Request> {
    let question = Question::Compute { site: SITE };
    let run = RunId::new(RUN);
    site.ports.request(&run, &question).await.unwrap()
}

async fn decide(site: &Site, decision: Choice) {
    let request = question(site).await.unwrap();
    let wish = Wish {
        decision,
        who: "ada".to_owned(),
        why: "we need the rest".to_owned(),
        via: Door::Invoke {
            request: "x".to_owned(),
        },
        accepted: request.overrides.clone(),
    };
    let receipt = site.ports.record_decision(&request.id, wish).await.unwrap();
    assert!(receipt.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_refused_is_left_behind_by_name_and_everything_else_is_up() {
    let site = without_cluster(Mode::Failover, 400).await;
    assert_eq!(progress(&site).await, Progress::Continue);
    let request = question(&site).await.unwrap();
    let [Override::LeftBehind { objects, names, .. }] = request.overrides.as_slice() else {
        panic!("{:?}", request.overrides)
    };
    assert_eq!(json!(objects), json!({"cluster": ["c-1"]}));
    assert_eq!(names, &["cluster \"shared\""]);
    assert_eq!(progress(&site).await, Progress::Continue, "not decided yet");
    decide(&site, Choice::Approve).await;
    assert_eq!(progress(&site).await, Progress::Done);
    let holds = site.inventory().await.unwrap().to_string();
    assert!(holds.contains("\"RUNNING\""), "the warehouse is up");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_still_start_is_asked_about_only_when_the_plans_time_is_over() {
    let site = without_cluster(Mode::Failover, 503).await;
    let call = site.activate_in_run(Phase::Compute);
    // The call keeps at it as long as the plan has time.
    let cut_off = tokio::time::timeout(Duration::from_secs(3), call).await;
    assert!(cut_off.is_err());
    assert!(question(&site).await.is_none());
    let plan = site.ports.plan().await.unwrap();
    site.later(i64::from(plan.activation.give_up_after_seconds.0));
    assert_eq!(progress(&site).await, Progress::Continue);
    decide(&site, Choice::Approve).await;
    assert_eq!(progress(&site).await, Progress::Done);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_peoples_word_nothing_is_left_behind() {
    let site = without_cluster(Mode::Failover, 400).await;
    progress(&site).await;
    decide(&site, Choice::Decline).await;
    let ended = site.activate_in_run(Phase::Compute).await.unwrap_err();
    assert_eq!(ended.name, FailureName::ActivationIncomplete, "{ended}");
    site.stop().await;

    // A drill asks nobody: it proves that all of it starts.
    let site = without_cluster(Mode::Drill, 400).await;
    assert_eq!(progress(&site).await, Progress::Continue);
    assert!(question(&site).await.is_none());
    site.stop().await;
}
