//! How a disaster is told from noise: where probes run from, how often, what each of them asks, and how all signals add up.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Probes, Seconds};
use crate::site::Region;
use crate::verdict::{Layer, Policy, Probe, Verdict};

/// A probe of several calls has this many times the patience of one call, unless the plan says how much.
const SEVERAL_CALLS: u32 = 4;

/// How a disaster is told from noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// The regions in which the probe is deployed. The control region must be one of them.
    pub vantages: Vec<Region>,
    /// How signals add up to a verdict.
    pub policy: Policy,
    /// No call of a probe waits longer than this, unless the probe says otherwise. A probe of several calls has four times that.
    pub probe_timeout_seconds: Seconds,
    /// A healthy answer slower than this, in milliseconds, is `Degraded`, unless the probe says otherwise. A probe of several
    /// calls has four times that.
    pub latency_objective_ms: u64,
    /// How often the schedule starts the probes: the stack's parameter `ProbeSchedule` in seconds.
    #[serde(default = "one_minute")]
    pub interval_seconds: Seconds,
    /// What is probed. Sign-in and an authenticated API call always are.
    #[serde(default)]
    pub probes: Probes,
    /// A person is paged by this verdict once the site has not been `Healthy` for so many seconds, whatever its verdicts were
    /// meanwhile; 0: at once. Each verdict pages once until the site is `Healthy` again. One that is not named has its default: 0
    /// for one that calls for a failover, 300 for `Inconclusive`, `ProbeIsolated`, `CredentialProblem` and `Misconfigured`, 900
    /// for `Throttled`, `Degraded` and `Suspect`, 1800 for `ProviderIncident`. `Healthy` pages nobody.
    #[serde(default)]
    pub page_after: BTreeMap<Verdict, Seconds>,
}

/// How often a probe runs and how patient it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// The probe gives up after this; at most 40, since the function itself has 55.
    #[serde(default)]
    pub timeout_seconds: Option<Seconds>,
    /// The probe runs this often, rounded to the schedule's interval; without it, every time. It carries nothing in the observations between:
    /// confirmations are counted in its own signals, so a long period makes it slow to say `Down`.
    #[serde(default)]
    pub period_seconds: Option<Seconds>,
    /// A healthy answer slower than this, in milliseconds, is `Degraded`. Without it the plan's own objective counts; a slow
    /// status page says nothing of a site, so for the provider's feeds it counts only if it stands here.
    #[serde(default)]
    pub latency_objective_ms: Option<u64>,
}

/// The pace of one probe with nothing left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbePace {
    /// The probe gives up after this.
    pub timeout: Duration,
    /// The probe runs at most this often; without it, every time.
    pub period: Option<Seconds>,
    /// A healthy answer slower than this, in milliseconds, is `Degraded`.
    pub latency_objective_ms: u64,
}

pub(super) const fn one_minute() -> Seconds {
    Seconds(60)
}

impl Detection {
    /// The pace of a probe: the plan's own, or what follows from the timeout and the objective of one call.
    #[must_use]
    pub fn pace(&self, probe: &Probe) -> ProbePace {
        let own = self.probes.pace(probe).copied().unwrap_or_default();
        let calls = if asks_once(probe) { 1 } else { SEVERAL_CALLS };
        ProbePace {
            timeout: own
                .timeout_seconds
                .map_or(self.probe_timeout_seconds.duration() * calls, |own| {
                    own.duration()
                }),
            period: own.period_seconds,
            latency_objective_ms: own.latency_objective_ms.unwrap_or_else(|| {
                if probe.layer() == Layer::Provider {
                    u64::MAX
                } else {
                    self.latency_objective_ms.saturating_mul(u64::from(calls))
                }
            }),
        }
    }

    /// After how long without `Healthy` this verdict pages a person; `None` for `Healthy`.
    #[must_use]
    pub fn page_after(&self, verdict: Verdict) -> Option<Seconds> {
        let default = match verdict {
            Verdict::Healthy => return None,
            Verdict::RegionDown
            | Verdict::ControlPlaneDown
            | Verdict::DataPlaneDown
            | Verdict::ComputeDown => 0,
            Verdict::Inconclusive
            | Verdict::ProbeIsolated
            | Verdict::CredentialProblem
            | Verdict::Misconfigured => 300,
            Verdict::Throttled | Verdict::Degraded | Verdict::Suspect => 900,
            Verdict::ProviderIncident => 1800,
        };
        let own = self.page_after.get(&verdict).copied();
        Some(own.unwrap_or(Seconds(default)))
    }
}

/// Whether the probe is one call, or asks many things in turn.
const fn asks_once(probe: &Probe) -> bool {
    match probe {
        Probe::ControlPlaneApi
        | Probe::SignIn
        | Probe::StatusPage
        | Probe::AwsHealth
        | Probe::Reference(_) => true,
        Probe::SqlCanary
        | Probe::ClusterCanary
        | Probe::JobSuccess
        | Probe::Kpi(_)
        | Probe::ObjectStore => false,
    }
}
