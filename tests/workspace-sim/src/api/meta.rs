//! Who is calling, and what clusters can be made of.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::auth::MACHINE;
use super::{Call, Routes};
use crate::engine::World;
use crate::error::ApiError;
use crate::json;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/2.0/preview/scim/v2/Me", me)
        .get("/api/2.1/clusters/spark-versions", spark_versions)
        .get("/api/2.1/clusters/list-node-types", node_types)
}

fn me(_: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = json::hash(&["principal", &call.user]) >> 12;
    let name = if call.user == MACHINE {
        "Simulated service principal"
    } else {
        "Simulated administrator"
    };
    Ok(json!({
        "id": id.to_string(), "userName": call.user, "displayName": name, "active": true,
        "groups": [{"display": "admins", "value": "1"}],
        "entitlements": [{"value": "workspace-access"}],
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    }))
}

/// What every workspace offers here.
const SPARK_VERSIONS: [&str; 3] = ["16.4.x-scala2.12", "15.4.x-scala2.12", "14.3.x-scala2.12"];
const NODE_TYPES: [&str; 3] = ["i3.xlarge", "i3.2xlarge", "m5d.large"];

/// What clusters can be made of: the list of the inventory under `key`, or some, and what its objects name in these fields.
fn offered(world: &World, key: &str, some: &[&str], fields: &[&str]) -> BTreeSet<String> {
    if let Some(listed) = world.other.get(key).and_then(Value::as_array) {
        let listed = listed.iter().filter_map(Value::as_str);
        return listed.map(str::to_owned).collect();
    }
    let mut found: BTreeSet<String> = some.iter().map(|name| (*name).to_owned()).collect();
    let things = [&world.clusters, &world.pools, &world.pipelines];
    let raws = things.into_iter().flat_map(|things| things.values());
    let raws = raws.map(|thing| &thing.raw);
    for raw in raws.chain(world.jobs.values().map(|job| &job.raw)) {
        raw.iter()
            .for_each(|(name, value)| named(name, value, fields, &mut found));
    }
    found
}

fn named(field: &str, value: &Value, fields: &[&str], found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => object
            .iter()
            .for_each(|(name, value)| named(name, value, fields, found)),
        Value::Array(list) => list
            .iter()
            .for_each(|value| named(field, value, fields, found)),
        Value::String(text) if fields.contains(&field) && !text.is_empty() => {
            found.insert(text.clone());
        }
        _ => {}
    }
}

fn spark_versions(world: &mut World, _: &Call) -> Result<Value, ApiError> {
    let fields = ["spark_version", "preloaded_spark_versions"];
    let versions = offered(world, "spark_versions", &SPARK_VERSIONS, &fields);
    let versions = versions.iter().map(|key| {
        let number = key.split(".x").next().unwrap_or(key);
        json!({"key": key, "name": format!("{number} LTS (Scala 2.12)")})
    });
    Ok(json!({"versions": versions.collect::<Vec<_>>()}))
}

fn node_types(world: &mut World, _: &Call) -> Result<Value, ApiError> {
    let fields = ["node_type_id", "driver_node_type_id"];
    let types = offered(world, "node_types", &NODE_TYPES, &fields);
    let types = types.iter().map(|id| {
        json!({
            "node_type_id": id, "instance_type_id": id, "memory_mb": 32_768, "num_cores": 4.0,
            "num_gpus": 0, "description": id, "category": "General Purpose", "is_deprecated": false,
        })
    });
    Ok(json!({"node_types": types.collect::<Vec<_>>()}))
}
