//! The simulated platform: all objects, a queue of what is due, and the record of what happened.

mod apps;
mod build;
mod clusters;
mod jobs;
mod pipelines;
mod places;
mod pools;
mod run_states;
mod runs;
mod warehouses;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) use jobs::Job;
pub(crate) use places::check_places;
pub(crate) use runs::{Run, Runs, StartRun};
pub(crate) use warehouses::{Answer, Statement};

use crate::Delays;
use crate::clock::Clock;
use crate::json::{self, Map};

/// An object which moves through states by itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thing {
    pub(crate) raw: Map,
    /// Counts the changes of course, so that a transition which was overtaken does nothing.
    pub(crate) turn: u64,
}

impl Thing {
    pub(crate) fn state(&self) -> &str {
        json::text(&self.raw, "state").unwrap_or_default()
    }
}

/// What becomes due at some simulated time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Due {
    /// A place of a job fires, unless the job's triggers were changed since.
    Fire {
        job: i64,
        turn: u64,
        place: usize,
    },
    RunBegins(i64),
    RunSucceeds(i64),
    RunCancelled(i64),
    QueueExpires(i64),
    Cluster {
        id: String,
        turn: u64,
        to: &'static str,
    },
    Warehouse {
        id: String,
        turn: u64,
        to: &'static str,
    },
    Pipeline {
        id: String,
        turn: u64,
        to: &'static str,
    },
    Pool {
        id: String,
        turn: u64,
    },
    App {
        name: String,
        turn: u64,
        to: &'static str,
    },
    StatementEnds(String),
}

/// The whole workspace.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The simulated time of the step being made, in Unix milliseconds.
    pub(crate) now: i64,
    pub(crate) clock: Clock,
    pub(crate) delays: Delays,
    pub(crate) workspace_id: u64,
    pub(crate) jobs: BTreeMap<i64, Job>,
    pub(crate) runs: Runs,
    pub(crate) clusters: BTreeMap<String, Thing>,
    pub(crate) cluster_events: BTreeMap<String, Vec<Value>>,
    pub(crate) pools: BTreeMap<String, Thing>,
    pub(crate) warehouses: BTreeMap<String, Thing>,
    pub(crate) pipelines: BTreeMap<String, Thing>,
    pub(crate) apps: BTreeMap<String, Thing>,
    pub(crate) alerts: BTreeMap<String, Map>,
    pub(crate) dashboards: BTreeMap<String, Map>,
    pub(crate) serving: BTreeMap<String, Map>,
    /// What is only listed: vector search endpoints, databases, by the name of their list.
    pub(crate) listed: BTreeMap<&'static str, Vec<Map>>,
    pub(crate) permissions: BTreeMap<String, BTreeMap<String, Map>>,
    pub(crate) statements: BTreeMap<String, Statement>,
    pub(crate) answers: BTreeMap<String, Answer>,
    /// Keys of the inventory document which are not objects of the simulator.
    pub(crate) other: Map,
    pub(crate) events: Vec<Value>,
    timers: BTreeMap<(i64, u64), Due>,
    sequence: u64,
    /// Since when the platform stands still, if it does.
    stopped_at: Option<i64>,
}

impl World {
    /// Lets everything happen that is due by now.
    pub(crate) fn advance(&mut self) {
        let now = self.clock.now();
        self.advance_to(now);
    }

    pub(crate) fn advance_to(&mut self, now: i64) {
        if self.stopped_at.is_none() {
            while let Some(entry) = self.timers.first_entry().filter(|e| e.key().0 <= now) {
                let (at, _) = *entry.key();
                let due = entry.remove();
                self.now = self.now.max(at);
                self.happen(due);
            }
        }
        self.now = self.now.max(now);
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Fire { job, turn, place } => self.fire_due(job, turn, place),
            Due::RunBegins(run) => self.run_begins(run),
            Due::RunSucceeds(run) => self.run_succeeds(run),
            Due::RunCancelled(run) => self.run_cancelled(run),
            Due::QueueExpires(run) => self.queue_expires(run),
            Due::Cluster { id, turn, to } => self.cluster_arrives(&id, turn, to),
            Due::Warehouse { id, turn, to } => self.warehouse_arrives(&id, turn, to),
            Due::Pipeline { id, turn, to } => self.pipeline_arrives(&id, turn, to),
            Due::Pool { id, turn } => self.pool_follows(&id, turn),
            Due::App { name, turn, to } => self.app_arrives(&name, turn, to),
            Due::StatementEnds(id) => self.statement_ends(&id),
        }
    }

    /// Has something happen after so many simulated seconds.
    pub(crate) fn after(&mut self, seconds: f64, due: Due) {
        let at = self.now.saturating_add((seconds.max(0.0) * 1000.0) as i64);
        self.at(at, due);
    }

    pub(crate) fn at(&mut self, at: i64, due: Due) {
        let key = (at, self.next());
        self.timers.insert(key, due);
    }

    /// A number never given before in this world.
    pub(crate) fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// A hash never given before in this world, for fresh ids.
    pub(crate) fn fresh(&mut self) -> u64 {
        let number = self.next();
        json::hash(&[&self.workspace_id.to_string(), &number.to_string()])
    }

    /// Writes to the simulator's own record; `fields` must be an object.
    pub(crate) fn log(&mut self, kind: &str, fields: Value) {
        let mut event = Map::new();
        json::set(&mut event, "at_ms", self.clock.real(self.now));
        json::set(&mut event, "sim_ms", self.now);
        json::set(&mut event, "kind", kind);
        event.extend(json::into_map(fields));
        self.events.push(Value::Object(event));
    }

    /// The site goes dark; a stopped platform also stands still.
    pub(crate) fn dark(&mut self, stopped: bool) {
        self.log(
            "dark",
            json!({"platform": if stopped { "stopped" } else { "running" }}),
        );
        match (stopped, self.stopped_at) {
            (true, None) => self.stopped_at = Some(self.now),
            (false, Some(_)) => self.resume(),
            _ => {}
        }
    }

    /// The site is back. What a stopped platform was doing goes on where it was; what it should have
    /// fired in the meantime is not made up for.
    pub(crate) fn light(&mut self) {
        self.resume();
        self.log("light", json!({}));
    }

    /// Whether the platform is stopped, so that nothing starts.
    fn stands_still(&self) -> bool {
        self.stopped_at.is_some()
    }

    fn resume(&mut self) {
        let Some(since) = self.stopped_at.take() else {
            return;
        };
        let pause = self.now - since;
        let timers = std::mem::take(&mut self.timers);
        for ((at, number), due) in timers {
            match due {
                Due::Fire { job, turn, place } => {
                    if at <= self.now {
                        self.schedule_place(job, turn, place);
                    } else {
                        self.timers.insert((at, number), due);
                    }
                }
                other => {
                    self.timers.insert((at + pause, number), other);
                }
            }
        }
    }
}
