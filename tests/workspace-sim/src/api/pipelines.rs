//! Pipelines.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Call, Page, Routes, done};
use crate::engine::{Thing, World};
use crate::error::ApiError;
use crate::json::{self, Map};

/// What a listing shows of a pipeline.
const LISTED: [&str; 8] = [
    "pipeline_id",
    "name",
    "state",
    "creator_user_name",
    "run_as_user_name",
    "latest_updates",
    "cluster_id",
    "health",
];
/// Fields of a write which are not part of the specification.
const BESIDES: [&str; 6] = [
    "pipeline_id",
    "allow_duplicate_names",
    "dry_run",
    "expected_last_modified",
    "run_as",
    "parameters",
];

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.0/pipelines", list)
        .post("/api/2.0/pipelines", create)
        .get("/api/2.0/pipelines/{id}", get)
        .put("/api/2.0/pipelines/{id}", edit)
        .delete("/api/2.0/pipelines/{id}", delete)
        .post("/api/2.0/pipelines/{id}/stop", stop)
        .post("/api/2.0/pipelines/{id}/updates", start)
        .get("/api/2.0/pipelines/{id}/updates", updates)
        .get("/api/2.0/pipelines/{id}/updates/{update}", update)
}

fn missing(id: &str) -> ApiError {
    ApiError::missing(format!("The specified pipeline {id} was not found."))
}

fn known<'a>(world: &'a World, call: &Call) -> Result<&'a Thing, ApiError> {
    let id = call.param("id");
    world.pipelines.get(id).ok_or_else(|| missing(id))
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page::read(call, "max_results", 25, 100)?;
    let filter = name_filter(call)?;
    let found = world.pipelines.values().filter(|p| {
        let name = json::text(&p.raw, "name").unwrap_or_default();
        filter
            .as_ref()
            .is_none_or(|wanted| name.contains(wanted.as_str()))
    });
    let status = |pipeline: &Thing| -> Map {
        let shown = pipeline
            .raw
            .iter()
            .filter(|(key, _)| LISTED.contains(&key.as_str()));
        shown
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    Ok(page.response("statuses", found.map(status)))
}

/// Of the filter language only `name LIKE '...'` is understood; anything else is refused.
fn name_filter(call: &Call) -> Result<Option<String>, ApiError> {
    let Some(filter) = call.arg("filter") else {
        return Ok(None);
    };
    let wanted = filter.split_once('\'').and_then(|(head, rest)| {
        let like = head
            .trim()
            .to_lowercase()
            .split_whitespace()
            .eq(["name", "like"]);
        rest.strip_suffix('\'').filter(|_| like)
    });
    match wanted {
        Some(wanted) => Ok(Some(wanted.trim_matches('%').to_owned())),
        None => Err(ApiError::invalid(format!("Unsupported filter: {filter}"))),
    }
}

fn get(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    Ok(Value::Object(known(world, call)?.raw.clone()))
}

fn spec_of(body: &Map, id: &str) -> Map {
    let mut spec = body.clone();
    spec.retain(|key, _| !BESIDES.contains(&key.as_str()));
    json::set(&mut spec, "id", id);
    spec
}

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let name = json::text(&call.body, "name")
        .unwrap_or("Untitled")
        .to_owned();
    let id = json::uuid(world.fresh());
    let spec = spec_of(&call.body, &id);
    if json::flag(&call.body, "dry_run").unwrap_or_default() {
        return Ok(json!({"effective_settings": spec}));
    }
    let continuous = json::flag(&spec, "continuous").unwrap_or_default();
    let raw = json::into_map(json!({
        "pipeline_id": id, "name": name, "state": "IDLE", "creator_user_name": call.user,
        "run_as_user_name": call.user, "last_modified": world.now, "spec": spec,
    }));
    world.pipelines.insert(id.clone(), Thing { raw, turn: 0 });
    if continuous {
        world.start_update(&id)?;
    }
    Ok(json!({"pipeline_id": id}))
}

fn edit(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let pipeline = known(world, call)?;
    let modified = json::int(&pipeline.raw, "last_modified");
    let expected = json::int(&call.body, "expected_last_modified");
    if expected.is_some() && expected != modified {
        let message = "The pipeline was modified after expected_last_modified.";
        return Err(ApiError::conflict("RESOURCE_CONFLICT", message));
    }
    let (id, now) = (call.param("id"), world.now);
    if let Some(pipeline) = world.pipelines.get_mut(id) {
        json::set(&mut pipeline.raw, "spec", spec_of(&call.body, id));
        json::set(&mut pipeline.raw, "last_modified", now);
        if let Some(name) = json::text(&call.body, "name") {
            json::set(&mut pipeline.raw, "name", name);
        }
    }
    world.pipeline_changed(id);
    Ok(done())
}

fn delete(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    known(world, call)?;
    world.pipelines.remove(call.param("id"));
    Ok(done())
}

fn stop(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    world.stop_pipeline(call.param("id"))?;
    Ok(done())
}

fn start(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let update = world.start_update(call.param("id"))?;
    Ok(json!({"update_id": update}))
}

/// An update as the calls about single updates show it.
fn detailed(pipeline: &Map, update: &Value) -> Value {
    let created = update.get("creation_time").and_then(Value::as_str);
    let created = created.and_then(|text| text.parse::<Timestamp>().ok());
    let continuous =
        json::object(pipeline, "spec").and_then(|s| json::flag(s, "continuous")) == Some(true);
    json!({
        "pipeline_id": pipeline.get("pipeline_id"),
        "update_id": update.get("update_id"),
        "state": update.get("state"),
        "creation_time": created.map_or(0, Timestamp::as_millisecond),
        "cause": "API_CALL",
        "mode": if continuous { "CONTINUOUS" } else { "DEFAULT" },
        "full_refresh": false,
    })
}

fn updates(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page::read(call, "max_results", 25, 100)?;
    let raw = &known(world, call)?.raw;
    Ok(page.response(
        "updates",
        json::array(raw, "latest_updates")
            .iter()
            .map(|u| detailed(raw, u)),
    ))
}

fn update(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let raw = &known(world, call)?.raw;
    let wanted = call.param("update");
    let mut updates = json::array(raw, "latest_updates").iter();
    let found = updates.find(|u| u.get("update_id").and_then(Value::as_str) == Some(wanted));
    let found =
        found.ok_or_else(|| ApiError::missing(format!("The update {wanted} was not found.")))?;
    Ok(json!({"update": detailed(raw, found)}))
}
