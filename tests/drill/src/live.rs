//! What is live in an inventory, by the drill's own reading of the raw JSON: not by the code that is being tested.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A place that starts runs: the job's name and `schedule`, `trigger`, `continuous` or `triggers[i]`.
pub type LivePlace = (String, String);

fn items<'a>(inventory: &'a Value, kind: &str) -> impl Iterator<Item = &'a Value> {
    inventory
        .get(kind)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    path.iter()
        .try_fold(value, |v, key| v.get(key))
        .and_then(Value::as_str)
        .unwrap_or("")
}

/// Jobs that do not take part: on both sites on purpose, or left alone.
fn takes_part(job: &Value) -> bool {
    !matches!(
        text(job, &["settings", "tags", "dr-mode"]),
        "active-active" | "excluded"
    )
}

/// What a job is called at both sites.
fn key(job: &Value) -> String {
    let tag = text(job, &["settings", "tags", "dr-key"]);
    if tag.is_empty() {
        text(job, &["settings", "name"]).to_owned()
    } else {
        tag.to_owned()
    }
}

/// Every live place of every job that takes part, with how often it occurs (names may repeat).
#[must_use]
pub fn places(inventory: &Value) -> BTreeMap<LivePlace, usize> {
    let mut found = BTreeMap::new();
    for job in items(inventory, "jobs").filter(|j| takes_part(j)) {
        let settings = job.get("settings").unwrap_or(&Value::Null);
        let mut note = |place: String, setting: &Value| {
            if setting.get("pause_status").and_then(Value::as_str) != Some("PAUSED") {
                *found.entry((key(job), place)).or_default() += 1;
            }
        };
        for place in ["schedule", "trigger", "continuous"] {
            if let Some(setting) = settings.get(place) {
                note(place.to_owned(), setting);
            }
        }
        for (i, setting) in settings
            .get("triggers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            note(format!("triggers[{i}]"), setting);
        }
    }
    found
}

/// The names of jobs that take no part in a failover.
#[must_use]
pub fn bystanders(inventory: &Value) -> BTreeSet<String> {
    items(inventory, "jobs")
        .filter(|j| !takes_part(j))
        .map(|j| text(j, &["settings", "name"]).to_owned())
        .collect()
}

/// `max_concurrent_runs` by job, where the name is unique.
#[must_use]
pub fn concurrency(inventory: &Value) -> BTreeMap<String, i64> {
    let mut seen: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for job in items(inventory, "jobs").filter(|j| takes_part(j)) {
        let runs = job
            .get("settings")
            .and_then(|s| s.get("max_concurrent_runs"))
            .and_then(Value::as_i64)
            .unwrap_or(1);
        seen.entry(key(job)).or_default().push(runs);
    }
    seen.into_iter()
        .filter_map(|(name, runs)| match runs.as_slice() {
            [one] => Some((name, *one)),
            _ => None,
        })
        .collect()
}

/// What is up beside jobs: (kind, name) of interactive clusters, warehouses, pools with idle instances, continuous pipelines,
/// apps, and schedules of alerts and dashboards.
#[must_use]
pub fn compute(inventory: &Value) -> BTreeSet<(&'static str, String)> {
    let mut found = BTreeSet::new();
    for cluster in items(inventory, "clusters") {
        let interactive = matches!(text(cluster, &["cluster_source"]), "UI" | "API" | "");
        if interactive
            && matches!(
                text(cluster, &["state"]),
                "RUNNING" | "PENDING" | "RESTARTING" | "RESIZING"
            )
        {
            found.insert(("cluster", text(cluster, &["cluster_name"]).to_owned()));
        }
    }
    for warehouse in items(inventory, "warehouses") {
        if matches!(text(warehouse, &["state"]), "RUNNING" | "STARTING") {
            found.insert(("warehouse", text(warehouse, &["name"]).to_owned()));
        }
    }
    for pool in items(inventory, "instance_pools") {
        let idle = pool
            .get("min_idle_instances")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        if idle > 0 {
            found.insert((
                "instance_pool",
                format!("{}={idle}", text(pool, &["instance_pool_name"])),
            ));
        }
    }
    for pipeline in items(inventory, "pipelines") {
        let continuous = pipeline
            .get("spec")
            .and_then(|s| s.get("continuous"))
            .and_then(Value::as_bool)
            == Some(true);
        if continuous && !matches!(text(pipeline, &["state"]), "IDLE" | "FAILED" | "DELETED") {
            found.insert(("pipeline", text(pipeline, &["name"]).to_owned()));
        }
    }
    for app in items(inventory, "apps") {
        if !matches!(
            text(app, &["compute_status", "state"]),
            "STOPPED" | "ERROR" | "DELETING"
        ) {
            found.insert(("app", text(app, &["name"]).to_owned()));
        }
    }
    for alert in items(inventory, "alerts") {
        let schedule = alert.get("schedule");
        if schedule.is_some() && text(alert, &["schedule", "pause_status"]) != "PAUSED" {
            found.insert(("alert", text(alert, &["display_name"]).to_owned()));
        }
    }
    for dashboard in items(inventory, "dashboards") {
        for schedule in items(dashboard, "schedules") {
            if text(schedule, &["pause_status"]) != "PAUSED" {
                let name = format!(
                    "{}: {}",
                    text(dashboard, &["display_name"]),
                    text(schedule, &["cron_schedule", "quartz_cron_expression"])
                );
                found.insert(("dashboard schedule", name));
            }
        }
    }
    found
}

/// Everything that still runs or would start something, in words: what a fenced site must not have.
#[must_use]
pub fn alive(inventory: &Value) -> Vec<String> {
    let spared: BTreeSet<i64> = items(inventory, "jobs")
        .filter(|j| !takes_part(j))
        .filter_map(|j| j.get("job_id").and_then(Value::as_i64))
        .collect();
    let mut found: Vec<String> = places(inventory)
        .into_keys()
        .map(|(job, place)| format!("{place} of job \"{job}\""))
        .collect();
    found.extend(
        compute(inventory)
            .into_iter()
            .map(|(kind, name)| format!("{kind} \"{name}\"")),
    );
    for pipeline in items(inventory, "pipelines") {
        if !matches!(text(pipeline, &["state"]), "IDLE" | "FAILED" | "DELETED") {
            found.push(format!("pipeline \"{}\"", text(pipeline, &["name"])));
        }
    }
    for run in items(inventory, "runs") {
        let job = run.get("job_id").and_then(Value::as_i64);
        let state = text(run, &["status", "state"]);
        if state != "TERMINATED" && !job.is_some_and(|id| spared.contains(&id)) {
            found.push(format!(
                "run {} \"{}\"",
                run.get("run_id").unwrap_or(&Value::Null),
                text(run, &["run_name"])
            ));
        }
    }
    found
}

/// The name of a warehouse that the plan's statement may run on: the first running one, else the first.
#[must_use]
pub fn any_warehouse(inventory: &Value) -> Option<String> {
    let running = items(inventory, "warehouses").find(|w| text(w, &["state"]) == "RUNNING");
    running
        .or_else(|| items(inventory, "warehouses").next())
        .map(|w| text(w, &["name"]).to_owned())
        .filter(|name| !name.is_empty())
}
