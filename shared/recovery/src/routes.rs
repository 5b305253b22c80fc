//! The routes of S3 Multi-Region Access Points: which must change so that requests reach the active site.

use jiff::Timestamp;

use crate::plan::{AccessPoint, Plan};
use crate::site::{Region, SiteLabel};

/// Where S3 takes changes of routes and tells them. Source: Amazon S3 API Reference, `SubmitMultiRegionAccessPointRoutes`.
const CONTROL_REGIONS: [&str; 5] = [
    "us-west-2",
    "us-east-1",
    "eu-west-1",
    "ap-northeast-1",
    "ap-southeast-2",
];

/// Requests are routed there.
pub const ACTIVE: i32 = 100;
/// Requests are not routed there.
pub const PASSIVE: i32 = 0;

/// One route of an access point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The bucket that it leads to.
    pub bucket: String,
    /// The bucket's region.
    pub region: Region,
    /// [`ACTIVE`] or [`PASSIVE`].
    pub dial: i32,
}

/// What an access point said of its routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutesReading {
    routes: Vec<Route>,
    began: Timestamp,
}

impl RoutesReading {
    /// What a reading that began then gave.
    #[must_use]
    pub const fn new(routes: Vec<Route>, began: Timestamp) -> Self {
        Self { routes, began }
    }

    /// When the reading began.
    #[must_use]
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// Whether it says all of this.
    #[must_use]
    pub fn says(&self, wanted: &[Route]) -> bool {
        wanted.iter().all(|route| self.routes.contains(route))
    }
}

/// The routes of an access point while `active` is the active site. Routes to other buckets are nobody's business here.
#[must_use]
pub fn wanted(plan: &Plan, point: &AccessPoint, active: SiteLabel) -> Vec<Route> {
    [(active, ACTIVE), (active.other(), PASSIVE)]
        .map(|(site, dial)| Route {
            bucket: point.buckets.get(site).to_owned(),
            region: plan.sites.get(site).region.clone(),
            dial,
        })
        .to_vec()
}

/// The regions to ask, in order: the control region first, the region that is left not at all.
#[must_use]
pub fn control_regions(plan: &Plan, left: SiteLabel) -> Vec<Region> {
    let left = &plan.sites.get(left).region;
    let mut regions: Vec<Region> = CONTROL_REGIONS
        .into_iter()
        .map(Region::new)
        .filter(|region| region != left)
        .collect();
    regions.sort_by_key(|region| *region != plan.control_region);
    regions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Verified;

    fn plan(control: &str, primary: &str) -> Plan {
        let text = include_str!("../../../infra/plan.example.json");
        let mut plan: Plan = serde_json::from_str(text).unwrap();
        plan.control_region = Region::new(control);
        plan.sites.primary.region = Region::new(primary);
        plan
    }

    #[test]
    fn no_change_of_a_route_is_asked_of_the_region_that_is_left() {
        for left in CONTROL_REGIONS {
            let regions = control_regions(&plan("us-east-2", left), SiteLabel::Primary);
            assert_eq!(regions.len(), 4);
            assert!(!regions.contains(&Region::new(left)));
        }
        let regions = control_regions(&plan("eu-west-1", "us-east-1"), SiteLabel::Primary);
        assert_eq!(regions[0], Region::new("eu-west-1"));
    }

    #[test]
    fn the_target_becomes_active_the_other_one_passive_and_a_third_bucket_is_left_alone() {
        let plan = plan("us-west-2", "us-east-1");
        let point = AccessPoint {
            arn: crate::site::AccessPointArn::new("arn:aws:s3::123456789012:accesspoint/a.mrap"),
            buckets: crate::plan::Buckets {
                primary: "one".to_owned(),
                secondary: "two".to_owned(),
            },
        };
        let wanted = wanted(&plan, &point, SiteLabel::Secondary);
        let dials: Vec<_> = wanted.iter().map(|r| (r.bucket.as_str(), r.dial)).collect();
        assert_eq!(dials, [("two", ACTIVE), ("one", PASSIVE)]);
        let third = Route {
            bucket: "three".to_owned(),
            region: Region::new("eu-west-1"),
            dial: ACTIVE,
        };
        let attempted = Some(Timestamp::UNIX_EPOCH);
        let mut routes = vec![third];
        let early = RoutesReading::new(routes.clone(), Timestamp::UNIX_EPOCH);
        assert!(Verified::by_routes(&early, attempted, &wanted).is_none());
        routes.extend(wanted.clone());
        let late = RoutesReading::new(routes, Timestamp::UNIX_EPOCH);
        assert!(Verified::by_routes(&late, attempted, &wanted).is_some());
    }
}
