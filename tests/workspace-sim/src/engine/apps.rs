//! Apps: their compute starts and stops.

use serde_json::{Value, json};

use super::{Due, World};
use crate::json;

impl World {
    pub(super) fn settle_apps(&mut self) {
        let names: Vec<String> = self.apps.keys().cloned().collect();
        for name in names {
            match self.app_state(&name).as_deref() {
                Some("STARTING" | "UPDATING") => self.app_heads(&name, "ACTIVE"),
                Some("STOPPING") => self.app_heads(&name, "STOPPED"),
                _ => {}
            }
        }
    }

    pub(crate) fn app_state(&self, name: &str) -> Option<String> {
        let compute = self.apps.get(name)?.raw.get("compute_status")?;
        compute
            .get("state")
            .and_then(Value::as_str)
            .map(str::to_owned)
    }

    fn app_becomes(&mut self, name: &str, compute: &str, app: &str) {
        if let Some(thing) = self.apps.get_mut(name) {
            let message = format!("App compute is {}.", compute.to_lowercase());
            json::set(
                &mut thing.raw,
                "compute_status",
                json!({"state": compute, "message": message}),
            );
            json::set(
                &mut thing.raw,
                "app_status",
                json!({"state": app, "message": "App status."}),
            );
            self.log("app_state", json!({"name": name, "state": compute}));
        }
    }

    fn app_heads(&mut self, name: &str, to: &'static str) {
        let delay = if to == "ACTIVE" {
            self.delays.app_start
        } else {
            self.delays.app_stop
        };
        let turn = self.next();
        if let Some(app) = self.apps.get_mut(name) {
            app.turn = turn;
            self.after(
                delay,
                Due::App {
                    name: name.to_owned(),
                    turn,
                    to,
                },
            );
        }
    }

    pub(super) fn app_arrives(&mut self, name: &str, turn: u64, to: &str) {
        if self.apps.get(name).is_some_and(|app| app.turn == turn) {
            self.app_becomes(
                name,
                to,
                if to == "ACTIVE" {
                    "RUNNING"
                } else {
                    "UNAVAILABLE"
                },
            );
        }
    }

    pub(crate) fn start_app(&mut self, name: &str) {
        if matches!(self.app_state(name).as_deref(), Some("STOPPED" | "ERROR")) {
            self.app_becomes(name, "STARTING", "UNAVAILABLE");
            self.app_heads(name, "ACTIVE");
        }
    }

    pub(crate) fn stop_app(&mut self, name: &str) {
        if matches!(
            self.app_state(name).as_deref(),
            Some("ACTIVE" | "STARTING" | "UPDATING" | "ERROR")
        ) {
            self.app_becomes(name, "STOPPING", "UNAVAILABLE");
            self.app_heads(name, "STOPPED");
        }
    }
}
