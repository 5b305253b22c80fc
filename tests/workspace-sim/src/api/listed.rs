//! What the platform only lists here: vector search endpoints, databases, cluster policies.

use serde_json::{Value, json};

use super::{Call, Page, Routes};
use crate::engine::World;
use crate::error::ApiError;
use crate::json::Map;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.0/vector-search/endpoints", vector_search)
        .get("/api/2.0/database/instances", databases)
        .get("/api/2.0/postgres/projects", projects)
        .get("/api/2.0/policies/clusters/list", policies)
}

fn items(world: &World, kind: &str) -> impl Iterator<Item = Map> {
    world
        .listed
        .get(kind)
        .cloned()
        .unwrap_or_default()
        .into_iter()
}

fn vector_search(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page {
        from: super::token(call)?,
        size: 100,
    };
    Ok(page.response("endpoints", items(world, "vector_search_endpoints")))
}

fn databases(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page::read(call, "page_size", 20, 100)?;
    Ok(page.response("database_instances", items(world, "database_instances")))
}

fn projects(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let page = Page::read(call, "page_size", 20, 100)?;
    Ok(page.response("projects", items(world, "postgres_projects")))
}

/// The platform gives all of them at once.
fn policies(world: &mut World, _: &Call) -> Result<Value, ApiError> {
    let policies: Vec<Map> = items(world, "cluster_policies").collect();
    Ok(json!({ "policies": policies }))
}
