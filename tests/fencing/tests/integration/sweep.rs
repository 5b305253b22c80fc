//! A fault at every single request of a fence and of a restore.

use std::collections::BTreeMap;
use std::time::Duration;

use fencing::{Pace, Site, judge};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::estate::small;

/// Passes after which a fault that happens once must be overcome.
const PASSES: usize = 8;
/// Cases at once.
const AT_ONCE: usize = 6;

/// What goes wrong at one request.
#[derive(Clone, Debug)]
struct Fault {
    name: &'static str,
    rule: Value,
    /// The function dies at this request.
    kills: bool,
}

fn faults() -> Vec<Fault> {
    let fault = |name, rule: Value| Fault {
        name,
        rule,
        kills: false,
    };
    vec![
        fault("lost answer", json!({"kind": "lost-answer", "times": 1})),
        fault(
            "500",
            json!({"kind": "status", "status": 500, "times": 1, "body": {"error_code": "INTERNAL_ERROR", "message": "x"}}),
        ),
        fault(
            "done, then 500",
            json!({"kind": "effect-then-status", "status": 500, "times": 1, "body": {"error_code": "INTERNAL_ERROR", "message": "x"}}),
        ),
        fault(
            "429 storm",
            json!({"kind": "status", "status": 429, "times": 6, "body": {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "x"}, "headers": {"retry-after": "1"}}),
        ),
        fault("hang", json!({"kind": "hang", "times": 1})),
        fault("reset", json!({"kind": "reset", "times": 1})),
        fault("stale read", json!({"kind": "stale-read", "times": 1})),
        Fault {
            name: "killed",
            rule: json!({"kind": "hang", "times": 1}),
            kills: true,
        },
    ]
}

impl Fault {
    fn at(&self, request: u64) -> Value {
        let mut rule = self.rule.clone();
        rule["path"] = json!("*");
        rule["after"] = json!(request);
        rule
    }
}

/// A pass with a fault in it; if it kills, the function is gone at that very request.
async fn pass<T>(site: &Site, fault: &Fault, request: u64, work: impl Future<Output = T>) {
    if !fault.kills {
        // A named error is fine: the next pass goes on.
        let _ = work.await;
        return;
    }
    let dies = async {
        while site.met().await.unwrap() <= request {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = work => {}
        () = dies => {
            site.no_more_faults().await.unwrap();
            // The next one begins when the dead one is no longer believed to work.
            site.later(61);
        }
    }
}

/// Fences and restores with the fault at this request of each; gives the promises that were broken.
async fn case(fault: &Fault, request: u64) -> Vec<String> {
    let before = small();
    let site = Site::start(before.clone(), Pace::QUICK).await.unwrap();
    // As the platform shows it after a moment: what is live has its runs.
    let record = site.learn().await.unwrap();
    let before = site.inventory().await.unwrap();
    let (mut broken, mut ledger) = (Vec::new(), BTreeMap::new());
    site.raise().await.unwrap();
    site.control("faults", &fault.at(request)).await.unwrap();
    for _ in 0..PASSES {
        pass(&site, fault, request, site.fence_once()).await;
        broken.extend(judge::while_fenced(&site, &mut ledger).await.unwrap());
        if site.is_verified().await.unwrap() {
            break;
        }
    }
    site.no_more_faults().await.unwrap();
    if !site.is_verified().await.unwrap() {
        broken.push("the fence was never verified".to_owned());
    }
    site.lift().await.unwrap();
    site.order_reset(&record).await.unwrap();
    site.control("faults", &fault.at(request)).await.unwrap();
    for _ in 0..PASSES {
        pass(&site, fault, request, site.restore_once()).await;
        if site.state().await.unwrap().resets.is_empty() {
            break;
        }
    }
    site.no_more_faults().await.unwrap();
    if !site.state().await.unwrap().resets.is_empty() {
        broken.push("the reset was never done".to_owned());
    }
    broken.extend(judge::once_restored(&site, &before).await.unwrap());
    site.stop().await;
    let told = broken.into_iter();
    told.map(|b| format!("{} at request {request}: {b}", fault.name))
        .collect()
}

/// How many requests a fence and a restore need without a fault: the larger of both.
async fn requests() -> u64 {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    let counter = json!({"path": "*", "kind": "slow", "ms": 0, "after": 1_000_000});
    let mut most = 0;
    site.raise().await.unwrap();
    site.control("faults", &counter).await.unwrap();
    site.fence_once().await.unwrap();
    assert!(site.is_verified().await.unwrap(), "one pass fences it");
    most = most.max(site.met().await.unwrap());
    site.no_more_faults().await.unwrap();
    site.lift().await.unwrap();
    site.order_reset(&record).await.unwrap();
    site.control("faults", &counter).await.unwrap();
    site.restore_once().await.unwrap();
    assert!(
        site.state().await.unwrap().resets.is_empty(),
        "one pass restores it"
    );
    most = most.max(site.met().await.unwrap());
    site.stop().await;
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_at_whichever_request_nothing_live_is_called_verified_and_nothing_is_lost() {
    let requests = requests().await;
    assert!(
        requests > 30,
        "only {requests} requests: the estate is too small"
    );
    let cases: Vec<(Fault, u64)> = faults()
        .into_iter()
        .flat_map(|fault| (0..requests).map(move |n| (fault.clone(), n)))
        .collect();
    let count = cases.len();
    let broken: Vec<String> = stream::iter(cases)
        .map(|(fault, request)| async move { case(&fault, request).await })
        .buffer_unordered(AT_ONCE)
        .concat()
        .await;
    assert_eq!(broken, Vec::<String>::new());
    println!(
        "{count} cases: {requests} requests, {} faults",
        faults().len()
    );
}
