//! What may be the matter with an object although it is there and set up alike.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::inventory::Resource;
use crate::kind::Kind;

/// Something that is the matter with an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "concern", rename_all = "snake_case")]
pub enum Concern {
    /// It starts work by itself at the standby: a split brain waiting to happen.
    NotPaused,
    /// It is bound to one zone; `auto` lets the platform choose one that has capacity.
    ZonePinned {
        /// The field.
        path: String,
        /// The zone.
        zone: String,
    },
    /// The standby does not offer the Spark version.
    SparkVersionNotOffered {
        /// The field.
        path: String,
        /// The version.
        version: String,
    },
    /// The standby does not offer the node type.
    NodeTypeNotOffered {
        /// The field.
        path: String,
        /// The node type.
        node_type: String,
    },
    /// The platform says that it is broken.
    Broken {
        /// Its state.
        state: String,
    },
    /// The name stands more than once.
    NotUnique {
        /// How often at the active site.
        active: usize,
        /// How often at the standby.
        standby: usize,
    },
    /// Nobody can compare it.
    NotCompared {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPaused => f.write_str("is not paused at the standby"),
            Self::ZonePinned { path, zone } => {
                write!(f, "{path} is bound to zone {zone}; set it to auto")
            }
            Self::SparkVersionNotOffered { path, version } => {
                write!(f, "{path} is {version}, which the standby does not offer")
            }
            Self::NodeTypeNotOffered { path, node_type } => {
                write!(f, "{path} is {node_type}, which the standby does not offer")
            }
            Self::Broken { state } => write!(f, "is {state} at the standby"),
            Self::NotUnique { active, standby } => write!(
                f,
                "its name stands {active} times at the active site and {standby} times at the standby"
            ),
            Self::NotCompared { why } => f.write_str(why),
        }
    }
}

impl Concern {
    /// Whether the standby cannot run the object as it is set up.
    pub(super) const fn is_not_offered(&self) -> bool {
        matches!(
            self,
            Self::SparkVersionNotOffered { .. } | Self::NodeTypeNotOffered { .. }
        )
    }
}

/// What clusters can be made of at the standby.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Spark versions, as `spark_version` names them.
    pub spark_versions: BTreeSet<String>,
    /// Node types, as `node_type_id` names them.
    pub node_types: BTreeSet<String>,
}

impl Offered {
    /// Versions that are chosen when a cluster starts, and images of one's own, are in no list.
    fn has_spark(&self, version: &str) -> bool {
        let is_listed = !version.starts_with("auto:") && !version.starts_with("custom:");
        !is_listed || self.spark_versions.contains(version)
    }
}

/// What is the matter with the standby's object by itself.
pub(super) fn concerns(twin: &Resource, offered: Option<&Offered>) -> Vec<Concern> {
    let mut found = Vec::new();
    if let Some(state) = twin.kind.broken(&twin.raw) {
        found.push(Concern::Broken { state });
    }
    let within = twin.kind.compared().within;
    for (name, value) in &twin.raw {
        if within.is_empty() || within.contains(&name.as_str()) {
            look(twin.kind, name, name, value, offered, &mut found);
        }
    }
    found
}

fn look(
    kind: Kind,
    path: &str,
    field: &str,
    value: &Value,
    offered: Option<&Offered>,
    found: &mut Vec<Concern>,
) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                look(kind, &format!("{path}.{name}"), name, value, offered, found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let path = format!("{path}[{index}]");
                look(kind, &path, field, value, offered, found);
            }
        }
        Value::String(text) if !text.is_empty() => {
            let path = path.to_owned();
            match (field, offered) {
                // A pool is bound to its zone by the platform's own rules.
                ("zone_id", _) if kind != Kind::InstancePool && text != "auto" => {
                    let zone = text.clone();
                    found.push(Concern::ZonePinned { path, zone });
                }
                ("spark_version" | "preloaded_spark_versions", Some(offered))
                    if !offered.has_spark(text) =>
                {
                    let version = text.clone();
                    found.push(Concern::SparkVersionNotOffered { path, version });
                }
                ("node_type_id" | "driver_node_type_id", Some(offered))
                    if !offered.node_types.contains(text) =>
                {
                    let node_type = text.clone();
                    found.push(Concern::NodeTypeNotOffered { path, node_type });
                }
                _ => {}
            }
        }
        _ => {}
    }
}
