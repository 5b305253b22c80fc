//! Runs: listing, reading, submitting, cancelling.

use serde_json::{Value, json};

use super::jobs::{known_run, no_job, remember};
use super::{Call, Page, Routes, done, token};
use crate::engine::{Run, World};
use crate::error::ApiError;
use crate::json;

/// The most runs in one page.
const MOST: i64 = 24;
/// Tasks in one answer.
const TASK_PAGE: usize = 100;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.2/jobs/runs/list", list)
        .get("/api/2.2/jobs/runs/get", get)
        .post("/api/2.2/jobs/runs/submit", submit)
        .post("/api/2.2/jobs/runs/cancel", cancel)
        .post("/api/2.2/jobs/runs/cancel-all", cancel_all)
}

fn no_run(id: i64) -> ApiError {
    ApiError::invalid(format!("Run {id} does not exist."))
}

/// The run's tasks: those it came with, or its job's in the state of the run.
fn tasks(run: &Run) -> Vec<Value> {
    if let Some(Value::Array(tasks)) = run.raw.get("tasks") {
        return tasks.clone();
    }
    let id = json::int(&run.raw, "run_id")
        .unwrap_or_default()
        .to_string();
    run.task_keys
        .iter()
        .map(|key| {
            let task = json::hash(&[&id, key]) & ((1 << 53) - 1);
            json!({
                "task_key": key, "run_id": task, "attempt_number": 0,
                "state": run.raw.get("state"), "status": run.raw.get("status"),
                "start_time": run.raw.get("start_time"), "end_time": run.raw.get("end_time"),
            })
        })
        .collect()
}

fn shown(run: &Run, expand: bool) -> Value {
    let mut raw = run.raw.clone();
    raw.remove("tasks");
    if expand {
        let mut tasks = tasks(run);
        if tasks.len() > TASK_PAGE {
            tasks.truncate(TASK_PAGE);
            json::set(&mut raw, "has_more", true);
        }
        json::set(&mut raw, "tasks", tasks);
    }
    Value::Object(raw)
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let limit = match call.int_arg("limit")? {
        None => 20,
        Some(0) => MOST,
        Some(limit) if (1..=MOST).contains(&limit) => limit,
        Some(limit) => {
            let message = format!("Invalid limit {limit} - it has to be no more than {MOST}.");
            return Err(ApiError::invalid(message));
        }
    };
    let (active, completed) = (
        call.flag_arg("active_only"),
        call.flag_arg("completed_only"),
    );
    if active && completed {
        return Err(ApiError::invalid(
            "active_only and completed_only cannot both be true.",
        ));
    }
    let job = call.int_arg("job_id")?;
    let (from, to) = (
        call.int_arg("start_time_from")?,
        call.int_arg("start_time_to")?,
    );
    let kind = call.arg("run_type");
    let runs = &world.runs;
    // The narrowest index there is; the rest is filtered.
    let sequences: Box<dyn Iterator<Item = &u64>> = match job.and_then(|job| world.jobs.get(&job)) {
        _ if active => Box::new(runs.active.iter().rev()),
        Some(job) => Box::new(job.runs.iter().rev()),
        None => Box::new(runs.by_sequence.keys().rev()),
    };
    let found = sequences
        .filter_map(|sequence| runs.by_sequence.get(sequence))
        .filter_map(|id| runs.by_id.get(id))
        .filter(|run| job.is_none_or(|job| json::int(&run.raw, "job_id") == Some(job)))
        .filter(|run| !completed || !run.active())
        .filter(|run| kind.is_none_or(|kind| json::text(&run.raw, "run_type") == Some(kind)))
        .filter(|run| {
            let start = json::int(&run.raw, "start_time").unwrap_or_default();
            from.is_none_or(|from| start >= from) && to.is_none_or(|to| start <= to)
        });
    let page = Page {
        from: token(call)?,
        size: usize::try_from(limit).unwrap_or(1),
    };
    let expand = call.flag_arg("expand_tasks");
    let mut response = page.response("runs", found.map(|run| shown(run, expand)));
    if let Some(response) = response.as_object_mut() {
        let more = response.contains_key("next_page_token");
        json::set(response, "has_more", more);
    }
    Ok(response)
}

fn get(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call
        .int_arg("run_id")?
        .ok_or_else(|| ApiError::invalid("Missing required field: run_id"))?;
    let run = world.runs.by_id.get(&id).ok_or_else(|| no_run(id))?;
    let from = token(call)?;
    let all = tasks(run);
    let more = all.len() > from + TASK_PAGE;
    let mut raw = run.raw.clone();
    let page: Vec<Value> = all.into_iter().skip(from).take(TASK_PAGE).collect();
    json::set(&mut raw, "tasks", page);
    if more {
        json::set(
            &mut raw,
            "next_page_token",
            format!("CAE{}", from + TASK_PAGE),
        );
    }
    Ok(Value::Object(raw))
}

fn submit(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    if let Some(run) = known_run(world, call)? {
        return Ok(json!({"run_id": run}));
    }
    let tasks = json::array(&call.body, "tasks");
    if tasks.is_empty() {
        return Err(ApiError::invalid("Missing required field: tasks"));
    }
    let name = json::text(&call.body, "run_name").unwrap_or("Untitled");
    let run = world.submit_run(name, &call.user, tasks);
    remember(world, call, run);
    Ok(json!({"run_id": run}))
}

fn cancel(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.required_int("run_id")?;
    if !world.runs.by_id.contains_key(&id) {
        return Err(no_run(id));
    }
    world.cancel_run(id);
    Ok(done())
}

fn cancel_all(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let job = json::int(&call.body, "job_id");
    let queued = json::flag(&call.body, "all_queued_runs").unwrap_or_default();
    match job {
        Some(id) if !world.jobs.contains_key(&id) => return Err(no_job(id)),
        None if !queued => {
            return Err(ApiError::invalid(
                "Either job_id or all_queued_runs is required.",
            ));
        }
        _ => world.cancel_all(job, queued),
    }
    Ok(done())
}
