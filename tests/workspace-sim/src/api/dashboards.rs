//! Dashboards and their schedules.

use serde_json::Value;

use super::{Call, Page, Routes};
use crate::clock::iso;
use crate::engine::World;
use crate::error::ApiError;
use crate::json::{self, Map};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.0/lakeview/dashboards", list)
        .get("/api/2.0/lakeview/dashboards/{id}", get)
        .get("/api/2.0/lakeview/dashboards/{id}/schedules", schedules)
        .get(
            "/api/2.0/lakeview/dashboards/{id}/schedules/{schedule}",
            schedule,
        )
        .put(
            "/api/2.0/lakeview/dashboards/{id}/schedules/{schedule}",
            put_schedule,
        )
}

/// The dashboard without the schedules, which the inventory keeps inside it.
fn shown(raw: &Map) -> Value {
    let mut raw = raw.clone();
    raw.remove("schedules");
    Value::Object(raw)
}

fn known<'a>(world: &'a World, call: &Call) -> Result<&'a Map, ApiError> {
    let id = call.param("id");
    world
        .dashboards
        .get(id)
        .ok_or_else(|| ApiError::missing(format!("Dashboard {id} does not exist.")))
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page::read(call, "page_size", 100, 1000)?;
    Ok(page.response("dashboards", world.dashboards.values().map(shown)))
}

fn get(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    known(world, call).map(shown)
}

fn schedules(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page::read(call, "page_size", 100, 1000)?;
    Ok(page.response(
        "schedules",
        json::array(known(world, call)?, "schedules")
            .iter()
            .cloned(),
    ))
}

fn is_wanted(schedule: &Value, call: &Call) -> bool {
    schedule.get("schedule_id").and_then(Value::as_str) == Some(call.param("schedule"))
}

fn schedule(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let found = json::array(known(world, call)?, "schedules")
        .iter()
        .find(|s| is_wanted(s, call));
    found.cloned().ok_or_else(|| {
        ApiError::missing(format!(
            "Schedule {} does not exist.",
            call.param("schedule")
        ))
    })
}

fn put_schedule(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    if json::object(&call.body, "cron_schedule").is_none() {
        return Err(ApiError::invalid("Missing required field: cron_schedule"));
    }
    let now_etag = schedule(world, call)?.get("etag").cloned();
    let etag = call
        .body
        .get("etag")
        .ok_or_else(|| ApiError::invalid("Missing required field: etag"))?;
    if Some(etag) != now_etag.as_ref() {
        return Err(ApiError::conflict(
            "ABORTED",
            "The etag does not match the schedule's current one.",
        ));
    }
    let (fresh, now) = ((world.fresh() % 1_000_000_000).to_string(), iso(world.now));
    let dashboard = world.dashboards.get_mut(call.param("id"));
    let list = dashboard
        .and_then(|d| d.get_mut("schedules"))
        .and_then(Value::as_array_mut);
    let found = list
        .into_iter()
        .flatten()
        .find(|s| is_wanted(s, call))
        .and_then(Value::as_object_mut);
    if let Some(found) = found {
        for field in [
            "cron_schedule",
            "pause_status",
            "display_name",
            "warehouse_id",
        ] {
            if let Some(value) = call.body.get(field) {
                json::set(found, field, value.clone());
            }
        }
        json::set(found, "etag", fresh);
        json::set(found, "update_time", now);
    }
    schedule(world, call)
}
