//! All-purpose clusters: starting, terminating, restarting.

use serde_json::{Value, json};

use super::{Due, World};
use crate::error::ApiError;
use crate::json::{self, Map};

impl World {
    /// Lets clusters which the inventory shows on their way arrive.
    pub(super) fn settle_clusters(&mut self) {
        let on_the_way: Vec<(String, String)> = self
            .clusters
            .iter()
            .map(|(id, c)| (id.clone(), c.state().to_owned()))
            .collect();
        for (id, state) in on_the_way {
            match state.as_str() {
                "PENDING" | "RESTARTING" | "RESIZING" => self.cluster_heads(&id, "RUNNING"),
                "TERMINATING" => self.cluster_heads(&id, "TERMINATED"),
                _ => {}
            }
        }
    }

    fn cluster_heads(&mut self, id: &str, to: &'static str) {
        let delay = if to == "RUNNING" {
            self.delays.cluster_start
        } else {
            self.delays.cluster_stop
        };
        let turn = self.next();
        if let Some(cluster) = self.clusters.get_mut(id) {
            cluster.turn = turn;
            self.after(
                delay,
                Due::Cluster {
                    id: id.to_owned(),
                    turn,
                    to,
                },
            );
        }
    }

    pub(crate) fn cluster_becomes(&mut self, id: &str, state: &str, event: &str, details: Value) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(id) else {
            return;
        };
        json::set(&mut cluster.raw, "state", state);
        json::set(&mut cluster.raw, "state_message", "");
        match state {
            "PENDING" => {
                json::set(&mut cluster.raw, "start_time", now);
                cluster.raw.remove("terminated_time");
                cluster.raw.remove("termination_reason");
            }
            "TERMINATED" => json::set(&mut cluster.raw, "terminated_time", now),
            _ => {}
        }
        let name = json::text(&cluster.raw, "cluster_name")
            .unwrap_or_default()
            .to_owned();
        let entry = json!({"cluster_id": id, "timestamp": now, "type": event, "details": details});
        self.cluster_events
            .entry(id.to_owned())
            .or_default()
            .push(entry);
        self.log(
            "cluster_state",
            json!({"cluster_id": id, "name": name, "state": state}),
        );
    }

    pub(super) fn cluster_arrives(&mut self, id: &str, turn: u64, to: &str) {
        if self.clusters.get(id).is_some_and(|c| c.turn == turn) {
            if to == "RUNNING" {
                self.cluster_becomes(id, to, "RUNNING", json!({}));
            } else {
                let reason = json!({"reason": {"code": "USER_REQUEST", "type": "SUCCESS"}});
                self.cluster_becomes(id, to, "TERMINATING", reason);
            }
        }
    }

    pub(crate) fn start_cluster(&mut self, id: &str, user: &str) -> Result<(), ApiError> {
        let state = self.cluster_state(id)?;
        if state != "TERMINATED" && state != "ERROR" {
            return Err(unexpected(id, &state));
        }
        self.cluster_becomes(id, "PENDING", "STARTING", json!({"user": user}));
        self.cluster_heads(id, "RUNNING");
        Ok(())
    }

    pub(crate) fn terminate_cluster(&mut self, id: &str, user: &str) -> Result<(), ApiError> {
        let state = self.cluster_state(id)?;
        if state == "TERMINATED" || state == "TERMINATING" {
            return Ok(());
        }
        if let Some(cluster) = self.clusters.get_mut(id) {
            let reason = json!({"code": "USER_REQUEST", "type": "SUCCESS", "parameters": {"username": user}});
            json::set(&mut cluster.raw, "termination_reason", reason);
        }
        self.cluster_becomes(id, "TERMINATING", "TERMINATING", json!({"user": user}));
        self.cluster_heads(id, "TERMINATED");
        Ok(())
    }

    /// Replaces a cluster's specification; what the platform adds to a cluster stays.
    pub(crate) fn edit_cluster(
        &mut self,
        id: &str,
        spec: &Map,
        user: &str,
    ) -> Result<(), ApiError> {
        const KEPT: [&str; 13] = [
            "cluster_id",
            "state",
            "state_message",
            "start_time",
            "terminated_time",
            "termination_reason",
            "creator_user_name",
            "cluster_source",
            "default_tags",
            "spark_context_id",
            "jdbc_port",
            "last_restarted_time",
            "last_state_loss_time",
        ];
        let state = self.cluster_state(id)?;
        if state != "RUNNING" && state != "TERMINATED" {
            return Err(unexpected(id, &state));
        }
        if let Some(cluster) = self.clusters.get_mut(id) {
            cluster.raw.retain(|key, _| KEPT.contains(&key.as_str()));
            let changes = spec
                .iter()
                .filter(|(key, _)| key.as_str() != "apply_policy_default_values");
            cluster
                .raw
                .extend(changes.map(|(key, value)| (key.clone(), value.clone())));
        }
        if state == "RUNNING" {
            self.cluster_becomes(id, "RESTARTING", "RESTARTING", json!({"user": user}));
            self.cluster_heads(id, "RUNNING");
        }
        Ok(())
    }

    pub(crate) fn create_cluster(&mut self, spec: &Map, user: &str) -> String {
        let digest = self.fresh();
        let id = format!(
            "{:04}-{:06}-{}",
            digest % 1_232,
            digest % 240_000,
            json::hex(digest, 8)
        );
        let mut raw = spec.clone();
        raw.remove("apply_policy_default_values");
        raw.remove("clone_from");
        json::set(&mut raw, "cluster_id", id.as_str());
        json::set(&mut raw, "creator_user_name", user);
        json::set(&mut raw, "cluster_source", "API");
        self.clusters
            .insert(id.clone(), super::Thing { raw, turn: 0 });
        self.cluster_becomes(&id, "PENDING", "CREATING", json!({"user": user}));
        self.cluster_heads(&id, "RUNNING");
        id
    }

    fn cluster_state(&self, id: &str) -> Result<String, ApiError> {
        let cluster = self.clusters.get(id);
        cluster
            .map(|c| c.state().to_owned())
            .ok_or_else(|| no_cluster(id))
    }
}

pub(crate) fn no_cluster(id: &str) -> ApiError {
    ApiError::invalid(format!("Cluster {id} does not exist"))
}

fn unexpected(id: &str, state: &str) -> ApiError {
    let mut chars = state.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase()).into_iter();
    let spoken: String = first.chain(chars.map(|c| c.to_ascii_lowercase())).collect();
    ApiError::state(format!("Cluster {id} is in unexpected state {spoken}."))
}
