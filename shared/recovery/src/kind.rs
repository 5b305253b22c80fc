//! The kinds of objects that run or schedule, and per kind: its name, its id, what "live" means.
//!
//! Field facts: databricks-sdk-py 0.156.0 (jobs 2.2, clusters 2.1, instance pools, warehouses and pipelines 2.0).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
}

impl Kind {
    /// All kinds, in the order in which a target is brought up.
    pub const ALL: [Self; 5] = [
        Self::InstancePool,
        Self::Cluster,
        Self::Warehouse,
        Self::Job,
        Self::Pipeline,
    ];

    /// The kind as it stands in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InstancePool => "instance_pool",
            Self::Cluster => "cluster",
            Self::Warehouse => "warehouse",
            Self::Job => "job",
            Self::Pipeline => "pipeline",
        }
    }

    /// The platform's id of an object of this kind, as text.
    #[must_use]
    pub fn id_of(self, raw: &Object) -> Option<String> {
        let field = match self {
            Self::InstancePool => "instance_pool_id",
            Self::Cluster => "cluster_id",
            Self::Warehouse => "id",
            Self::Job => "job_id",
            Self::Pipeline => "pipeline_id",
        };
        match raw.get(field)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The name people gave the object.
    #[must_use]
    pub fn name_of(self, raw: &Object) -> Option<String> {
        let value = match self {
            Self::InstancePool => raw.get("instance_pool_name"),
            Self::Cluster => raw.get("cluster_name"),
            Self::Warehouse | Self::Pipeline => raw.get("name"),
            Self::Job => raw.get("settings").and_then(|s| s.get("name")),
        };
        value.and_then(Value::as_str).map(str::to_owned)
    }

    /// The tags of the object, where its kind has any that people set.
    fn tag<'a>(self, raw: &'a Object, tag: &str) -> Option<&'a str> {
        let tags = match self {
            Self::InstancePool | Self::Cluster => raw.get("custom_tags"),
            Self::Job => raw.get("settings").and_then(|s| s.get("tags")),
            Self::Pipeline => raw.get("spec").and_then(|s| s.get("tags")),
            Self::Warehouse => {
                return raw
                    .get("tags")?
                    .get("custom_tags")?
                    .as_array()?
                    .iter()
                    .find(|pair| pair.get("key").and_then(Value::as_str) == Some(tag))?
                    .get("value")?
                    .as_str();
            }
        };
        tags?.get(tag)?.as_str()
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
        let state = || raw.get("state").and_then(Value::as_str);
        match self {
            Self::InstancePool => raw
                .get("min_idle_instances")
                .is_some_and(|n| n.as_i64() != Some(0)),
            Self::Cluster => !matches!(state(), Some("TERMINATED" | "ERROR")),
            Self::Warehouse => !matches!(state(), Some("STOPPED" | "DELETED" | "DELETING")),
            Self::Job => !live_places(raw).is_empty(),
            Self::Pipeline => !matches!(state(), Some("IDLE" | "FAILED" | "DELETED")),
        }
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

/// A place of a job's settings that starts runs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// `settings.schedule`.
    Schedule,
    /// `settings.trigger`.
    Trigger,
    /// `settings.continuous`.
    Continuous,
    /// `settings.triggers` (preview): a list, replaced as a whole.
    Triggers,
}

impl Place {
    /// All places.
    pub const ALL: [Self; 4] = [
        Self::Schedule,
        Self::Trigger,
        Self::Continuous,
        Self::Triggers,
    ];

    /// The field of the job's settings.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Trigger => "trigger",
            Self::Continuous => "continuous",
            Self::Triggers => "triggers",
        }
    }
}

/// Whether a schedule, trigger or continuous object would start runs. The platform's default, if the field is absent, is
/// UNPAUSED; a value nobody knows counts as live.
#[must_use]
pub fn is_unpaused(setting: &Value) -> bool {
    setting.get("pause_status").and_then(Value::as_str) != Some("PAUSED")
}

/// The places of a job that would start runs.
#[must_use]
pub fn live_places(job: &Object) -> Vec<Place> {
    let Some(settings) = job.get("settings") else {
        return Vec::new();
    };
    Place::ALL
        .into_iter()
        .filter(|place| match settings.get(place.field()) {
            None | Some(Value::Null) => false,
            Some(Value::Array(list)) => list.iter().any(is_unpaused),
            Some(setting) => is_unpaused(setting),
        })
        .collect()
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
