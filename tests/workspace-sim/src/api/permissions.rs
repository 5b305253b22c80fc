//! Permissions of every kind of object.

use serde_json::{Value, json};

use super::{Call, Routes};
use crate::engine::World;
use crate::error::ApiError;
use crate::json::{self, Map};

/// The fields which can name a principal.
const PRINCIPALS: [&str; 3] = ["user_name", "group_name", "service_principal_name"];

pub(super) fn routes(routes: Routes) -> Routes {
    let mut routes = routes;
    // The documented path of warehouses has a slash, the one of the official clients has none.
    for path in [
        "/api/2.0/permissions/{kind}/{id}",
        "/api/2.0/permissions/sql/warehouses/{id}",
    ] {
        routes = routes.get(path, get).put(path, put).patch(path, patch);
    }
    routes
}

fn kind_of(call: &Call) -> &str {
    match call.param("kind") {
        "" | "warehouses" => "sql/warehouses",
        kind => kind,
    }
}

fn object_type(kind: &str) -> &str {
    match kind {
        "jobs" => "job",
        "clusters" => "cluster",
        "instance-pools" => "instance-pool",
        "cluster-policies" => "cluster-policy",
        "sql/warehouses" => "warehouses",
        "serving-endpoints" => "serving-endpoint",
        "alertsv2" => "alertv2",
        "dashboards" => "dashboard",
        "notebooks" => "notebook",
        "directories" => "directory",
        "repos" => "repo",
        other => other,
    }
}

/// The object's owner, if the simulator knows the kind; an unknown object of a known kind is an error.
fn owner(world: &World, kind: &str, id: &str) -> Result<Option<String>, ApiError> {
    let missing = || ApiError::missing(format!("{} {id} does not exist.", object_type(kind)));
    let raw: Option<&Map> = match kind {
        "jobs" => id
            .parse()
            .ok()
            .and_then(|id: i64| world.jobs.get(&id))
            .map(|job| &job.raw),
        "pipelines" => world.pipelines.get(id).map(|t| &t.raw),
        "clusters" => world.clusters.get(id).map(|t| &t.raw),
        "instance-pools" => world.pools.get(id).map(|t| &t.raw),
        "sql/warehouses" => world.warehouses.get(id).map(|t| &t.raw),
        "apps" => world.apps.get(id).map(|t| &t.raw),
        "alertsv2" => world.alerts.get(id),
        "dashboards" => world.dashboards.get(id),
        "serving-endpoints" => world
            .serving
            .values()
            .find(|raw| json::text(raw, "id") == Some(id) || json::text(raw, "name") == Some(id)),
        _ => return Ok(None),
    };
    let raw = raw.ok_or_else(missing)?;
    let fields = [
        "creator_user_name",
        "creator_name",
        "owner_user_name",
        "creator",
    ];
    Ok(fields
        .iter()
        .find_map(|field| json::text(raw, field))
        .map(str::to_owned))
}

fn permission(level: &str, inherited: Option<&str>) -> Value {
    match inherited {
        None => json!({"permission_level": level, "inherited": false}),
        Some(from) => {
            json!({"permission_level": level, "inherited": true, "inherited_from_object": [from]})
        }
    }
}

/// The permissions as set, or as every object has them at first.
fn current(world: &World, kind: &str, id: &str) -> Result<Map, ApiError> {
    let owner = owner(world, kind, id)?;
    if let Some(list) = world
        .permissions
        .get(kind)
        .and_then(|objects| objects.get(id))
    {
        return Ok(list.clone());
    }
    let owned = matches!(kind, "jobs" | "pipelines" | "sql/warehouses");
    let level = if owned { "IS_OWNER" } else { "CAN_MANAGE" };
    let owner = owner.unwrap_or_else(|| super::auth::PERSON.to_owned());
    let from = format!("/{kind}/");
    Ok(json::into_map(json!({
        "object_id": format!("/{kind}/{id}"),
        "object_type": object_type(kind),
        "access_control_list": [
            {"user_name": owner, "all_permissions": [permission(level, None)]},
            {"group_name": "admins", "all_permissions": [permission("CAN_MANAGE", Some(&from))]},
        ],
    })))
}

fn get(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    current(world, kind_of(call), call.param("id")).map(Value::Object)
}

fn put(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    change(
        world,
        kind_of(call),
        call.param("id"),
        json::array(&call.body, "access_control_list"),
        true,
    )
}

fn patch(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    change(
        world,
        kind_of(call),
        call.param("id"),
        json::array(&call.body, "access_control_list"),
        false,
    )
}

/// Adds entries to what an object has, as a create call with a list does.
pub(super) fn grant(
    world: &mut World,
    kind: &str,
    id: &str,
    entries: &[Value],
) -> Result<(), ApiError> {
    // Only a list with an owner replaces the creator as the owner.
    let owns = |e: &Value| e.get("permission_level").and_then(Value::as_str) == Some("IS_OWNER");
    change(world, kind, id, entries, entries.iter().any(owns)).map(|_| ())
}

fn principal(entry: &Map) -> Option<(&'static str, &str)> {
    PRINCIPALS
        .into_iter()
        .find_map(|field| json::text(entry, field).map(|name| (field, name)))
}

fn inherited(permission: &Value) -> bool {
    permission
        .get("inherited")
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

/// Drops direct permissions, and entries which have none left; of all principals, or of one.
fn drop_direct(list: &mut Vec<Value>, of: Option<(&str, &str)>) {
    for entry in list.iter_mut().filter_map(Value::as_object_mut) {
        if of.is_none_or(|of| principal(entry) == Some(of))
            && let Some(Value::Array(all)) = entry.get_mut("all_permissions")
        {
            all.retain(inherited);
        }
    }
    list.retain(|e| {
        e.get("all_permissions")
            .and_then(Value::as_array)
            .is_some_and(|all| !all.is_empty())
    });
}

fn change(
    world: &mut World,
    kind: &str,
    id: &str,
    entries: &[Value],
    replace: bool,
) -> Result<Value, ApiError> {
    let mut object = current(world, kind, id)?;
    let mut list = json::array(&object, "access_control_list").to_vec();
    if replace {
        drop_direct(&mut list, None);
    }
    for entry in entries {
        let entry = entry
            .as_object()
            .ok_or_else(|| ApiError::invalid("An access control entry must be an object."))?;
        let (field, name) = principal(entry)
            .ok_or_else(|| ApiError::invalid("An access control entry must name a principal."))?;
        let level = json::text(entry, "permission_level")
            .ok_or_else(|| ApiError::invalid("Missing required field: permission_level"))?;
        drop_direct(&mut list, Some((field, name)));
        let direct = permission(level, None);
        let existing = list
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .find(|e| principal(e) == Some((field, name)));
        match existing
            .and_then(|e| e.get_mut("all_permissions"))
            .and_then(Value::as_array_mut)
        {
            Some(all) => all.insert(0, direct),
            None => list.insert(0, json!({field: name, "all_permissions": [direct]})),
        }
    }
    if matches!(kind, "jobs" | "pipelines") && owners(&list) != 1 {
        return Err(ApiError::invalid(format!(
            "The {} must have exactly one owner.",
            kind.trim_end_matches('s')
        )));
    }
    json::set(&mut object, "access_control_list", list);
    world
        .permissions
        .entry(kind.to_owned())
        .or_default()
        .insert(id.to_owned(), object.clone());
    Ok(Value::Object(object))
}

fn owners(list: &[Value]) -> usize {
    let all = list
        .iter()
        .filter_map(|e| e.get("all_permissions").and_then(Value::as_array));
    all.flatten()
        .filter(|p| p.get("permission_level").and_then(Value::as_str) == Some("IS_OWNER"))
        .count()
}
