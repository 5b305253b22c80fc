//! What a fence holds outside of the workspace: the replication fence and the hard fence.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DataSet, Plan};
use crate::site::{DataSetName, RoleArn, SiteLabel};

/// The replication fence: while a site is fenced, the buckets of the other one deny its replication roles. Required if the
/// plan has data sets: they are fenced, or exempt with a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplicationFence {
    /// The IAM roles by which each site's buckets are replicated to the other site. S3 replication rules name them.
    #[serde(default)]
    pub roles: RolesBySite,
    /// Data sets whose buckets are not fenced.
    #[serde(default)]
    pub exempt: Vec<Exemption>,
}

/// IAM roles by the site that uses them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolesBySite {
    /// The primary's.
    #[serde(default)]
    pub primary: Vec<RoleArn>,
    /// The secondary's.
    #[serde(default)]
    pub secondary: Vec<RoleArn>,
}

impl RolesBySite {
    /// The roles of this site.
    #[must_use]
    pub fn of(&self, label: SiteLabel) -> &[RoleArn] {
        match label {
            SiteLabel::Primary => &self.primary,
            SiteLabel::Secondary => &self.secondary,
        }
    }
}

/// A data set whose buckets are not fenced against replication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// Its name.
    pub data_set: DataSetName,
    /// Why what arrives late can do no harm, for example that nothing replicates it by S3.
    pub why: String,
}

/// The hard fence: while a site is fenced, these roles of it carry a policy that denies starting and writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HardFence {
    /// Roles that only this site uses: the cross-account role, instance profiles' roles, storage credentials' roles. Both
    /// sites' are named, since that is how a role that both use is found and refused. Each must be in the stack's own
    /// account and in its parameter `HardFenceRoleArns`.
    pub roles: RolesBySite,
}

/// What a fence on one site asks of the other site's buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketsToFence<'a> {
    /// The buckets, each with the data sets in it.
    pub buckets: BTreeMap<&'a str, Vec<&'a DataSetName>>,
    /// The roles that they must deny.
    pub roles: &'a [RoleArn],
}

impl Plan {
    /// The buckets that must deny the replication roles of `from` while it is fenced; none if the plan names no role that
    /// replicates away from it.
    #[must_use]
    pub fn buckets_to_fence(&self, from: SiteLabel) -> BucketsToFence<'_> {
        let roles = self.replication_fence.roles.of(from);
        let mut buckets: BTreeMap<&str, Vec<&DataSetName>> = BTreeMap::new();
        if !roles.is_empty() {
            for set in self.data_sets.iter().filter(|set| !self.is_exempt(set)) {
                let there = buckets.entry(set.bucket(from.other())).or_default();
                there.push(set.name());
            }
        }
        BucketsToFence { buckets, roles }
    }

    /// The roles of `from` that the hard fence holds.
    #[must_use]
    pub fn roles_to_fence(&self, from: SiteLabel) -> &[RoleArn] {
        self.hard_fence
            .as_ref()
            .map_or(&[], |hard| hard.roles.of(from))
    }

    /// Whether the plan spares a data set from the replication fence.
    #[must_use]
    pub fn is_exempt(&self, set: &DataSet) -> bool {
        self.exempt_names().contains(set.name())
    }

    fn exempt_names(&self) -> BTreeSet<&DataSetName> {
        let exempt = self.replication_fence.exempt.iter();
        exempt.map(|exemption| &exemption.data_set).collect()
    }
}

impl DataSet {
    /// Its bucket at a site.
    #[must_use]
    pub fn bucket(&self, label: SiteLabel) -> &str {
        match self {
            Self::Delta(set) => &set.locations.get(label).bucket,
            Self::Bucket(set) => set.buckets.get(label),
            Self::Marker(set) => set.buckets.get(label),
        }
    }

    /// The key prefix of what it holds at a site, without slashes at its ends.
    #[must_use]
    pub fn prefix(&self, label: SiteLabel) -> &str {
        match self {
            Self::Delta(set) => &set.locations.get(label).prefix,
            Self::Bucket(set) => &set.prefix,
            Self::Marker(set) => &set.prefix,
        }
    }
}
