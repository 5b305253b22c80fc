//! A site that is left as planned: what it wrote last arrives before replication is denied, whatever wakes meanwhile.

use std::time::Duration;

use fencing::site::{EXECUTION, RUN, SITE};
use fencing::{Pace, Site};
use recovery::aws_fence::{AwsFence, HeldBucket};
use recovery::failure::FailureName;
use recovery::fence::FenceAnswer;
use recovery::run::{Mode, Stage};
use recovery::site::{RunId, RunToken};
use recovery::state::State;
use shutdown_site::Answer;

use crate::estate::small;
use crate::zombie::{changed_by_zombie, wake};

fn ids() -> (RunId, RunToken) {
    (RunId::new(RUN), RunToken::new(EXECUTION))
}

/// A switchover that has found its site quiet and waits for what was written last.
async fn draining() -> Site {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    site.begin(Mode::Switchover, &record).await.unwrap();
    assert_eq!(answer(&site).await, FenceAnswer::Drain);
    let (run, token) = ids();
    site.ports.enter(&run, &token, Stage::Drain).await.unwrap();
    site
}

async fn answer(site: &Site) -> FenceAnswer {
    match site.fence_in_run().await.unwrap() {
        Answer::Fenced { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

/// Everything that was written while the site was quiet has arrived.
async fn drained(site: &Site) -> bool {
    let (run, token) = ids();
    let state = site.state().await.unwrap();
    let Some(since) = state.fences.get(&SITE).and_then(|f| f.verified_at) else {
        return false;
    };
    let is_all = site
        .ports
        .change_state(|state| state.end_drain(SITE, &run, &token, since))
        .await
        .unwrap();
    if is_all {
        site.ports.finish(&run, &token, Stage::Drain).await.unwrap();
    }
    is_all
}

async fn denies_replication(site: &Site) -> bool {
    let state = site.state().await.unwrap();
    !state.fences.get(&SITE).unwrap().drains
}

#[tokio::test(flavor = "multi_thread")]
async fn what_wakes_during_the_drain_is_made_quiet_by_the_watch() {
    let site = draining().await;
    wake(&site, 1).await;
    for _ in 0..2 {
        site.fence_once().await.unwrap();
    }
    let live = drill::live::places(&site.inventory().await.unwrap());
    assert!(live.is_empty(), "{live:?}");
    assert!(site.is_verified().await.unwrap(), "else it never drains");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_the_watch_had_to_quiet_again_is_drained_again() {
    let site = draining().await;
    assert!(drained(&site).await);
    // Between the end of the drain and the run's own reading.
    wake(&site, 1).await;
    site.fence_once().await.unwrap();
    assert!(!denies_replication(&site).await, "nor did the watch");
    assert_eq!(answer(&site).await, FenceAnswer::Drain);
    assert!(!denies_replication(&site).await, "its output would be lost");
    assert!(drained(&site).await);
    assert_eq!(answer(&site).await, FenceAnswer::Proceed);
    assert!(denies_replication(&site).await);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_lost_its_right_takes_back_nothing() {
    let site = draining().await;
    let known = site.state().await.unwrap();
    let pass = async {
        let lost = site.fence_in_run().await.unwrap_err();
        assert_eq!(lost.name, FailureName::LockLost, "{lost}");
    };
    let another_run_begins = async {
        let (run, token) = (RunId::new("run-2"), RunToken::new("arn:run-2"));
        let now = site.ports.now();
        let taken = site
            .ports
            .change_state(|state| state.take_lock(&run, &token, Mode::Failover, now));
        taken.await.unwrap();
    };
    let (path, seconds) = ("/api/2.2/jobs/list", Duration::from_secs(6));
    let changed = changed_by_zombie(&site, path, pass, another_run_begins, seconds).await;
    assert_eq!(changed, Vec::<String>::new());
    let proof = |state: State| state.fences.get(&SITE).unwrap().quiet;
    assert_eq!(proof(site.state().await.unwrap()), proof(known));
    site.stop().await;
}

/// The buckets that an earlier fence denied, and that are being lifted, say nothing of this one: what is written now arrives.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_fence_left_in_the_buckets_spares_no_drain() {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    let plan = site.ports.plan().await.unwrap();
    let wanted = plan.buckets_to_fence(SITE);
    assert!(!wanted.buckets.is_empty());
    let mut left = AwsFence::new(SITE, RunId::new("earlier"));
    left.lift(site.ports.now());
    for bucket in wanted.buckets.keys() {
        let held = HeldBucket {
            region: plan.sites.get(SITE.other()).region.clone(),
            verified_at: Some(site.ports.now()),
        };
        left.buckets.insert((*bucket).to_owned(), held);
    }
    let key = aws::keys::aws_fence(SITE);
    site.ports.put(&key, &left).await.unwrap();
    site.begin(Mode::Switchover, &record).await.unwrap();
    assert_eq!(answer(&site).await, FenceAnswer::Drain);
    assert!(!denies_replication(&site).await);
    site.stop().await;
}
