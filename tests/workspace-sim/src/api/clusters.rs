//! Clusters.

use serde_json::{Value, json};

use super::{Call, Page, Routes, done, token};
use crate::engine::World;
use crate::error::ApiError;
use crate::json;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.1/clusters/list", list)
        .get("/api/2.1/clusters/get", get)
        .post("/api/2.1/clusters/create", create)
        .post("/api/2.1/clusters/start", start)
        .post("/api/2.1/clusters/delete", delete)
        .post("/api/2.1/clusters/permanent-delete", permanent_delete)
        .post("/api/2.1/clusters/edit", edit)
        .post("/api/2.1/clusters/events", events)
}

fn missing(id: &str) -> ApiError {
    ApiError::invalid(format!("Cluster {id} does not exist"))
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page::read(call, "page_size", 20, 100)?;
    let states = call.args("filter_by.cluster_states");
    let sources = call.args("filter_by.cluster_sources");
    let policy = call.arg("filter_by.policy_id");
    let allowed = |list: &[&str], value: Option<&str>| {
        list.is_empty() || value.is_some_and(|v| list.contains(&v))
    };
    let found = world
        .clusters
        .values()
        .map(|cluster| &cluster.raw)
        .filter(|raw| {
            allowed(&states, json::text(raw, "state"))
                && allowed(&sources, json::text(raw, "cluster_source"))
                && policy.is_none_or(|policy| json::text(raw, "policy_id") == Some(policy))
        });
    let mut found: Vec<&json::Map> = found.collect();
    if call.arg("sort_by.field") == Some("CLUSTER_NAME") {
        found.sort_by_key(|raw| {
            json::text(raw, "cluster_name")
                .unwrap_or_default()
                .to_owned()
        });
    }
    if call.arg("sort_by.direction") == Some("DESC") {
        found.reverse();
    }
    let mut response = page.response("clusters", found.into_iter().cloned());
    if let Some(response) = response.as_object_mut() {
        // This API ends its pages with an empty token.
        response
            .entry("next_page_token")
            .or_insert_with(|| "".into());
    }
    Ok(response)
}

fn get(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call
        .arg("cluster_id")
        .ok_or_else(|| ApiError::invalid("Missing required field: cluster_id"))?;
    let cluster = world.clusters.get(id).ok_or_else(|| missing(id))?;
    Ok(Value::Object(cluster.raw.clone()))
}

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    call.required_text("spark_version")?;
    let id = world.create_cluster(&call.body, &call.user);
    Ok(json!({"cluster_id": id}))
}

fn start(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    world.start_cluster(call.required_text("cluster_id")?, &call.user)?;
    Ok(done())
}

fn delete(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    world.terminate_cluster(call.required_text("cluster_id")?, &call.user)?;
    Ok(done())
}

fn permanent_delete(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.required_text("cluster_id")?;
    world.terminate_cluster(id, &call.user)?;
    world.clusters.remove(id);
    Ok(done())
}

fn edit(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.required_text("cluster_id")?;
    call.required_text("spark_version")?;
    world.edit_cluster(id, &call.body, &call.user)?;
    Ok(done())
}

fn events(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.required_text("cluster_id")?;
    if !world.clusters.contains_key(id) {
        return Err(missing(id));
    }
    let size = json::int(&call.body, "page_size")
        .or_else(|| json::int(&call.body, "limit"))
        .unwrap_or(50);
    if !(0..=500).contains(&size) {
        return Err(ApiError::invalid(format!(
            "Invalid page_size {size} - it has to be between 0 and 500."
        )));
    }
    let from = match json::text(&call.body, "page_token").filter(|t| !t.is_empty()) {
        Some(text) => text.strip_prefix("CAE").and_then(|n| n.parse().ok()),
        None => Some(token(call)?),
    };
    let from = from.ok_or_else(|| ApiError::invalid("Invalid page token."))?;
    let wanted = json::array(&call.body, "event_types");
    let (start, end) = (
        json::int(&call.body, "start_time"),
        json::int(&call.body, "end_time"),
    );
    let mut found: Vec<Value> = world
        .cluster_events
        .get(id)
        .into_iter()
        .flatten()
        .filter(|event| {
            wanted.is_empty() || event.get("type").is_some_and(|kind| wanted.contains(kind))
        })
        .filter(|event| {
            let at = event
                .get("timestamp")
                .and_then(Value::as_i64)
                .unwrap_or_default();
            start.is_none_or(|start| at >= start) && end.is_none_or(|end| at <= end)
        })
        .cloned()
        .collect();
    if json::text(&call.body, "order") != Some("ASC") {
        found.reverse();
    }
    let total = found.len();
    let page = Page {
        from,
        size: usize::try_from(if size == 0 { 50 } else { size }).unwrap_or(50),
    };
    let mut response = page.response("events", found.into_iter());
    if let Some(response) = response.as_object_mut() {
        json::set(response, "total_count", total);
    }
    Ok(response)
}
