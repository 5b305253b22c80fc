//! Instance pools.

use serde_json::{Value, json};

use super::{Call, Routes, done};
use crate::engine::{Thing, World};
use crate::error::ApiError;
use crate::json;

/// What an edit can change; a field which is left out is cleared.
const EDITABLE: [&str; 8] = [
    "instance_pool_name",
    "node_type_id",
    "min_idle_instances",
    "max_capacity",
    "idle_instance_autotermination_minutes",
    "custom_tags",
    "remote_disk_throughput",
    "total_initial_remote_disk_size",
];

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.0/instance-pools/list", list)
        .get("/api/2.0/instance-pools/get", get)
        .post("/api/2.0/instance-pools/create", create)
        .post("/api/2.0/instance-pools/edit", edit)
        .post("/api/2.0/instance-pools/delete", delete)
}

fn missing(id: &str) -> ApiError {
    ApiError::missing(format!("Can't find an instance pool with id {id}."))
}

fn list(world: &mut World, _: &Call) -> Result<Value, ApiError> {
    let pools: Vec<&json::Map> = world.pools.values().map(|pool| &pool.raw).collect();
    Ok(json!({"instance_pools": pools}))
}

fn get(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg("instance_pool_id");
    let id = id.ok_or_else(|| ApiError::invalid("Missing required field: instance_pool_id"))?;
    let pool = world.pools.get(id).ok_or_else(|| missing(id))?;
    Ok(Value::Object(pool.raw.clone()))
}

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    call.required_text("instance_pool_name")?;
    call.required_text("node_type_id")?;
    let digest = world.fresh();
    let id = format!(
        "{:04}-{:06}-pool-{}",
        digest % 1_232,
        digest % 240_000,
        json::hex(digest, 8)
    );
    let mut raw = call.body.clone();
    json::set(&mut raw, "instance_pool_id", id.as_str());
    json::set(&mut raw, "state", "ACTIVE");
    let none =
        json!({"idle_count": 0, "used_count": 0, "pending_idle_count": 0, "pending_used_count": 0});
    json::set(&mut raw, "stats", none);
    world.pools.insert(id.clone(), Thing { raw, turn: 0 });
    world.pool_changed(&id, 0);
    Ok(json!({"instance_pool_id": id}))
}

fn edit(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.required_text("instance_pool_id")?;
    call.required_text("instance_pool_name")?;
    let node_type = call.required_text("node_type_id")?;
    let pool = world.pools.get_mut(id).ok_or_else(|| missing(id))?;
    if json::text(&pool.raw, "node_type_id").is_some_and(|old| old != node_type) {
        return Err(ApiError::invalid(
            "The node type of an instance pool cannot be changed.",
        ));
    }
    let before = json::int(&pool.raw, "min_idle_instances").unwrap_or_default();
    for field in EDITABLE {
        match call.body.get(field) {
            Some(value) => json::set(&mut pool.raw, field, value.clone()),
            None => {
                pool.raw.remove(field);
            }
        }
    }
    world.pool_changed(id, before);
    Ok(done())
}

fn delete(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.required_text("instance_pool_id")?;
    world.pools.remove(id).ok_or_else(|| missing(id))?;
    Ok(done())
}
