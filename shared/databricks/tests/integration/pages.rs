//! Listings and merged objects.

use databricks::{Error, JobId, RunId, RunsFilter};
use serde_json::{Value, json};

use crate::server::{CLUSTERS, EXPANDED_JOBS, PIPELINES, POOLS, Reply, Server, WAREHOUSES};

#[tokio::test]
async fn listing_goes_on_to_the_end_over_empty_pages() {
    let server = Server::start(|seen| {
        let page = match seen.query.get("page_token").map(String::as_str) {
            None => json!({ "jobs": [{ "job_id": 1, "unknown": { "kept": true } }], "next_page_token": "a" }),
            Some("a") => json!({ "next_page_token": "b" }),
            Some("b") => json!({ "jobs": [{ "job_id": 2 }], "next_page_token": "", "has_more": true }),
            Some(_) => return None,
        };
        (seen.path == "/api/2.2/jobs/list").then(|| Reply::ok(page))
    })
    .await;
    let jobs = server.workspace().collection(&EXPANDED_JOBS).await.unwrap();
    assert_eq!(
        Value::from(jobs),
        json!([{ "job_id": 1, "unknown": { "kept": true } }, { "job_id": 2 }])
    );
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(
        seen.iter()
            .all(|seen| seen.query["limit"] == "100" && seen.query["expand_tasks"] == "true")
    );
    assert!(
        seen[0].user_agent.starts_with("databricks-dr/"),
        "{}",
        seen[0].user_agent
    );
}

#[tokio::test]
async fn every_listing_asks_with_its_own_limit() {
    let server = Server::start(|seen| (seen.method == "GET").then(|| Reply::ok(json!({})))).await;
    let workspace = server.workspace();
    let filter = RunsFilter {
        active_only: true,
        job_id: Some(JobId(7)),
        start_time_from: Some("2026-01-01T00:00:00Z".parse().unwrap()),
    };
    assert!(workspace.list_runs(filter).await.unwrap().is_empty());
    assert!(workspace.collection(&CLUSTERS).await.unwrap().is_empty());
    assert!(workspace.collection(&POOLS).await.unwrap().is_empty());
    assert!(workspace.collection(&WAREHOUSES).await.unwrap().is_empty());
    assert!(workspace.collection(&PIPELINES).await.unwrap().is_empty());
    let asked: Vec<(String, Vec<(String, String)>)> = server
        .seen()
        .into_iter()
        .map(|seen| {
            let mut query: Vec<_> = seen.query.into_iter().collect();
            query.sort();
            (seen.path, query)
        })
        .collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        asked,
        [
            (
                "/api/2.2/jobs/runs/list".to_owned(),
                vec![
                    pair("active_only", "true"),
                    pair("job_id", "7"),
                    pair("limit", "24"),
                    pair("start_time_from", "1767225600000")
                ]
            ),
            (
                "/api/2.1/clusters/list".to_owned(),
                vec![pair("page_size", "100")]
            ),
            ("/api/2.0/instance-pools/list".to_owned(), vec![]),
            (
                "/api/2.0/sql/warehouses".to_owned(),
                vec![pair("page_size", "100")]
            ),
            (
                "/api/2.0/pipelines".to_owned(),
                vec![pair("max_results", "100")]
            ),
        ]
    );
}

#[tokio::test]
async fn a_page_token_that_comes_back_is_an_endless_listing() {
    let server = Server::start(|_| {
        Some(Reply::ok(
            json!({ "clusters": [{}], "next_page_token": "again" }),
        ))
    })
    .await;
    let error = server.workspace().collection(&CLUSTERS).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::EndlessPaging {
                pages: 2,
                objects: 2,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_list_of_something_else_is_unexpected() {
    let server = Server::start(|_| Some(Reply::ok(json!({ "clusters": [1] })))).await;
    assert_eq!(
        server
            .workspace()
            .collection(&CLUSTERS)
            .await
            .unwrap_err()
            .name(),
        "UnexpectedAnswer"
    );
}

#[tokio::test]
async fn pages_of_a_job_are_merged() {
    let server = Server::start(|seen| {
        Some(Reply::ok(match seen.query.get("page_token").map(String::as_str) {
            None => json!({
                "job_id": 5, "next_page_token": "2", "has_more": true,
                "settings": { "name": "n", "tasks": [{"task_key": "a"}], "parameters": [{"name": "p"}],
                    "schedule": { "sql_condition": { "unknown": 1 } }, "triggers": [{}] }
            }),
            Some("2") => json!({
                "job_id": 5, "next_page_token": "3",
                "settings": { "name": "n", "tasks": [{"task_key": "b"}], "job_clusters": [{"job_cluster_key": "c"}], "triggers": [{}] }
            }),
            Some(_) => json!({ "job_id": 5, "settings": { "tasks": [{"task_key": "d"}], "parameters": [] } }),
        }))
    })
    .await;
    let job = server.workspace().get_job(JobId(5)).await.unwrap();
    assert_eq!(
        Value::from(job),
        json!({
            "job_id": 5,
            "settings": { "name": "n", "tasks": [{"task_key": "a"}, {"task_key": "b"}, {"task_key": "d"}],
                "parameters": [{"name": "p"}], "job_clusters": [{"job_cluster_key": "c"}],
                "schedule": { "sql_condition": { "unknown": 1 } }, "triggers": [{}] }
        })
    );
    assert!(server.seen().iter().all(|seen| seen.query["job_id"] == "5"));
}

#[tokio::test]
async fn pages_of_a_for_each_run_bring_iterations_only() {
    let server = Server::start(|seen| {
        Some(Reply::ok(match seen.query.get("page_token") {
            None => json!({ "run_id": 5, "tasks": [{"task_key": "t"}], "iterations": [{"run_id": 6}], "next_page_token": "2" }),
            Some(_) => json!({ "run_id": 5, "tasks": [{"task_key": "t"}], "iterations": [{"run_id": 7}] }),
        }))
    })
    .await;
    let run = server.workspace().get_run(RunId(5)).await.unwrap();
    assert_eq!(
        Value::from(run),
        json!({ "run_id": 5, "tasks": [{"task_key": "t"}], "iterations": [{"run_id": 6}, {"run_id": 7}] })
    );
}
