//! Derives the estate of a standby workspace from that of the active one.

use std::collections::HashMap;

use serde_json::Value;

use crate::inventory::kinds;
use crate::json::{self, Map};

/// Ids of the original and what they became.
#[derive(Default)]
struct Ids {
    numbers: HashMap<i64, i64>,
    texts: HashMap<String, String>,
}

/// Text fields which carry an id among other things.
const EMBEDDING: [&str; 4] = ["jdbc_url", "object_id", "path", "inherited_from_object"];

pub(crate) fn standby(original: &Map, seed: &str) -> Map {
    let ids = new_ids(original, seed);
    let mut document = original.clone();
    for (kind, _) in kinds() {
        let Some(Value::Array(items)) = document.get_mut(kind) else {
            continue;
        };
        if kind == "runs" {
            items.clear();
            continue;
        }
        for item in items {
            remap(item, &ids, "");
            if let Value::Object(item) = item {
                calm(kind, item);
            }
        }
    }
    if let Some(permissions) = document.get_mut("permissions") {
        *permissions = remap_permissions(permissions, &ids);
    }
    document
}

fn new_ids(original: &Map, seed: &str) -> Ids {
    let mut ids = Ids::default();
    for (kind, id_field) in kinds() {
        for (index, item) in json::array(original, kind)
            .iter()
            .filter_map(Value::as_object)
            .enumerate()
        {
            let digest = json::hash(&[seed, kind, name_of(item), &index.to_string()]);
            if kind == "jobs" {
                if let Some(old) = json::int(item, id_field) {
                    let fresh = i64::try_from(digest & ((1 << 53) - 1)).unwrap_or(1).max(1);
                    ids.numbers.insert(old, fresh);
                    ids.texts.insert(old.to_string(), fresh.to_string());
                }
                continue;
            }
            // Apps and endpoints are addressed by name; the id is a second identity.
            let field = if id_field == "name" { "id" } else { id_field };
            if kind != "runs"
                && let Some(old) = json::text(item, field)
            {
                ids.texts.insert(old.to_owned(), reshape(old, digest));
            }
            for (place, schedule) in json::array(item, "schedules").iter().enumerate() {
                if let Some(old) = schedule.get("schedule_id").and_then(Value::as_str) {
                    ids.texts.insert(
                        old.to_owned(),
                        reshape(old, json::mix(digest ^ place as u64)),
                    );
                }
            }
        }
    }
    ids
}

fn name_of(item: &Map) -> &str {
    let settings = json::object(item, "settings").and_then(|s| json::text(s, "name"));
    let named = ["name", "cluster_name", "instance_pool_name", "display_name"];
    settings
        .or_else(|| named.iter().find_map(|key| json::text(item, key)))
        .unwrap_or_default()
}

/// Another id of the same form: digits stay digits, letters of hexadecimal numbers stay such letters.
fn reshape(old: &str, digest: u64) -> String {
    let noise = json::hex(digest, old.len());
    old.chars()
        .zip(noise.chars())
        .map(|(old, noise)| {
            let value = noise.to_digit(16).unwrap_or_default();
            match old {
                '0'..='9' => char::from_digit(value % 10, 10).unwrap_or(old),
                'a'..='f' => char::from_digit(10 + value % 6, 16).unwrap_or(old),
                other => other,
            }
        })
        .collect()
}

/// Replaces ids wherever they stand as a whole value, and inside the few fields which embed one.
fn remap(value: &mut Value, ids: &Ids, key: &str) {
    match value {
        Value::Object(map) => map
            .iter_mut()
            .for_each(|(key, value)| remap(value, ids, key)),
        Value::Array(list) => list.iter_mut().for_each(|value| remap(value, ids, key)),
        Value::Number(number) if key == "job_id" => {
            if let Some(fresh) = number.as_i64().and_then(|n| ids.numbers.get(&n)) {
                *value = Value::from(*fresh);
            }
        }
        Value::String(text) => {
            if let Some(fresh) = ids.texts.get(text.as_str()) {
                *text = fresh.clone();
            } else if EMBEDDING.contains(&key) {
                *text = remap_inside(text, ids);
            }
        }
        _ => {}
    }
}

fn remap_inside(text: &str, ids: &Ids) -> String {
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_id(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        out.push_str(ids.texts.get(word).map_or(word, String::as_str));
        let mut chars = tail.chars();
        out.extend(chars.next());
        rest = chars.as_str();
    }
    out
}

fn remap_permissions(permissions: &Value, ids: &Ids) -> Value {
    let mut fresh = permissions.clone();
    let Value::Object(types) = &mut fresh else {
        return fresh;
    };
    for objects in types.values_mut().filter_map(Value::as_object_mut) {
        let old = std::mem::take(objects);
        for (id, mut list) in old {
            remap(&mut list, ids, "");
            objects.insert(ids.texts.get(&id).cloned().unwrap_or(id), list);
        }
    }
    fresh
}

/// Puts an object into the state in which a standby holds it.
fn calm(kind: &str, item: &mut Map) {
    match kind {
        "jobs" => {
            item.remove("trigger_state");
            if let Some(Value::Object(settings)) = item.get_mut("settings") {
                calm_job(settings);
            }
        }
        "pipelines" => {
            json::set(item, "state", "IDLE");
            if let Some(Value::Array(updates)) = item.get_mut("latest_updates") {
                updates.retain(|u| {
                    matches!(
                        u.get("state").and_then(Value::as_str),
                        Some("COMPLETED" | "FAILED" | "CANCELED")
                    )
                });
            }
        }
        "clusters" => json::set(item, "state", "TERMINATED"),
        "instance_pools" => {
            json::set(item, "min_idle_instances", 0);
            item.remove("stats");
        }
        "warehouses" => {
            json::set(item, "state", "STOPPED");
            json::set(item, "num_clusters", 0);
        }
        "apps" => {
            json::set(
                item,
                "compute_status",
                serde_json::json!({"state": "STOPPED", "message": "App compute is stopped."}),
            );
            json::set(
                item,
                "app_status",
                serde_json::json!({"state": "UNAVAILABLE", "message": "App status."}),
            );
        }
        "alerts" => {
            pause_inside(item, "schedule");
        }
        "dashboards" => {
            for schedule in item
                .get_mut("schedules")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                if let Value::Object(schedule) = schedule {
                    json::set(schedule, "pause_status", "PAUSED");
                }
            }
        }
        _ => {}
    }
}

fn pause_inside(map: &mut Map, key: &str) -> bool {
    let Some(Value::Object(place)) = map.get_mut(key) else {
        return false;
    };
    let live = json::text(place, "pause_status") != Some("PAUSED");
    json::set(place, "pause_status", "PAUSED");
    live
}

fn calm_job(settings: &mut Map) {
    let mut live = false;
    for place in ["schedule", "trigger", "continuous"] {
        live |= pause_inside(settings, place);
    }
    for trigger in settings
        .get_mut("triggers")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Value::Object(trigger) = trigger {
            live |= json::text(trigger, "pause_status") != Some("PAUSED");
            json::set(trigger, "pause_status", "PAUSED");
        }
    }
    if live && json::int(settings, "max_concurrent_runs").is_some_and(|n| n > 1) {
        json::set(settings, "max_concurrent_runs", 1);
    }
}

#[cfg(test)]
mod tests {
    use crate::Inventory;
    use serde_json::json;

    fn estate() -> Inventory {
        Inventory::from_json(json!({
            "jobs": [
                {"job_id": 11, "settings": {"name": "a", "max_concurrent_runs": 4, "extra": {"kept": true},
                    "schedule": {"quartz_cron_expression": "0 0 9 * * ?", "timezone_id": "UTC"},
                    "tasks": [{"task_key": "t", "existing_cluster_id": "1122-1-ab"},
                        {"task_key": "u", "pipeline_task": {"pipeline_id": "p-1"}}]}},
                {"job_id": 12, "settings": {"name": "b", "max_concurrent_runs": 3,
                    "triggers": [{"pause_status": "PAUSED", "periodic": {"interval": 1, "unit": "DAYS"}}],
                    "tasks": [{"task_key": "t", "run_job_task": {"job_id": 11}}]}}],
            "clusters": [{"cluster_id": "1122-1-ab", "cluster_name": "c", "state": "RUNNING"}],
            "pipelines": [{"pipeline_id": "p-1", "name": "p", "state": "RUNNING", "spec": {"id": "p-1"},
                "latest_updates": [{"update_id": "u", "state": "RUNNING"}]}],
            "instance_pools": [{"instance_pool_id": "pool1", "instance_pool_name": "i", "min_idle_instances": 5}],
            "warehouses": [{"id": "ef10", "name": "w", "state": "RUNNING", "jdbc_url": "x/warehouses/ef10;"}],
            "runs": [{"run_id": 5, "job_id": 11}],
            "permissions": {"jobs": {"11": {"object_id": "/jobs/11", "object_type": "job"}}}
        }))
        .unwrap()
    }

    #[test]
    fn references_follow_and_nothing_is_live() {
        let (one, two) = (estate(), estate().standby("dr"));
        assert_eq!(two, estate().standby("dr"));
        assert_ne!(two, estate().standby("other"));
        let doc = two.to_json();
        let job = &doc["jobs"][0];
        assert_ne!(job["job_id"], 11);
        assert!(job["job_id"].as_i64().unwrap() < 1 << 53);
        assert_eq!(job["settings"]["extra"], json!({"kept": true}));
        assert_eq!(job["settings"]["schedule"]["pause_status"], "PAUSED");
        assert_eq!(job["settings"]["max_concurrent_runs"], 1);
        assert_eq!(doc["jobs"][1]["settings"]["max_concurrent_runs"], 3);
        assert_eq!(
            job["settings"]["tasks"][0]["existing_cluster_id"],
            doc["clusters"][0]["cluster_id"]
        );
        assert_ne!(doc["clusters"][0]["cluster_id"], "1122-1-ab");
        let pipeline = &doc["pipelines"][0];
        assert_eq!(
            job["settings"]["tasks"][1]["pipeline_task"]["pipeline_id"],
            pipeline["pipeline_id"]
        );
        assert_eq!(pipeline["spec"]["id"], pipeline["pipeline_id"]);
        assert_eq!(pipeline["state"], "IDLE");
        assert_eq!(
            doc["jobs"][1]["settings"]["tasks"][0]["run_job_task"]["job_id"],
            job["job_id"]
        );
        assert_eq!(doc["clusters"][0]["state"], "TERMINATED");
        assert_eq!(doc["warehouses"][0]["state"], "STOPPED");
        let warehouse = doc["warehouses"][0]["id"].as_str().unwrap();
        assert_eq!(
            doc["warehouses"][0]["jdbc_url"],
            format!("x/warehouses/{warehouse};")
        );
        assert_eq!(doc["instance_pools"][0]["min_idle_instances"], 0);
        assert_eq!(doc["runs"], json!([]));
        let id = job["job_id"].to_string();
        assert_eq!(
            doc["permissions"]["jobs"][&id]["object_id"],
            format!("/jobs/{id}")
        );
        assert_eq!(one.items("jobs").count(), two.items("jobs").count());
    }
}
