//! SQL warehouses.

use serde_json::Value;

use super::{Call, Page, Routes, done};
use crate::engine::World;
use crate::error::ApiError;
use crate::json;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.0/sql/warehouses", list)
        .get("/api/2.0/sql/warehouses/{id}", get)
        .post("/api/2.0/sql/warehouses/{id}/start", start)
        .post("/api/2.0/sql/warehouses/{id}/stop", stop)
        .post("/api/2.0/sql/warehouses/{id}/edit", edit)
}

fn known<'a>(world: &World, call: &'a Call) -> Result<&'a str, ApiError> {
    let id = call.param("id");
    if world.warehouses.contains_key(id) {
        return Ok(id);
    }
    Err(ApiError::missing(format!(
        "SQL warehouse {id} does not exist."
    )))
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page::read(call, "page_size", 100, 1000)?;
    Ok(page.response(
        "warehouses",
        world.warehouses.values().map(|w| w.raw.clone()),
    ))
}

fn get(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = known(world, call)?;
    Ok(world
        .warehouses
        .get(id)
        .map(|w| Value::Object(w.raw.clone()))
        .unwrap_or_default())
}

fn start(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    world.start_warehouse(known(world, call)?);
    Ok(done())
}

fn stop(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    world.stop_warehouse(known(world, call)?);
    Ok(done())
}

fn edit(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = known(world, call)?;
    if let Some(warehouse) = world.warehouses.get_mut(id) {
        let fixed = [
            "id",
            "state",
            "num_clusters",
            "num_active_sessions",
            "jdbc_url",
            "odbc_params",
        ];
        for (key, value) in call
            .body
            .iter()
            .filter(|(key, _)| !fixed.contains(&key.as_str()))
        {
            json::set(&mut warehouse.raw, key, value.clone());
        }
    }
    world.restart_warehouse(id);
    Ok(done())
}
