//! Rules 4 and 5: what all vantages together say about a probe, and all probes about a layer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::History;
use super::reading::{ProbeReading, Reading, read};
use super::{Layer, Policy, Probe};

/// How a probe or a layer of a site is, from the best known to the worst.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Status {
    /// Nothing recent is known.
    #[default]
    Unknown,
    /// It works.
    Healthy,
    /// It fails, but not often or long enough yet.
    Failing,
    /// It works badly, or only some vantages see it fail.
    Degraded,
    /// It fails, and enough vantages agree.
    Down,
}

impl Status {
    /// Whether something is wrong with it, as far as is known.
    #[must_use]
    pub fn is_trouble(self) -> bool {
        self > Self::Healthy
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What all fresh vantages that carry a probe say about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// Which probe.
    pub probe: Probe,
    /// Rule 4.
    pub status: Status,
    /// The status as far as it counts for the layer: a failed sign-in, job or KPI alone is at most `Degraded`.
    pub counts_as: Status,
    /// One reading per fresh vantage that carries the probe.
    pub readings: Vec<ProbeReading>,
}

impl ProbeStatus {
    /// At how many vantages it reads so.
    #[must_use]
    pub fn vantages(&self, reading: Reading) -> usize {
        self.readings
            .iter()
            .filter(|r| r.reading == reading)
            .count()
    }
}

/// How each layer of the site is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Layers {
    /// The workspace and its API.
    pub control_plane: Status,
    /// What runs statements and jobs. `Unknown` while the control plane is `Down`.
    pub compute: Status,
    /// The object store.
    pub data: Status,
    /// What the provider says about itself.
    pub provider: Status,
}

impl Layers {
    /// The layers of the site itself, without what the provider says.
    #[must_use]
    pub fn of_site(&self) -> [(Layer, Status); 3] {
        [
            (Layer::ControlPlane, self.control_plane),
            (Layer::Compute, self.compute),
            (Layer::Data, self.data),
        ]
    }
}

/// Rule 4 for every probe but the references, in the order of layers.
pub(super) fn probes(fresh: &[&History<'_>], policy: &Policy, now: Timestamp) -> Vec<ProbeStatus> {
    let carried: BTreeSet<&Probe> = fresh.iter().flat_map(|history| history.probes()).collect();
    let mut statuses: BTreeMap<&Probe, ProbeStatus> = BTreeMap::new();
    for probe in carried.into_iter().filter(|probe| !probe.is_reference()) {
        let readings: Vec<_> = fresh
            .iter()
            .filter_map(|history| read(history, probe, policy, now))
            .collect();
        let status = site_status(&readings, policy);
        statuses.insert(
            probe,
            ProbeStatus {
                probe: probe.clone(),
                status,
                counts_as: status,
                readings,
            },
        );
    }
    let down = |such: fn(&Probe) -> bool| {
        let mut such = statuses.values().filter(|status| such(&status.probe));
        such.any(|status| status.status == Status::Down)
    };
    let api_down = down(|probe| *probe == Probe::ControlPlaneApi);
    let canary_down = down(Probe::is_canary);
    statuses
        .into_values()
        .map(|status| {
            let capped = match status.probe {
                Probe::SignIn => !api_down,
                Probe::JobSuccess | Probe::Kpi(_) => !canary_down,
                _ => false,
            };
            ProbeStatus {
                counts_as: if capped {
                    status.status.min(Status::Degraded)
                } else {
                    status.status
                },
                ..status
            }
        })
        .collect()
}

/// Rule 4.
fn site_status(readings: &[ProbeReading], policy: &Policy) -> Status {
    let any = |wanted: &[Reading]| readings.iter().any(|r| wanted.contains(&r.reading));
    let down = readings
        .iter()
        .filter(|reading| reading.reading == Reading::Down)
        .count();
    let quorum = usize::try_from(policy.quorum).unwrap_or(usize::MAX);
    if down >= quorum && 2 * down > readings.len() {
        Status::Down
    } else if any(&[Reading::Degraded, Reading::Flapping, Reading::Down]) {
        Status::Degraded
    } else if any(&[Reading::Failing]) {
        Status::Failing
    } else if any(&[Reading::Healthy]) {
        Status::Healthy
    } else {
        Status::Unknown
    }
}

/// Rule 5.
pub(super) fn layers(probes: &[ProbeStatus]) -> Layers {
    let worst = |layer| {
        probes
            .iter()
            .filter(|status| status.probe.layer() == layer)
            .map(|status| status.counts_as)
            .max()
            .unwrap_or_default()
    };
    let control_plane = worst(Layer::ControlPlane);
    Layers {
        control_plane,
        // Its probes go through the control plane.
        compute: if control_plane == Status::Down {
            Status::Unknown
        } else {
            worst(Layer::Compute)
        },
        data: worst(Layer::Data),
        provider: worst(Layer::Provider),
    }
}
