//! Pipelines and their updates.

use serde_json::{Value, json};

use super::{Due, World};
use crate::clock::iso;
use crate::error::ApiError;
use crate::json::{self, Map};

const ENDED: [&str; 3] = ["COMPLETED", "FAILED", "CANCELED"];

/// Updates shown with a pipeline.
const SHOWN: usize = 25;

/// The newest update of a pipeline, if it is still active.
pub(crate) fn active_update(pipeline: &Map) -> Option<&str> {
    let newest = json::array(pipeline, "latest_updates")
        .first()?
        .as_object()?;
    let ended = json::text(newest, "state").is_some_and(|state| ENDED.contains(&state));
    if ended {
        None
    } else {
        json::text(newest, "update_id")
    }
}

/// Whether the pipeline's specification says continuous.
pub(crate) fn continuous(pipeline: &Map) -> bool {
    json::object(pipeline, "spec")
        .and_then(|s| json::flag(s, "continuous"))
        .unwrap_or_default()
}

impl World {
    /// Lets pipelines which the inventory shows at work go on, with an update where they need one.
    pub(super) fn settle_pipelines(&mut self) {
        let states: Vec<(String, String)> = self
            .pipelines
            .iter()
            .map(|(id, p)| (id.clone(), p.state().to_owned()))
            .collect();
        for (id, state) in states {
            let lacks = self
                .pipelines
                .get(&id)
                .is_some_and(|p| active_update(&p.raw).is_none());
            match state.as_str() {
                "RUNNING" | "STARTING" | "DEPLOYING" | "RESETTING" | "RECOVERING" => {
                    if lacks {
                        self.add_update(
                            &id,
                            if state == "RUNNING" {
                                "RUNNING"
                            } else {
                                "INITIALIZING"
                            },
                        );
                    }
                    if state == "RUNNING" {
                        self.pipeline_runs(&id)
                    } else {
                        self.pipeline_heads(&id, "RUNNING")
                    }
                }
                "STOPPING" => self.pipeline_heads(&id, "IDLE"),
                _ => {}
            }
        }
    }

    fn add_update(&mut self, id: &str, state: &str) -> String {
        let update = json::uuid(self.fresh());
        let entry = json!({"update_id": update, "state": state, "creation_time": iso(self.now)});
        if let Some(pipeline) = self.pipelines.get_mut(id) {
            let updates = pipeline
                .raw
                .entry("latest_updates")
                .or_insert_with(|| json!([]));
            if let Value::Array(updates) = updates {
                updates.insert(0, entry);
                updates.truncate(SHOWN);
            }
        }
        update
    }

    fn newest_update_becomes(&mut self, id: &str, state: &str) {
        let updates = self
            .pipelines
            .get_mut(id)
            .and_then(|p| p.raw.get_mut("latest_updates"));
        if let Some(newest) = updates
            .and_then(Value::as_array_mut)
            .and_then(|u| u.first_mut())
            && let Some(newest) = newest.as_object_mut()
            && !json::text(newest, "state").is_some_and(|s| ENDED.contains(&s))
        {
            json::set(newest, "state", state);
        }
    }

    fn pipeline_becomes(&mut self, id: &str, state: &str) {
        let Some(pipeline) = self.pipelines.get_mut(id) else {
            return;
        };
        json::set(&mut pipeline.raw, "state", state);
        let name = json::text(&pipeline.raw, "name")
            .unwrap_or_default()
            .to_owned();
        self.log(
            "pipeline_state",
            json!({"pipeline_id": id, "name": name, "state": state}),
        );
    }

    fn pipeline_heads(&mut self, id: &str, to: &'static str) {
        let delay = if to == "RUNNING" {
            self.delays.pipeline_start
        } else {
            self.delays.pipeline_stop
        };
        self.pipeline_after(id, delay, to);
    }

    fn pipeline_after(&mut self, id: &str, delay: f64, to: &'static str) {
        let turn = self.next();
        if let Some(pipeline) = self.pipelines.get_mut(id) {
            pipeline.turn = turn;
            self.after(
                delay,
                Due::Pipeline {
                    id: id.to_owned(),
                    turn,
                    to,
                },
            );
        }
    }

    /// A triggered update ends by itself, a continuous one does not.
    fn pipeline_runs(&mut self, id: &str) {
        if self.pipelines.get(id).is_some_and(|p| !continuous(&p.raw)) {
            self.pipeline_after(id, self.delays.pipeline_update, "COMPLETED");
        }
    }

    pub(super) fn pipeline_arrives(&mut self, id: &str, turn: u64, to: &str) {
        if self.pipelines.get(id).is_none_or(|p| p.turn != turn) {
            return;
        }
        match to {
            "RUNNING" => {
                self.newest_update_becomes(id, "RUNNING");
                self.pipeline_becomes(id, "RUNNING");
                self.pipeline_runs(id);
            }
            "COMPLETED" => {
                self.newest_update_becomes(id, "COMPLETED");
                self.pipeline_becomes(id, "IDLE");
            }
            _ => {
                self.newest_update_becomes(id, "CANCELED");
                self.pipeline_becomes(id, "IDLE");
            }
        }
    }

    pub(crate) fn start_update(&mut self, id: &str) -> Result<String, ApiError> {
        let pipeline = self.pipelines.get(id).ok_or_else(|| no_pipeline(id))?;
        if let Some(active) = active_update(&pipeline.raw) {
            let message = format!("An active update {active} already exists.");
            return Err(ApiError::conflict("RESOURCE_CONFLICT", message));
        }
        let update = self.add_update(id, "INITIALIZING");
        self.pipeline_becomes(id, "STARTING");
        self.pipeline_heads(id, "RUNNING");
        Ok(update)
    }

    /// Cancels the active update; without one nothing happens.
    pub(crate) fn stop_pipeline(&mut self, id: &str) -> Result<(), ApiError> {
        let pipeline = self.pipelines.get(id).ok_or_else(|| no_pipeline(id))?;
        let idle = active_update(&pipeline.raw).is_none() || pipeline.state() == "STOPPING";
        if !idle {
            self.newest_update_becomes(id, "STOPPING");
            self.pipeline_becomes(id, "STOPPING");
            self.pipeline_heads(id, "IDLE");
        }
        Ok(())
    }

    /// A changed specification: a running triggered update gets an end, a continuous one loses it.
    pub(crate) fn pipeline_changed(&mut self, id: &str) {
        let turn = self.next();
        if let Some(pipeline) = self
            .pipelines
            .get_mut(id)
            .filter(|p| p.state() == "RUNNING")
        {
            pipeline.turn = turn;
            self.pipeline_runs(id);
        }
    }
}

pub(crate) fn no_pipeline(id: &str) -> ApiError {
    ApiError::missing(format!("The specified pipeline {id} was not found."))
}
