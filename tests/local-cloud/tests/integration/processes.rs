use serde_json::json;

use crate::support::{TestCloud, alive, deployed, eventually};

/// The processes of moto, of a function that is idle and of one that is busy.
async fn processes(test: &TestCloud) -> Vec<u32> {
    test.cloud.invoke("Echo", &json!({})).await.unwrap();
    test.cloud
        .invoke_event("Page", &json!({"do": "hang"}))
        .await
        .unwrap();
    let log = test.out.path().join("logs/test-page.log");
    eventually("the busy function", async || {
        std::fs::read_to_string(&log)
            .ok()
            .filter(|log| log.contains("hang"))
    })
    .await;
    let all = test.cloud.processes();
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.iter().all(|process| alive(*process)));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_process_is_left_after_stop() {
    let test = deployed().await;
    let all = processes(&test).await;
    test.cloud.stop().await;
    assert!(!all.iter().any(|process| alive(*process)), "{all:?}");
}

#[test]
fn no_process_is_left_without_stop() {
    // A panic drops the cloud together with its runtime.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let all = runtime.block_on(async {
        let test = deployed().await;
        processes(&test).await
    });
    drop(runtime);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(eventually("the end of all processes", async || {
        all.iter().all(|process| !alive(*process)).then_some(())
    }));
}
