//! A workspace as one inventory document, read only, without what is secret.

use std::collections::BTreeMap;

use databricks::{Error, Object, RunsFilter, Workspace};
use futures::{FutureExt, future};
use jiff::Timestamp;
use recovery::kind::{Kind, PARENT, UNFENCEABLE};
use recovery::site::SiteLabel;
use serde_json::{Map, Value, json};

use crate::lists::list_of;
use crate::read_record;
use crate::redact::redact;

/// A document that `cargo drill --inventory` takes, and how many values were taken out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// The document.
    pub document: Value,
    /// Values that were replaced because they are or may be secret.
    pub redacted: usize,
    /// What could not be listed, with the reason.
    pub left_out: Vec<String>,
}

const fn key(kind: Kind) -> &'static str {
    match kind {
        Kind::InstancePool => "instance_pools",
        Kind::Cluster => "clusters",
        Kind::Warehouse => "warehouses",
        Kind::Job => "jobs",
        Kind::Pipeline => "pipelines",
        Kind::App => "apps",
        Kind::Alert => "alerts",
        Kind::DashboardSchedule => "dashboards",
    }
}

/// Reads everything that a drill needs. Only GET requests, at the pace of the background.
///
/// # Errors
/// The first error of the workspace at a kind that is protected. Other kinds are left out and named.
pub async fn export(workspace: &Workspace, now: Timestamp) -> Result<Export, Error> {
    let active = RunsFilter {
        active_only: true,
        ..RunsFilter::default()
    };
    let record = read_record(workspace, SiteLabel::Primary, &Kind::ALL, None, now).boxed();
    let runs = workspace.list_runs(active).boxed();
    let (record, runs) = future::try_join(record, runs).await?;
    let mut document = Map::new();
    for kind in Kind::ALL {
        let raw = record.of_kind(kind).map(|r| r.raw.clone());
        let objects = match kind {
            Kind::DashboardSchedule => dashboards(raw),
            _ => raw.map(Value::Object).collect(),
        };
        document.insert(key(kind).to_owned(), Value::Array(objects));
    }
    let runs = runs.into_iter().map(Value::Object).collect();
    document.insert("runs".to_owned(), Value::Array(runs));
    let mut left_out = Vec::new();
    for kind in UNFENCEABLE {
        match list_of(workspace, kind.list).await {
            Ok(found) => {
                let found = found.into_iter().map(Value::Object).collect();
                document.insert(format!("{}s", kind.name), Value::Array(found));
            }
            // A workspace that does not have the feature has none of its objects.
            Err(error) if error.is_not_found() => {}
            Err(error) => left_out.push(format!("{}s: {error}", kind.name)),
        }
    }
    // What the platform cannot list is no part of the format.
    document.remove("quality_monitors");
    document.insert("permissions".to_owned(), json!({}));
    let mut document = Value::Object(document);
    let redacted = redact(&mut document);
    Ok(Export {
        document,
        redacted,
        left_out,
    })
}

/// Schedules inside of their dashboard, as the format has them.
fn dashboards(schedules: impl Iterator<Item = Object>) -> Vec<Value> {
    let mut by_id: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    for mut schedule in schedules {
        let parent = schedule.remove(PARENT).unwrap_or_default();
        let text = |field| {
            parent
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let entry = by_id
            .entry(text("id").to_owned())
            .or_insert_with(|| (json!(text("name")), Vec::new()));
        entry.1.push(Value::Object(schedule));
    }
    by_id
        .into_iter()
        .map(|(id, (name, schedules))| {
            json!({"dashboard_id": id, "display_name": name, "schedules": schedules})
        })
        .collect()
}
