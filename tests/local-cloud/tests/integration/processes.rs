use serde_json::{Value, json};

use crate::support::{TestCloud, alive, deployed, eventually};

/// The processes of a function that is idle, of one that is busy, and of moto.
async fn processes(test: &TestCloud) -> Vec<u64> {
    let idle = test.cloud.invoke("Echo", &json!({})).await.unwrap().payload["process"]
        .as_u64()
        .unwrap();
    let busy = test.cloud.invoke("Page", &json!({})).await.unwrap().payload["process"]
        .as_u64()
        .unwrap();
    test.cloud
        .invoke_event("Page", &json!({"do": "hang"}))
        .await
        .unwrap();
    let log = test.out.path().join("logs/test-page.log");
    eventually("the busy function", async || {
        let log = std::fs::read_to_string(&log).unwrap();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .into_iter()
            .find(|line| line["event"]["do"] == "hang")
    })
    .await;
    let script = "tests/local-cloud/python/cloud.py";
    let children = std::process::Command::new("ps")
        .args(["-eo", "pid=,ppid=,args="])
        .output()
        .unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    let mine = std::process::id().to_string();
    let moto = children
        .lines()
        .filter(|line| line.contains(script) && line.split_whitespace().nth(1) == Some(&mine))
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap());
    let all: Vec<u64> = [idle, busy].into_iter().chain(moto).collect();
    assert!(all.len() >= 3, "{all:?}");
    assert!(all.iter().all(|process| alive(*process)));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_process_is_left_after_stop() {
    let test = deployed().await;
    let all = processes(&test).await;
    test.cloud.stop().await;
    // Other tests of this binary may run their own moto at the same time.
    assert!(!alive(all[0]) && !alive(all[1]), "{all:?}");
}

#[test]
fn no_process_is_left_after_a_panic() {
    let all = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let test = deployed().await;
            let all = processes(&test).await;
            drop(test);
            all
        })
    })
    .join()
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(eventually("the end of all processes", async || {
        (!alive(all[0]) && !alive(all[1])).then_some(())
    }));
}
