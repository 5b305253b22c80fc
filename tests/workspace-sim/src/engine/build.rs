//! Builds the world from an inventory, and an inventory from the world.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Job, Runs, Thing, World};
use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::json::{self, Map};
use crate::options::Delays;

/// Kinds that the platform lists and that do nothing here.
const LISTED: [&str; 4] = [
    "cluster_policies",
    "vector_search_endpoints",
    "database_instances",
    "postgres_projects",
];

fn keyed(inventory: &Inventory, kind: &str, id: &str) -> BTreeMap<String, Map> {
    let named = |item: &Map| json::text(item, id).map(|name| (name.to_owned(), item.clone()));
    inventory.items(kind).filter_map(named).collect()
}

fn things(inventory: &Inventory, kind: &str, id: &str) -> BTreeMap<String, Thing> {
    keyed(inventory, kind, id)
        .into_iter()
        .map(|(id, raw)| (id, Thing { raw, turn: 0 }))
        .collect()
}

impl World {
    pub(crate) fn new(
        inventory: &Inventory,
        clock: Clock,
        delays: Delays,
        workspace_id: u64,
    ) -> Self {
        let mut other = inventory.document().clone();
        for (kind, _) in crate::inventory::kinds() {
            other.remove(kind);
        }
        let permissions = other
            .remove("permissions")
            .map(json::into_map)
            .unwrap_or_default();
        let permissions = permissions.into_iter().map(|(kind, objects)| {
            let lists = json::into_map(objects)
                .into_iter()
                .map(|(id, list)| (id, json::into_map(list)));
            (kind, lists.collect())
        });
        let mut world = Self {
            now: clock.start_ms(),
            clock,
            delays,
            workspace_id,
            jobs: BTreeMap::new(),
            runs: Runs::default(),
            clusters: things(inventory, "clusters", "cluster_id"),
            cluster_events: BTreeMap::new(),
            pools: things(inventory, "instance_pools", "instance_pool_id"),
            warehouses: things(inventory, "warehouses", "id"),
            pipelines: things(inventory, "pipelines", "pipeline_id"),
            apps: things(inventory, "apps", "name"),
            alerts: keyed(inventory, "alerts", "id"),
            dashboards: keyed(inventory, "dashboards", "dashboard_id"),
            serving: keyed(inventory, "serving_endpoints", "name"),
            listed: LISTED
                .map(|kind| (kind, inventory.items(kind).cloned().collect()))
                .into(),
            permissions: permissions.collect(),
            statements: BTreeMap::new(),
            answers: BTreeMap::new(),
            other,
            events: Vec::new(),
            timers: BTreeMap::new(),
            sequence: 0,
            stopped_at: None,
        };
        for raw in inventory.items("jobs") {
            if let Some(id) = json::int(raw, "job_id") {
                world.jobs.insert(id, Job::new(raw.clone()));
            }
        }
        // The list is newest first; sequence numbers count upwards.
        let mut runs: Vec<Map> = inventory.items("runs").cloned().collect();
        runs.reverse();
        for raw in runs {
            world.adopt_run(raw);
        }
        let ids: Vec<i64> = world.jobs.keys().copied().collect();
        for id in ids {
            world.read_places(id, true);
        }
        world.settle_clusters();
        world.settle_pools();
        world.settle_warehouses();
        world.settle_pipelines();
        world.settle_apps();
        world
    }

    /// The present state in the inventory's shape.
    pub(crate) fn document(&self) -> Value {
        let raws = |things: &BTreeMap<String, Thing>| {
            things.values().map(|t| t.raw.clone()).collect::<Vec<_>>()
        };
        let maps = |maps: &BTreeMap<String, Map>| maps.values().cloned().collect::<Vec<_>>();
        let runs = self
            .runs
            .active
            .iter()
            .rev()
            .filter_map(|s| self.runs.by_sequence.get(s));
        let runs: Vec<&Map> = runs
            .filter_map(|id| self.runs.by_id.get(id))
            .map(|run| &run.raw)
            .collect();
        let mut document = json::into_map(json!({
            "jobs": self.jobs.values().map(|job| &job.raw).collect::<Vec<_>>(),
            "pipelines": raws(&self.pipelines),
            "clusters": raws(&self.clusters),
            "instance_pools": raws(&self.pools),
            "warehouses": raws(&self.warehouses),
            "apps": raws(&self.apps),
            "alerts": maps(&self.alerts),
            "dashboards": maps(&self.dashboards),
            "serving_endpoints": maps(&self.serving),
            "runs": runs,
            "permissions": self.permissions,
        }));
        for (kind, items) in &self.listed {
            json::set(&mut document, kind, items.clone());
        }
        document.extend(self.other.clone());
        Value::Object(document)
    }
}
