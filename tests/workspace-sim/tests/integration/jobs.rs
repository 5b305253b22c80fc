use serde_json::{Value, json};

use crate::support::{Site, every_minute, job, options};

#[tokio::test]
async fn listings_are_paged_and_limits_enforced() {
    let jobs: Vec<Value> = (1..=250).map(|id| job(id, json!({}))).collect();
    let site = Site::start(json!({"jobs": jobs})).await;
    let mut path = "/api/2.2/jobs/list?limit=100".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = site.get(&path).await;
        for item in page["jobs"].as_array().unwrap() {
            assert!(item["settings"].get("tasks").is_none());
            seen.push(item["job_id"].as_i64().unwrap());
        }
        let Some(token) = page["next_page_token"].as_str() else {
            break;
        };
        path = format!("/api/2.2/jobs/list?limit=100&page_token={token}");
    }
    assert_eq!(seen, (1..=250).collect::<Vec<i64>>());
    assert_eq!(
        site.get("/api/2.2/jobs/list").await["jobs"]
            .as_array()
            .unwrap()
            .len(),
        20
    );
    let named = site
        .get("/api/2.2/jobs/list?name=JOB%207&expand_tasks=true")
        .await;
    assert_eq!(named["jobs"][0]["settings"]["tasks"][0]["task_key"], "main");
    assert_eq!(named["jobs"].as_array().unwrap().len(), 1);
    assert!(
        site.get("/api/2.2/jobs/list?name=nobody")
            .await
            .get("jobs")
            .is_none()
    );
    for refused in [
        "jobs/list?limit=101",
        "jobs/list?limit=0",
        "jobs/runs/list?limit=25",
        "jobs/get?job_id=999",
    ] {
        let (status, body) = site
            .call("GET", &format!("/api/2.2/{refused}"), Value::Null)
            .await;
        assert_eq!(
            (status, &body["error_code"]),
            (400, &json!("INVALID_PARAMETER_VALUE")),
            "{refused}"
        );
    }
    let (status, body) = site
        .call("GET", "/api/2.0/pipelines?max_results=101", Value::Null)
        .await;
    assert_eq!(status, 400, "{body}");
}

#[tokio::test]
async fn long_arrays_of_a_job_are_paged() {
    let tasks: Vec<Value> = (0..230)
        .map(|n| json!({"task_key": format!("t{n}")}))
        .collect();
    let parameters = json!([{"name": "p", "default": "1"}]);
    let site =
        Site::start(json!({"jobs": [job(5, json!({"tasks": tasks, "parameters": parameters}))]}))
            .await;
    let mut path = "/api/2.2/jobs/get?job_id=5".to_owned();
    let (mut found, mut sizes) = (0, Vec::new());
    loop {
        let page = site.get(&path).await;
        found += page["settings"]["tasks"].as_array().unwrap().len();
        sizes.push(page["settings"]["parameters"].as_array().unwrap().len());
        let Some(token) = page["next_page_token"].as_str() else {
            break;
        };
        path = format!("/api/2.2/jobs/get?job_id=5&page_token={token}");
    }
    assert_eq!((found, sizes), (230, vec![1, 0, 0]));
}

#[tokio::test]
async fn an_update_replaces_fields_whole_and_keeps_the_rest() {
    let mut settings = every_minute("PAUSED");
    settings["schedule"]["sql_condition"] = json!({"sql_query_id": "q", "warehouse_id": "w"});
    settings["from_the_future"] = json!({"kept": [1, 2]});
    let site = Site::start(json!({"jobs": [job(5, settings)]})).await;
    let update = "/api/2.2/jobs/update";
    let new = json!({"job_id": 5, "new_settings": every_minute("PAUSED"), "fields_to_remove": ["max_concurrent_runs"]});
    assert_eq!(site.post(update, new).await, json!({}));
    let after = site.get("/api/2.2/jobs/get?job_id=5").await["settings"].clone();
    assert!(after["schedule"].get("sql_condition").is_none());
    assert!(after.get("max_concurrent_runs").is_none());
    assert_eq!(after["from_the_future"], json!({"kept": [1, 2]}));
    let refused = [
        json!({"schedule": {"pause_status": "PAUSED"}}),
        json!({"trigger": {"pause_status": "PAUSED"}}),
        json!({"trigger": {"periodic": {"interval": 1}}}),
        json!({"continuous": {"pause_status": "MAYBE"}}),
        json!({"continuous": {}, "triggers": []}),
        json!({"max_concurrent_runs": 1001}),
    ];
    for new in refused {
        let (status, body) = site
            .call("POST", update, json!({"job_id": 5, "new_settings": new}))
            .await;
        assert_eq!(status, 400, "{new}: {body}");
    }
    assert_eq!(
        site.get("/api/2.2/jobs/get?job_id=5").await["settings"],
        after
    );
    let created = site
        .post("/api/2.2/jobs/create", json!({"name": "new"}))
        .await["job_id"]
        .clone();
    site.post(
        "/api/2.2/jobs/reset",
        json!({"job_id": created, "new_settings": {"name": "other"}}),
    )
    .await;
    let job = site
        .get(&format!("/api/2.2/jobs/get?job_id={created}"))
        .await;
    assert_eq!(
        (
            &job["settings"]["name"],
            &job["settings"]["max_concurrent_runs"]
        ),
        (&json!("other"), &json!(1))
    );
    site.post("/api/2.2/jobs/delete", json!({"job_id": created}))
        .await;
    assert_eq!(
        site.call("POST", "/api/2.2/jobs/delete", json!({"job_id": created}))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn one_idempotency_token_is_one_run() {
    let site = Site::start(json!({"jobs": [job(5, json!({"max_concurrent_runs": 5}))]})).await;
    let call = json!({"job_id": 5, "idempotency_token": "once"});
    let first = site.post("/api/2.2/jobs/run-now", call.clone()).await;
    assert_eq!(site.post("/api/2.2/jobs/run-now", call).await, first);
    let other = site
        .post("/api/2.2/jobs/run-now", json!({"job_id": 5}))
        .await;
    assert_ne!(other["run_id"], first["run_id"]);
    assert_eq!(other["number_in_job"], 2);
    assert_eq!(site.events("run_started").await.len(), 2);
    let path = format!("/api/2.2/jobs/runs/get?run_id={}", first["run_id"]);
    let ended = site
        .until(&path, |run| run["status"]["state"] == "TERMINATED")
        .await;
    assert_eq!(ended["state"]["result_state"], "SUCCESS");
    assert_eq!(ended["tasks"][0]["task_key"], "main");
    let long = "x".repeat(65);
    let (status, _) = site
        .call(
            "POST",
            "/api/2.2/jobs/run-now",
            json!({"job_id": 5, "idempotency_token": long}),
        )
        .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_limit_of_a_job_queues_or_skips() {
    let queue = json!({"queue": {"enabled": true}});
    let mut options =
        options(json!({"jobs": [job(5, queue), job(6, json!({"max_concurrent_runs": 0}))]}));
    options.delays.run_duration = 1e6;
    let site = Site::with(options).await;
    let run = async |id: i64| {
        site.post("/api/2.2/jobs/run-now", json!({"job_id": id}))
            .await["run_id"]
            .clone()
    };
    let state = async |run: &Value| {
        site.get(&format!("/api/2.2/jobs/runs/get?run_id={run}"))
            .await
    };
    let (first, second, skipped) = (run(5).await, run(5).await, run(6).await);
    assert_eq!(
        state(&second).await["status"]["queue_details"]["code"],
        "MAX_CONCURRENT_RUNS_REACHED"
    );
    assert_eq!(
        state(&skipped).await["state"]["life_cycle_state"],
        "SKIPPED"
    );
    let active = site
        .get("/api/2.2/jobs/runs/list?active_only=true&limit=0")
        .await;
    assert_eq!(active["runs"].as_array().unwrap().len(), 2);
    assert_eq!(active["runs"][0]["run_id"], second, "newest first");
    site.post("/api/2.2/jobs/runs/cancel", json!({"run_id": first}))
        .await;
    assert_eq!(state(&first).await["status"]["state"], "TERMINATING");
    let path = |run: &Value| format!("/api/2.2/jobs/runs/get?run_id={run}");
    let ended = site
        .until(&path(&first), |run| run["status"]["state"] == "TERMINATED")
        .await;
    assert_eq!(ended["state"]["result_state"], "CANCELED");
    site.until(&path(&second), |run| run["status"]["state"] == "RUNNING")
        .await;
    let third = run(5).await;
    site.post(
        "/api/2.2/jobs/runs/cancel-all",
        json!({"all_queued_runs": true}),
    )
    .await;
    site.until(&path(&third), |run| run["status"]["state"] == "TERMINATED")
        .await;
    assert_eq!(state(&second).await["status"]["state"], "RUNNING");
    site.post("/api/2.2/jobs/runs/cancel-all", json!({"job_id": 5}))
        .await;
    site.until("/api/2.2/jobs/runs/list?active_only=true", |list| {
        list.get("runs").is_none()
    })
    .await;
    let started = site.events("run_started").await;
    assert!(
        started
            .iter()
            .all(|e| e["run_id"] != third && e["run_id"] != skipped),
        "{started:?}"
    );
}

#[tokio::test]
async fn submitted_runs_belong_to_no_job() {
    let site = Site::start(json!({})).await;
    let body = json!({"run_name": "once", "idempotency_token": "t", "tasks": [{"task_key": "a"}]});
    let run = site.post("/api/2.2/jobs/runs/submit", body.clone()).await;
    assert_eq!(site.post("/api/2.2/jobs/runs/submit", body).await, run);
    let listed = site
        .get("/api/2.2/jobs/runs/list?run_type=SUBMIT_RUN")
        .await;
    assert_eq!(listed["runs"][0]["run_id"], run["run_id"]);
    assert!(listed["runs"][0].get("job_id").is_none());
}
