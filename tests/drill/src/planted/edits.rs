//! The edits of fields, one for each kind of difference.

use recovery::readiness::ReadinessStatus;
use serde_json::Value;

use super::Object;

/// What a plant does to an object of the standby: the path that must be found, or nothing if the object has no such field.
pub(super) type Edit = fn(&mut Object) -> Option<String>;

/// The edits of fields: list, status, the concern that goes before the path, and the edit.
pub(super) const EDITS: [(&str, ReadinessStatus, Option<&str>, Edit); 21] = {
    use ReadinessStatus::{Drifted, Failed, Unsupported};
    [
        (
            "jobs",
            Unsupported,
            Some("spark_version_not_offered"),
            |job| {
                let clusters = settings(job)?.get_mut("job_clusters")?;
                let cluster = clusters.get_mut(0)?.get_mut("new_cluster")?;
                text(cluster, "spark_version", "99.9.x-scala2.13")
            },
        ),
        ("jobs", Drifted, None, |job| {
            let (key, task) = task_with(job, "run_job_task")?;
            let id = task.get_mut("job_id")?;
            *id = 4_321.into();
            Some(format!("settings.tasks[{key}].run_job_task.job_id"))
        }),
        ("jobs", Drifted, None, |job| {
            let (key, task) = task_with(job, "sql_task")?;
            let id = task.get_mut("warehouse_id")?;
            *id = PLANTED_WAREHOUSE.into();
            Some(format!("settings.tasks[{key}].sql_task.warehouse_id"))
        }),
        ("jobs", Drifted, None, |job| {
            let parameter = settings(job)?.get_mut("parameters")?.get_mut(0)?;
            let name = parameter.get("name")?.as_str()?.to_owned();
            text(parameter, "default", "planted")?;
            Some(format!("settings.parameters[{name}].default"))
        }),
        ("jobs", Drifted, None, |job| {
            let schedule = settings(job)?.get_mut("schedule")?;
            text(schedule, "quartz_cron_expression", "0 17 4 ? * SUN")?;
            Some("settings.schedule.quartz_cron_expression".to_owned())
        }),
        ("jobs", Drifted, Some("not_paused"), |job| {
            let schedule = settings(job)?.get_mut("schedule")?;
            text(schedule, "pause_status", "UNPAUSED")
        }),
        ("jobs", Drifted, Some("not_paused"), |job| {
            let trigger = settings(job)?.get_mut("trigger")?;
            text(trigger, "pause_status", "UNPAUSED")
        }),
        ("jobs", Drifted, None, |job| {
            let tasks = settings(job)?.get_mut("tasks")?.as_array_mut()?;
            let last = tasks.pop()?;
            (!tasks.is_empty()).then_some(())?;
            Some(format!(
                "settings.tasks[{}]",
                last.get("task_key")?.as_str()?
            ))
        }),
        ("jobs", Drifted, None, |job| {
            let tags = settings(job)?.get_mut("tags")?.as_object_mut()?;
            (!tags.is_empty()).then_some(())?;
            tags.insert("planted".to_owned(), "yes".into());
            Some("settings.tags.planted".to_owned())
        }),
        ("jobs", Drifted, None, |job| {
            let (key, task) = task_with(job, "notebook_task")?;
            text(task, "notebook_path", "/Workspace/Shared/planted")?;
            Some(format!("settings.tasks[{key}].notebook_task.notebook_path"))
        }),
        ("jobs", Drifted, None, |job| {
            settings(job)?.insert("timeout_seconds".to_owned(), 4_321.into());
            Some("settings.timeout_seconds".to_owned())
        }),
        (
            "clusters",
            Unsupported,
            Some("node_type_not_offered"),
            |cluster| field(cluster, "node_type_id", "planted.xlarge"),
        ),
        ("clusters", Drifted, Some("zone_pinned"), |cluster| {
            text(cluster.get_mut("aws_attributes")?, "zone_id", "us-east-2b")
        }),
        ("clusters", Failed, Some("broken"), |cluster| {
            field(cluster, "state", "ERROR")
        }),
        ("clusters", Drifted, None, |cluster| {
            field(cluster, "policy_id", PLANTED_POLICY)
        }),
        ("instance_pools", Drifted, None, |pool| {
            pool.insert("max_capacity".to_owned(), 4_321.into());
            Some("max_capacity".to_owned())
        }),
        ("warehouses", Drifted, None, |warehouse| {
            field(warehouse, "cluster_size", "4X-Large")
        }),
        ("pipelines", Drifted, None, |pipeline| {
            text(pipeline.get_mut("spec")?, "catalog", "planted")?;
            Some("spec.catalog".to_owned())
        }),
        ("alerts", Drifted, None, |alert| {
            let value = alert
                .get_mut("evaluation")?
                .get_mut("threshold")?
                .get_mut("value")?;
            let value = value.as_object_mut()?;
            value.insert("double_value".to_owned(), 4_321.5.into());
            Some("evaluation.threshold.value.double_value".to_owned())
        }),
        ("alerts", Drifted, Some("not_paused"), |alert| {
            text(alert.get_mut("schedule")?, "pause_status", "UNPAUSED")
        }),
        ("dashboards", Drifted, Some("not_paused"), |dashboard| {
            let schedule = dashboard.get_mut("schedules")?.get_mut(0)?;
            text(schedule, "pause_status", "UNPAUSED")
        }),
    ]
};

/// A cluster policy and a warehouse that the primary has under other ids.
const PLANTED_POLICY: &str = "000PLANTED000002";
const PLANTED_WAREHOUSE: &str = "00000000planted2";

pub(super) fn settings(job: &mut Object) -> Option<&mut Object> {
    job.get_mut("settings")?.as_object_mut()
}

/// The first task of this type, with its key.
fn task_with<'a>(job: &'a mut Object, kind: &str) -> Option<(String, &'a mut Value)> {
    let tasks = settings(job)?.get_mut("tasks")?.as_array_mut()?;
    let task = tasks.iter_mut().find(|task| task.get(kind).is_some())?;
    let key = task.get("task_key")?.as_str()?.to_owned();
    Some((key, task.get_mut(kind)?))
}

/// Sets a text that is there already.
fn text(object: &mut Value, name: &str, value: &str) -> Option<String> {
    field(object.as_object_mut()?, name, value)
}

fn field(object: &mut Object, name: &str, value: &str) -> Option<String> {
    let place = object.get_mut(name)?;
    *place = value.into();
    Some(name.to_owned())
}
