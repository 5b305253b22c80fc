//! Instance pools: the idle instances follow the minimum.

use serde_json::json;

use super::{Due, World};
use crate::json;

impl World {
    pub(super) fn settle_pools(&mut self) {
        for pool in self.pools.values_mut() {
            let minimum = json::int(&pool.raw, "min_idle_instances").unwrap_or_default();
            pool.raw.entry("state").or_insert_with(|| "ACTIVE".into());
            pool.raw.entry("stats").or_insert_with(|| {
                json!({"idle_count": minimum, "used_count": 0, "pending_idle_count": 0, "pending_used_count": 0})
            });
        }
    }

    /// Called after a pool's minimum may have changed from `before`.
    pub(crate) fn pool_changed(&mut self, id: &str, before: i64) {
        let turn = self.next();
        let Some(pool) = self.pools.get_mut(id) else {
            return;
        };
        let minimum = json::int(&pool.raw, "min_idle_instances").unwrap_or_default();
        let name = json::text(&pool.raw, "instance_pool_name")
            .unwrap_or_default()
            .to_owned();
        pool.turn = turn;
        let stats = pool.raw.entry("stats").or_insert_with(|| json!({}));
        if let Some(stats) = stats.as_object_mut() {
            let idle = json::int(stats, "idle_count").unwrap_or_default();
            json::set(stats, "pending_idle_count", (minimum - idle).max(0));
        }
        if minimum != before {
            let fields =
                json!({"instance_pool_id": id, "name": name, "min_idle_instances": minimum});
            self.log("pool_min_idle", fields);
        }
        self.after(
            self.delays.pool_fill,
            Due::Pool {
                id: id.to_owned(),
                turn,
            },
        );
    }

    pub(super) fn pool_follows(&mut self, id: &str, turn: u64) {
        if let Some(pool) = self.pools.get_mut(id).filter(|p| p.turn == turn) {
            let minimum = json::int(&pool.raw, "min_idle_instances").unwrap_or_default();
            if let Some(stats) = pool.raw.get_mut("stats").and_then(|s| s.as_object_mut()) {
                json::set(stats, "idle_count", minimum);
                json::set(stats, "pending_idle_count", 0);
            }
        }
    }
}
