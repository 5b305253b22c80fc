use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Site, every_minute, job, options};

const LIST: &str = "/api/2.2/jobs/list";

async fn site_with(rule: Value) -> Site {
    let site = Site::start(json!({"jobs": [job(5, every_minute("PAUSED"))]})).await;
    site.post("/__sim/faults", rule).await;
    site
}

/// Whether a failed request ended in a reset connection.
fn reset(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(inner) = cause {
        if inner
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
        {
            return true;
        }
        cause = inner.source();
    }
    false
}

#[tokio::test]
async fn a_status_fault_answers_without_an_effect() {
    let rule = json!({"method": "POST", "path": "/api/2.2/jobs/*", "kind": "status", "status": 503, "times": 1,
        "headers": {"Retry-After": "7"}, "body": {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}});
    let site = site_with(rule).await;
    site.get(LIST).await;
    let response = site
        .request("POST", "/api/2.2/jobs/run-now")
        .json(&json!({"job_id": 5}))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["retry-after"]
        ),
        (503, &"7".parse().unwrap())
    );
    assert!(site.events("run_started").await.is_empty());
    site.post("/api/2.2/jobs/run-now", json!({"job_id": 5}))
        .await;
}

#[tokio::test]
async fn a_reset_has_no_effect_and_a_lost_answer_has() {
    for (kind, runs) in [("reset", 0), ("lost-answer", 1)] {
        let site =
            site_with(json!({"path": "/api/2.2/jobs/run-now", "kind": kind, "times": 1})).await;
        let error = site
            .request("POST", "/api/2.2/jobs/run-now")
            .json(&json!({"job_id": 5}))
            .send()
            .await
            .unwrap_err();
        assert!(reset(&error), "{error:?}");
        assert_eq!(site.events("run_started").await.len(), runs, "{kind}");
    }
}

#[tokio::test]
async fn an_effect_can_be_denied() {
    let rule =
        json!({"path": "/api/2.2/jobs/run-now", "kind": "effect-then-status", "status": 500});
    let site = site_with(rule).await;
    let (status, body) = site
        .call("POST", "/api/2.2/jobs/run-now", json!({"job_id": 5}))
        .await;
    assert_eq!(
        (status, &body["error_code"]),
        (500, &json!("INTERNAL_ERROR"))
    );
    assert_eq!(site.events("run_started").await.len(), 1);
    assert_eq!(site.get("/__sim/faults").await[0]["seen"], 1);
}

#[tokio::test]
async fn a_hanging_request_ends_when_the_rules_are_cleared() {
    let site = site_with(json!({"path": LIST, "kind": "hang", "after": 1})).await;
    site.get(LIST).await;
    let hung = tokio::spawn(site.request("GET", LIST).send());
    let deadline = Instant::now() + crate::support::PATIENCE;
    while site.get("/__sim/faults").await[0]["seen"] != 2 {
        assert!(Instant::now() < deadline);
    }
    assert!(!hung.is_finished());
    assert_eq!(
        site.call("DELETE", "/__sim/faults", Value::Null).await.0,
        200
    );
    assert!(hung.await.unwrap().is_err());
    site.get(LIST).await;
}

#[tokio::test]
async fn a_slow_request_is_answered_in_the_end() {
    let site = site_with(json!({"path": LIST, "kind": "slow", "ms": 1500})).await;
    let hasty = site
        .request("GET", LIST)
        .timeout(Duration::from_millis(50))
        .send()
        .await;
    assert!(hasty.unwrap_err().is_timeout());
    site.get(LIST).await;
}

#[tokio::test]
async fn the_first_read_after_a_write_can_be_stale() {
    let site =
        site_with(json!({"path": "/api/2.2/jobs/update", "kind": "stale-read", "times": 1})).await;
    let get = "/api/2.2/jobs/get?job_id=5";
    let before = site.get(get).await;
    let update = json!({"job_id": 5, "new_settings": {"max_concurrent_runs": 7}});
    site.post("/api/2.2/jobs/update", update).await;
    site.get("/api/2.1/clusters/list").await;
    assert_eq!(site.get(get).await, before);
    assert_eq!(site.get(get).await["settings"]["max_concurrent_runs"], 7);
}

#[tokio::test]
async fn rates_are_limited_and_only_some_answers_say_for_how_long() {
    let mut options = options(json!({}));
    options.rate_limits = true;
    let site = Site::with(options).await;
    let (mut refused, mut with_hint) = (0, 0);
    let deadline = Instant::now() + crate::support::PATIENCE;
    while refused < 4 {
        assert!(Instant::now() < deadline);
        let many: Vec<_> = (0..20)
            .map(|_| tokio::spawn(site.request("GET", "/api/2.1/clusters/list").send()))
            .collect();
        for one in many {
            let response = one.await.unwrap().unwrap();
            if response.status() == 429 {
                refused += 1;
                with_hint += usize::from(response.headers().contains_key("retry-after"));
                let body: Value = response.json().await.unwrap();
                let code = body["error_code"].as_str().unwrap();
                assert!(["RESOURCE_EXHAUSTED", "REQUEST_LIMIT_EXCEEDED"].contains(&code));
            }
        }
    }
    assert_eq!(with_hint, refused / 2);
}
