//! What happens in each scenario, and what it must come to.

use std::collections::BTreeMap;

use aws::documents::Change;
use aws::keys;
use recovery::signals::Signals;
use recovery::site::SiteLabel;
use recovery::verdict::Verdict;
use serde_json::{Value, json};

use crate::{CONTROL, DetectionError, OBSERVER, PageSays, Start, StoreFails, World};

/// The bucket of the primary's region.
const PRIMARY_BUCKET: &str = "lake-one";
/// That of the secondary's.
const SECONDARY_BUCKET: &str = "lake-two";
/// A name of Databricks that once resolved. Its first label is one letter longer than DNS allows, so that no resolver is ever asked.
const LOST: &str =
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.cloud.databricks.com";

macro_rules! scenarios {
    ($($(#[$doc:meta])* $variant:ident $name:literal $verdict:ident $runs:literal,)+) => {
        /// A scenario.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Scenario { $($(#[$doc])* $variant,)+ }

        impl Scenario {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The verdict it must come to.
            #[must_use]
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$variant => Verdict::$verdict,)+ }
            }

            /// How many runs it must start.
            #[must_use]
            pub const fn runs(self) -> usize {
                match self { $(Self::$variant => $runs,)+ }
            }
        }
    };
}

scenarios! {
    /// Nothing happens.
    Quiet "quiet" Healthy 0,
    /// The primary's region answers nothing.
    RegionDark "region-dark" RegionDown 1,
    /// The control plane answers 503.
    ControlPlane503 "control-plane-503" ControlPlaneDown 1,
    /// Slow answers, and a 503 now and then.
    BrownOut "brown-out" Degraded 0,
    /// Fails and works in turn.
    Flapping "flapping" Degraded 0,
    /// Our secret is not accepted any more.
    CredentialsRevoked "credentials-revoked" CredentialProblem 0,
    /// We ask too often.
    Throttled "throttled" Throttled 0,
    /// Only the object store fails.
    ObjectStoreOnly "object-store-only" DataPlaneDown 1,
    /// Clusters are gone and statements fail; the API works.
    ComputeOnly "compute-only" ComputeDown 1,
    /// Jobs fail, the platform is fine.
    BadDeployment "bad-deployment" Degraded 0,
    /// A number of the business is out of bounds, the platform is fine.
    KpiOutOfBounds "kpi-out-of-bounds" Degraded 0,
    /// The warehouse is stopped: nothing is woken, nothing is down.
    WarehouseStopped "warehouse-stopped" Healthy 0,
    /// Every vantage has lost its network.
    ProberCutOff "prober-cut-off" ProbeIsolated 0,
    /// One vantage has lost its network.
    OneVantageCutOff "one-vantage-cut-off" Healthy 0,
    /// One vantage cannot reach the site, and all else.
    OneVantageSeesItDown "one-vantage-sees-it-down" Degraded 0,
    /// The site's name does not resolve any more.
    NameLost "name-lost" ControlPlaneDown 1,
    /// Both sites are dark: there is nowhere to go.
    BothSitesDown "both-sites-down" RegionDown 0,
    /// Reads work, writes fail.
    HalfDead "half-dead" DataPlaneDown 1,
    /// The status page reports an outage that is none.
    PageCriesWolf "status-page-cries-wolf" ProviderIncident 0,
    /// The status page is green while the region is dark.
    PageIsGreen "status-page-stays-green" RegionDown 1,
    /// AWS Health reports an issue of the region, and nothing fails.
    AwsHealthIssue "aws-health-issue" ProviderIncident 0,
}

impl Scenario {
    /// What its world starts with.
    #[must_use]
    pub fn start(self) -> Start {
        let mut start = Start::default();
        // What is slow must not run into a time-out, which is something else.
        if self == Self::BrownOut
            && let Some(detection) = start
                .plan
                .get_mut("detection")
                .and_then(Value::as_object_mut)
        {
            detection.insert("probe_timeout_seconds".to_owned(), json!(4));
            detection.insert("latency_objective_ms".to_owned(), json!(500));
        }
        start
    }

    /// Whether it is one that must be acted upon, if there is somewhere to go.
    #[must_use]
    pub fn is_disaster(self) -> bool {
        self.verdict().is_actionable()
    }

    /// Does to the world what happens before its probe number `probe`, from 1.
    ///
    /// # Errors
    /// The world refuses.
    pub async fn disturb(self, world: &mut World, probe: u32) -> Result<(), DetectionError> {
        let first = probe == 1;
        let primary = SiteLabel::Primary;
        match self {
            Self::BrownOut => {
                world.heal(primary).await?;
                let rule = if probe.is_multiple_of(4) {
                    unavailable("*")
                } else {
                    json!({"path": "*", "kind": "slow", "ms": 400})
                };
                world.fault(primary, rule).await
            }
            Self::Flapping => {
                world.heal(primary).await?;
                if probe.is_multiple_of(2) {
                    Ok(())
                } else {
                    world.fault(primary, unavailable("*")).await
                }
            }
            _ if !first => Ok(()),
            Self::Quiet => Ok(()),
            Self::RegionDark => dark(world, primary, PRIMARY_BUCKET).await,
            Self::ControlPlane503 => world.fault(primary, unavailable("*")).await,
            Self::CredentialsRevoked => {
                let revoked = json!({"state": "revoked"});
                world.control(primary, "credentials", revoked).await
            }
            Self::Throttled => {
                let rule = json!({"path": "*", "kind": "status", "status": 429});
                world.fault(primary, rule).await
            }
            Self::ObjectStoreOnly => {
                let fails = Some(StoreFails::Everything);
                world.outside.store(PRIMARY_BUCKET, fails);
                Ok(())
            }
            Self::ComputeOnly => compute_fails(world).await,
            Self::BadDeployment => world.fault(primary, failed_runs()).await,
            Self::KpiOutOfBounds => {
                let old = json!({"statement": "SELECT age", "value": "600"});
                world.control(primary, "statements", old).await
            }
            Self::WarehouseStopped => {
                let stopped = json!({"warehouses": [{"id": "w-1", "name": "Shared SQL", "state": "STOPPED"}]});
                let rule = answers("/api/2.0/sql/warehouses", &stopped);
                world.fault(primary, rule).await
            }
            Self::ProberCutOff => {
                for vantage in &mut world.vantages {
                    vantage.cut_off().await?;
                }
                Ok(())
            }
            Self::OneVantageCutOff => {
                for vantage in &mut world.vantages {
                    if vantage.prober.vantage.as_str() == OBSERVER {
                        vantage.cut_off().await?;
                    }
                }
                Ok(())
            }
            Self::OneVantageSeesItDown => moved(world, OBSERVER, "http://127.0.0.1:1").await,
            Self::NameLost => {
                for region in [CONTROL, OBSERVER] {
                    resolved(world, region).await?;
                    moved(world, region, &format!("https://{LOST}")).await?;
                }
                Ok(())
            }
            Self::BothSitesDown => {
                dark(world, primary, PRIMARY_BUCKET).await?;
                dark(world, SiteLabel::Secondary, SECONDARY_BUCKET).await
            }
            Self::HalfDead => {
                let fails = Some(StoreFails::Writes);
                world.outside.store(PRIMARY_BUCKET, fails);
                let rule = unavailable("/api/2.0/sql/statements");
                world.fault(primary, rule).await
            }
            Self::PageCriesWolf => {
                world.outside.page(PageSays::Outage);
                Ok(())
            }
            Self::PageIsGreen => {
                world.outside.page(PageSays::Operational);
                dark(world, primary, PRIMARY_BUCKET).await
            }
            Self::AwsHealthIssue => {
                // By the affected region and by the backup region.
                for region in ["us-east-1", "us-west-2"] {
                    world.deliver(health_event(region)).await?;
                }
                Ok(())
            }
        }
    }
}

async fn dark(world: &World, site: SiteLabel, bucket: &str) -> Result<(), DetectionError> {
    world.outside.store(bucket, Some(StoreFails::Silent));
    world
        .control(site, "dark", json!({"platform": "stopped"}))
        .await
}

fn unavailable(path: &str) -> Value {
    json!({"path": path, "kind": "status", "status": 503})
}

/// An answer of the platform that stands in for what it would say.
fn answers(path: &str, body: &Value) -> Value {
    json!({"path": path, "kind": "status", "status": 200, "body": body})
}

async fn compute_fails(world: &World) -> Result<(), DetectionError> {
    let site = SiteLabel::Primary;
    let failure = json!({"statement": "SELECT 1", "failure": "The warehouse has no capacity."});
    world.control(site, "statements", failure).await?;
    let gone = json!({"clusters": [{"cluster_id": "c-1", "cluster_name": "etl", "state": "TERMINATED",
        "termination_reason": {"code": "AWS_INSUFFICIENT_INSTANCE_CAPACITY_FAILURE", "type": "CLOUD_FAILURE"}}]});
    world
        .fault(site, answers("/api/2.1/clusters/list", &gone))
        .await
}

fn failed_runs() -> Value {
    let runs: Vec<Value> = (1..=10)
        .map(|id| {
            json!({"run_id": id, "job_id": 1, "state": {"life_cycle_state": "TERMINATED",
                "result_state": if id > 2 { "FAILED" } else { "SUCCESS" }}})
        })
        .collect();
    answers(
        "/api/2.2/jobs/runs/list",
        &json!({"runs": runs, "has_more": false}),
    )
}

/// A vantage takes another address for that of the primary.
async fn moved(world: &World, region: &str, url: &str) -> Result<(), DetectionError> {
    if let Some(vantage) = world.vantage(region) {
        let plan = vantage.prober.ports.plan().await?;
        vantage.knows(&plan, SiteLabel::Primary, url).await?;
    }
    Ok(())
}

/// A vantage has resolved the name a minute ago.
async fn resolved(world: &World, region: &str) -> Result<(), DetectionError> {
    let now = world.now();
    if let Some(vantage) = world.vantage(region) {
        vantage
            .prober
            .ports
            .change(&keys::signals(region), |stored: &mut Option<Signals>| {
                let names: &mut BTreeMap<_, _> = &mut stored.get_or_insert_default().names;
                names.insert(LOST.to_owned(), now);
                Ok(Change::Write(()))
            })
            .await?;
    }
    Ok(())
}

fn health_event(region: &str) -> Value {
    json!({"version": "0", "id": "1", "detail-type": "AWS Health Event", "source": "aws.health", "account": "123456789012",
        "time": "2026-03-01T00:00:00Z", "region": region, "resources": [],
        "detail": {"eventArn": "arn:aws:health:us-east-1::event/EC2/AWS_EC2_OPERATIONAL_ISSUE/1", "service": "EC2",
            "eventTypeCode": "AWS_EC2_OPERATIONAL_ISSUE", "eventTypeCategory": "issue", "eventScopeCode": "PUBLIC",
            "communicationId": "1", "statusCode": "open", "eventRegion": "us-east-1"}})
}
