//! The probes and the layers they belong to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing that is asked of a site, again and again. In text: `control-plane-api`, `kpi:orders_fresh`, …
///
/// The order of the variants is the order of layers in which evidence is listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Probe {
    /// An authenticated call of the workspace API.
    ControlPlaneApi,
    /// The token endpoint.
    SignIn,
    /// A statement on a SQL warehouse.
    SqlCanary,
    /// The clusters that should run, and the nodes they lost.
    ClusterCanary,
    /// The share of failed job runs.
    JobSuccess,
    /// A number with a bound or a baseline; one probe per name.
    Kpi(Option<String>),
    /// Put, get and delete of a marker in the region of the site.
    ObjectStore,
    /// The status page of the vendor.
    StatusPage,
    /// Events of AWS Health.
    AwsHealth,
    /// A host that belongs to neither site: it tells whether the prober's own network works.
    Reference(Option<String>),
}

/// A part of the platform that fails on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The workspace and its API.
    ControlPlane,
    /// What runs statements and jobs.
    Compute,
    /// The object store.
    Data,
    /// What the provider says about itself: weak evidence.
    Provider,
    /// The prober's own network.
    Vantage,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlPlane => "control plane",
            Self::Compute => "compute",
            Self::Data => "data",
            Self::Provider => "provider",
            Self::Vantage => "vantage",
        })
    }
}

impl Probe {
    /// The layer this probe speaks for.
    #[must_use]
    pub fn layer(&self) -> Layer {
        match self {
            Self::ControlPlaneApi | Self::SignIn => Layer::ControlPlane,
            Self::SqlCanary | Self::ClusterCanary | Self::JobSuccess | Self::Kpi(_) => {
                Layer::Compute
            }
            Self::ObjectStore => Layer::Data,
            Self::StatusPage | Self::AwsHealth => Layer::Provider,
            Self::Reference(_) => Layer::Vantage,
        }
    }

    /// Whether it tells about the prober's own network instead of the site.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        self.layer() == Layer::Vantage
    }

    /// Whether it is one of the two canaries of the compute layer.
    #[must_use]
    pub fn is_canary(&self) -> bool {
        matches!(self, Self::SqlCanary | Self::ClusterCanary)
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlPlaneApi => "control-plane-api",
            Self::SignIn => "sign-in",
            Self::SqlCanary => "sql-canary",
            Self::ClusterCanary => "cluster-canary",
            Self::JobSuccess => "job-success",
            Self::ObjectStore => "object-store",
            Self::StatusPage => "status-page",
            Self::AwsHealth => "aws-health",
            Self::Kpi(None) => "kpi",
            Self::Reference(None) => "reference",
            Self::Kpi(Some(name)) => return write!(f, "kpi:{name}"),
            Self::Reference(Some(name)) => return write!(f, "reference:{name}"),
        })
    }
}

/// A name that is no probe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown probe `{0}`")]
pub struct UnknownProbe(String);

impl FromStr for Probe {
    type Err = UnknownProbe;

    fn from_str(text: &str) -> Result<Self, UnknownProbe> {
        let named = |name: &str| (!name.is_empty()).then(|| Some(name.to_owned()));
        match text {
            "control-plane-api" => Some(Self::ControlPlaneApi),
            "sign-in" => Some(Self::SignIn),
            "sql-canary" => Some(Self::SqlCanary),
            "cluster-canary" => Some(Self::ClusterCanary),
            "job-success" => Some(Self::JobSuccess),
            "object-store" => Some(Self::ObjectStore),
            "status-page" => Some(Self::StatusPage),
            "aws-health" => Some(Self::AwsHealth),
            "kpi" => Some(Self::Kpi(None)),
            "reference" => Some(Self::Reference(None)),
            _ => match text.split_once(':') {
                Some(("kpi", name)) => named(name).map(Self::Kpi),
                Some(("reference", name)) => named(name).map(Self::Reference),
                _ => None,
            },
        }
        .ok_or_else(|| UnknownProbe(text.to_owned()))
    }
}

impl TryFrom<String> for Probe {
    type Error = UnknownProbe;

    fn try_from(text: String) -> Result<Self, UnknownProbe> {
        text.parse()
    }
}

impl From<Probe> for String {
    fn from(probe: Probe) -> Self {
        probe.to_string()
    }
}
