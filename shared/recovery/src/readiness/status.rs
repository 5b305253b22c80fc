//! What is said of one object, and of all of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Concern, Difference};
use crate::inventory::Subject;

/// How an object of the standby stands to the one of the baseline.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReadinessStatus {
    /// There, once, and set up alike.
    InSync,
    /// Differs or is absent, but for so short a time that the change may still be on its way.
    Lagging,
    /// There, but set up otherwise.
    Drifted,
    /// Not there: it could not be activated.
    Missing,
    /// At the standby only.
    Extra,
    /// The name stands more than once at either site: it cannot be known which one is meant.
    Ambiguous,
    /// There, but broken by the platform's own word.
    Failed,
    /// The standby does not offer what it needs, or nobody can compare this kind of object.
    Unsupported,
}

impl ReadinessStatus {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 8] = [
        Self::InSync,
        Self::Lagging,
        Self::Drifted,
        Self::Missing,
        Self::Extra,
        Self::Ambiguous,
        Self::Failed,
        Self::Unsupported,
    ];

    /// The name as it stands in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "IN_SYNC",
            Self::Lagging => "LAGGING",
            Self::Drifted => "DRIFTED",
            Self::Missing => "MISSING",
            Self::Extra => "EXTRA",
            Self::Ambiguous => "AMBIGUOUS",
            Self::Failed => "FAILED",
            Self::Unsupported => "UNSUPPORTED",
        }
    }
}

/// One object of which there is something to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The object, as the baseline names it; one that only the standby has, as the standby does.
    pub subject: Subject,
    /// How it stands.
    pub status: ReadinessStatus,
    /// Whether a run may not go on.
    pub blocking: bool,
    /// The fields that differ, after the plan's mapping.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// What else is the matter with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concerns: Vec<Concern>,
    /// The check that first found it so, if the one before did not. None: since before anybody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Why the plan accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// The result of one comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Readiness {
    /// How many objects have each status.
    pub counts: BTreeMap<ReadinessStatus, usize>,
    /// Every object of which there is something to say, blocking ones first.
    pub findings: Vec<Finding>,
    /// Remarks that block nothing, in words.
    pub notes: Vec<String>,
    /// What blocks beside objects, in words.
    #[serde(default)]
    pub blockers: Vec<String>,
}

/// The state machine's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadinessAnswer {
    /// Nothing blocks.
    Ready,
    /// Something blocks.
    NotReady,
    /// Nothing blocks but a loss that the approval did not accept: people are asked again.
    Unaccepted,
    /// Not known yet: the target is not read to its end, or data sources do not answer, or not for long enough. Look again.
    Pending,
}

impl Readiness {
    /// Whether a run may go on.
    #[must_use]
    pub fn answer(&self) -> ReadinessAnswer {
        if self.blocking().next().is_some() || !self.blockers.is_empty() {
            ReadinessAnswer::NotReady
        } else {
            ReadinessAnswer::Ready
        }
    }

    /// The objects because of which a run may not go on.
    pub fn blocking(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.blocking)
    }

    /// How many objects have this status.
    #[must_use]
    pub fn count(&self, status: ReadinessStatus) -> usize {
        self.counts.get(&status).copied().unwrap_or_default()
    }
}
