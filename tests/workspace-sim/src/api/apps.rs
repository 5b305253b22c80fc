//! Apps and serving endpoints.

use serde_json::{Value, json};

use super::{Call, Page, Routes};
use crate::engine::World;
use crate::error::ApiError;
use crate::json::Map;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.0/apps", list)
        .get("/api/2.0/apps/{name}", get)
        .post("/api/2.0/apps/{name}/start", start)
        .post("/api/2.0/apps/{name}/stop", stop)
        .get("/api/2.0/serving-endpoints", endpoints)
        .get("/api/2.0/serving-endpoints/{name}", endpoint)
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page::read(call, "page_size", 100, 100)?;
    Ok(page.response("apps", world.apps.values().map(|app| app.raw.clone())))
}

fn get(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let name = call.param("name");
    let app = world
        .apps
        .get(name)
        .map(|app| Value::Object(app.raw.clone()));
    app.ok_or_else(|| {
        ApiError::missing(format!(
            "App with name {name} does not exist or is deleted."
        ))
    })
}

fn start(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    get(world, call)?;
    world.start_app(call.param("name"));
    get(world, call)
}

fn stop(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    get(world, call)?;
    world.stop_app(call.param("name"));
    get(world, call)
}

fn endpoints(world: &mut World, _: &Call) -> Result<Value, ApiError> {
    if world.serving.is_empty() {
        return Ok(json!({}));
    }
    let endpoints: Vec<&Map> = world.serving.values().collect();
    Ok(json!({"endpoints": endpoints}))
}

fn endpoint(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let name = call.param("name");
    let endpoint = world.serving.get(name).cloned().map(Value::Object);
    endpoint
        .ok_or_else(|| ApiError::missing(format!("Endpoint with name '{name}' does not exist.")))
}
