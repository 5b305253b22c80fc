//! `readiness`: how the standby may differ, and what must be there beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Seconds;
use crate::kind::Kind;
use crate::readiness::ReadinessStatus;
use crate::site::SiteLabel;

/// How the standby may differ from the active site, and what else must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadinessPolicy {
    /// What is called otherwise in the other region.
    #[serde(default)]
    pub mapping: Mapping,
    /// A difference that is younger than this may still be on its way to the standby: `LAGGING`, not `DRIFTED` or `MISSING`.
    #[serde(default = "an_hour")]
    pub lagging_for_seconds: Seconds,
    /// Known gaps that block nothing. They are told all the same.
    #[serde(default)]
    pub accepted: Vec<Accepted>,
}

impl Default for ReadinessPolicy {
    fn default() -> Self {
        Self {
            mapping: Mapping::default(),
            lagging_for_seconds: an_hour(),
            accepted: Vec::new(),
        }
    }
}

const fn an_hour() -> Seconds {
    Seconds(3600)
}

/// What is called otherwise in the other region. What is the same at both sites needs no entry; warehouses, pools, clusters, jobs,
/// pipelines and cluster policies are compared by name, whatever their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Node types.
    #[serde(default)]
    pub node_types: Vec<Twin>,
    /// Availability zones.
    #[serde(default)]
    pub zones: Vec<Twin>,
    /// ARNs of instance profiles.
    #[serde(default)]
    pub instance_profiles: Vec<Twin>,
    /// Names of buckets; found inside addresses and ARNs, too.
    #[serde(default)]
    pub buckets: Vec<Twin>,
    /// Other words, found wherever they stand as a whole word: catalogs, hosts, keys, folders.
    #[serde(default)]
    pub words: Vec<Twin>,
    /// Fields that may differ.
    #[serde(default)]
    pub ignore: Vec<IgnoredField>,
}

/// One thing under both its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Twin {
    /// At the primary.
    pub primary: String,
    /// At the secondary.
    pub secondary: String,
}

impl Twin {
    /// Its name at a site.
    #[must_use]
    pub fn at(&self, site: SiteLabel) -> &str {
        match site {
            SiteLabel::Primary => &self.primary,
            SiteLabel::Secondary => &self.secondary,
        }
    }
}

/// A field that may differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IgnoredField {
    /// The kind of object.
    pub kind: Kind,
    /// The dotted path with everything below it, for example `settings.tasks[].notebook_task.notebook_path`; `[]` stands behind lists.
    pub path: String,
}

/// Known gaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The kind of object.
    pub kind: Kind,
    /// Names; `*` stands for any characters.
    pub names: Vec<String>,
    /// What may be said of them without blocking a run.
    pub statuses: Vec<ReadinessStatus>,
    /// Why that does no harm.
    pub why: String,
}
