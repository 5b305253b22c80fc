//! A small workspace with one of everything that a fence must think of.

use serde_json::{Value, json};

/// Live and paused things of every kind, an active run of each sort, an object that takes no part.
pub(crate) fn small() -> Value {
    let job = |id: i64, name: &str, settings: Value| {
        let mut all = json!({"name": name, "max_concurrent_runs": 1, "nobody_knows": {"x": [1]}});
        let all_of = all.as_object_mut().unwrap();
        all_of.extend(settings.as_object().unwrap().clone());
        json!({"job_id": id, "creator_user_name": "svc@example.com", "settings": all})
    };
    let cron = |status: &str| json!({"quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "UTC", "pause_status": status});
    json!({
        "jobs": [
            job(1, "nightly", json!({"schedule": cron("UNPAUSED")})),
            job(2, "nightly, paused by its owner", json!({"schedule": cron("PAUSED")})),
            job(3, "stream", json!({"continuous": {"pause_status": "UNPAUSED"}})),
            job(4, "stream, paused by its owner", json!({"continuous": {"pause_status": "PAUSED"}})),
            job(5, "on arrival", json!({"trigger": {"file_arrival": {"url": "s3://example-lake-us-east-1/in/"}, "pause_status": "UNPAUSED"}})),
            job(6, "at both sites on purpose", json!({"schedule": cron("UNPAUSED"), "tags": {"dr-mode": "active-active"}})),
            job(i64::MAX - 1, "largest id", json!({"schedule": cron("UNPAUSED"), "queue": {"enabled": true}})),
        ],
        "clusters": [
            {"cluster_id": "c-1", "cluster_name": "shared", "cluster_source": "UI", "state": "RUNNING", "spark_version": "15.4.x-scala2.12", "num_workers": 1},
            {"cluster_id": "c-2", "cluster_name": "idle", "cluster_source": "UI", "state": "TERMINATED", "spark_version": "15.4.x-scala2.12", "num_workers": 1},
        ],
        "warehouses": [
            {"id": "0123456789abcdef", "name": "bi", "state": "RUNNING", "cluster_size": "Small"},
            {"id": "0123456789abcdee", "name": "adhoc", "state": "STOPPED", "cluster_size": "Small"},
        ],
        "instance_pools": [
            {"instance_pool_id": "p-1", "instance_pool_name": "warm", "min_idle_instances": 2, "node_type_id": "m5.large", "max_capacity": 10, "idle_instance_autotermination_minutes": 15, "state": "ACTIVE"},
        ],
        "pipelines": [
            {"pipeline_id": "11111111-1111-1111-1111-111111111111", "name": "ingest", "state": "RUNNING", "spec": {"id": "11111111-1111-1111-1111-111111111111", "name": "ingest", "continuous": true}},
            {"pipeline_id": "22222222-2222-2222-2222-222222222222", "name": "batch", "state": "IDLE", "spec": {"id": "22222222-2222-2222-2222-222222222222", "name": "batch", "continuous": false}},
        ],
        "apps": [
            {"name": "board", "compute_status": {"state": "ACTIVE"}, "app_status": {"state": "RUNNING"}},
        ],
        "alerts": [
            {"id": "a-1", "display_name": "stock low", "schedule": {"quartz_cron_schedule": "0 0 * * * ?", "timezone_id": "UTC", "pause_status": "UNPAUSED"}},
            {"id": "a-2", "display_name": "paused", "schedule": {"quartz_cron_schedule": "0 0 * * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"}},
        ],
        "runs": [
            {"run_id": 900, "job_id": 1, "run_name": "nightly", "status": {"state": "RUNNING"}, "state": {"life_cycle_state": "RUNNING"}},
            {"run_id": 901, "run_name": "submitted once", "status": {"state": "RUNNING"}, "state": {"life_cycle_state": "RUNNING"}},
            {"run_id": 902, "job_id": i64::MAX - 1, "run_name": "largest id", "status": {"state": "QUEUED"}, "state": {"life_cycle_state": "QUEUED"}},
        ],
    })
}

/// The same estate as a standby: nothing of it fires or computes.
pub(crate) fn asleep() -> Value {
    let text = small().to_string();
    let text = text
        .replace("\"UNPAUSED\"", "\"PAUSED\"")
        .replace("\"min_idle_instances\":2", "\"min_idle_instances\":0");
    let mut all: Value = serde_json::from_str(&text).unwrap();
    let still = [
        ("clusters", "/state", "TERMINATED"),
        ("warehouses", "/state", "STOPPED"),
        ("pipelines", "/state", "IDLE"),
        ("apps", "/compute_status/state", "STOPPED"),
    ];
    for (kind, field, state) in still {
        for object in all[kind].as_array_mut().unwrap() {
            *object.pointer_mut(field).unwrap() = json!(state);
        }
    }
    all["runs"] = json!([]);
    all
}
