//! Runs: from the queue through PENDING and RUNNING to their end.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Due, World};
use crate::json::{self, Map};

/// How long a run may wait in a queue.
const QUEUE_SECONDS: f64 = 48.0 * 3600.0;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Queued,
    /// PENDING, and what an inventory says of runs which wait for something else.
    Waiting,
    Running,
    Terminating,
    Ended,
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) raw: Map,
    pub(crate) phase: Phase,
    pub(crate) sequence: u64,
    pub(crate) job: Option<i64>,
    pub(crate) cause: &'static str,
    pub(crate) task_keys: Vec<String>,
}

impl Run {
    pub(crate) fn active(&self) -> bool {
        self.phase != Phase::Ended
    }
}

/// All runs, with the orders in which they are listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    pub(crate) by_id: BTreeMap<i64, Run>,
    pub(crate) by_sequence: BTreeMap<u64, i64>,
    pub(crate) active: BTreeSet<u64>,
    pub(crate) tokens: BTreeMap<String, i64>,
}

/// How a run is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct StartRun {
    pub(crate) cause: &'static str,
    pub(crate) trigger: &'static str,
    /// Overrides the job's own queue setting.
    pub(crate) queue: Option<bool>,
    pub(crate) creator: Option<String>,
    pub(crate) parameters: Option<Map>,
}

impl World {
    fn fresh_run_id(&mut self) -> i64 {
        loop {
            let number = i64::try_from(self.next()).unwrap_or_default();
            let id = i64::try_from(self.workspace_id % 9_000 + 100).unwrap_or_default()
                * 100_000_000_000
                + number;
            if !self.runs.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    /// Takes a run which was there before the simulator, active ones go on from where they are.
    pub(super) fn adopt_run(&mut self, raw: Map) {
        let Some(id) = json::int(&raw, "run_id") else {
            return;
        };
        let life = json::object(&raw, "state").and_then(|s| json::text(s, "life_cycle_state"));
        let status = json::object(&raw, "status").and_then(|s| json::text(s, "state"));
        let phase = match life.or(status) {
            Some("QUEUED") => Phase::Queued,
            Some("PENDING" | "BLOCKED" | "WAITING_FOR_RETRY" | "WAITING") => Phase::Waiting,
            Some("TERMINATING") => Phase::Terminating,
            Some("TERMINATED" | "SKIPPED" | "INTERNAL_ERROR") => Phase::Ended,
            _ => Phase::Running,
        };
        let job = json::int(&raw, "job_id").filter(|job| self.jobs.contains_key(job));
        let task_keys = job.map(|job| self.task_keys(job)).unwrap_or_default();
        let sequence = self.next();
        self.insert_run(
            id,
            Run {
                raw,
                phase,
                sequence,
                job,
                cause: "preexisting",
                task_keys,
            },
        );
        match phase {
            Phase::Queued => self.after(QUEUE_SECONDS, Due::QueueExpires(id)),
            Phase::Waiting => self.after(self.delays.run_start, Due::RunBegins(id)),
            Phase::Running => self.after(self.delays.run_duration, Due::RunSucceeds(id)),
            Phase::Terminating => self.after(self.delays.run_cancel, Due::RunCancelled(id)),
            Phase::Ended => {}
        }
        if !matches!(phase, Phase::Queued | Phase::Ended) {
            self.log_started(id);
        }
    }

    fn insert_run(&mut self, id: i64, run: Run) {
        self.runs.by_sequence.insert(run.sequence, id);
        if run.active() {
            self.runs.active.insert(run.sequence);
        }
        if let Some(job) = run.job.and_then(|job| self.jobs.get_mut(&job)) {
            job.runs.push(run.sequence);
            job.run_count += 1;
            match run.phase {
                Phase::Queued => job.queued.push_back(id),
                Phase::Ended => {}
                _ => {
                    job.active.insert(id);
                }
            }
        }
        self.runs.by_id.insert(id, run);
    }

    fn task_keys(&self, job: i64) -> Vec<String> {
        let settings = self.jobs.get(&job).and_then(|job| job.settings());
        settings
            .map(|s| keys_of(json::array(s, "tasks")))
            .unwrap_or_default()
    }

    /// Starts, queues or skips a run of a job, as its limit and queue have it.
    pub(crate) fn start_job_run(&mut self, job_id: i64, start: StartRun) -> Option<i64> {
        let job = self.jobs.get(&job_id)?;
        let full = job.active.len() >= job.limit();
        let phase = match (full, start.queue.unwrap_or_else(|| job.queues())) {
            (false, _) => Phase::Waiting,
            (true, true) => Phase::Queued,
            (true, false) => Phase::Ended,
        };
        let number = job.run_count + 1;
        let mut raw = Map::new();
        json::set(&mut raw, "job_id", job_id);
        json::set(&mut raw, "number_in_job", number);
        json::set(&mut raw, "run_name", job.name());
        json::set(&mut raw, "run_type", "JOB_RUN");
        let creator = start
            .creator
            .as_deref()
            .or_else(|| json::text(&job.raw, "creator_user_name"));
        json::set(&mut raw, "creator_user_name", creator.unwrap_or_default());
        if start.cause == "schedule"
            && let Some(schedule) = job.settings().and_then(|s| s.get("schedule"))
        {
            json::set(&mut raw, "schedule", schedule.clone());
        }
        if let Some(parameters) = start.parameters {
            json::set(&mut raw, "overriding_parameters", parameters);
        }
        let keys = self.task_keys(job_id);
        Some(self.start_run(raw, phase, Some(job_id), start.cause, start.trigger, keys))
    }

    /// Starts a one-time run which belongs to no job.
    pub(crate) fn submit_run(&mut self, name: &str, creator: &str, tasks: &[Value]) -> i64 {
        let mut raw = Map::new();
        json::set(&mut raw, "run_name", name);
        json::set(&mut raw, "run_type", "SUBMIT_RUN");
        json::set(&mut raw, "creator_user_name", creator);
        self.start_run(
            raw,
            Phase::Waiting,
            None,
            "submit",
            "ONE_TIME",
            keys_of(tasks),
        )
    }

    fn start_run(
        &mut self,
        mut raw: Map,
        phase: Phase,
        job: Option<i64>,
        cause: &'static str,
        trigger: &str,
        task_keys: Vec<String>,
    ) -> i64 {
        let id = self.fresh_run_id();
        json::set(&mut raw, "run_id", id);
        json::set(&mut raw, "job_run_id", id);
        json::set(&mut raw, "trigger", trigger);
        json::set(&mut raw, "start_time", self.now);
        for zero in [
            "setup_duration",
            "execution_duration",
            "cleanup_duration",
            "end_time",
        ] {
            json::set(&mut raw, zero, 0);
        }
        let place = job.map_or_else(|| format!("runs/{id}"), |job| format!("job/{job}/run/{id}"));
        json::set(
            &mut raw,
            "run_page_url",
            format!("https://workspace.invalid/?o={}#{place}", self.workspace_id),
        );
        let sequence = self.next();
        self.insert_run(
            id,
            Run {
                raw,
                phase,
                sequence,
                job,
                cause,
                task_keys,
            },
        );
        match phase {
            Phase::Queued => {
                self.show_queued(id);
                self.after(QUEUE_SECONDS, Due::QueueExpires(id));
            }
            Phase::Ended => self.show_skipped(id),
            _ => self.leave_queue(id),
        }
        id
    }

    /// A run takes its place: from here on it counts as started.
    fn leave_queue(&mut self, id: i64) {
        self.show_plain(id, Phase::Waiting, "PENDING");
        self.after(self.delays.run_start, Due::RunBegins(id));
        self.log_started(id);
    }

    fn phase(&self, id: i64) -> Option<Phase> {
        self.runs.by_id.get(&id).map(|run| run.phase)
    }

    pub(super) fn run_begins(&mut self, id: i64) {
        if self.phase(id) == Some(Phase::Waiting) {
            self.show_plain(id, Phase::Running, "RUNNING");
            self.after(self.delays.run_duration, Due::RunSucceeds(id));
        }
    }

    pub(super) fn run_succeeds(&mut self, id: i64) {
        if self.phase(id) == Some(Phase::Running) {
            self.end_run(id, "SUCCESS", ("SUCCESS", "SUCCESS"), false);
        }
    }

    pub(super) fn run_cancelled(&mut self, id: i64) {
        if self.phase(id) == Some(Phase::Terminating) {
            self.end_run(id, "CANCELED", ("USER_CANCELED", "SUCCESS"), true);
        }
    }

    pub(super) fn queue_expires(&mut self, id: i64) {
        if self.phase(id) == Some(Phase::Queued) {
            self.end_run(
                id,
                "CANCELED",
                ("MAX_JOB_QUEUE_SIZE_EXCEEDED", "CLIENT_ERROR"),
                true,
            );
        }
    }

    fn end_run(&mut self, id: i64, result: &str, details: (&str, &str), by_user: bool) {
        let now = self.now;
        self.show(
            id,
            Phase::Ended,
            json!({"life_cycle_state": "TERMINATED", "result_state": result,
                "state_message": "", "user_cancelled_or_timedout": by_user}),
            json!({"state": "TERMINATED", "termination_details":
                {"code": details.0, "type": details.1, "message": ""}}),
        );
        let mut job = None;
        if let Some(run) = self.runs.by_id.get_mut(&id) {
            let took = now - json::int(&run.raw, "start_time").unwrap_or(now);
            json::set(&mut run.raw, "end_time", now);
            json::set(&mut run.raw, "execution_duration", took.max(0));
            json::set(&mut run.raw, "run_duration", took.max(0));
            job = run.job;
            self.runs.active.remove(&run.sequence);
        }
        self.log_run("run_ended", id);
        if let Some(job_id) = job {
            if let Some(job) = self.jobs.get_mut(&job_id) {
                job.active.remove(&id);
                job.queued.retain(|queued| *queued != id);
            }
            self.dequeue(job_id);
            self.keep_continuous(job_id);
        }
    }

    /// Lets queued runs start while the job has room.
    pub(super) fn dequeue(&mut self, job_id: i64) {
        while let Some(job) = self.jobs.get_mut(&job_id) {
            if job.active.len() >= job.limit() {
                return;
            }
            let Some(run) = job.queued.pop_front() else {
                return;
            };
            job.active.insert(run);
            self.leave_queue(run);
        }
    }

    /// Begins to cancel a run; one which ended stays as it is.
    pub(crate) fn cancel_run(&mut self, id: i64) {
        let Some(run) = self.runs.by_id.get(&id) else {
            return;
        };
        if !matches!(run.phase, Phase::Queued | Phase::Waiting | Phase::Running) {
            return;
        }
        if let Some(job) = run.job.and_then(|job| self.jobs.get_mut(&job)) {
            job.queued.retain(|queued| *queued != id);
        }
        self.show_plain(id, Phase::Terminating, "TERMINATING");
        self.after(self.delays.run_cancel, Due::RunCancelled(id));
    }

    /// Cancels the active runs of a job, or every queued run of the workspace or of the job.
    pub(crate) fn cancel_all(&mut self, job: Option<i64>, queued_only: bool) {
        let wanted: Vec<i64> = self
            .runs
            .active
            .iter()
            .filter_map(|sequence| self.runs.by_sequence.get(sequence))
            .filter_map(|id| self.runs.by_id.get(id).map(|run| (*id, run)))
            .filter(|(_, run)| job.is_none() || run.job == job)
            .filter(|(_, run)| !queued_only || run.phase == Phase::Queued)
            .map(|(id, _)| id)
            .collect();
        for id in wanted {
            self.cancel_run(id);
        }
    }
}

fn keys_of(tasks: &[Value]) -> Vec<String> {
    tasks
        .iter()
        .filter_map(|task| task.get("task_key")?.as_str().map(str::to_owned))
        .collect()
}
