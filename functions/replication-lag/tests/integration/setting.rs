//! A plan, ports, and the call under test.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws::buckets::Buckets;
use aws::notices::MemoryNotices;
use aws::store::{MemoryStore, Store};
use aws::{Failure, Invocation, Ports};
use aws_config::SdkConfig;
use jiff::{SignedDuration, Timestamp};
use recovery::plan::Plan;
use recovery::replication::ReplicationStatus;
use recovery::run::{Mode, RunDocument};
use recovery::site::{Region, SiteLabel};
use replication_lag::cloudwatch::ReplicationCloudWatch;
use replication_lag::{Answer, Event, Reach, handle};
use serde_json::{Value, json};

use crate::lake::Lake;

pub(crate) struct Setting {
    pub(crate) ports: Ports,
    pub(crate) store: MemoryStore,
    pub(crate) notices: MemoryNotices,
    pub(crate) lake: Lake,
    /// What markers and listings are asked of; nothing answers if none.
    pub(crate) buckets: Option<Buckets>,
    /// Seconds by which the ports' clock is ahead of the real one.
    ahead: Arc<AtomicI64>,
}

impl Setting {
    /// The example plan with these data sets and groups instead of its own.
    pub(crate) async fn new(data_sets: Value, groups: Value, replication: Value) -> Self {
        let mut plan: Value =
            serde_json::from_str(include_str!("../../../../infra/plan.example.json")).unwrap();
        plan["data_sets"] = data_sets;
        plan["groups"] = groups;
        plan["replication"] = replication;
        plan["detection"]["probe_timeout_seconds"] = json!(1);
        let bytes = plan.to_string().into_bytes();
        let plan = Plan::parse(&bytes).unwrap();
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = {
            let ahead = Arc::clone(&ahead);
            Arc::new(move || {
                Timestamp::now() + SignedDuration::from_secs(ahead.load(Ordering::SeqCst))
            })
        };
        let (ports, store, _, notices) =
            Ports::in_memory(plan.name.clone(), Region::new("us-west-2"), clock);
        store.create("plan.json", bytes).await.unwrap();
        Self {
            ports,
            store,
            notices,
            lake: Lake::new(),
            buckets: None,
            ahead,
        }
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn call(&self, event: Event) -> Result<Answer, Failure> {
        self.call_for(event, Duration::from_secs(60)).await
    }

    pub(crate) async fn call_for(&self, event: Event, time: Duration) -> Result<Answer, Failure> {
        let config = SdkConfig::builder().build();
        let buckets = self.buckets.clone();
        let reach = Reach {
            buckets: buckets.unwrap_or_else(|| Buckets::new(config.clone())),
            cloudwatch: ReplicationCloudWatch::new(config),
            open: self.lake.open(),
        };
        handle(event, &self.ports, &reach, &Invocation::lasting(time)).await
    }

    /// The tables are known, and time was up before one was proven.
    pub(crate) async fn find_only(&self) {
        self.call_for(Event::Scheduled, Duration::ZERO)
            .await
            .unwrap();
    }

    /// A scheduled measurement and what it has stored.
    pub(crate) async fn measure(&self) -> ReplicationStatus {
        self.call(Event::Scheduled).await.unwrap();
        self.read("replication/status.json")
    }

    pub(crate) fn text(&self, key: &str) -> String {
        let all = self.store.all();
        String::from_utf8(all.get(key).unwrap_or_else(|| panic!("no {key}")).clone()).unwrap()
    }

    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self, key: &str) -> T {
        serde_json::from_str(&self.text(key)).unwrap()
    }
}

/// A Delta data set in the buckets of the example.
pub(crate) fn delta(name: &str, holds: &str, prefix: &str) -> Value {
    json!({"type": "delta", "name": name, "holds": holds, "locations": {
        "primary": {"bucket": "lake-one", "prefix": prefix}, "secondary": {"bucket": "lake-two", "prefix": prefix}}})
}

/// Milliseconds since 1970, so long ago.
pub(crate) fn ago(seconds: i64) -> i64 {
    Timestamp::now().as_millisecond() - seconds * 1000
}

/// A run that has begun now and whose document nothing has changed.
pub(crate) fn begun(at: &Setting, mode: Mode, from: SiteLabel, epoch: u64) -> RunDocument {
    let now = at.ports.now();
    let is_failing = mode == Mode::Failover;
    serde_json::from_value(json!({
        "format_version": 1, "run": "run-1", "plan": "lakehouse", "mode": mode, "attempt": 1, "token": "arn:run-1", "machine": recovery::run::MACHINE, "epoch": epoch,
        "from": from, "target": from.other(), "begun_at": now,
        "evidence": {
            "verdict": if is_failing { "RegionDown" } else { "Healthy" }, "actionable": is_failing,
            "failing_since": is_failing.then_some(now), "signals": [], "replication": null, "workspace_urls": {},
            "baseline": {"format_version": 1, "digest": "d", "site": from, "captured_at": now, "live": {}, "objects": 0},
        },
        "stages": [], "committed_at": null, "outcome": null, "reason": null, "closed_at": null, "told_at": null,
    }))
    .unwrap()
}
