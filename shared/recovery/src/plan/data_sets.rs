//! The data whose replication is watched: where it lies at each site, what it may lose, and what belongs together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Plan, Seconds};
use crate::site::{DataSetName, GroupName, SiteLabel};

/// One set of data whose replication is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum DataSet {
    /// Delta tables: the newest version that is complete at the standby is proven from the log and a listing.
    Delta(DeltaSet),
    /// A bucket that S3 replicates by a rule: its CloudWatch metrics, and a marker object.
    Bucket(BucketSet),
    /// A heartbeat: a small object, written at the active site and looked for at the standby.
    Marker(MarkerSet),
}

/// Delta tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeltaSet {
    /// Unique among data sets and groups: 1 to 60 letters, digits, '-', '_' and '.'.
    pub name: DataSetName,
    /// What lies at the locations.
    pub holds: Holds,
    /// Where it lies at each site.
    pub locations: Locations,
    /// Tables below the prefix that are not watched, as paths relative to it.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The objective of this data set, if it differs from the plan's.
    #[serde(default)]
    pub rpo_seconds: Option<Seconds>,
    /// How often replication is expected to catch up. Lag is told at twice (warning) and three times (critical) this.
    #[serde(default)]
    pub expected_interval_seconds: Option<Seconds>,
}

/// What lies at the locations of a Delta data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Holds {
    /// One table.
    Table,
    /// A prefix: every table below it.
    Tables,
}

/// A prefix in a bucket of each site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Locations {
    /// In the primary's region.
    pub primary: BucketPrefix,
    /// In the secondary's region.
    pub secondary: BucketPrefix,
}

impl Locations {
    /// The place at this site.
    #[must_use]
    pub const fn get(&self, label: SiteLabel) -> &BucketPrefix {
        match label {
            SiteLabel::Primary => &self.primary,
            SiteLabel::Secondary => &self.secondary,
        }
    }
}

/// A prefix in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BucketPrefix {
    /// The bucket.
    pub bucket: String,
    /// The key prefix without slashes at its ends; empty for the whole bucket.
    #[serde(default)]
    pub prefix: String,
}

/// A bucket that S3 replicates by a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BucketSet {
    /// Unique among data sets and groups: 1 to 60 letters, digits, '-', '_' and '.'.
    pub name: DataSetName,
    /// The bucket that each site writes and reads.
    pub buckets: Buckets,
    /// The ids of the S3 replication rules. Their metrics must be on.
    pub rules: Rules,
    /// The marker object is written below this prefix: one that the rule replicates. Empty if it replicates all.
    #[serde(default)]
    pub prefix: String,
    /// The objective of this data set, if it differs from the plan's.
    #[serde(default)]
    pub rpo_seconds: Option<Seconds>,
    /// How often replication is expected to catch up. Lag is told at twice (warning) and three times (critical) this.
    #[serde(default)]
    pub expected_interval_seconds: Option<Seconds>,
}

/// The ids of S3 replication rules by the site that they lead away from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The rule from the primary's bucket to the secondary's.
    #[serde(default)]
    pub primary: Option<String>,
    /// The rule from the secondary's bucket to the primary's.
    #[serde(default)]
    pub secondary: Option<String>,
}

impl Rules {
    /// The rule that leads away from this site.
    #[must_use]
    pub fn from(&self, label: SiteLabel) -> Option<&str> {
        match label {
            SiteLabel::Primary => self.primary.as_deref(),
            SiteLabel::Secondary => self.secondary.as_deref(),
        }
    }
}

/// A heartbeat object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkerSet {
    /// Unique among data sets and groups: 1 to 60 letters, digits, '-', '_' and '.'.
    pub name: DataSetName,
    /// The bucket that each site writes and reads.
    pub buckets: Buckets,
    /// The heartbeat is written below this prefix: one that is replicated. Empty for the bucket itself.
    #[serde(default)]
    pub prefix: String,
    /// The objective of this data set, if it differs from the plan's.
    #[serde(default)]
    pub rpo_seconds: Option<Seconds>,
    /// How often replication is expected to catch up. Lag is told at twice (warning) and three times (critical) this.
    #[serde(default)]
    pub expected_interval_seconds: Option<Seconds>,
}

/// The buckets of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Buckets {
    /// The bucket in the primary's region.
    pub primary: String,
    /// The bucket in the secondary's region.
    pub secondary: String,
}

impl Buckets {
    /// The bucket at this site.
    #[must_use]
    pub fn get(&self, label: SiteLabel) -> &str {
        match label {
            SiteLabel::Primary => &self.primary,
            SiteLabel::Secondary => &self.secondary,
        }
    }
}

/// Data sets whose tables belong together: they are recovered to one common moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Unique among data sets and groups: 1 to 60 letters, digits, '-', '_' and '.'.
    pub name: GroupName,
    /// The names of Delta data sets. A single one only if it holds all tables below a prefix.
    pub members: Vec<DataSetName>,
    /// The objective of the group, if it differs from the plan's.
    #[serde(default)]
    pub rpo_seconds: Option<Seconds>,
}

/// How patiently replication is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplicationPolicy {
    /// A run goes on after this, with the tables that could be proven until then; the others keep their last measurement.
    pub run_limit_seconds: Seconds,
    /// The longest time that reading one table at a source that answers may take. Whether it answers at all is asked with
    /// `detection.probe_timeout_seconds`.
    pub source_timeout_seconds: Seconds,
    /// A recovery point that is not known for this long is told as a warning of its own.
    pub unknown_after_seconds: Seconds,
    /// Every file of a table is looked for this often: one LIST request for each 1000 objects below the table. Between two
    /// proofs only the logs are compared.
    pub prove_every_seconds: Seconds,
    /// The pause between two looks while a run waits for its proofs.
    pub poll_seconds: Seconds,
}

impl Default for ReplicationPolicy {
    fn default() -> Self {
        Self {
            run_limit_seconds: Seconds(900),
            source_timeout_seconds: Seconds(60),
            unknown_after_seconds: Seconds(1800),
            prove_every_seconds: Seconds(3600),
            poll_seconds: Seconds(5),
        }
    }
}

impl DataSet {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &DataSetName {
        match self {
            Self::Delta(set) => &set.name,
            Self::Bucket(set) => &set.name,
            Self::Marker(set) => &set.name,
        }
    }

    /// Its own objective, if it has one.
    #[must_use]
    pub const fn rpo_seconds(&self) -> Option<Seconds> {
        match self {
            Self::Delta(set) => set.rpo_seconds,
            Self::Bucket(set) => set.rpo_seconds,
            Self::Marker(set) => set.rpo_seconds,
        }
    }

    /// How often replication is expected to catch up, if the plan says so.
    #[must_use]
    pub const fn expected_interval_seconds(&self) -> Option<Seconds> {
        match self {
            Self::Delta(set) => set.expected_interval_seconds,
            Self::Bucket(set) => set.expected_interval_seconds,
            Self::Marker(set) => set.expected_interval_seconds,
        }
    }
}

impl Plan {
    /// The objective of a data set.
    #[must_use]
    pub fn objective_of(&self, data_set: &DataSet) -> Seconds {
        data_set
            .rpo_seconds()
            .unwrap_or(self.objectives.rpo_seconds)
    }

    /// The objective of a group: its own, or the plan's.
    #[must_use]
    pub fn objective_of_group(&self, group: &Group) -> Seconds {
        group.rpo_seconds.unwrap_or(self.objectives.rpo_seconds)
    }

    /// The Delta data sets.
    pub fn delta_sets(&self) -> impl Iterator<Item = &DeltaSet> {
        self.data_sets.iter().filter_map(|set| match set {
            DataSet::Delta(set) => Some(set),
            DataSet::Bucket(_) | DataSet::Marker(_) => None,
        })
    }

    /// Whether a data set belongs to any group.
    #[must_use]
    pub fn is_grouped(&self, name: &DataSetName) -> bool {
        self.groups.iter().any(|group| group.members.contains(name))
    }
}
