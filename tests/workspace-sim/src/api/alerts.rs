//! Alerts: their schedules can be paused.

use serde_json::Value;

use super::{Call, Page, Routes};
use crate::clock::iso;
use crate::engine::World;
use crate::error::ApiError;
use crate::json::{self, Map};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.0/alerts", list)
        .get("/api/2.0/alerts/{id}", get)
        .patch("/api/2.0/alerts/{id}", patch)
}

fn missing(id: &str) -> ApiError {
    ApiError::missing(format!("Alert {id} does not exist."))
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page::read(call, "page_size", 20, 100)?;
    Ok(page.response("alerts", world.alerts.values().cloned()))
}

fn get(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.param("id");
    world
        .alerts
        .get(id)
        .cloned()
        .map(Value::Object)
        .ok_or_else(|| missing(id))
}

fn patch(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.param("id");
    let mask = call
        .arg("update_mask")
        .ok_or_else(|| ApiError::invalid("Missing required field: update_mask"))?;
    let now = iso(world.now);
    let alert = world.alerts.get_mut(id).ok_or_else(|| missing(id))?;
    let mut changed = alert.clone();
    for path in mask.split(',').map(str::trim) {
        if path == "*" {
            changed.extend(call.body.clone());
        } else {
            let parts: Vec<&str> = path.split('.').collect();
            copy(&mut changed, &call.body, &parts);
        }
    }
    json::set(&mut changed, "update_time", now);
    *alert = changed;
    get(world, call)
}

/// Copies one masked field; one which the body lacks is cleared.
fn copy(target: &mut Map, body: &Map, path: &[&str]) {
    match path {
        [] => {}
        [field] => match body.get(*field) {
            Some(value) => json::set(target, field, value.clone()),
            None => {
                target.remove(*field);
            }
        },
        [field, rest @ ..] => {
            let none = Map::new();
            let inner = json::object(body, field).unwrap_or(&none);
            let target = target
                .entry(*field)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(target) = target {
                copy(target, inner, rest);
            }
        }
    }
}
