//! How job settings are changed.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::json::{self, Map};

/// Arrays which are merged element by element, and the key of their elements.
const KEYED: [(&str, &str); 2] = [("tasks", "task_key"), ("job_clusters", "job_cluster_key")];

/// What the platform fills in when a job is created or reset.
pub(super) fn fill_defaults(settings: &mut Map) {
    let defaults = [
        ("name", json!("Untitled")),
        ("email_notifications", json!({})),
        ("webhook_notifications", json!({})),
        ("timeout_seconds", json!(0)),
        ("max_concurrent_runs", json!(1)),
        ("format", json!("MULTI_TASK")),
    ];
    for (key, value) in defaults {
        settings.entry(key).or_insert(value);
    }
    for task in settings
        .get_mut("tasks")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Value::Object(task) = task {
            task.entry("run_if").or_insert_with(|| "ALL_SUCCESS".into());
            task.entry("timeout_seconds").or_insert_with(|| 0.into());
            task.entry("email_notifications")
                .or_insert_with(|| json!({}));
            task.entry("webhook_notifications")
                .or_insert_with(|| json!({}));
        }
    }
}

/// Top-level fields are replaced whole, keyed arrays are merged by their key.
pub(super) fn merge(settings: &mut Map, new: &Map) {
    for (field, value) in new {
        let key = KEYED
            .iter()
            .find(|(name, _)| name == field)
            .map(|(_, key)| *key);
        match (key, settings.get_mut(field), value) {
            (Some(key), Some(Value::Array(have)), Value::Array(more)) => {
                merge_keyed(have, more, key)
            }
            _ => json::set(settings, field, value.clone()),
        }
    }
}

fn merge_keyed(have: &mut Vec<Value>, more: &[Value], key: &str) {
    for item in more {
        match have
            .iter_mut()
            .find(|old| old.get(key).is_some() && old.get(key) == item.get(key))
        {
            Some(old) => *old = item.clone(),
            None => have.push(item.clone()),
        }
    }
}

/// Removes top-level fields, or single elements of keyed arrays (`tasks/some_task`).
pub(super) fn remove_fields(settings: &mut Map, fields: &[Value]) -> Result<(), ApiError> {
    for field in fields {
        let field = field
            .as_str()
            .ok_or_else(|| ApiError::invalid("fields_to_remove must be a list of strings."))?;
        let Some((array, wanted)) = field.split_once('/') else {
            settings.remove(field);
            continue;
        };
        let (_, key) = KEYED
            .iter()
            .find(|(name, _)| *name == array)
            .ok_or_else(|| ApiError::invalid(format!("Cannot remove the nested field {field}.")))?;
        if let Some(Value::Array(items)) = settings.get_mut(array) {
            items.retain(|item| item.get(key).and_then(Value::as_str) != Some(wanted));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_replaced_whole_and_keyed_arrays_merged() {
        let mut settings = json::into_map(json!({
            "schedule": {"quartz_cron_expression": "x", "timezone_id": "UTC", "sql_condition": {"a": 1}},
            "tasks": [{"task_key": "a", "n": 1}, {"task_key": "b", "n": 2}],
            "tags": {"x": "1"}, "future": true,
        }));
        let new = json::into_map(json!({
            "schedule": {"quartz_cron_expression": "x", "timezone_id": "UTC", "pause_status": "PAUSED"},
            "tasks": [{"task_key": "b", "n": 3}, {"task_key": "c", "n": 4}],
        }));
        merge(&mut settings, &new);
        assert_eq!(settings["schedule"].get("sql_condition"), None);
        let tasks = json!([{"task_key": "a", "n": 1}, {"task_key": "b", "n": 3}, {"task_key": "c", "n": 4}]);
        assert_eq!(settings["tasks"], tasks);
        remove_fields(&mut settings, &[json!("tags"), json!("tasks/a")]).unwrap();
        assert_eq!(settings.get("tags"), None);
        assert_eq!(settings["tasks"].as_array().unwrap().len(), 2);
        assert_eq!(settings["future"], true);
        assert!(remove_fields(&mut settings, &[json!("schedule/pause_status")]).is_err());
    }
}
