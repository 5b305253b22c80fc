use std::time::Duration;

use serde_json::json;

use crate::support::{deployed, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn deployed_schedules_fire_with_their_input() {
    let test = deployed().await;
    let cloud = &test.cloud;
    cloud
        .run_schedules(Duration::from_millis(100))
        .await
        .unwrap();
    let ticks = async || {
        let records = cloud.invocations();
        (records.len() >= 3).then_some(records)
    };
    let records = eventually("three firings", ticks).await;
    assert!(
        records
            .iter()
            .all(|each| each.function == "test-echo" && each.event == json!({"tick": "minute"}))
    );

    cloud.pause_schedules();
    let fired = eventually("the last firing", async || {
        let fired = cloud.fired_schedules();
        tokio::time::sleep(Duration::from_millis(300)).await;
        (cloud.fired_schedules() == fired).then_some(fired)
    })
    .await;
    assert!(
        fired
            .iter()
            .all(|each| each.schedule == "test-minute" && each.failure.is_none()),
        "{fired:?}"
    );
    cloud.resume_schedules();
    eventually("another firing", async || {
        (cloud.fired_schedules().len() > fired.len()).then_some(())
    })
    .await;
    test.cloud.stop().await;
}
