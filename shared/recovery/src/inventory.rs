//! What a site holds now, as it was read from the platform.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::{DrMode, Kind, Object};
use crate::site::SiteLabel;

/// Names one thing that was acted on: an object or a run, at one site.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Subject {
    /// `job`, `cluster`, … or `run`.
    pub kind: String,
    /// The platform's id.
    pub id: String,
    /// The name people gave it; shown, never used to find it.
    pub name: String,
}

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its kind.
    pub kind: Kind,
    /// The platform's id.
    pub id: String,
    /// What identifies it across both sites.
    pub key: String,
    /// The name people gave it.
    pub name: String,
    /// The whole object.
    pub raw: Object,
}

impl Resource {
    /// Takes a raw object of a known kind. `None` if it has no id, so that it could not be acted upon.
    #[must_use]
    pub fn new(kind: Kind, raw: Object) -> Option<Self> {
        let id = kind.id_of(&raw)?;
        let name = kind.name_of(&raw).unwrap_or_default();
        Some(Self {
            kind,
            key: kind.key_of(&raw).unwrap_or_default(),
            id,
            name,
            raw,
        })
    }

    /// The object without what no restore of its posture needs: the tasks of a job are most of it.
    #[must_use]
    pub fn for_posture(&self) -> Self {
        Self {
            raw: self.kind.for_posture(&self.raw),
            ..self.clone()
        }
    }

    /// What the ledger calls it.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject {
            kind: self.kind.as_str().to_owned(),
            id: self.id.clone(),
            name: self.name.clone(),
        }
    }

    /// Whether it runs, schedules or holds compute.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.kind.is_live(&self.raw)
    }

    /// Its DR mode.
    #[must_use]
    pub fn mode(&self) -> DrMode {
        self.kind.mode_of(&self.raw)
    }
}

/// A run that was active when it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveRun {
    /// The platform's id.
    pub run_id: i64,
    /// The job it belongs to; none for a one-time run.
    pub job_id: Option<i64>,
    /// The run's name.
    pub name: String,
    /// Waits in the queue.
    pub queued: bool,
    /// When it started, milliseconds since 1970 by the platform's clock.
    pub start_time_ms: Option<i64>,
}

impl ActiveRun {
    /// What the ledger calls it.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject {
            kind: "run".to_owned(),
            id: self.run_id.to_string(),
            name: self.name.clone(),
        }
    }

    /// Takes a run of a list that holds active runs only. `None` without a run id.
    #[must_use]
    pub fn new(raw: &Object) -> Option<Self> {
        let state = raw
            .get("status")
            .and_then(|s| s.get("state"))
            .or_else(|| raw.get("state").and_then(|s| s.get("life_cycle_state")));
        Some(Self {
            run_id: raw.get("run_id")?.as_i64()?,
            job_id: raw.get("job_id").and_then(Value::as_i64),
            name: raw
                .get("run_name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            queued: state.and_then(Value::as_str) == Some("QUEUED"),
            start_time_ms: raw.get("start_time").and_then(Value::as_i64),
        })
    }
}

/// What a site held at one moment. It is made only from answers of the platform, so comparing against it is a read-back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Which site.
    pub site: SiteLabel,
    /// When the reading began; everything in it was read at this time or later.
    pub read_at: Timestamp,
    /// The objects of the protected kinds.
    pub resources: Vec<Resource>,
    /// The active runs.
    pub runs: Vec<ActiveRun>,
}

impl Inventory {
    /// All objects of a kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(move |r| r.kind == kind)
    }

    /// The objects by what identifies them across both sites. More than one per key is ambiguous.
    #[must_use]
    pub fn by_key(&self) -> BTreeMap<(Kind, &str), Vec<&Resource>> {
        let mut map: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for resource in &self.resources {
            map.entry((resource.kind, resource.key.as_str()))
                .or_default()
                .push(resource);
        }
        map
    }

    /// The object with this kind and id.
    #[must_use]
    pub fn find(&self, kind: Kind, id: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.kind == kind && r.id == id)
    }

    /// How many objects of each kind are live, `active-active` and excluded ones aside.
    #[must_use]
    pub fn live_counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        for resource in &self.resources {
            if resource.mode() == DrMode::ActivePassive && resource.is_live() {
                *counts.entry(resource.kind).or_default() += 1;
            }
        }
        counts
    }
}
/// The ids of these objects by kind.
#[must_use]
pub fn ids_by_kind<'a>(
    subjects: impl IntoIterator<Item = &'a Subject>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for subject in subjects {
        let of_kind = ids.entry(subject.kind.clone()).or_default();
        of_kind.insert(subject.id.clone());
    }
    ids
}
