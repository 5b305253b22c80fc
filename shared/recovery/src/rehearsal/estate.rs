//! An exported inventory as a site's reading: Databricks list responses by kind.

use jiff::Timestamp;
use serde_json::Value;

use crate::inventory::{ActiveRun, Inventory, Resource, Subject};
use crate::kind::{Kind, Object, PARENT, UNFENCEABLE};
use crate::site::SiteLabel;

/// What a site holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Estate {
    /// What is fenced and restored.
    pub inventory: Inventory,
    /// What no fence stops, with the reason.
    pub unfenceable: Vec<(Subject, String)>,
}

/// The document is no inventory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the inventory cannot be rehearsed: {0} is no list of objects")]
pub struct NotAnInventory(String);

/// The key of each kind in an inventory document.
const KEYS: [(&str, Kind); 7] = [
    ("instance_pools", Kind::InstancePool),
    ("clusters", Kind::Cluster),
    ("warehouses", Kind::Warehouse),
    ("jobs", Kind::Job),
    ("pipelines", Kind::Pipeline),
    ("apps", Kind::App),
    ("alerts", Kind::Alert),
];

impl Estate {
    /// Takes an inventory document: one list of objects for each kind, schedules inside of their dashboard.
    ///
    /// # Errors
    /// The key that holds something else.
    pub fn of(
        document: &Value,
        site: SiteLabel,
        read_at: Timestamp,
    ) -> Result<Self, NotAnInventory> {
        let mut resources = Vec::new();
        for (key, kind) in KEYS {
            let protected = objects(document, key)?
                .into_iter()
                .filter(|raw| kind.is_protected(raw));
            resources.extend(protected.filter_map(|raw| Resource::new(kind, raw)));
        }
        for dashboard in objects(document, "dashboards")? {
            let schedules = Value::Object(dashboard.clone());
            for mut schedule in objects(&schedules, "schedules")? {
                let parent = serde_json::json!({
                    "id": dashboard.get("dashboard_id"), "name": dashboard.get("display_name"),
                });
                schedule.insert(PARENT.to_owned(), parent);
                resources.extend(Resource::new(Kind::DashboardSchedule, schedule));
            }
        }
        let runs = objects(document, "runs")?
            .iter()
            .filter_map(ActiveRun::new)
            .collect();
        let mut unfenceable = Vec::new();
        for kind in UNFENCEABLE {
            for raw in objects(document, &format!("{}s", kind.name))? {
                let id = raw.get(kind.id).and_then(Value::as_str).unwrap_or_default();
                let subject = Subject {
                    kind: kind.name.to_owned(),
                    id: id.to_owned(),
                    name: id.to_owned(),
                };
                unfenceable.push((subject, kind.reason.to_owned()));
            }
        }
        Ok(Self {
            inventory: Inventory {
                site,
                read_at,
                resources,
                runs,
            },
            unfenceable,
        })
    }
}

fn objects(document: &Value, key: &str) -> Result<Vec<Object>, NotAnInventory> {
    let wrong = || NotAnInventory(key.to_owned());
    match document.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_object().cloned().ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}
