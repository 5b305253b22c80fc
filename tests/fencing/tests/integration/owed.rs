//! What one run could not bring up, the next one brings up, though by then the site has been recorded without it.

use activate_site::{Progress, Reply};
use aws::keys;
use fencing::site::{EXECUTION, RUN, SITE};
use fencing::{Pace, Site};
use recovery::activation::Phase;
use recovery::run::{Mode, RunDocument};
use recovery::site::{ContentDigest, RunId, RunToken};
use serde_json::{Value, json};

use crate::estate::small;

/// A run that has committed and brings this site up from a record.
async fn committed_run(site: &Site, record: &ContentDigest) {
    site.begin_from(SITE.other(), Mode::Failover, record)
        .await
        .unwrap();
    let (run, token, now) = (RunId::new(RUN), RunToken::new(EXECUTION), site.ports.now());
    site.ports
        .change_own_run(&run, &token, |d| d.committed_at = Some(now))
        .await
        .unwrap();
}

async fn restore(site: &Site, phase: Phase) {
    match site.activate_in_run(phase).await.unwrap() {
        Reply::Phase(answer) => assert_eq!(answer.answer, Progress::Done),
        other => panic!("{other:?}"),
    }
}

async fn status_of(site: &Site, alert: &str) -> Value {
    let inventory = site.inventory().await.unwrap();
    let alerts = inventory["alerts"].as_array().unwrap();
    let one = alerts.iter().find(|a| a["id"] == alert).unwrap();
    one["schedule"]["pause_status"].clone()
}

/// A run that ends between its commit and its schedules owes all of them, whoever vouches then.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_phase_would_restore_is_owed_from_before_the_commit_on() {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    site.raise().await.unwrap();
    site.fence_once().await.unwrap();
    site.lift().await.unwrap();
    site.begin_from(SITE.other(), Mode::Failover, &record)
        .await
        .unwrap();
    restore(&site, Phase::Pools).await;
    restore(&site, Phase::Compute).await;
    let run: RunDocument = site.ports.run(&RunId::new(RUN)).await.unwrap();
    let owed = site.ports.owed_after(&run).await.unwrap();
    let debts = site.ports.debts(owed.as_ref(), SITE).await.unwrap();
    assert_eq!(
        debts.describe(),
        "alert \"stock low\", app \"board\", job \"largest id\", job \"nightly\", job \"on arrival\", job \"stream\", pipeline \"ingest\""
    );
    let text = json!(debts).to_string();
    assert!(!text.contains("nobody_knows"), "only what a restore needs");
    site.stop().await;
}

/// Review finding 8, on a real workspace: refused once, recorded as paused, and lost on the way home.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_run_could_not_bring_up_the_next_one_does_though_the_record_between_lacks_it() {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    site.raise().await.unwrap();
    site.fence_once().await.unwrap();
    site.lift().await.unwrap();
    committed_run(&site, &record).await;
    let refused = json!({"method": "PATCH", "path": "/api/2.0/alerts/a-1", "kind": "status", "status": 403,
        "body": {"error_code": "PERMISSION_DENIED", "message": "not yours"}});
    site.control("faults", &refused).await.unwrap();
    restore(&site, Phase::JobConcurrency).await;
    restore(&site, Phase::Schedules).await;
    assert_eq!(status_of(&site, "a-1").await, "PAUSED");
    let run: RunDocument = site.ports.run(&RunId::new(RUN)).await.unwrap();
    let owed = site.ports.owed_after(&run).await.unwrap().unwrap();
    let debts = site.ports.debts(Some(&owed), SITE).await.unwrap();
    assert_eq!(
        (owed.count, debts.describe().as_str()),
        (1, "alert \"stock low\"")
    );

    // The site is recorded as it is, and the next run restores that record.
    site.no_more_faults().await.unwrap();
    let without = site.learn().await.unwrap();
    assert_ne!(without, record);
    let run_key = keys::of_run(&RunId::new(RUN), "run.json");
    committed_run(&site, &without).await;
    let mut next: Value = site.ports.read(&run_key).await.unwrap().unwrap();
    next["evidence"]["debts"] = json!(owed);
    next["attempt"] = json!(2);
    site.ports.put(&run_key, &next).await.unwrap();
    restore(&site, Phase::JobConcurrency).await;
    restore(&site, Phase::Schedules).await;
    assert_eq!(status_of(&site, "a-1").await, "UNPAUSED");
    assert_eq!(status_of(&site, "a-2").await, "PAUSED", "its owner's wish");
    let run: RunDocument = site.ports.run(&RunId::new(RUN)).await.unwrap();
    assert_eq!(site.ports.owed_after(&run).await.unwrap(), None);
    site.stop().await;
}
