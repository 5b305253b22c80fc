//! The handlers that work at a site, with the state store failing at each of their requests: repeated, they succeed, and what they promise
//! holds. `protocol` does the same with those that only read and write documents.

use std::sync::Arc;

use activate_site::{Progress, Reply};
use aws::Failure;
use fencing::site::{RUN, SITE};
use fencing::{Pace, Site};
use protocol::faulty::{Fault, Faulty};
use recovery::activation::Phase;
use recovery::fence::FenceAnswer;
use recovery::run::{Mode, RunDocument, Stage, ValidationAnswer};
use recovery::site::RunId;
use serde_json::{Value, json};

use crate::estate::small;

const FAULTS: [Fault; 3] = [Fault::DiesAfter, Fault::LostRequest, Fault::LostAnswer];
/// No handler is called again more often than this: a state machine loops for longer.
const MOST_CALLS: usize = 10;

/// Runs the handler with the fault at each of its requests; then again, until it says that it is done; then `check` must hold.
pub(crate) async fn survive<S, H, C>(setting: S, handler: H, check: C)
where
    S: AsyncFn() -> Site,
    H: AsyncFn(&Site) -> Result<bool, Failure>,
    C: AsyncFn(&Site, &str),
{
    for fault in FAULTS {
        for at in 0..100 {
            let mut site = setting().await;
            let whole = Arc::clone(&site.ports.store);
            let faulty = Faulty::new(Arc::clone(&whole), fault, at);
            site.ports.store = Arc::<Faulty>::clone(&faulty);
            let what = format!("{fault:?} at request {at}");
            tokio::select! {
                result = handler(&site) => drop(result),
                () = faulty.dies.notified() => {}
            }
            site.ports.store = whole;
            let mut calls = 0;
            while !handler(&site)
                .await
                .unwrap_or_else(|f| panic!("{what}: repeated: {f}"))
            {
                calls += 1;
                assert!(calls < MOST_CALLS, "{what}: it is never done");
            }
            check(&site, &what).await;
            let happened = faulty.happened();
            site.stop().await;
            if !happened {
                break;
            }
        }
    }
}

/// A run that takes over at this site, which has been fenced.
async fn target() -> Site {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    site.raise().await.unwrap();
    site.fence_once().await.unwrap();
    site.lift().await.unwrap();
    site.begin_from(SITE.other(), Mode::Failover, &record)
        .await
        .unwrap();
    site
}

async fn run(site: &Site) -> RunDocument {
    site.ports.run(&RunId::new(RUN)).await.unwrap()
}

async fn phase(site: &Site, phase: Phase) -> Result<bool, Failure> {
    match site.activate_in_run(phase).await? {
        Reply::Phase(answer) => Ok(answer.answer == Progress::Done),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_activation_of_pools_and_compute() {
    let both = async |site: &Site| {
        Ok(phase(site, Phase::Pools).await? && phase(site, Phase::Compute).await?)
    };
    survive(target, both, async |site: &Site, what: &str| {
        let holds = site.inventory().await.unwrap();
        let cluster = holds.pointer("/clusters/0/state").and_then(Value::as_str);
        assert_eq!(cluster, Some("RUNNING"), "{what}");
        let run = run(site).await;
        assert!(
            run.is_done(Stage::Pools) && run.is_done(Stage::Compute),
            "{what}"
        );
        // What was paused at the standby stays so before the commit.
        let live = drill::live::places(&holds);
        assert!(live.is_empty(), "{what}: {live:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fence_of_a_run() {
    let setting = async || {
        let site = Site::start(small(), Pace::QUICK).await.unwrap();
        let record = site.learn().await.unwrap();
        site.begin(Mode::Failover, &record).await.unwrap();
        site
    };
    let fence = async |site: &Site| match site.fence_in_run().await? {
        // A pass that died keeps its lease for a moment.
        shutdown_site::Answer::Fenced { answer, .. } => {
            site.later(20);
            Ok(answer == FenceAnswer::Proceed)
        }
        other => panic!("{other:?}"),
    };
    survive(setting, fence, async |site: &Site, what: &str| {
        let live = drill::live::places(&site.inventory().await.unwrap());
        assert!(live.is_empty(), "{what}: {live:?}");
        let state = site.state().await.unwrap();
        assert!(
            state.fences.get(&SITE).unwrap().verified_at.is_some(),
            "{what}"
        );
        assert!(run(site).await.is_done(Stage::Fence), "{what}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_validation() {
    let setting = async || {
        let site = target().await;
        let mut plan: Value = site.ports.read(aws::keys::PLAN).await.unwrap().unwrap();
        plan["validation"]["statements"] =
            json!([{"warehouse": "bi", "sql": "SELECT 1", "expect": "1"}]);
        plan["validation"]["permissions"] = json!([]);
        plan["validation"]["canaries"] = json!([]);
        plan["validation"]["soak_seconds"] = json!(0);
        site.ports.put(aws::keys::PLAN, &plan).await.unwrap();
        while !phase(&site, Phase::Compute).await.unwrap() {}
        site
    };
    let validate =
        async |site: &Site| Ok(site.validate_in_run().await?.answer == ValidationAnswer::Passed);
    survive(setting, validate, async |site: &Site, what: &str| {
        assert!(run(site).await.is_done(Stage::Validation), "{what}");
    })
    .await;
}
