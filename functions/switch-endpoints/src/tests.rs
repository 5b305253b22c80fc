//! Endpoints on in-memory ports: which workspace URL ends where.

use std::sync::Arc;
use std::time::Duration;

use aws::access_points::MemoryAccessPoints;
use aws::{Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::plan::Plan;
use recovery::run::RunDocument;
use recovery::site::{Region, RunId, RunToken, SiteLabel};
use recovery::state::Lock;
use serde_json::{Value, json};

use crate::{Answer, Event, Phase, handle};

const FROZEN: &str = "https://frozen.cloud.databricks.com";
const CORRECTED: &str = "https://corrected.cloud.databricks.com";
const PRIMARY: &str = "https://primary.cloud.databricks.com";

struct World {
    ports: Ports,
    plan: Plan,
}

impl World {
    /// A committed run to the secondary that froze both URLs when it began.
    async fn new() -> Self {
        let mut plan: Value =
            serde_json::from_str(include_str!("../../../infra/plan.example.json")).unwrap();
        plan["kinds"] = json!(["job"]);
        plan["access_points"] = json!([]);
        let plan: Plan = serde_json::from_value(plan).unwrap();
        let region = plan.control_region.clone();
        let (ports, ..) = Ports::in_memory(plan.name.clone(), region, Arc::new(Timestamp::now));
        ports.put(keys::PLAN, &plan).await.unwrap();
        let run: RunDocument = serde_json::from_value(json!({
            "format_version": 1, "run": "run-1", "plan": plan.name, "mode": "failover", "attempt": 1, "token": "t",
            "epoch": 0, "from": "primary", "target": "secondary", "begun_at": "2026-03-01T00:00:00Z",
            "evidence": {"verdict": null, "actionable": true, "failing_since": null, "signals": [],
                "baseline": {"format_version": 1, "digest": "d", "captured_at": "2026-03-01T00:00:00Z", "site": "primary", "objects": 0, "live": {}},
                "replication": null, "workspace_urls": {"primary": PRIMARY, "secondary": FROZEN}},
            "stages": [], "committed_at": "2026-03-01T00:10:00Z", "outcome": null, "reason": null, "closed_at": null, "told_at": null,
        }))
        .unwrap();
        ports
            .put(&keys::of_run(&run.run, "run.json"), &run)
            .await
            .unwrap();
        let lock = Lock {
            run: run.run.clone(),
            token: run.token.clone(),
            mode: run.mode,
            taken_at: Timestamp::UNIX_EPOCH,
        };
        ports
            .change_state(|state| {
                state.lock = Some(lock.clone());
                state.active_site = SiteLabel::Secondary;
                Ok(())
            })
            .await
            .unwrap();
        Self { ports, plan }
    }

    async fn people_set(&self, site: SiteLabel, url: &str) {
        let name = keys::workspace_url(&self.plan.name, site);
        let region = &self.plan.control_region;
        self.ports.parameters.put(region, &name, url).await.unwrap();
    }

    async fn endpoints(&self) -> Answer {
        let event = Event {
            run: RunId::new("run-1"),
            token: RunToken::new("t"),
            phase: Phase::Endpoints,
        };
        let points = MemoryAccessPoints::new(vec![], vec![], 0);
        let invocation = Invocation::lasting(Duration::from_secs(60));
        handle(event, &self.ports, &points, &invocation)
            .await
            .unwrap()
    }

    async fn says(&self, region: &Region, name: &str) -> Option<String> {
        self.ports.parameters.get(region, name).await.unwrap()
    }

    /// What the active URL and the secondary's own say in a region.
    async fn urls_in(&self, region: &Region) -> [Option<String>; 2] {
        let active = keys::active_workspace_url(&self.plan.name);
        let own = keys::workspace_url(&self.plan.name, SiteLabel::Secondary);
        [
            self.says(region, &active).await,
            self.says(region, &own).await,
        ]
    }
}

#[tokio::test]
async fn a_url_that_people_corrected_in_mid_run_stands_and_is_published() {
    let world = World::new().await;
    world.people_set(SiteLabel::Primary, PRIMARY).await;
    world.people_set(SiteLabel::Secondary, CORRECTED).await;
    let answer = world.endpoints().await;
    let control = world.plan.control_region.clone();
    let primary = world.plan.sites.get(SiteLabel::Primary).region.clone();
    let corrected = Some(CORRECTED.to_owned());
    for region in [control, primary] {
        let urls = world.urls_in(&region).await;
        assert_eq!(urls, [corrected.clone(), corrected.clone()], "{region}");
    }
    let notice = serde_json::to_string(&answer.notice).unwrap();
    assert!(notice.contains(CORRECTED), "{notice}");
    assert!(!notice.contains(FROZEN), "{notice}");
}

#[tokio::test]
async fn the_frozen_url_serves_where_the_parameter_cannot_be_read_and_is_not_written_to_it() {
    let world = World::new().await;
    world.people_set(SiteLabel::Primary, PRIMARY).await;
    world.people_set(SiteLabel::Secondary, "not a url").await;
    world.endpoints().await;
    let frozen = Some(FROZEN.to_owned());
    let urls = world.urls_in(&world.plan.control_region).await;
    assert_eq!(urls, [frozen.clone(), Some("not a url".to_owned())]);
    let primary = world.plan.sites.get(SiteLabel::Primary).region.clone();
    assert_eq!(world.urls_in(&primary).await, [frozen.clone(), frozen]);
}
