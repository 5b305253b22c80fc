//! S3 Multi-Region Access Points whose routes follow the active site.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Problems;
use super::{Buckets, Plan};
use crate::site::{AccessPointArn, SiteLabel};

/// A Multi-Region Access Point in front of a bucket of each site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessPoint {
    /// Its ARN, with the alias. It must be in the stack's own account.
    pub arn: AccessPointArn,
    /// The bucket behind it in each site's region. Other buckets behind it keep their routes.
    pub buckets: Buckets,
}

impl Plan {
    pub(super) fn check_access_points(&self, found: &mut Problems) {
        let mut seen = BTreeSet::new();
        for (index, point) in self.access_points.iter().enumerate() {
            let path = format!("access_points[{index}]");
            if let Err(problem) = point.arn.check() {
                found.add(format!("{path}.arn"), problem);
            }
            if !seen.insert(&point.arn) {
                found.add(format!("{path}.arn"), format!("{} stands twice", point.arn));
            }
            for label in SiteLabel::ALL {
                found.bucket(&format!("{path}.buckets.{label}"), point.buckets.get(label));
            }
            if point.buckets.primary == point.buckets.secondary {
                found.add(
                    format!("{path}.buckets.secondary"),
                    "is the primary's bucket; a route leads to one bucket in each region",
                );
            }
        }
    }
}
