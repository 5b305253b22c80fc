//! SQL warehouses and the statements which run, or wait, on them.

use serde_json::{Value, json};

use super::{Due, World};
use crate::error::ApiError;
use crate::json;

/// What a statement answers, when a test has said so.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Value(Value),
    Failure(String),
}

/// A submitted statement.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) warehouse: String,
    pub(crate) state: &'static str,
    pub(crate) answer: Option<Answer>,
    pub(crate) user: String,
    /// When it was submitted, in simulated milliseconds.
    pub(crate) submitted: i64,
}

impl Statement {
    pub(crate) fn terminal(&self) -> bool {
        !matches!(self.state, "PENDING" | "RUNNING")
    }
}

impl World {
    pub(super) fn settle_warehouses(&mut self) {
        let states: Vec<(String, String)> = self
            .warehouses
            .iter()
            .map(|(id, w)| (id.clone(), w.state().to_owned()))
            .collect();
        for (id, state) in states {
            match state.as_str() {
                "STARTING" => self.warehouse_heads(&id, "RUNNING"),
                "STOPPING" => self.warehouse_heads(&id, "STOPPED"),
                _ => {}
            }
        }
    }

    pub(crate) fn warehouse_becomes(&mut self, id: &str, state: &str) {
        let Some(warehouse) = self.warehouses.get_mut(id) else {
            return;
        };
        json::set(&mut warehouse.raw, "state", state);
        let clusters = if state == "RUNNING" {
            json::int(&warehouse.raw, "min_num_clusters")
                .unwrap_or(1)
                .max(1)
        } else {
            0
        };
        json::set(&mut warehouse.raw, "num_clusters", clusters);
        let name = json::text(&warehouse.raw, "name")
            .unwrap_or_default()
            .to_owned();
        self.log(
            "warehouse_state",
            json!({"warehouse_id": id, "name": name, "state": state}),
        );
    }

    fn warehouse_heads(&mut self, id: &str, to: &'static str) {
        let delay = if to == "RUNNING" {
            self.delays.warehouse_start
        } else {
            self.delays.warehouse_stop
        };
        let turn = self.next();
        if let Some(warehouse) = self.warehouses.get_mut(id) {
            warehouse.turn = turn;
            self.after(
                delay,
                Due::Warehouse {
                    id: id.to_owned(),
                    turn,
                    to,
                },
            );
        }
    }

    /// Starts a warehouse; one which runs or is starting stays as it is.
    pub(crate) fn start_warehouse(&mut self, id: &str) {
        let state = self.warehouses.get(id).map(|w| w.state().to_owned());
        if let Some("STOPPED" | "STOPPING") = state.as_deref() {
            self.warehouse_becomes(id, "STARTING");
            self.warehouse_heads(id, "RUNNING");
        }
    }

    /// Stops a warehouse; one which is stopped or stopping stays as it is.
    pub(crate) fn stop_warehouse(&mut self, id: &str) {
        let state = self.warehouses.get(id).map(|w| w.state().to_owned());
        if let Some("RUNNING" | "STARTING") = state.as_deref() {
            self.warehouse_becomes(id, "STOPPING");
            self.warehouse_heads(id, "STOPPED");
        }
    }

    /// An edited warehouse which runs does so anew.
    pub(crate) fn restart_warehouse(&mut self, id: &str) {
        if self
            .warehouses
            .get(id)
            .is_some_and(|w| w.state() == "RUNNING")
        {
            self.warehouse_becomes(id, "STARTING");
            self.warehouse_heads(id, "RUNNING");
        }
    }

    pub(super) fn warehouse_arrives(&mut self, id: &str, turn: u64, to: &str) {
        if self.warehouses.get(id).is_none_or(|w| w.turn != turn) {
            return;
        }
        self.warehouse_becomes(id, to);
        let waiting: Vec<String> = self
            .statements
            .iter()
            .filter(|(_, s)| s.warehouse == id && !s.terminal())
            .map(|(id, _)| id.clone())
            .collect();
        if to == "RUNNING" {
            for statement in waiting {
                self.run_statement(&statement);
            }
        } else if !waiting.is_empty() {
            // A statement which still waits wakes the warehouse again.
            self.start_warehouse(id);
        }
    }

    fn run_statement(&mut self, id: &str) {
        if let Some(statement) = self.statements.get_mut(id) {
            statement.state = "RUNNING";
            self.after(self.delays.statement, Due::StatementEnds(id.to_owned()));
        }
    }

    /// Takes a statement; a stopped warehouse is woken by it, whoever stopped it.
    pub(crate) fn submit_statement(
        &mut self,
        warehouse: &str,
        text: &str,
        user: &str,
    ) -> Result<String, ApiError> {
        let state = self.warehouses.get(warehouse).map(|w| w.state().to_owned());
        let state = state.ok_or_else(|| {
            ApiError::missing(format!("SQL warehouse {warehouse} does not exist."))
        })?;
        let digest = self.fresh();
        let id = json::uuid(digest);
        let answer = self.answers.get(text.trim()).cloned();
        let statement = Statement {
            text: text.trim().to_owned(),
            warehouse: warehouse.to_owned(),
            state: "PENDING",
            answer,
            user: user.to_owned(),
            submitted: self.now,
        };
        self.statements.insert(id.clone(), statement);
        if state == "RUNNING" {
            self.run_statement(&id);
        } else {
            self.start_warehouse(warehouse);
        }
        Ok(id)
    }

    pub(super) fn statement_ends(&mut self, id: &str) {
        if let Some(statement) = self.statements.get_mut(id).filter(|s| s.state == "RUNNING") {
            let failed = matches!(statement.answer, Some(Answer::Failure(_)));
            statement.state = if failed { "FAILED" } else { "SUCCEEDED" };
        }
    }

    pub(crate) fn cancel_statement(&mut self, id: &str) {
        if let Some(statement) = self.statements.get_mut(id).filter(|s| !s.terminal()) {
            statement.state = "CANCELED";
        }
    }
}
