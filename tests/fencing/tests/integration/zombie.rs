//! Two passes at once, passes that should be dead, and a site that comes and goes.

use std::collections::BTreeMap;
use std::time::Duration;

use drill::way_back::differences;
use fencing::{Pace, Site, judge};
use recovery::run::Mode;
use recovery::site::{RunId, RunToken};
use serde_json::json;

use crate::estate::small;

#[tokio::test(flavor = "multi_thread")]
async fn two_passes_at_once_fence_the_site_once() {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    let before = site.inventory().await.unwrap();
    site.raise().await.unwrap();
    let (one, two) = tokio::join!(site.fence_once(), site.fence_once());
    one.unwrap();
    two.unwrap();
    assert!(site.is_verified().await.unwrap());
    let broken = judge::while_fenced(&site, &mut BTreeMap::new())
        .await
        .unwrap();
    assert_eq!(broken, Vec::<String>::new());
    site.lift().await.unwrap();
    site.order_reset(&record).await.unwrap();
    let (one, two) = tokio::join!(site.restore_once(), site.restore_once());
    one.unwrap();
    two.unwrap();
    assert!(site.state().await.unwrap().resets.is_empty());
    assert_eq!(
        judge::once_restored(&site, &before).await.unwrap(),
        Vec::<String>::new()
    );
    site.stop().await;
}

/// Waits until a request of a pass hangs, takes its right away, and lets the request go when the pass must have noticed. What
/// changed at the site from then on was done by a zombie.
pub(crate) async fn changed_by_zombie(
    site: &Site,
    path: &str,
    pass: impl Future<Output = ()>,
    right_is_lost: impl Future<Output = ()>,
    noticed_after: Duration,
) -> Vec<String> {
    let hang = json!({"path": path, "kind": "hang"});
    site.control("faults", &hang).await.unwrap();
    let operator = async {
        while site.met().await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        right_is_lost.await;
        tokio::time::sleep(noticed_after).await;
        let then = site.inventory().await.unwrap();
        site.no_more_faults().await.unwrap();
        then
    };
    let ((), then) = tokio::join!(pass, operator);
    tokio::time::sleep(Duration::from_millis(500)).await;
    differences(&then, &site.inventory().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_hangs_while_its_fence_is_lifted_does_nothing_any_more() {
    // At its reading, at a pause of a job, at the end of a run.
    for path in [
        "/api/2.2/jobs/list",
        "/api/2.2/jobs/update",
        "/api/2.2/jobs/runs/cancel",
    ] {
        let site = Site::start(small(), Pace::QUICK).await.unwrap();
        site.raise().await.unwrap();
        let pass = async {
            site.fence_once().await.unwrap();
        };
        let lifted = async {
            // It is believed dead.
            site.later(61);
            site.lift().await.unwrap();
        };
        let seconds = Duration::from_secs(6);
        let changed = changed_by_zombie(&site, path, pass, lifted, seconds).await;
        assert_eq!(changed, Vec::<String>::new(), "{path}");
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_hangs_while_a_run_begins_does_nothing_any_more() {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    site.raise().await.unwrap();
    site.fence_once().await.unwrap();
    assert!(site.is_verified().await.unwrap());
    site.lift().await.unwrap();
    site.order_reset(&record).await.unwrap();
    let pass = async {
        site.restore_once().await.unwrap();
    };
    let run_begins = async {
        let (run, token) = (RunId::new("run-2"), RunToken::new("token"));
        let now = site.ports.now();
        let taken = site
            .ports
            .change_state(|state| state.take_lock(&run, &token, Mode::Failover, now));
        taken.await.unwrap();
    };
    let path = "/api/2.2/jobs/update";
    let seconds = Duration::from_secs(11);
    let changed = changed_by_zombie(&site, path, pass, run_begins, seconds).await;
    assert_eq!(changed, Vec::<String>::new());
    assert!(
        site.state().await.unwrap().resets.is_empty(),
        "the run ended the order"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_goes_and_comes_back_three_times_is_fenced_each_time() {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    site.raise().await.unwrap();
    let mut ledger = BTreeMap::new();
    for round in 0..3 {
        site.control("dark", &json!({})).await.unwrap();
        site.fence_once().await.unwrap();
        assert!(!site.is_verified().await.unwrap(), "nobody has seen it");
        site.control("light", &json!({})).await.unwrap();
        site.fence_once().await.unwrap();
        assert!(site.is_verified().await.unwrap(), "round {round}");
        let broken = judge::while_fenced(&site, &mut ledger).await.unwrap();
        assert_eq!(broken, Vec::<String>::new());
        // Somebody wakes a job between two absences.
        wake(&site, 1).await;
    }
    site.stop().await;
}

/// A person, or a deployment, unpauses a job with the platform's own API.
pub(crate) async fn wake(site: &Site, job: i64) {
    let schedule = json!({"quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "UTC", "pause_status": "UNPAUSED"});
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client
        .post(format!("{}/api/2.2/jobs/update", site.url()))
        .bearer_auth("sim-token")
        .json(&json!({"job_id": job, "new_settings": {"schedule": schedule}}))
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
}
