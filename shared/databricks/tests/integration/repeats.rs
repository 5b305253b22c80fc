//! What is repeated, how often, and what is not.

use std::time::Duration;

use databricks::{
    Cause, Error, IdempotencyToken, JobId, Object, PipelineId, RunId, Settings, Timeouts, Workspace,
};
use serde_json::json;

use crate::server::{CLUSTERS, POOLS, Reply, Server};

fn first(nth: usize, times: usize, reply: Reply, then: serde_json::Value) -> Option<Reply> {
    Some(if nth < times { reply } else { Reply::ok(then) })
}

#[tokio::test]
async fn reads_are_repeated_until_they_succeed() {
    let server = Server::start(|seen| {
        let reply = match seen.nth {
            0 => Reply::text(503, "text/html", "<title>busy</title>"),
            1 => Reply::Lost,
            2 => Reply::error(400, "X", "ClusterNotReadyException: wait"),
            _ => {
                return Some(Reply::ok(
                    json!({ "instance_pools": [{ "instance_pool_id": "p" }] }),
                ));
            }
        };
        Some(reply)
    })
    .await;
    assert_eq!(
        server.workspace().collection(&POOLS).await.unwrap().len(),
        1
    );
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn plain_500_is_not_repeated() {
    let server = Server::start(|_| Some(Reply::error(500, "INTERNAL_ERROR", "no"))).await;
    assert_eq!(
        server
            .workspace()
            .collection(&POOLS)
            .await
            .unwrap_err()
            .name(),
        "Http5xx"
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn idempotent_writes_are_repeated_after_a_lost_answer_with_the_same_token() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/api/2.2/jobs/run-now" => first(
            seen.nth,
            1,
            Reply::Lost,
            json!({ "run_id": 9, "number_in_job": 9 }),
        ),
        "/api/2.2/jobs/update" => first(seen.nth, 1, Reply::Lost, json!({})),
        _ => None,
    })
    .await;
    let writer = server.workspace().verified().await.unwrap();
    let token = IdempotencyToken::new("run-1:5").unwrap();
    assert_eq!(writer.run_now(JobId(5), &token).await.unwrap(), RunId(9));
    writer.update_job(JobId(5), Object::new()).await.unwrap();
    let runs = server.on("/api/2.2/jobs/run-now");
    assert_eq!(runs.len(), 2);
    assert!(
        runs.iter()
            .all(|seen| seen.body == json!({ "job_id": 5, "idempotency_token": "run-1:5" }))
    );
    assert_eq!(server.on("/api/2.2/jobs/update").len(), 2);
}

#[tokio::test]
async fn what_must_happen_once_is_not_repeated_after_a_lost_answer() {
    for reply in [
        || Reply::Lost,
        || Reply::error(503, "TEMPORARILY_UNAVAILABLE", "later"),
    ] {
        let server = Server::start(move |seen| (seen.method == "POST").then(reply)).await;
        let writer = server.workspace().verified().await.unwrap();
        let error = writer
            .start_pipeline_update(&PipelineId::from("p"))
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(server.on("/api/2.0/pipelines/p/updates").len(), 1);
    }
}

#[tokio::test]
async fn what_must_happen_once_is_repeated_if_it_was_refused_for_its_rate() {
    let server = Server::start(|seen| {
        let throttled =
            Reply::error(429, "REQUEST_LIMIT_EXCEEDED", "slow").with("retry-after", "0");
        (seen.method == "POST")
            .then(|| first(seen.nth, 1, throttled, json!({ "update_id": "u" })))?
    })
    .await;
    let writer = server.workspace().verified().await.unwrap();
    assert_eq!(
        writer
            .start_pipeline_update(&PipelineId::from("p"))
            .await
            .unwrap()
            .as_str(),
        "u"
    );
    assert_eq!(server.on("/api/2.0/pipelines/p/updates").len(), 2);
}

#[tokio::test]
async fn retry_after_beyond_the_deadline_ends_the_call_with_the_last_error() {
    let server =
        Server::start(|_| Some(Reply::error(429, "", "slow").with("retry-after", "3600"))).await;
    let workspace = server.workspace();
    let error = workspace.collection(&POOLS).await.unwrap_err();
    let Error::DeadlineExceeded {
        last: Some(last), ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(
        last.refusal().unwrap().retry_after,
        Some(Duration::from_secs(3600))
    );
    assert_eq!(
        (error.name(), error.cause()),
        ("DeadlineExceeded", Cause::Throttled)
    );
    assert_eq!(
        server.seen().len(),
        1,
        "it must not ask again before the platform wants it"
    );
}

#[tokio::test]
async fn throttled_class_does_not_stall_another() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/api/2.0/instance-pools/list" => {
            Some(Reply::error(429, "", "slow").with("retry-after", "3600"))
        }
        _ => Some(Reply::ok(json!({}))),
    })
    .await;
    let timeouts = Timeouts {
        connect: Duration::from_millis(500),
        call: Duration::from_millis(500),
        total: Duration::from_millis(500),
    };
    let workspace = Workspace::connect(Settings {
        timeouts,
        ..server.settings()
    })
    .unwrap();
    workspace.collection(&POOLS).await.unwrap_err();
    workspace.collection(&CLUSTERS).await.unwrap();
}

#[tokio::test]
async fn total_time_limits_the_attempts() {
    let server = Server::start(|_| Some(Reply::Silence)).await;
    let timeouts = Timeouts {
        connect: Duration::from_millis(100),
        call: Duration::from_millis(100),
        total: Duration::from_millis(600),
    };
    let workspace = Workspace::connect(Settings {
        timeouts,
        ..server.settings()
    })
    .unwrap();
    let error = workspace.collection(&POOLS).await.unwrap_err();
    assert_eq!(
        (error.name(), error.cause(), error.is_unreachable()),
        ("DeadlineExceeded", Cause::ReadTimeout, true)
    );
}
