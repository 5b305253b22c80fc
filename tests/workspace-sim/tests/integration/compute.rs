use serde_json::{Value, json};

use crate::support::Site;

#[tokio::test]
async fn starting_is_refused_unless_terminated_and_stopping_takes_time() {
    let clusters: Vec<Value> = (0..3)
        .map(|n| {
            json!({"cluster_id": format!("c{n}"), "cluster_name": "c", "cluster_source": "API",
            "state": if n == 0 { "RUNNING" } else { "TERMINATED" }, "spark_version": "15"})
        })
        .collect();
    let site = Site::start(json!({"clusters": clusters})).await;
    let id = json!({"cluster_id": "c0"});
    let (status, body) = site
        .call("POST", "/api/2.1/clusters/start", id.clone())
        .await;
    assert_eq!(
        (status, &body["error_code"]),
        (400, &json!("INVALID_STATE"))
    );
    assert_eq!(
        body["message"],
        "Cluster c0 is in unexpected state Running."
    );
    site.post("/api/2.1/clusters/delete", id.clone()).await;
    let get = "/api/2.1/clusters/get?cluster_id=c0";
    assert_eq!(site.get(get).await["state"], "TERMINATING");
    site.post("/api/2.1/clusters/delete", id.clone()).await;
    site.until(get, |c| c["state"] == "TERMINATED").await;
    site.post("/api/2.1/clusters/start", id.clone()).await;
    assert_eq!(site.get(get).await["state"], "PENDING");
    assert_eq!(
        site.call("POST", "/api/2.1/clusters/start", id.clone())
            .await
            .0,
        400
    );
    site.until(get, |c| c["state"] == "RUNNING").await;
    let page = site.get("/api/2.1/clusters/list?page_size=2").await;
    assert_eq!(page["clusters"].as_array().unwrap().len(), 2);
    let token = page["next_page_token"].as_str().unwrap();
    let rest = site
        .get(&format!(
            "/api/2.1/clusters/list?page_size=2&page_token={token}"
        ))
        .await;
    assert_eq!(rest["next_page_token"], "");
    let running = site
        .get("/api/2.1/clusters/list?filter_by.cluster_states=RUNNING")
        .await;
    assert_eq!(running["clusters"].as_array().unwrap().len(), 1);
    let edit = json!({"cluster_id": "c0", "spark_version": "16", "num_workers": 3});
    site.post("/api/2.1/clusters/edit", edit.clone()).await;
    assert_eq!(site.get(get).await["state"], "RESTARTING");
    assert_eq!(
        site.call("POST", "/api/2.1/clusters/edit", edit).await.0,
        400
    );
    let events = site
        .post(
            "/api/2.1/clusters/events",
            json!({"cluster_id": "c0", "order": "ASC"}),
        )
        .await;
    assert_eq!(events["events"][0]["type"], "TERMINATING");
    assert_eq!(
        site.call("GET", "/api/2.1/clusters/get?cluster_id=no", Value::Null)
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn an_edited_pool_loses_what_is_left_out() {
    let pool = json!({"instance_pool_id": "p", "instance_pool_name": "pool", "node_type_id": "i3.xlarge",
        "min_idle_instances": 5, "max_capacity": 9, "custom_tags": {"a": "b"}});
    let site = Site::start(json!({"instance_pools": [pool]})).await;
    let listed = site.get("/api/2.0/instance-pools/list").await;
    assert_eq!(listed["instance_pools"][0]["stats"]["idle_count"], 5);
    let edit = json!({"instance_pool_id": "p", "instance_pool_name": "pool", "node_type_id": "i3.xlarge",
        "min_idle_instances": 0});
    site.post("/api/2.0/instance-pools/edit", edit).await;
    let get = "/api/2.0/instance-pools/get?instance_pool_id=p";
    let pool = site.until(get, |p| p["stats"]["idle_count"] == 0).await;
    assert!(pool.get("max_capacity").is_none() && pool.get("custom_tags").is_none());
    assert_eq!(
        site.events("pool_min_idle").await[0]["min_idle_instances"],
        0
    );
    assert_eq!(
        site.call(
            "POST",
            "/api/2.0/instance-pools/edit",
            json!({"instance_pool_id": "p"})
        )
        .await
        .0,
        400
    );
}

#[tokio::test]
async fn a_statement_wakes_a_stopped_warehouse() {
    let warehouse = json!({"id": "w", "name": "wh", "state": "RUNNING", "min_num_clusters": 1});
    let site = Site::start(json!({"warehouses": [warehouse]})).await;
    let get = "/api/2.0/sql/warehouses/w";
    assert_eq!(
        site.post("/api/2.0/sql/warehouses/w/stop", Value::Null)
            .await,
        json!({})
    );
    assert_eq!(site.get(get).await["state"], "STOPPING");
    site.until(get, |w| w["state"] == "STOPPED").await;
    let statement = json!({"statement": "SELECT 1", "warehouse_id": "w", "wait_timeout": "0s"});
    let answer = site.post("/api/2.0/sql/statements", statement).await;
    assert_eq!(answer["status"]["state"], "PENDING");
    assert_eq!(site.get(get).await["state"], "STARTING");
    let path = format!(
        "/api/2.0/sql/statements/{}",
        answer["statement_id"].as_str().unwrap()
    );
    let done = site
        .until(&path, |s| s["status"]["state"] == "SUCCEEDED")
        .await;
    assert_eq!(done["result"]["data_array"], json!([["1"]]));
    assert_eq!(site.get(get).await["state"], "RUNNING");
}

#[tokio::test]
async fn statements_answer_what_they_are_told_to() {
    let site = Site::start(json!({"warehouses": [{"id": "w", "state": "RUNNING"}]})).await;
    let tell = async |body: Value| site.post("/__sim/statements", body).await;
    tell(json!({"statement": "SELECT count(*) FROM t", "value": 42})).await;
    tell(json!({"statement": "SELECT a, b FROM t", "value": [[1, "x"], [2, null]]})).await;
    tell(json!({"statement": "SELECT broken", "failure": "no such table"})).await;
    let run = async |text: &str| {
        let body = json!({"statement": text, "warehouse_id": "w", "wait_timeout": "30s", "on_wait_timeout": "CANCEL"});
        site.post("/api/2.0/sql/statements", body).await
    };
    assert_eq!(
        run("SELECT count(*) FROM t").await["result"]["data_array"],
        json!([["42"]])
    );
    assert_eq!(
        run("SELECT a, b FROM t").await["result"]["data_array"],
        json!([["1", "x"], ["2", null]])
    );
    assert_eq!(
        run("select 'it''s';").await["result"]["data_array"],
        json!([["it's"]])
    );
    let nothing = run("DROP TABLE t").await;
    assert_eq!(
        (&nothing["status"]["state"], &nothing["result"]["row_count"]),
        (&json!("SUCCEEDED"), &json!(0))
    );
    let failed = run("SELECT broken").await;
    assert_eq!(
        (
            &failed["status"]["state"],
            &failed["status"]["error"]["message"]
        ),
        (&json!("FAILED"), &json!("no such table"))
    );
    let bad = json!({"statement": "SELECT 1", "warehouse_id": "w", "wait_timeout": "3s"});
    assert_eq!(
        site.call("POST", "/api/2.0/sql/statements", bad).await.0,
        400
    );
}

#[tokio::test]
async fn a_pipeline_stops_in_its_own_time() {
    let pipelines = json!([
        {"pipeline_id": "c", "name": "continuous", "state": "RUNNING", "spec": {"continuous": true}},
        {"pipeline_id": "t", "name": "triggered", "state": "IDLE", "spec": {}}]);
    let site = Site::start(json!({"pipelines": pipelines})).await;
    let get = "/api/2.0/pipelines/c";
    assert_eq!(site.get(get).await["latest_updates"][0]["state"], "RUNNING");
    assert_eq!(
        site.call("POST", "/api/2.0/pipelines/c/updates", json!({}))
            .await
            .0,
        409
    );
    site.post("/api/2.0/pipelines/c/stop", json!({})).await;
    assert_eq!(site.get(get).await["state"], "STOPPING");
    let idle = site.until(get, |p| p["state"] == "IDLE").await;
    assert_eq!(idle["latest_updates"][0]["state"], "CANCELED");
    site.post("/api/2.0/pipelines/c/stop", json!({})).await;
    let update = site.post("/api/2.0/pipelines/t/updates", json!({})).await["update_id"].clone();
    let path = format!("/api/2.0/pipelines/t/updates/{}", update.as_str().unwrap());
    site.until(&path, |u| u["update"]["state"] == "COMPLETED")
        .await;
    let listed = site.get("/api/2.0/pipelines?max_results=100").await;
    assert!(
        listed["statuses"]
            .as_array()
            .unwrap()
            .iter()
            .all(|s| s.get("spec").is_none())
    );
    let spec = json!({"name": "renamed", "expected_last_modified": 1});
    assert_eq!(site.call("PUT", "/api/2.0/pipelines/t", spec).await.0, 409);
}

#[tokio::test]
async fn jobs_have_exactly_one_owner() {
    let site = Site::start(
        json!({"jobs": [crate::support::job(5, json!({}))], "warehouses": [{"id": "w"}]}),
    )
    .await;
    let path = "/api/2.0/permissions/jobs/5";
    assert_eq!(
        site.get(path).await["access_control_list"][0]["user_name"],
        "a@b.c"
    );
    let list = |entries: Value| json!({"access_control_list": entries});
    let viewer = json!({"group_name": "users", "permission_level": "CAN_VIEW"});
    let (status, _) = site.call("PUT", path, list(json!([viewer]))).await;
    assert_eq!(status, 400);
    let (status, body) = site.call("PATCH", path, list(json!([viewer]))).await;
    assert_eq!(status, 200, "{body}");
    let owner = json!({"service_principal_name": "sp", "permission_level": "IS_OWNER"});
    let (status, body) = site.call("PUT", path, list(json!([owner]))).await;
    assert_eq!(status, 200, "{body}");
    let text = body.to_string();
    assert!(
        text.contains("sp")
            && text.contains("admins")
            && !text.contains("a@b.c")
            && !text.contains("users")
    );
    site.get("/api/2.0/permissions/sql/warehouses/w").await;
    site.get("/api/2.0/permissions/warehouses/w").await;
    assert_eq!(
        site.call("GET", "/api/2.0/permissions/jobs/6", Value::Null)
            .await
            .0,
        404
    );
}
