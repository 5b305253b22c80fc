use detection::{CONTROL, StoreFails};
use recovery::site::SiteLabel;
use serde_json::json;

use crate::setting::{incidents, newest, outcome, read, signal, small, world};

const PRIMARY: SiteLabel = SiteLabel::Primary;
const SECONDARY: SiteLabel = SiteLabel::Secondary;

#[tokio::test]
async fn every_probe_of_the_plan_speaks_and_leaves_nothing_behind() {
    let world = world(|_| ()).await;
    world.round().await.unwrap();
    for (probe, primary, secondary) in [
        ("sign-in", "Healthy", "Healthy"),
        ("control-plane-api", "Healthy", "Healthy"),
        ("sql-canary", "Healthy", "Healthy"),
        ("object-store", "Healthy", "Healthy"),
        ("status-page", "Healthy", "Healthy"),
        ("aws-health", "Healthy", "Healthy"),
        ("reference:one", "Healthy", "Healthy"),
        ("reference:two", "Healthy", "Healthy"),
        // Of the active site only: the standby runs nothing.
        ("cluster-canary", "Healthy", "nothing"),
        ("kpi:orders-age", "Healthy", "nothing"),
        ("job-success", "Unknown (TooFewRuns)", "nothing"),
    ] {
        assert_eq!(outcome(&world, PRIMARY, probe), primary, "{probe}");
        assert_eq!(outcome(&world, SECONDARY, probe), secondary, "{probe}");
    }
    assert_eq!(
        world.outside.objects(),
        Vec::<String>::new(),
        "markers are deleted"
    );
}

#[tokio::test]
async fn where_the_time_went_is_recorded() {
    let world = world(|_| ()).await;
    let url = world.url(PRIMARY).replace("127.0.0.1", "localhost");
    crate::setting::moved(&world, PRIMARY, &url).await;
    world.round().await.unwrap();
    for probe in [
        "sign-in",
        "control-plane-api",
        "sql-canary",
        "cluster-canary",
    ] {
        let signal = signal(&world, PRIMARY, probe).unwrap();
        let times = signal.times_ms.unwrap();
        assert!(signal.latency_ms.is_some(), "{probe}");
        assert!(
            times.dns.is_some(),
            "{probe}: a fresh connection resolves its name"
        );
        assert!(times.tcp.is_some() && times.first_byte.is_some(), "{probe}");
    }
    let names = crate::setting::signals(&world, CONTROL).names;
    assert!(names.contains_key("localhost"), "{names:?}");
    let store = signal(&world, PRIMARY, "object-store")
        .unwrap()
        .times_ms
        .unwrap();
    assert!(store.tcp.is_some() && store.first_byte.is_some());
}

#[tokio::test]
async fn a_probe_with_a_period_speaks_only_when_it_is_due() {
    let world = small(|plan| {
        plan["detection"]["probes"] = json!({"sign_in": {"period_seconds": 120}});
    })
    .await;
    let mut spoke = Vec::new();
    for _ in 0..5 {
        world.round().await.unwrap();
        assert!(signal(&world, PRIMARY, "control-plane-api").is_some());
        spoke.push(signal(&world, PRIMARY, "sign-in").is_some());
    }
    assert_eq!(spoke, [true, false, true, false, true]);
}

#[tokio::test]
async fn no_statement_wakes_or_keeps_a_warehouse_unless_the_plan_says_so() {
    let queries = |world: &detection::World| {
        let url = format!("{}/api/2.0/sql/history/queries", world.url(PRIMARY));
        async move {
            let answer = reqwest::Client::new().get(url).bearer_auth("sim-token");
            let answer: serde_json::Value = answer.send().await.unwrap().json().await.unwrap();
            answer["res"].as_array().unwrap().len()
        }
    };
    let rule = |rule: &'static str| {
        small(move |plan| {
            plan["detection"]["probes"] =
                json!({"sql_canary": {"warehouse": "Shared SQL", "rule": rule}});
        })
    };
    let careful = rule("WhileInUse").await;
    careful.later(-60);
    careful.round().await.unwrap();
    assert_eq!(
        outcome(&careful, PRIMARY, "sql-canary"),
        "Unknown (WarehouseCold)"
    );
    assert_eq!(queries(&careful).await, 0);
    // Somebody else uses it.
    let url = format!("{}/api/2.0/sql/statements", careful.url(PRIMARY));
    let body = json!({"statement": "SELECT 2", "warehouse_id": "w-1", "wait_timeout": "5s"});
    let sent = reqwest::Client::new()
        .post(url)
        .bearer_auth("sim-token")
        .json(&body);
    assert!(sent.send().await.unwrap().status().is_success());
    careful.round().await.unwrap();
    assert_eq!(outcome(&careful, PRIMARY, "sql-canary"), "Healthy");
    assert_eq!(queries(&careful).await, 2);
    let keeping = rule("Keep").await;
    keeping.round().await.unwrap();
    assert_eq!(outcome(&keeping, PRIMARY, "sql-canary"), "Healthy");
}

#[tokio::test]
async fn lost_nodes_and_dead_clusters_are_told_from_stopped_ones() {
    let world = small(|plan| {
        plan["detection"]["probes"] = json!({"cluster_canary": {"names": ["etl", "ml"]}});
    })
    .await;
    world.round().await.unwrap();
    assert_eq!(outcome(&world, PRIMARY, "cluster-canary"), "Healthy");
    let event = json!({"events": [{"cluster_id": "c-1", "timestamp": 1, "type": "NODES_LOST"}]});
    let rule =
        json!({"path": "/api/2.1/clusters/events", "kind": "status", "status": 200, "body": event});
    world.fault(PRIMARY, rule).await.unwrap();
    world.round().await.unwrap();
    assert_eq!(
        outcome(&world, PRIMARY, "cluster-canary"),
        "Degraded (PartialFailure)"
    );
    for (reason, expected) in [
        ("SUCCESS", "Unknown (ClustersStopped)"),
        ("CLOUD_FAILURE", "Down"),
    ] {
        world.heal(PRIMARY).await.unwrap();
        let clusters = json!({"clusters": [{"cluster_id": "c-1", "cluster_name": "etl", "state": "TERMINATED",
            "termination_reason": {"type": reason}}]});
        let rule = json!({"path": "/api/2.1/clusters/list", "kind": "status", "status": 200, "body": clusters});
        world.fault(PRIMARY, rule).await.unwrap();
        world.round().await.unwrap();
        assert_eq!(
            outcome(&world, PRIMARY, "cluster-canary"),
            expected,
            "{reason}"
        );
    }
}

#[tokio::test]
async fn runs_that_users_cancelled_are_no_failures() {
    let world = small(|plan| {
        plan["detection"]["probes"] =
            json!({"job_success": {"minimum_runs": 4, "baseline_failed_percent": 20}});
    })
    .await;
    let runs = |result: &str| -> Vec<serde_json::Value> {
        let ended = |id: i64, result: &str| json!({"run_id": id, "job_id": 1, "state": {"life_cycle_state": "TERMINATED", "result_state": result}});
        (1..=8)
            .map(|id| ended(id, if id < 5 { "SUCCESS" } else { result }))
            .collect()
    };
    for (result, expected) in [
        ("CANCELED", "Healthy"),
        ("FAILED", "Degraded (PartialFailure)"),
    ] {
        world.heal(PRIMARY).await.unwrap();
        let body = json!({"runs": runs(result), "has_more": false});
        let rule = json!({"path": "/api/2.2/jobs/runs/list", "kind": "status", "status": 200, "body": body});
        world.fault(PRIMARY, rule).await.unwrap();
        world.round().await.unwrap();
        assert_eq!(
            outcome(&world, PRIMARY, "job-success"),
            expected,
            "{result}"
        );
    }
}

#[tokio::test]
async fn a_store_that_refuses_us_is_not_down() {
    let world = small(|plan| {
        let buckets = json!({"primary": "lake-one", "secondary": "lake-two"});
        plan["detection"]["probes"] = json!({"object_store": {"buckets": buckets}});
    })
    .await;
    for (fails, expected) in [
        (StoreFails::Refuses, "Unknown (Forbidden)"),
        (StoreFails::Everything, "Down (StoreUnavailable)"),
        (StoreFails::Writes, "Down (StoreUnavailable)"),
        (StoreFails::Silent, "Down (ReadTimeout)"),
    ] {
        world.outside.store("lake-one", Some(fails));
        world.round().await.unwrap();
        assert_eq!(
            outcome(&world, PRIMARY, "object-store"),
            expected,
            "{fails:?}"
        );
        assert_eq!(outcome(&world, SECONDARY, "object-store"), "Healthy");
    }
}

#[tokio::test]
async fn another_workspace_at_the_address_says_nothing_of_the_site() {
    let world = small(|_| ()).await;
    crate::setting::moved(&world, PRIMARY, &world.url(SECONDARY)).await;
    world.round().await.unwrap();
    let said = outcome(&world, PRIMARY, "control-plane-api");
    assert_eq!(said, "Unknown (NotConfigured)");
    assert!(incidents(&world).is_empty());
}

#[tokio::test]
async fn a_dark_site_is_a_timeout_for_every_probe_and_holds_up_no_other() {
    let world = world(|_| ()).await;
    world.control(PRIMARY, "dark", json!({})).await.unwrap();
    let began = std::time::Instant::now();
    world.round().await.unwrap();
    // Two vantages, one after the other, each as patient as its slowest call: not the sum of all probes.
    assert!(began.elapsed().as_secs() < 9, "{:?}", began.elapsed());
    for probe in [
        "sign-in",
        "control-plane-api",
        "sql-canary",
        "cluster-canary",
        "kpi:orders-age",
    ] {
        assert_eq!(
            outcome(&world, PRIMARY, probe),
            "Down (ReadTimeout)",
            "{probe}"
        );
    }
    assert_eq!(outcome(&world, SECONDARY, "control-plane-api"), "Healthy");
    assert_eq!(newest(&world, PRIMARY).at, world.now());
}

#[tokio::test]
async fn health_events_are_taken_in_once_and_end() {
    let world = world(|_| ()).await;
    let event = |region: &str, communication: &str, status: &str| {
        json!({"source": "aws.health", "region": region, "detail-type": "AWS Health Event",
            "detail": {"eventArn": "arn:1", "service": "EC2", "eventTypeCode": "AWS_EC2_OPERATIONAL_ISSUE",
                "eventTypeCategory": "issue", "communicationId": communication, "statusCode": status, "eventRegion": "us-east-1"}})
    };
    let take = |event| world.deliver(event);
    let said = |answer: health_probe::Answer| format!("{:?}", answer.health_event.unwrap());
    assert_eq!(
        said(take(event("us-east-1", "1", "open")).await.unwrap()),
        "New"
    );
    assert_eq!(
        said(take(event("us-west-2", "1", "open")).await.unwrap()),
        "Duplicate"
    );
    world.round().await.unwrap();
    assert_eq!(
        outcome(&world, PRIMARY, "aws-health"),
        "Degraded (PartialFailure)"
    );
    assert_eq!(outcome(&world, SECONDARY, "aws-health"), "Healthy");
    assert_eq!(
        said(take(event("us-west-2", "2", "closed")).await.unwrap()),
        "New"
    );
    world.round().await.unwrap();
    assert_eq!(outcome(&world, PRIMARY, "aws-health"), "Healthy");
    let broken = json!({"source": "aws.health", "region": "x", "detail": {}});
    assert!(
        take(broken)
            .await
            .unwrap_err()
            .to_string()
            .contains("eventArn")
    );
    let stored: recovery::findings::HealthEvents = read(&world, "provider/aws-health.json");
    assert_eq!(stored.events.len(), 1);
}
