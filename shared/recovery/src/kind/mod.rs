//! The kinds of objects that run or schedule. What is known of each is one entry of [`table`].

mod compute;
mod job;
mod schedules;
mod table;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::job::{Place, live_places};
pub use self::schedules::PARENT;
pub use self::table::{Collection, Compared, List, ReadBack, UNFENCEABLE, Unfenceable};
use crate::activation::Phase;

/// A raw object of the platform. Fields we do not know survive in it.
pub type Object = Map<String, Value>;

/// A kind of object that this system protects.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Instance pools: live while they keep idle instances.
    InstancePool,
    /// Interactive clusters (source UI or API). Job and pipeline clusters end with their run or update.
    Cluster,
    /// SQL warehouses.
    Warehouse,
    /// Jobs: live while any schedule, trigger or continuous setting is not paused.
    Job,
    /// Pipelines: live while an update is active.
    Pipeline,
    /// Apps: live while their compute is up.
    App,
    /// Schedules of AI/BI dashboards: live while not paused.
    DashboardSchedule,
    /// Alerts: live while their schedule is not paused.
    Alert,
}

impl Kind {
    /// All kinds, in the order in which a target is brought up.
    pub const ALL: [Self; 8] = [
        Self::InstancePool,
        Self::Cluster,
        Self::Warehouse,
        Self::Job,
        Self::Pipeline,
        Self::App,
        Self::DashboardSchedule,
        Self::Alert,
    ];

    /// The kind as it stands in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.entry().name
    }

    /// How it is listed.
    #[must_use]
    pub const fn list(self) -> List {
        self.entry().list
    }

    /// Which fields of it should agree at both sites.
    #[must_use]
    pub const fn compared(self) -> Compared {
        self.entry().compared
    }

    /// The state of an object that is broken by the platform's own word.
    #[must_use]
    pub fn broken(self, raw: &Object) -> Option<String> {
        (self.entry().broken)(raw)
    }

    /// Whether an object of this kind starts work by itself while it is live. Compute does not: it waits for work.
    #[must_use]
    pub const fn fires_by_itself(self) -> bool {
        matches!(
            self,
            Self::Job | Self::Pipeline | Self::DashboardSchedule | Self::Alert
        )
    }

    /// How a change of it is read back.
    #[must_use]
    pub const fn read_back(self) -> ReadBack {
        self.entry().read_back
    }

    /// The platform's id of an object of this kind, as text.
    #[must_use]
    pub fn id_of(self, raw: &Object) -> Option<String> {
        (self.entry().id)(raw)
    }

    /// The name people gave the object.
    #[must_use]
    pub fn name_of(self, raw: &Object) -> Option<String> {
        (self.entry().label)(raw)
    }

    /// A tag of the object, where its kind has any that people set.
    #[must_use]
    pub fn tag<'a>(self, raw: &'a Object, tag: &str) -> Option<&'a str> {
        (self.entry().tag)(raw, tag)
    }

    /// The DR mode by the tag `dr-mode`. A value nobody knows counts as the default: it is fenced, never left running.
    #[must_use]
    pub fn mode_of(self, raw: &Object) -> DrMode {
        match self.tag(raw, "dr-mode") {
            Some("active-active") => DrMode::ActiveActive,
            Some("excluded") => DrMode::Excluded,
            _ => DrMode::ActivePassive,
        }
    }

    /// What identifies the object across both sites: the tag `dr-key`, else its name.
    #[must_use]
    pub fn key_of(self, raw: &Object) -> Option<String> {
        self.tag(raw, "dr-key")
            .map(str::to_owned)
            .or_else(|| self.name_of(raw))
    }

    /// Whether the object runs, schedules or holds compute now. An unknown state counts as live: it is looked at again
    /// and never called quiet.
    #[must_use]
    pub fn is_live(self, raw: &Object) -> bool {
        (self.entry().live)(raw)
    }

    /// The object as far as restoring its posture needs it.
    #[must_use]
    pub fn for_posture(self, raw: &Object) -> Object {
        match self {
            Self::Job => job::for_posture(raw),
            _ => raw.clone(),
        }
    }

    /// Whether a phase of the activation concerns this kind.
    #[must_use]
    pub fn is_restored_in(self, phase: Phase) -> bool {
        self.entry().restore.iter().any(|(p, _)| *p == phase)
            || (phase == Phase::OneTimeRuns && self == Self::Job)
    }

    /// Whether a listed object is one that we protect: job and pipeline clusters are not, they end with their run.
    #[must_use]
    pub fn is_protected(self, raw: &Object) -> bool {
        self != Self::Cluster
            || !matches!(
                raw.get("cluster_source").and_then(Value::as_str),
                Some("JOB" | "PIPELINE" | "PIPELINE_MAINTENANCE" | "MODELS" | "SQL")
            )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a job or pipeline takes part in a failover; set by the tag `dr-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrMode {
    /// Runs at the active site only (default).
    ActivePassive,
    /// Runs at both sites on purpose: never fenced, never restored, never called a split brain.
    ActiveActive,
    /// Left alone.
    Excluded,
}

/// Whether a schedule, trigger or continuous object would start runs. The platform's default, if the field is absent, is
/// UNPAUSED; a value nobody knows counts as live.
#[must_use]
pub fn is_unpaused(setting: &Value) -> bool {
    setting.get("pause_status").and_then(Value::as_str) != Some("PAUSED")
}

/// As [`is_unpaused`], of a whole object.
fn is_unpaused_object(object: &Object) -> bool {
    object.get("pause_status").and_then(Value::as_str) != Some("PAUSED")
}

/// The same settings object with every pause status set to paused, all other fields kept.
#[must_use]
pub fn paused(setting: &Value) -> Value {
    match setting {
        Value::Array(list) => Value::Array(list.iter().map(paused).collect()),
        Value::Object(object) => {
            let mut object = object.clone();
            object.insert("pause_status".to_owned(), Value::from("PAUSED"));
            Value::Object(object)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_absent_or_unknown_pause_status_counts_as_live() {
        for status in [json!({}), json!({"pause_status": "SOMETIMES"})] {
            let job = object(json!({"job_id": 1, "settings": {"name": "j", "schedule": status}}));
            assert_eq!(live_places(&job), vec![Place::Schedule]);
        }
    }

    #[test]
    fn pausing_keeps_fields_nobody_knows() {
        let setting = json!([{"periodic": {"interval": 1}, "sql_condition": {"x": 1}, "pause_status": "UNPAUSED"}]);
        assert_eq!(
            paused(&setting),
            json!([{"periodic": {"interval": 1}, "sql_condition": {"x": 1}, "pause_status": "PAUSED"}])
        );
    }

    #[test]
    fn an_unknown_cluster_state_is_never_called_quiet() {
        assert!(Kind::Cluster.is_live(&object(json!({"state": "HIBERNATING"}))));
        assert!(!Kind::Cluster.is_live(&object(json!({"state": "TERMINATED"}))));
    }

    #[test]
    fn a_dr_key_tag_wins_over_the_name() {
        let job = object(
            json!({"settings": {"name": "n", "tags": {"dr-key": "k", "dr-mode": "active-active"}}}),
        );
        assert_eq!(Kind::Job.key_of(&job).as_deref(), Some("k"));
        assert_eq!(Kind::Job.mode_of(&job), DrMode::ActiveActive);
        let odd = object(json!({"settings": {"name": "n", "tags": {"dr-mode": "activ-activ"}}}));
        assert_eq!(Kind::Job.mode_of(&odd), DrMode::ActivePassive);
    }
}
