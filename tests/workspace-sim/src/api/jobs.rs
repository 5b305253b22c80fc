//! Jobs: listing, reading, writing, running.

use serde_json::{Value, json};

use super::{Call, Routes, done, settings, token};
use crate::engine::{Job, StartRun, World, check_places};
use crate::error::ApiError;
use crate::json::{self, Map};

/// The arrays of a job which are left out of plain listings and paged in jobs/get.
const ARRAYS: [&str; 4] = ["tasks", "job_clusters", "environments", "parameters"];
/// Elements of such an array in one answer.
const ARRAY_PAGE: usize = 100;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.2/jobs/list", list)
        .get("/api/2.2/jobs/get", get)
        .post("/api/2.2/jobs/create", create)
        .post("/api/2.2/jobs/update", update)
        .post("/api/2.2/jobs/reset", reset)
        .post("/api/2.2/jobs/delete", delete)
        .post("/api/2.2/jobs/run-now", run_now)
}

pub(super) fn no_job(id: i64) -> ApiError {
    ApiError::invalid(format!("Job {id} does not exist."))
}

/// A job as a listing shows it.
fn listed(job: &Job, expand: bool) -> Value {
    let mut raw = job.raw.clone();
    raw.remove("run_as_user_name");
    if let Some(settings) = raw.get_mut("settings").and_then(Value::as_object_mut) {
        let mut more = false;
        for key in ARRAYS {
            if expand {
                if let Some(Value::Array(items)) = settings.get_mut(key) {
                    more |= items.len() > ARRAY_PAGE;
                    items.truncate(ARRAY_PAGE);
                }
            } else {
                settings.remove(key);
            }
        }
        if more {
            json::set(&mut raw, "has_more", true);
        }
    }
    Value::Object(raw)
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let limit = call.int_arg("limit")?.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        let message = format!("Invalid limit {limit} - it has to be between 1 and 100.");
        return Err(ApiError::invalid(message));
    }
    let limit = usize::try_from(limit).unwrap_or(1);
    // The token is the last id shown, so that jobs which come and go do not shift the pages.
    let after = i64::try_from(token(call)?).unwrap_or(i64::MAX);
    let wanted = call.arg("name").map(str::to_lowercase);
    let expand = call.flag_arg("expand_tasks");
    let mut found = world
        .jobs
        .range(after.saturating_add(1)..)
        .filter(|(_, job)| {
            wanted
                .as_ref()
                .is_none_or(|name| job.name().to_lowercase() == *name)
        });
    let page: Vec<(&i64, &Job)> = found.by_ref().take(limit).collect();
    let more = found.next().is_some();
    let mut response = Map::new();
    if let Some((last, _)) = page.last().filter(|_| more) {
        json::set(&mut response, "next_page_token", format!("CAE{last}"));
    }
    if !page.is_empty() {
        let jobs: Vec<Value> = page
            .into_iter()
            .map(|(_, job)| listed(job, expand))
            .collect();
        json::set(&mut response, "jobs", jobs);
    }
    Ok(Value::Object(response))
}

fn get(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call
        .int_arg("job_id")?
        .ok_or_else(|| ApiError::invalid("Missing required field: job_id"))?;
    let job = world.jobs.get(&id).ok_or_else(|| no_job(id))?;
    let from = token(call)?;
    let mut raw = job.raw.clone();
    let mut more = false;
    if let Some(settings) = raw.get_mut("settings").and_then(Value::as_object_mut) {
        for key in ARRAYS {
            if let Some(Value::Array(items)) = settings.get_mut(key) {
                more |= items.len() > from + ARRAY_PAGE;
                *items = std::mem::take(items)
                    .into_iter()
                    .skip(from)
                    .take(ARRAY_PAGE)
                    .collect();
            }
        }
    }
    if more {
        json::set(&mut raw, "has_more", true);
        json::set(
            &mut raw,
            "next_page_token",
            format!("CAE{}", from + ARRAY_PAGE),
        );
    }
    Ok(Value::Object(raw))
}

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let mut settings = call.body.clone();
    let access = settings.remove("access_control_list");
    check_places(&settings)?;
    settings::fill_defaults(&mut settings);
    let id = loop {
        let id = i64::try_from(world.fresh() & ((1 << 50) - 1)).unwrap_or_default();
        if id > 0 && !world.jobs.contains_key(&id) {
            break id;
        }
    };
    let raw = json::into_map(json!({
        "job_id": id,
        "creator_user_name": call.user,
        "run_as_user_name": call.user,
        "created_time": world.now,
        "settings": settings,
    }));
    world.jobs.insert(id, Job::new(raw));
    if let Some(Value::Array(entries)) = access {
        super::permissions::grant(world, "jobs", &id.to_string(), &entries)?;
    }
    world.job_changed(id);
    Ok(json!({"job_id": id}))
}

fn writable(world: &World, id: i64) -> Result<&Job, ApiError> {
    let job = world.jobs.get(&id).ok_or_else(|| no_job(id))?;
    let deployment = job.settings().and_then(|s| json::object(s, "deployment"));
    if deployment.and_then(|d| json::text(d, "kind")) == Some("SYSTEM_MANAGED") {
        return Err(ApiError::invalid(format!(
            "Job {id} is managed by the system and cannot be changed."
        )));
    }
    Ok(job)
}

fn update(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.required_int("job_id")?;
    let job = writable(world, id)?;
    let mut merged = job.settings().cloned().unwrap_or_default();
    let new = json::object(&call.body, "new_settings");
    if let Some(new) = new {
        check_places(new)?;
        settings::merge(&mut merged, new);
    }
    settings::remove_fields(&mut merged, json::array(&call.body, "fields_to_remove"))?;
    put_settings(world, id, merged);
    Ok(done())
}

fn reset(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.required_int("job_id")?;
    let job = writable(world, id)?;
    let new = json::object(&call.body, "new_settings");
    let mut fresh = new
        .ok_or_else(|| ApiError::invalid("Missing required field: new_settings"))?
        .clone();
    check_places(&fresh)?;
    settings::fill_defaults(&mut fresh);
    // Leaving out who it runs as keeps who it runs as.
    if let Some(run_as) = job.settings().and_then(|s| s.get("run_as")) {
        fresh.entry("run_as").or_insert_with(|| run_as.clone());
    }
    put_settings(world, id, fresh);
    Ok(done())
}

fn put_settings(world: &mut World, id: i64, fresh: Map) {
    if let Some(settings) = world.jobs.get_mut(&id).and_then(Job::settings_mut) {
        *settings = fresh;
    }
    world.job_changed(id);
}

fn delete(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.required_int("job_id")?;
    writable(world, id)?;
    world.delete_job(id);
    Ok(done())
}

fn run_now(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.required_int("job_id")?;
    if !world.jobs.contains_key(&id) {
        return Err(no_job(id));
    }
    if let Some(run) = known_run(world, call)? {
        return Ok(started(world, run));
    }
    let queue = json::object(&call.body, "queue").and_then(|q| json::flag(q, "enabled"));
    let mut parameters = call.body.clone();
    parameters.retain(|key, _| {
        key == "pipeline_params" || key == "dbt_commands" || key.ends_with("_params")
    });
    let start = StartRun {
        cause: "run_now",
        trigger: "ONE_TIME",
        queue,
        creator: Some(call.user.clone()),
        parameters: (!parameters.is_empty()).then_some(parameters),
    };
    let run = world.start_job_run(id, start).ok_or_else(|| no_job(id))?;
    remember(world, call, run);
    Ok(started(world, run))
}

/// The run which this idempotency token has already started.
pub(super) fn known_run(world: &World, call: &Call) -> Result<Option<i64>, ApiError> {
    let Some(token) = json::text(&call.body, "idempotency_token") else {
        return Ok(None);
    };
    if token.chars().count() > 64 {
        return Err(ApiError::invalid(
            "idempotency_token must have at most 64 characters.",
        ));
    }
    Ok(world.runs.tokens.get(token).copied())
}

pub(super) fn remember(world: &mut World, call: &Call, run: i64) {
    if let Some(token) = json::text(&call.body, "idempotency_token").filter(|t| !t.is_empty()) {
        world.runs.tokens.insert(token.to_owned(), run);
    }
}

fn started(world: &World, run: i64) -> Value {
    let number = world
        .runs
        .by_id
        .get(&run)
        .and_then(|r| json::int(&r.raw, "number_in_job"));
    json!({"run_id": run, "number_in_job": number.unwrap_or(run)})
}
