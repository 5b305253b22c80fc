use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use workspace_sim::Inventory;

use crate::support::{Site, options};

/// A file of the folder shared by the projects around this repository, if it is there.
fn shared(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(file);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not here", path.display());
    None
}

/// Every read there is, and writes which leave the workspace working.
async fn tour(site: &Site) {
    for path in [
        "/oidc/.well-known/oauth-authorization-server",
        "/api/2.0/preview/scim/v2/Me",
        "/api/2.1/clusters/spark-versions",
        "/api/2.1/clusters/list-node-types",
        "/api/2.2/jobs/list?limit=100&expand_tasks=true",
        "/api/2.2/jobs/list?limit=3",
        "/api/2.2/jobs/runs/list?active_only=true&limit=0&expand_tasks=true",
        "/api/2.1/clusters/list?filter_by.cluster_states=RUNNING&filter_by.cluster_states=PENDING",
        "/api/2.0/instance-pools/list",
        "/api/2.0/sql/warehouses",
        "/api/2.0/pipelines?max_results=100",
        "/api/2.0/apps",
        "/api/2.0/alerts",
        "/api/2.0/lakeview/dashboards",
        "/api/2.0/serving-endpoints",
    ] {
        site.get(path).await;
    }
    let document = site.get("/__sim/inventory").await;
    let each = |kind: &str, id: &str| -> Vec<String> {
        let items = document[kind].as_array().unwrap().iter();
        items
            .map(|item| {
                item[id]
                    .as_str()
                    .map_or_else(|| item[id].to_string(), str::to_owned)
            })
            .collect()
    };
    for id in each("jobs", "job_id") {
        let job = site.get(&format!("/api/2.2/jobs/get?job_id={id}")).await;
        site.get(&format!("/api/2.0/permissions/jobs/{id}")).await;
        let number = job["job_id"].clone();
        for place in ["schedule", "trigger", "continuous"] {
            if let Some(raw) = job["settings"].get(place) {
                let mut raw = raw.clone();
                raw["pause_status"] = "PAUSED".into();
                let update = json!({"job_id": number, "new_settings": {place: raw}});
                site.post("/api/2.2/jobs/update", update).await;
            }
        }
        let run = site
            .post(
                "/api/2.2/jobs/run-now",
                json!({"job_id": number, "idempotency_token": id}),
            )
            .await;
        site.get(&format!("/api/2.2/jobs/runs/get?run_id={}", run["run_id"]))
            .await;
        site.post(
            "/api/2.2/jobs/runs/cancel",
            json!({"run_id": run["run_id"]}),
        )
        .await;
    }
    let (first, tasks) = (&document["jobs"][0], json!([{"task_key": "a"}]));
    site.post(
        "/api/2.2/jobs/reset",
        json!({"job_id": first["job_id"], "new_settings": first["settings"]}),
    )
    .await;
    site.post(
        "/api/2.2/jobs/runs/submit",
        json!({"run_name": "s", "tasks": tasks}),
    )
    .await;
    let created = site
        .post("/api/2.2/jobs/create", json!({"name": "c", "tasks": tasks}))
        .await;
    site.post("/api/2.2/jobs/delete", created).await;
    site.post(
        "/api/2.2/jobs/runs/cancel-all",
        json!({"all_queued_runs": true}),
    )
    .await;
    for id in each("runs", "run_id") {
        site.get(&format!("/api/2.2/jobs/runs/get?run_id={id}"))
            .await;
    }
    for id in each("clusters", "cluster_id") {
        let body = json!({"cluster_id": id});
        site.post("/api/2.1/clusters/delete", body.clone()).await;
        let get = format!("/api/2.1/clusters/get?cluster_id={id}");
        site.until(&get, |c| c["state"] == "TERMINATED").await;
        site.post("/api/2.1/clusters/start", body.clone()).await;
        site.post("/api/2.1/clusters/events", body).await;
        site.get(&format!("/api/2.0/permissions/clusters/{id}"))
            .await;
    }
    let made = site
        .post(
            "/api/2.1/clusters/create",
            json!({"spark_version": "15", "cluster_name": "n"}),
        )
        .await;
    site.get(&format!(
        "/api/2.1/clusters/get?cluster_id={}",
        made["cluster_id"].as_str().unwrap()
    ))
    .await;
    site.post("/api/2.1/clusters/permanent-delete", made).await;
    let pool =
        json!({"instance_pool_name": "p", "node_type_id": "i3.xlarge", "min_idle_instances": 2});
    let pool = site.post("/api/2.0/instance-pools/create", pool).await["instance_pool_id"].clone();
    site.get(&format!(
        "/api/2.0/instance-pools/get?instance_pool_id={}",
        pool.as_str().unwrap()
    ))
    .await;
    let edit =
        json!({"instance_pool_id": pool, "instance_pool_name": "p", "node_type_id": "i3.xlarge"});
    site.post("/api/2.0/instance-pools/edit", edit).await;
    site.post(
        "/api/2.0/instance-pools/delete",
        json!({"instance_pool_id": pool}),
    )
    .await;
    for id in each("warehouses", "id") {
        let base = format!("/api/2.0/sql/warehouses/{id}");
        site.post(&format!("{base}/start"), Value::Null).await;
        let select = json!({"statement": "SELECT 1", "warehouse_id": id, "wait_timeout": "50s"});
        let done = site.post("/api/2.0/sql/statements", select).await;
        let statement = format!(
            "/api/2.0/sql/statements/{}",
            done["statement_id"].as_str().unwrap()
        );
        site.get(&statement).await;
        site.post(&format!("{statement}/cancel"), Value::Null).await;
        site.post(
            "/__sim/statements",
            json!({"statement": "SELECT x", "failure": "no"}),
        )
        .await;
        let failing = json!({"statement": "SELECT x", "warehouse_id": id, "wait_timeout": "50s"});
        assert_eq!(
            site.post("/api/2.0/sql/statements", failing).await["status"]["state"],
            "FAILED"
        );
        site.post(&format!("{base}/edit"), json!({"auto_stop_mins": 15}))
            .await;
        site.post(&format!("{base}/stop"), Value::Null).await;
        site.get(&base).await;
        site.get(&format!("/api/2.0/permissions/warehouses/{id}"))
            .await;
    }
    for id in each("pipelines", "pipeline_id") {
        let base = format!("/api/2.0/pipelines/{id}");
        let update = site.post(&format!("{base}/updates"), json!({})).await["update_id"].clone();
        site.get(&format!("{base}/updates/{}", update.as_str().unwrap()))
            .await;
        site.get(&format!("{base}/updates")).await;
        site.post(&format!("{base}/stop"), Value::Null).await;
        let pipeline = site.get(&base).await;
        let (status, body) = site.call("PUT", &base, pipeline["spec"].clone()).await;
        assert_eq!(status, 200, "{body}");
    }
    for name in each("apps", "name") {
        for call in ["stop", "start"] {
            site.post(&format!("/api/2.0/apps/{name}/{call}"), json!({}))
                .await;
        }
        site.get(&format!("/api/2.0/apps/{name}")).await;
    }
    for id in each("alerts", "id") {
        let path = format!("/api/2.0/alerts/{id}?update_mask=schedule.pause_status");
        let (_, alert) = site
            .call(
                "PATCH",
                &path,
                json!({"schedule": {"pause_status": "UNPAUSED"}}),
            )
            .await;
        assert_eq!(alert["schedule"]["pause_status"], "UNPAUSED");
        assert!(alert["schedule"]["quartz_cron_schedule"].is_string());
    }
    for id in each("dashboards", "dashboard_id") {
        let base = format!("/api/2.0/lakeview/dashboards/{id}");
        site.get(&base).await;
        let schedules = site.get(&format!("{base}/schedules")).await;
        for schedule in schedules["schedules"].as_array().unwrap() {
            let path = format!(
                "{base}/schedules/{}",
                schedule["schedule_id"].as_str().unwrap()
            );
            let mut body =
                json!({"cron_schedule": schedule["cron_schedule"], "pause_status": "PAUSED"});
            assert_eq!(site.call("PUT", &path, body.clone()).await.0, 400);
            body["etag"] = schedule["etag"].clone();
            let (status, changed) = site.call("PUT", &path, body.clone()).await;
            assert_eq!((status, &changed["pause_status"]), (200, &json!("PAUSED")));
            assert_eq!(site.call("PUT", &path, body).await.0, 409);
            site.get(&path).await;
        }
    }
}

fn judge(log: &Path) {
    let Some(checker) = shared("tools/databricks-api/check_requests.py") else {
        return;
    };
    let model = checker.with_file_name("model.nodocs.json");
    let output = Command::new("python3")
        .arg(&checker)
        .arg("--model")
        .arg(model)
        .arg("--quiet")
        .arg(log)
        .output();
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[tokio::test]
async fn every_exchange_is_one_the_official_client_knows() {
    let Some(file) = shared("data/workspaces/bundle-examples.json") else {
        return;
    };
    let inventory = Inventory::load(file).unwrap();
    assert!(inventory.items("jobs").count() > 0);
    let standby = inventory.standby("dr");
    let directory = tempfile::tempdir().unwrap();
    for (name, inventory) in [("active", inventory), ("standby", standby)] {
        let log = directory.path().join(name);
        let mut options = options(json!({}));
        options.inventory = inventory;
        options.record = Some(log.clone());
        options.time_scale = 1000.0;
        let site = Site::with(options).await;
        tour(&site).await;
        site.sim.stop().await;
        judge(&log);
    }
}

#[tokio::test]
async fn secrets_and_control_calls_are_not_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut options = options(json!({}));
    options.record = Some(log.clone());
    let site = Site::with(options).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_secret", "sim-secret"),
    ];
    let url = format!("{}/oidc/v1/token", site.sim.url());
    let request = site
        .http
        .post(url)
        .basic_auth("sim-client", Some("sim-secret"))
        .form(&form);
    let token: Value = request.send().await.unwrap().json().await.unwrap();
    site.get("/api/2.2/jobs/list?limit=5").await;
    site.get("/__sim/events").await;
    site.sim.stop().await;
    let text = std::fs::read_to_string(log).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["body"]["grant_type"], "client_credentials");
    assert_eq!(
        (&lines[1]["query"]["limit"], &lines[1]["status"]),
        (&json!("5"), &json!(200))
    );
    for secret in [
        "sim-secret",
        "sim-token",
        token["access_token"].as_str().unwrap(),
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
}
