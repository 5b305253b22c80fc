//! What a run looks like in each of its states, and what the record says of it.

use serde_json::{Value, json};

use super::World;
use super::runs::Phase;
use crate::json;

impl World {
    pub(super) fn show_queued(&mut self, id: i64) {
        let reason = "Queued due to reaching maximum concurrent runs.";
        self.show(id, Phase::Queued, json!({"life_cycle_state": "QUEUED", "state_message": "",
                "user_cancelled_or_timedout": false, "queue_reason": reason}),
            json!({"state": "QUEUED", "queue_details": {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": reason}}));
        self.log_run("run_queued", id);
    }

    pub(super) fn show_skipped(&mut self, id: i64) {
        let now = self.now;
        let message = "Skipped: the job has reached its maximum of concurrent runs.";
        self.show(id, Phase::Ended, json!({"life_cycle_state": "SKIPPED", "state_message": message,
                "result_state": "MAXIMUM_CONCURRENT_RUNS_REACHED", "user_cancelled_or_timedout": false}),
            json!({"state": "TERMINATED", "termination_details":
                {"code": "MAX_CONCURRENT_RUNS_EXCEEDED", "type": "CLIENT_ERROR", "message": message}}));
        if let Some(run) = self.runs.by_id.get_mut(&id) {
            json::set(&mut run.raw, "end_time", now);
        }
        self.log_run("run_skipped", id);
    }

    pub(super) fn show(&mut self, id: i64, phase: Phase, state: Value, status: Value) {
        if let Some(run) = self.runs.by_id.get_mut(&id) {
            run.phase = phase;
            json::set(&mut run.raw, "state", state);
            json::set(&mut run.raw, "status", status);
        }
    }

    pub(super) fn show_plain(&mut self, id: i64, phase: Phase, state: &str) {
        self.show(
            id,
            phase,
            json!({"life_cycle_state": state, "state_message": "",
            "user_cancelled_or_timedout": false}),
            json!({"state": state}),
        );
    }

    pub(super) fn log_started(&mut self, id: i64) {
        self.log_run("run_started", id);
    }

    pub(super) fn log_run(&mut self, kind: &str, id: i64) {
        let Some(run) = self.runs.by_id.get(&id) else {
            return;
        };
        let name = json::text(&run.raw, "run_name")
            .unwrap_or_default()
            .to_owned();
        let job_name = run
            .job
            .and_then(|job| self.jobs.get(&job))
            .map(|job| job.name().to_owned());
        let mut fields = json::into_map(json!({"run_id": id, "job_id": run.raw.get("job_id"),
            "job_name": job_name.unwrap_or(name), "cause": run.cause}));
        if kind == "run_ended" {
            let result = json::object(&run.raw, "state").and_then(|s| s.get("result_state"));
            json::set(&mut fields, "result", result.cloned().unwrap_or_default());
        }
        self.log(kind, Value::Object(fields));
    }
}
