//! What stands in the way of a clean failover, as an inventory shows it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Estate;
use crate::inventory::{Resource, Subject};
use crate::kind::DrMode;
use crate::plan::Plan;
use crate::quartz::NextFires;

/// A name that stands more than once: nobody can know which object is meant at the other site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ambiguous {
    /// The kind.
    pub kind: String,
    /// The name, or the tag `dr-key`.
    pub key: String,
    /// How often it stands.
    pub times: usize,
    /// Whether one of them is live: then a run does not begin.
    pub blocks: bool,
}

/// Something that names one availability zone, which the other region does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pinned {
    /// What.
    pub subject: Subject,
    /// The zone.
    pub zone: String,
}

/// A schedule that cannot be read or never fires again. A fence takes it for one that fires at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Whose.
    pub subject: Subject,
    /// The expression, with its time zone.
    pub expression: String,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// What no fence stops, with the reason.
    pub not_fenceable: Vec<(Subject, String)>,
    /// Names that stand more than once.
    pub ambiguous: Vec<Ambiguous>,
    /// What is pinned to a zone.
    pub zone_pinned: Vec<Pinned>,
    /// Schedules that nobody can read.
    pub unreadable_schedules: Vec<Unreadable>,
    /// What runs at both sites on purpose (`dr-mode` = `active-active`).
    pub live_at_both: Vec<Subject>,
    /// What is live at both sites and should not be: a split brain.
    pub split: Vec<Subject>,
    /// What is left alone (`dr-mode` = `excluded`) although it is live.
    pub excluded: Vec<Subject>,
}

impl Findings {
    pub(super) fn of(estate: &Estate, standby: &Estate, plan: &Plan, now: Timestamp) -> Self {
        let protected: Vec<&Resource> = estate
            .inventory
            .resources
            .iter()
            .filter(|r| plan.kinds.contains(&r.kind))
            .collect();
        let live = |mode: DrMode| -> Vec<Subject> {
            let of_mode = protected.iter().filter(|r| r.mode() == mode && r.is_live());
            of_mode.map(|r| r.subject()).collect()
        };
        let twins = standby.inventory.by_key();
        let split = protected
            .iter()
            .filter(|r| r.mode() == DrMode::ActivePassive && r.is_live())
            .filter(|r| {
                let twins = twins.get(&(r.kind, r.key.as_str()));
                twins.is_some_and(|twins| twins.iter().any(|twin| twin.is_live()))
            })
            .map(|r| r.subject())
            .collect();
        Self {
            not_fenceable: estate.unfenceable.clone(),
            ambiguous: ambiguous(&protected),
            zone_pinned: protected.iter().flat_map(|r| pinned(r)).collect(),
            unreadable_schedules: protected
                .iter()
                .filter(|r| r.is_live())
                .flat_map(|r| unreadable(r, now))
                .collect(),
            live_at_both: live(DrMode::ActiveActive),
            split,
            excluded: live(DrMode::Excluded),
        }
    }
}

fn ambiguous(protected: &[&Resource]) -> Vec<Ambiguous> {
    let mut by_key: BTreeMap<_, Vec<&Resource>> = BTreeMap::new();
    for resource in protected.iter().filter(|r| r.mode() != DrMode::Excluded) {
        let same = by_key
            .entry((resource.kind, resource.key.as_str()))
            .or_default();
        same.push(resource);
    }
    by_key
        .into_iter()
        .filter(|(_, same)| same.len() > 1)
        .map(|((kind, key), same)| Ambiguous {
            kind: kind.as_str().to_owned(),
            key: key.to_owned(),
            times: same.len(),
            blocks: same.iter().any(|r| r.is_live()),
        })
        .collect()
}

/// Every object inside of a value, itself included.
fn each_object(value: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values().for_each(|inner| each_object(inner, visit));
        }
        Value::Array(items) => items.iter().for_each(|inner| each_object(inner, visit)),
        _ => {}
    }
}

/// The zones that an object names: `auto` and none at all are what a failover wants.
fn pinned(resource: &Resource) -> Vec<Pinned> {
    let mut zones = Vec::new();
    each_object(&Value::Object(resource.raw.clone()), &mut |object| {
        let attributes = object.get("aws_attributes");
        let zone = attributes
            .and_then(|a| a.get("zone_id"))
            .and_then(Value::as_str);
        if let Some(zone) = zone.filter(|zone| !zone.is_empty() && *zone != "auto")
            && !zones.iter().any(|known| known == zone)
        {
            zones.push(zone.to_owned());
        }
    });
    zones
        .into_iter()
        .map(|zone| Pinned {
            subject: resource.subject(),
            zone,
        })
        .collect()
}

fn unreadable(resource: &Resource, now: Timestamp) -> Vec<Unreadable> {
    let (mut found, mut next) = (Vec::new(), NextFires::after(now));
    each_object(&Value::Object(resource.raw.clone()), &mut |object| {
        for field in ["quartz_cron_expression", "quartz_cron_schedule"] {
            let Some(expression) = object.get(field).and_then(Value::as_str) else {
                continue;
            };
            let schedule = Value::Object(object.clone());
            if next.of(&schedule, field).is_none() {
                let zone = object.get("timezone_id").and_then(Value::as_str);
                found.push(Unreadable {
                    subject: resource.subject(),
                    expression: format!("{expression} {}", zone.unwrap_or("UTC")),
                });
            }
        }
    });
    found
}
