use aws::store::Store;
use detection::{CONTROL, OBSERVER};
use recovery::signals::Signals;
use recovery::site::SiteLabel;
use recovery::verdict::Verdict;

use crate::setting::{NOWHERE, moved, signals, small, world};

fn metric(world: &detection::World, vantage: &str, name: &str) -> Option<f64> {
    let metrics = &world.vantage(vantage).unwrap().prober.ports.metrics;
    metrics.lines().iter().rev().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line[name].as_f64()
    })
}

#[tokio::test]
async fn each_vantage_writes_its_own_signals_and_only_the_control_region_judges() {
    let world = world(|_| ()).await;
    let observer = world.vantage(OBSERVER).unwrap();
    let answer = world.probe(observer).await.unwrap();
    assert_eq!(answer.verdict, None);
    assert_eq!(
        answer.control_region_stale,
        Some(true),
        "it has not reported yet"
    );
    world.round().await.unwrap();
    let answer = world.probe(observer).await.unwrap();
    assert_eq!(answer.control_region_stale, Some(false));
    assert_eq!(signals(&world, OBSERVER).observations.len(), 4);
    assert_eq!(signals(&world, CONTROL).observations.len(), 2);
}

#[tokio::test]
async fn a_vantage_that_stops_is_stale_alarmed_and_not_counted() {
    let world = world(|_| ()).await;
    world.round().await.unwrap();
    assert_eq!(metric(&world, CONTROL, "StaleVantages"), Some(0.0));
    let control = world.vantage(CONTROL).unwrap();
    moved(&world, SiteLabel::Primary, NOWHERE).await;
    let mut verdicts = Vec::new();
    for _ in 0..5 {
        world.later(60);
        verdicts.push(world.probe(control).await.unwrap().verdict.unwrap());
    }
    assert_eq!(metric(&world, CONTROL, "StaleVantages"), Some(1.0));
    // One vantage is below the quorum of two, however long it sees the site down.
    assert_eq!(verdicts.last(), Some(&Verdict::Degraded));
    assert!(world.executions.started().is_empty());
}

#[tokio::test]
async fn observers_notice_that_the_control_region_has_stopped() {
    let world = world(|_| ()).await;
    world.round().await.unwrap();
    let observer = world.vantage(OBSERVER).unwrap();
    let mut stale = Vec::new();
    for _ in 0..4 {
        world.later(60);
        stale.push(
            world
                .probe(observer)
                .await
                .unwrap()
                .control_region_stale
                .unwrap(),
        );
    }
    assert_eq!(stale, [false, false, false, true]);
    assert_eq!(metric(&world, OBSERVER, "ControlRegionStale"), Some(1.0));
}

#[tokio::test]
async fn an_observer_without_the_control_bucket_says_so_before_it_fails() {
    let mut world = world(|_| ()).await;
    world.vantages[0].prober.ports.store = std::sync::Arc::new(aws::store::MemoryStore::default());
    let failure = world.probe(&world.vantages[0]).await.unwrap_err();
    assert!(failure.message.contains("plan.json"), "{failure}");
    assert_eq!(metric(&world, OBSERVER, "ControlRegionStale"), Some(1.0));
}

#[tokio::test]
async fn the_history_is_bounded_and_each_hour_is_put_aside_once() {
    let world = small(|_| ()).await;
    let rounds = 150;
    for _ in 0..rounds {
        world.round().await.unwrap();
    }
    let kept = signals(&world, CONTROL);
    assert_eq!(kept.observations.len(), 240, "two hours of two sites");
    let all = world.store.all();
    let hours: Vec<&Vec<u8>> = all
        .iter()
        .filter(|(key, _)| key.starts_with("signals/history/us-west-2/"))
        .map(|(_, bytes)| bytes)
        .collect();
    assert!((2..=3).contains(&hours.len()), "{}", hours.len());
    let mut seen = 0;
    for bytes in hours {
        let hour: Signals = serde_json::from_slice(bytes).unwrap();
        seen += hour.observations.len();
    }
    let newest = kept.observations.last().unwrap().at.as_second();
    let current = kept
        .observations
        .iter()
        .filter(|o| o.at.as_second() >= newest.div_euclid(3600) * 3600)
        .count();
    assert_eq!(
        seen + current,
        rounds * 2,
        "nothing is left out and nothing twice"
    );
    // Somebody else put the hour aside: nothing is overwritten.
    assert!(world.store.list("signals/history/").await.unwrap().len() >= 2);
}
