//! What computes: pools, clusters, warehouses, apps, pipelines.

use serde_json::Value;

use super::Object;
use crate::act::Act;
use crate::activation::Next;
use crate::inventory::Resource;

fn state(raw: &Object) -> Option<&str> {
    raw.get("state").and_then(Value::as_str)
}

pub(super) fn custom_tag<'a>(raw: &'a Object, tag: &str) -> Option<&'a str> {
    raw.get("custom_tags")?.get(tag)?.as_str()
}

pub(super) fn pipeline_tag<'a>(raw: &'a Object, tag: &str) -> Option<&'a str> {
    raw.get("spec")?.get("tags")?.get(tag)?.as_str()
}

pub(super) fn warehouse_tag<'a>(raw: &'a Object, tag: &str) -> Option<&'a str> {
    raw.get("tags")?
        .get("custom_tags")?
        .as_array()?
        .iter()
        .find(|pair| pair.get("key").and_then(Value::as_str) == Some(tag))?
        .get("value")?
        .as_str()
}

pub(super) fn pool_is_live(raw: &Object) -> bool {
    raw.get("min_idle_instances")
        .is_some_and(|n| n.as_i64() != Some(0))
}

pub(super) fn cluster_is_live(raw: &Object) -> bool {
    !matches!(state(raw), Some("TERMINATED" | "ERROR"))
}

pub(super) fn warehouse_is_live(raw: &Object) -> bool {
    !matches!(state(raw), Some("STOPPED" | "DELETED" | "DELETING"))
}

pub(super) fn pipeline_is_live(raw: &Object) -> bool {
    !matches!(state(raw), Some("IDLE" | "FAILED" | "DELETED"))
}

/// The state of an app's compute; what the app itself says of its health is another matter.
fn app_state(raw: &Object) -> Option<&str> {
    raw.get("compute_status")?.get("state")?.as_str()
}

pub(super) fn app_is_live(raw: &Object) -> bool {
    !matches!(app_state(raw), Some("STOPPED" | "DELETING" | "ERROR"))
}

/// The state, if it is one of these.
fn state_among(state: Option<&str>, broken: &[&str]) -> Option<String> {
    state
        .filter(|state| broken.contains(state))
        .map(str::to_owned)
}

pub(super) fn broken_cluster(raw: &Object) -> Option<String> {
    state_among(state(raw), &["ERROR"])
}

pub(super) fn broken_warehouse(raw: &Object) -> Option<String> {
    let health = raw.get("health").and_then(|h| h.get("status")?.as_str());
    state_among(state(raw), &["DELETED", "DELETING"]).or_else(|| state_among(health, &["FAILED"]))
}

pub(super) fn broken_pipeline(raw: &Object) -> Option<String> {
    state_among(state(raw), &["FAILED", "DELETED"])
}

pub(super) fn broken_app(raw: &Object) -> Option<String> {
    let app = raw.get("app_status").and_then(|a| a.get("state")?.as_str());
    state_among(app_state(raw), &["ERROR", "DELETING"]).or_else(|| state_among(app, &["CRASHED"]))
}

pub(super) fn drain_pool(pool: &Resource) -> Option<Act> {
    let mut pool = pool.raw.clone();
    pool.insert("min_idle_instances".to_owned(), 0.into());
    Some(Act::EditPool { pool })
}

pub(super) fn restore_pool(original: &Resource, twin: &Resource) -> Next {
    let fields = [
        "min_idle_instances",
        "max_capacity",
        "idle_instance_autotermination_minutes",
    ];
    let mut wanted = twin.raw.clone();
    for field in fields {
        match original.raw.get(field) {
            Some(value) => wanted.insert(field.to_owned(), value.clone()),
            None => wanted.remove(field),
        };
    }
    // An absent number and 0 mean the same to the API.
    let zero = Value::from(0);
    let same = fields
        .iter()
        .all(|field| wanted.get(*field).unwrap_or(&zero) == twin.raw.get(*field).unwrap_or(&zero));
    if same {
        Next::AsWanted
    } else {
        Next::Act(Act::EditPool { pool: wanted })
    }
}

/// Clusters and warehouses.
pub(super) fn restore_compute(original: &Resource, twin: &Resource) -> Next {
    if !original.is_live() {
        return Next::NotOurs;
    }
    let id = || twin.id.clone();
    match (twin.kind, state(&twin.raw).unwrap_or("UNKNOWN")) {
        (_, "RUNNING") => Next::AsWanted,
        (super::Kind::Cluster, "TERMINATED" | "ERROR") => Next::Act(Act::StartCluster { id: id() }),
        (super::Kind::Warehouse, "STOPPED") => Next::Act(Act::StartWarehouse { id: id() }),
        (_, state @ ("DELETED" | "DELETING")) => Next::List(format!("is {state} at the target")),
        _ => Next::Wait,
    }
}

pub(super) fn restore_app(original: &Resource, twin: &Resource) -> Next {
    if !original.is_live() {
        return Next::NotOurs;
    }
    match app_state(&twin.raw) {
        Some("ACTIVE") => Next::AsWanted,
        Some("STOPPED" | "ERROR") => Next::Act(Act::StartApp {
            name: twin.id.clone(),
        }),
        Some("DELETING") => Next::List("is being deleted at the target".to_owned()),
        _ => Next::Wait,
    }
}

pub(super) fn restore_pipeline(original: &Resource, twin: &Resource) -> Next {
    if !original.is_live() {
        return Next::NotOurs;
    }
    let continuous = original
        .raw
        .get("spec")
        .and_then(|spec| spec.get("continuous"))
        .and_then(Value::as_bool)
        == Some(true);
    if !continuous {
        return Next::List("its update was interrupted; it is not continuous, so starting it again is a person's decision".to_owned());
    }
    match state(&twin.raw) {
        Some("RUNNING") => Next::AsWanted,
        Some("IDLE" | "FAILED") => Next::Act(Act::StartPipeline {
            id: twin.id.clone(),
        }),
        _ => Next::Wait,
    }
}
