//! Who is calling, and what clusters can be made of.

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

fn spark_versions(_: &mut World, _: &Call) -> Result<Value, ApiError> {
    let versions = ["16.4.x-scala2.12", "15.4.x-scala2.12", "14.3.x-scala2.12"];
    let versions = versions.map(|key| {
        let number = key.split(".x").next().unwrap_or(key);
        json!({"key": key, "name": format!("{number} LTS (Scala 2.12)")})
    });
    Ok(json!({"versions": versions}))
}

fn node_types(_: &mut World, _: &Call) -> Result<Value, ApiError> {
    let types = [
        ("i3.xlarge", 31_232, 4.0),
        ("i3.2xlarge", 62_464, 8.0),
        ("m5d.large", 8_192, 2.0),
    ];
    let types = types.map(|(id, memory, cores)| {
        json!({
            "node_type_id": id, "instance_type_id": id, "memory_mb": memory, "num_cores": cores,
            "num_gpus": 0, "description": id, "category": "General Purpose", "is_deprecated": false,
        })
    });
    Ok(json!({"node_types": types}))
}
