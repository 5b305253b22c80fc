use local_cloud::{Execution, ExecutionStatus, LocalCloud};
use serde_json::{Value, json};

use crate::support::{deployed, eventually};

async fn run(cloud: &LocalCloud, name: &str, input: Value) -> Execution {
    let arn = cloud.start_execution(Some(name), &input).await.unwrap();
    ended(cloud, &arn).await
}

async fn ended(cloud: &LocalCloud, arn: &str) -> Execution {
    eventually("the end of the execution", async || {
        let execution = cloud.describe_execution(arn).await.unwrap();
        (execution.status != ExecutionStatus::Running).then_some(execution)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_reach_retry_and_catch() {
    let test = deployed().await;
    let cloud = &test.cloud;
    let retried = run(cloud, "retried", json!({"case": "retry"})).await;
    assert_eq!(retried.status, ExecutionStatus::Succeeded, "{retried:?}");
    let caught = &retried.output.unwrap()["caught"];
    assert_eq!(caught["Error"], "Throttled");
    assert!(
        caught["Cause"]
            .as_str()
            .unwrap()
            .contains("too many requests"),
        "{caught}"
    );
    assert_eq!(cloud.invocations().len(), 3, "one call and two retries");

    let late = run(cloud, "late", json!({"case": "timeout"})).await;
    assert_eq!(late.status, ExecutionStatus::Succeeded, "{late:?}");
    assert_eq!(late.output.unwrap()["caught"]["Error"], "Sandbox.Timedout");

    let direct = run(cloud, "direct", json!({"case": "direct"})).await;
    assert_eq!(
        direct.output.unwrap()["answer"]["event"],
        json!({"case": "direct"})
    );
    test.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_messages_and_many_executions() {
    let test = deployed().await;
    let cloud = &test.cloud;
    let failed = run(
        cloud,
        "named",
        json!({"case": "fail", "error": "NotReady", "cause": "the standby drifted"}),
    )
    .await;
    assert_eq!(failed.status, ExecutionStatus::Failed);
    assert_eq!(failed.error.as_deref(), Some("NotReady"));
    assert_eq!(failed.cause.as_deref(), Some("the standby drifted"));
    let messages = cloud.messages().await.unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(
        (&messages[0].topic, messages[0].subject.as_deref()),
        (&test.deployment.topics["Notices"], Some("run"))
    );
    let (name, time) = messages[0].message.split_once(" began ").unwrap();
    assert_eq!(name, "named");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    eventually("the subscriber", async || {
        cloud
            .invocations()
            .into_iter()
            .find(|each| each.function == "test-listener")
    })
    .await;

    // Many at once, unnamed; and 200 KB of payload.
    let large = "x".repeat(200_000);
    let mut arns = Vec::new();
    for number in 0..8 {
        let input = json!({"case": "direct", "number": number, "large": large});
        arns.push(cloud.start_execution(None, &input).await.unwrap());
    }
    for (number, arn) in arns.iter().enumerate() {
        let execution = ended(cloud, arn).await;
        assert_eq!(execution.input["number"], json!(number));
        // The answer holds the input once more, which is over the limit of a state.
        assert_eq!(
            execution.status,
            ExecutionStatus::Failed,
            "{:?}",
            execution.error
        );
        assert_eq!(
            execution.error.as_deref(),
            Some("States.DataLimitExceeded"),
            "{:?}",
            execution.cause
        );
    }
    assert_eq!(cloud.list_executions().await.unwrap().len(), 9);
    test.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_execution_reaches_the_rules_target() {
    let test = deployed().await;
    let cloud = &test.cloud;
    let done = run(cloud, "done", json!({"case": "wait", "seconds": 0})).await;
    assert_eq!(done.status, ExecutionStatus::Succeeded);
    let arn = cloud
        .start_execution(Some("stopped"), &json!({"case": "wait", "seconds": 100}))
        .await
        .unwrap();
    cloud
        .stop_execution(&arn, "an operator stopped it")
        .await
        .unwrap();
    let stopped = ended(cloud, &arn).await;
    assert_eq!(stopped.status, ExecutionStatus::Aborted);
    assert_eq!(stopped.cause.as_deref(), Some("an operator stopped it"));

    let called = eventually("the rule's target", async || {
        cloud
            .invocations()
            .into_iter()
            .find(|each| each.function == "test-closer")
    })
    .await;
    let detail = &called.event["detail"];
    assert_eq!(called.event["source"], "aws.states");
    assert_eq!(
        called.event["detail-type"],
        "Step Functions Execution Status Change"
    );
    assert_eq!(
        (&detail["executionArn"], &detail["status"]),
        (&json!(arn), &json!("ABORTED"))
    );
    assert_eq!(
        (&detail["name"], &detail["cause"]),
        (&json!("stopped"), &json!("an operator stopped it"))
    );
    assert!(detail["stopDate"].is_i64());

    // A function that still runs does not hold the stop back, and goes on.
    let busy = cloud
        .start_execution(Some("busy"), &json!({"case": "busy"}))
        .await
        .unwrap();
    let log = test.out.path().join("logs/test-echo.log");
    eventually("the busy function", async || {
        std::fs::read_to_string(&log)
            .ok()
            .filter(|log| log.contains("hang"))
    })
    .await;
    cloud.stop_execution(&busy, "while it works").await.unwrap();
    let status = cloud.describe_execution(&busy).await.unwrap().status;
    assert_eq!(status, ExecutionStatus::Aborted);
    assert!(
        cloud
            .invocations()
            .iter()
            .all(|each| each.function != "test-echo"),
        "it still runs"
    );
    eventually("the rule's target again", async || {
        let closed = cloud
            .invocations()
            .into_iter()
            .filter(|each| each.function == "test-closer")
            .count();
        (closed == 2).then_some(())
    })
    .await;
    // The rule wants ABORTED only.
    assert_eq!(
        cloud
            .invocations()
            .iter()
            .filter(|each| each.function == "test-closer")
            .count(),
        2
    );
    test.cloud.stop().await;
}
