//! What is probed, and how. A probe that the plan leaves out is not run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Buckets, Pace, Percent, Seconds};
use crate::site::SiteLabel;
use crate::verdict::Probe;

/// What is probed. Only `sign_in` and `control_plane_api` need nothing from the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// The token endpoint.
    #[serde(default)]
    pub sign_in: Pace,
    /// An authenticated call of the workspace API.
    #[serde(default)]
    pub control_plane_api: Pace,
    /// A statement on a SQL warehouse.
    #[serde(default)]
    pub sql_canary: Option<SqlCanary>,
    /// The clusters that should run at the active site, and the nodes they lost.
    #[serde(default)]
    pub cluster_canary: Option<ClusterCanary>,
    /// The share of failed job runs at the active site.
    #[serde(default)]
    pub job_success: Option<JobSuccess>,
    /// Numbers of the active site, each with a bound.
    #[serde(default)]
    pub kpis: Vec<Kpi>,
    /// Put, get and delete of a marker in the site's region.
    #[serde(default)]
    pub object_store: Option<ObjectStore>,
    /// What the vendor's status page says of the site's region.
    #[serde(default)]
    pub status_page: Option<StatusPage>,
    /// Open AWS Health issues of the site's region, as EventBridge delivers them.
    #[serde(default)]
    pub aws_health: Option<AwsHealth>,
    /// Hosts of different operators, in neither site's region. If none answers, the prober itself is cut off. None, or at
    /// least two: without them a prober that lost its own network sees a dead site.
    #[serde(default)]
    pub references: Vec<Reference>,
}

/// When a statement of a probe may use a warehouse. A statement starts a warehouse that is stopped, and puts off the
/// automatic stop of one that runs; both are billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WarehouseRule {
    /// Only while it runs, and either never stops by itself (`auto_stop_mins` 0) or somebody else's query was in its
    /// history within the last five minutes: the probe puts its stop off by five minutes at most. The probe's service
    /// principal needs CAN MONITOR on the warehouse to see the queries of others. Otherwise the warehouse counts as cold.
    #[default]
    WhileInUse,
    /// Whenever it runs: a warehouse that somebody started is kept up for as long as it is probed.
    Keep,
    /// Always: a stopped warehouse is started, and kept up.
    Wake,
}

/// A statement on a SQL warehouse, at both sites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlCanary {
    /// The warehouse's name, the same at both sites.
    pub warehouse: String,
    /// The statement.
    #[serde(default = "select_one")]
    pub sql: String,
    /// When the statement may use the warehouse. A warehouse that may not be used is `WarehouseCold`, which is `Unknown`.
    #[serde(default)]
    pub rule: WarehouseRule,
    /// How often and how patiently.
    #[serde(default)]
    pub pace: Pace,
}

/// The clusters that should run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterCanary {
    /// Their names.
    #[serde(default)]
    pub names: Vec<String>,
    /// Clusters with all of these tags, too.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Node losses of the last so many seconds count.
    #[serde(default = "five_minutes")]
    pub lookback_seconds: Seconds,
    /// How often and how patiently.
    #[serde(default)]
    pub pace: Pace,
}

impl ClusterCanary {
    /// Whether the plan names no cluster: those that ran when the baseline was captured are meant.
    #[must_use]
    pub fn is_from_baseline(&self) -> bool {
        self.names.is_empty() && self.tags.is_empty()
    }
}

/// The share of failed job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSuccess {
    /// Runs that started in the last so many seconds count.
    #[serde(default = "one_hour")]
    pub window_seconds: Seconds,
    /// Fewer ended runs than this say nothing.
    #[serde(default = "ten")]
    pub minimum_runs: u32,
    /// What usually fails. More is `Degraded`. Runs that somebody cancelled do not count.
    pub baseline_failed_percent: Percent,
    /// How often and how patiently.
    #[serde(default)]
    pub pace: Pace,
}

/// A statement that returns one number, at the active site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kpi {
    /// Unique in the plan; the probe is `kpi:<name>`.
    pub name: String,
    /// The name of the warehouse that runs it.
    pub warehouse: String,
    /// The statement. The first value of its first row counts.
    pub sql: String,
    /// What the number must be. Outside of it the probe is `Degraded`.
    pub bound: Bound,
    /// When the statement may use the warehouse.
    #[serde(default)]
    pub rule: WarehouseRule,
    /// How often and how patiently.
    #[serde(default)]
    pub pace: Pace,
}

/// What a number must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// From the first to the second.
    Between(f64, f64),
    /// From the usual value divided by the factor to the usual value times the factor. Both are above 0.
    Baseline {
        /// The usual value.
        usual: f64,
        /// More than 1.
        factor: f64,
    },
}

impl Bound {
    /// Whether a number is within.
    #[must_use]
    pub fn holds(&self, number: f64) -> bool {
        match *self {
            Self::AtMost(most) => number <= most,
            Self::AtLeast(least) => number >= least,
            Self::Between(least, most) => (least..=most).contains(&number),
            Self::Baseline { usual, factor } => (usual / factor..=usual * factor).contains(&number),
        }
    }
}

/// Put, get and delete of a marker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectStore {
    /// A bucket in each site's region. Best are small ones of their own without versioning: in a versioned bucket each
    /// probe leaves an old version under `databricks-dr-marker/`, for a lifecycle rule to remove.
    pub buckets: Buckets,
    /// How often and how patiently.
    #[serde(default)]
    pub pace: Pace,
}

/// The format of a status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StatusFormat {
    /// status.io: `https://api.status.io/1.0/status/<page id>`.
    StatusIo,
    /// Atlassian Statuspage: `https://<page>/api/v2/summary.json`.
    Statuspage,
}

/// The vendor's status page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusPage {
    /// The page's JSON document.
    pub url: String,
    /// How to read it.
    pub format: StatusFormat,
    /// What the page calls the region of each site: a part of the name of a container (status.io), of a component or of its group
    /// (Statuspage). Without it the whole page counts.
    #[serde(default)]
    pub regions: Option<PageRegions>,
    /// How often and how patiently.
    #[serde(default)]
    pub pace: Pace,
}

/// What a status page calls the regions of the sites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageRegions {
    /// The primary's.
    pub primary: String,
    /// The secondary's.
    pub secondary: String,
}

impl PageRegions {
    /// What the page calls the region of this site.
    #[must_use]
    pub fn get(&self, site: SiteLabel) -> &str {
        match site {
            SiteLabel::Primary => &self.primary,
            SiteLabel::Secondary => &self.secondary,
        }
    }
}

/// AWS Health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsHealth {
    /// The services whose issues count, as AWS Health names them (`EC2`, `S3`, `STS`, ...). Empty: all.
    #[serde(default)]
    pub services: Vec<String>,
    /// How often and how patiently.
    #[serde(default)]
    pub pace: Pace,
}

/// A host that tells whether the prober's own network works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Unique in the plan; the probe is `reference:<name>`.
    pub name: String,
    /// `https://host/path`, where any HTTP answer counts, or `tcp://host:port`, where a connection does. `http` on loopback only.
    pub url: String,
    /// How often and how patiently.
    #[serde(default)]
    pub pace: Pace,
}

fn select_one() -> String {
    "SELECT 1".to_owned()
}

const fn five_minutes() -> Seconds {
    Seconds(300)
}

const fn one_hour() -> Seconds {
    Seconds(3600)
}

const fn ten() -> u32 {
    10
}

impl Probes {
    /// Every probe that the plan asks for, in the order in which a plan names them.
    #[must_use]
    pub fn all(&self) -> Vec<Probe> {
        let mut all = vec![Probe::SignIn, Probe::ControlPlaneApi];
        all.extend(self.sql_canary.as_ref().map(|_| Probe::SqlCanary));
        all.extend(self.cluster_canary.as_ref().map(|_| Probe::ClusterCanary));
        all.extend(self.job_success.as_ref().map(|_| Probe::JobSuccess));
        all.extend(
            self.kpis
                .iter()
                .map(|kpi| Probe::Kpi(Some(kpi.name.clone()))),
        );
        all.extend(self.object_store.as_ref().map(|_| Probe::ObjectStore));
        all.extend(self.status_page.as_ref().map(|_| Probe::StatusPage));
        all.extend(self.aws_health.as_ref().map(|_| Probe::AwsHealth));
        all.extend(
            self.references
                .iter()
                .map(|reference| Probe::Reference(Some(reference.name.clone()))),
        );
        all
    }

    /// What the plan says of a probe's pace; `None` if it does not ask for the probe.
    #[must_use]
    pub fn pace(&self, probe: &Probe) -> Option<&Pace> {
        match probe {
            Probe::SignIn => Some(&self.sign_in),
            Probe::ControlPlaneApi => Some(&self.control_plane_api),
            Probe::SqlCanary => self.sql_canary.as_ref().map(|own| &own.pace),
            Probe::ClusterCanary => self.cluster_canary.as_ref().map(|own| &own.pace),
            Probe::JobSuccess => self.job_success.as_ref().map(|own| &own.pace),
            Probe::Kpi(name) => self
                .kpis
                .iter()
                .find(|kpi| Some(&kpi.name) == name.as_ref())
                .map(|own| &own.pace),
            Probe::ObjectStore => self.object_store.as_ref().map(|own| &own.pace),
            Probe::StatusPage => self.status_page.as_ref().map(|own| &own.pace),
            Probe::AwsHealth => self.aws_health.as_ref().map(|own| &own.pace),
            Probe::Reference(name) => self
                .references
                .iter()
                .find(|reference| Some(&reference.name) == name.as_ref())
                .map(|own| &own.pace),
        }
    }
}
