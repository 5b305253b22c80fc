//! Who may write, and what is sent.

use databricks::{
    ClusterId, Error, JobId, Object, PipelineId, PoolId, RunId, Settings, Start, Stop, WarehouseId,
    Workspace, WorkspaceId,
};
use serde_json::{Value, json};

use crate::server::{Reply, Server, WORKSPACE};

const ME: &str = "/api/2.0/preview/scim/v2/Me";

#[tokio::test]
async fn nobody_writes_to_the_wrong_workspace() {
    let server = Server::start(|_| None).await;
    let settings = Settings {
        workspace_id: WorkspaceId::new(1),
        ..server.settings()
    };
    let error = Workspace::connect(settings)
        .unwrap()
        .verified()
        .await
        .unwrap_err();
    let found = Some(WorkspaceId::new(WORKSPACE));
    assert!(
        matches!(&error, Error::WrongWorkspace { found: f, .. } if *f == found),
        "{error}"
    );

    for header in ["", "not-a-number", "0x10"] {
        let server = Server::start(move |_| {
            let me = Reply::ok(json!({ "userName": "u" }));
            Some(if header.is_empty() {
                me
            } else {
                me.with("x-databricks-org-id", header)
            })
        })
        .await;
        let error = server.workspace().verified().await.unwrap_err();
        assert!(
            matches!(error, Error::WrongWorkspace { found: None, .. }),
            "{error}"
        );
        assert_eq!(server.writes(), 0);
    }
    assert_eq!(server.writes(), 0);
}

#[tokio::test]
async fn verification_is_kept_and_its_failure_is_not() {
    let server =
        Server::start(|seen| (seen.nth == 0).then(|| Reply::error(403, "", "not yet"))).await;
    let workspace = server.workspace();
    assert_eq!(workspace.verified().await.unwrap_err().name(), "Forbidden");
    workspace.verified().await.unwrap();
    workspace.clone().verified().await.unwrap();
    assert_eq!(server.on(ME).len(), 2);
}

#[tokio::test]
async fn starting_what_is_up_is_a_success() {
    let server = Server::start(|seen| {
        let state = match seen.body["cluster_id"].as_str()? {
            "off" => return Some(Reply::ok(json!({}))),
            "gone" => {
                return Some(Reply::error(
                    400,
                    "INVALID_PARAMETER_VALUE",
                    "Cluster gone does not exist",
                ));
            }
            up => up,
        };
        Some(Reply::error(
            400,
            "INVALID_STATE",
            &format!("Cluster x is in unexpected state {state}."),
        ))
    })
    .await;
    let writer = server.workspace().verified().await.unwrap();
    let start = async |id: &str| writer.start_cluster(&ClusterId::from(id)).await;
    assert_eq!(start("off").await.unwrap(), Start::Requested);
    assert_eq!(start("Running").await.unwrap(), Start::AlreadyStarted);
    assert_eq!(start("Pending").await.unwrap(), Start::AlreadyStarted);
    let error = start("Terminating").await.unwrap_err();
    assert!(
        error.name() == "InvalidState" && error.is_transient(),
        "{error}"
    );
    assert!(start("gone").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn refused_warehouse_requests_are_judged_by_the_state() {
    let server = Server::start(|seen| {
        if seen.method == "POST" {
            return Some(Reply::error(
                if seen.path.contains("/a-") { 400 } else { 409 },
                "BAD_REQUEST",
                "no",
            ));
        }
        let state = if seen.path.contains("/a-") {
            "RUNNING"
        } else {
            "STOPPING"
        };
        seen.path
            .starts_with("/api/2.0/sql/warehouses/")
            .then(|| Reply::ok(json!({ "state": state })))
    })
    .await;
    let writer = server.workspace().verified().await.unwrap();
    let (running, stopping) = (WarehouseId::from("a-1"), WarehouseId::from("b-1"));
    assert_eq!(
        writer.start_warehouse(&running).await.unwrap(),
        Start::AlreadyStarted
    );
    assert_eq!(
        writer.stop_warehouse(&running).await.unwrap_err().name(),
        "BadRequest"
    );
    assert_eq!(
        writer.stop_warehouse(&stopping).await.unwrap(),
        Stop::AlreadyStopped
    );
    assert_eq!(
        writer.start_warehouse(&stopping).await.unwrap_err().name(),
        "Conflict"
    );
}

#[tokio::test]
async fn pool_edit_sends_the_editable_fields_and_no_others() {
    let pool = json!({
        "instance_pool_id": "p", "instance_pool_name": "n", "node_type_id": "i3.xlarge", "min_idle_instances": 2,
        "max_capacity": 10, "idle_instance_autotermination_minutes": 0, "custom_tags": { "a": "b" },
        "remote_disk_throughput": 3, "state": "ACTIVE", "default_tags": {}, "stats": { "idle_count": 2 }, "status": {},
        "aws_attributes": { "zone_id": "z" }, "preloaded_spark_versions": ["x"], "enable_elastic_disk": true
    });
    let sent = pool.clone();
    let server = Server::start(move |seen| match seen.path.as_str() {
        "/api/2.0/instance-pools/get" => Some(Reply::ok(pool.clone())),
        "/api/2.0/instance-pools/edit" => Some(Reply::ok(json!({}))),
        _ => None,
    })
    .await;
    let writer = server.workspace().verified().await.unwrap();
    let mut pool = writer
        .workspace()
        .get_pool(&PoolId::from("p"))
        .await
        .unwrap();
    assert_eq!(Value::from(pool.clone()), sent);
    pool.insert("min_idle_instances".into(), json!(0));
    writer.edit_pool(pool).await.unwrap();
    assert_eq!(
        server.on("/api/2.0/instance-pools/edit")[0].body,
        json!({
            "instance_pool_id": "p", "instance_pool_name": "n", "node_type_id": "i3.xlarge", "min_idle_instances": 0,
            "max_capacity": 10, "idle_instance_autotermination_minutes": 0, "custom_tags": { "a": "b" },
            "remote_disk_throughput": 3
        })
    );
    assert_eq!(
        writer.edit_pool(Object::new()).await.unwrap_err().name(),
        "InvalidInput"
    );
}

#[tokio::test]
async fn other_writes_send_what_the_api_takes() {
    let server = Server::start(|seen| (seen.method == "POST").then(|| Reply::ok(json!({})))).await;
    let writer = server.workspace().verified().await.unwrap();
    writer.cancel_run(RunId(7)).await.unwrap();
    writer.cancel_all_queued_runs().await.unwrap();
    writer
        .terminate_cluster(&ClusterId::from("c"))
        .await
        .unwrap();
    writer
        .stop_pipeline(&PipelineId::from("p/../q"))
        .await
        .unwrap();
    writer
        .stop_warehouse(&WarehouseId::from("w"))
        .await
        .unwrap();
    writer
        .update_job(
            JobId(5),
            Object::from_iter([("schedule".to_owned(), json!({ "x": 1 }))]),
        )
        .await
        .unwrap();
    let sent: Vec<(String, Value)> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "POST")
        .map(|seen| (seen.path, seen.body))
        .collect();
    assert_eq!(
        sent,
        [
            (
                "/api/2.2/jobs/runs/cancel".to_owned(),
                json!({ "run_id": 7 })
            ),
            (
                "/api/2.2/jobs/runs/cancel-all".to_owned(),
                json!({ "all_queued_runs": true })
            ),
            (
                "/api/2.1/clusters/delete".to_owned(),
                json!({ "cluster_id": "c" })
            ),
            ("/api/2.0/pipelines/p%2F..%2Fq/stop".to_owned(), json!("")),
            ("/api/2.0/sql/warehouses/w/stop".to_owned(), json!("")),
            (
                "/api/2.2/jobs/update".to_owned(),
                json!({ "job_id": 5, "new_settings": { "schedule": { "x": 1 } } })
            ),
        ]
    );
    // A page instead of an answer is not a success.
    let server = Server::start(|seen| {
        (seen.method == "POST").then(|| Reply::text(200, "text/html", "<html>"))
    })
    .await;
    let writer = server.workspace().verified().await.unwrap();
    assert_eq!(
        writer.cancel_run(RunId(7)).await.unwrap_err().name(),
        "UnexpectedAnswer"
    );
}
