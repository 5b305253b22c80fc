//! Rule 6: one named verdict.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::explain;
use super::history::{Counted, History, histories};
use super::status::{layers, probes};
use super::{
    CaseError, DownCause, Layer, Layers, Observation, Outcome, Policy, ProbeStatus, Status,
    UnknownCause, Vantage,
};

/// What all fresh signals add up to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Verdict {
    /// Too little is known.
    Inconclusive,
    /// Every vantage has lost its own network.
    ProbeIsolated,
    /// Control plane and object store are down.
    RegionDown,
    /// The control plane is down.
    ControlPlaneDown,
    /// The object store is down.
    DataPlaneDown,
    /// Nothing computes.
    ComputeDown,
    /// The platform answers, but not to our credentials.
    CredentialProblem,
    /// The platform answers, but not this often.
    Throttled,
    /// We ask in the wrong place or the wrong way.
    Misconfigured,
    /// Something works badly, or fails for some.
    Degraded,
    /// Something fails, but not often or long enough yet.
    Suspect,
    /// Only the provider reports trouble.
    ProviderIncident,
    /// The control plane works, and nothing else is known to fail.
    Healthy,
}

impl Verdict {
    /// Every verdict, in the order in which the rules try them.
    pub const ALL: [Self; 13] = [
        Self::Inconclusive,
        Self::ProbeIsolated,
        Self::RegionDown,
        Self::ControlPlaneDown,
        Self::DataPlaneDown,
        Self::ComputeDown,
        Self::CredentialProblem,
        Self::Throttled,
        Self::Misconfigured,
        Self::Degraded,
        Self::Suspect,
        Self::ProviderIncident,
        Self::Healthy,
    ];

    /// Whether it is grounds for a failover.
    #[must_use]
    pub fn is_actionable(self) -> bool {
        matches!(
            self,
            Self::RegionDown | Self::ControlPlaneDown | Self::DataPlaneDown | Self::ComputeDown
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether it is grounds for a failover. What blocks the start of one is decided elsewhere.
    pub actionable: bool,
    /// What is missing for an actionable verdict; empty if it is one, and if all is `Healthy`.
    pub why_not: Vec<String>,
    /// What was seen, one line per layer, vantage and probe, the worst first.
    pub evidence: Vec<String>,
    /// The first failure of the series behind the verdict, if there is one.
    pub since: Option<Timestamp>,
    /// Without signals that say `NameLost` the verdict would be another: no grounds for an automatic failover.
    pub rests_on_name_lost: bool,
    /// How each layer is.
    pub layers: Layers,
    /// How each probe is, in the order of layers.
    pub probes: Vec<ProbeStatus>,
    /// The vantages that count.
    pub fresh: Vec<Vantage>,
    /// Of these, the ones that have lost their own network.
    pub isolated: Vec<Vantage>,
    /// The vantages that have stopped reporting.
    pub stale: Vec<Vantage>,
}

/// Judges the observations of one site.
///
/// The order of observations and signals is of no importance. An observation later than `now` counts as fresh, so that
/// a few seconds between two clocks lose nothing; whoever replays the past passes what was known at the time.
///
/// # Errors
/// The policy can never be met, or the observations contradict themselves: two of one vantage at one time, two signals
/// of one probe in one observation, two sites.
pub fn judge(
    observations: &[Observation],
    policy: &Policy,
    now: Timestamp,
) -> Result<Judgement, CaseError> {
    let mut judgement = judge_all(observations, policy, now)?;
    if judgement.actionable
        && let Some(rest) = without_name_lost(observations)
    {
        let verdict = judge_all(&rest, policy, now)?.verdict;
        judgement.rests_on_name_lost = verdict != judgement.verdict;
    }
    Ok(judgement)
}

fn judge_all(
    observations: &[Observation],
    policy: &Policy,
    now: Timestamp,
) -> Result<Judgement, CaseError> {
    policy.check()?;
    let histories = histories(observations, policy, now)?;
    let fresh: Vec<&History<'_>> = histories.iter().filter(|history| history.fresh).collect();
    let probes = probes(&fresh, policy, now);
    let layers = layers(&probes);
    let view = View {
        policy,
        now,
        histories: &histories,
        fresh: &fresh,
        probes: &probes,
        layers,
    };
    let verdict = view.verdict();
    let names = |such: fn(&History<'_>) -> bool| {
        let such = histories.iter().filter(|history| such(history));
        such.map(|history| history.vantage.clone()).collect()
    };
    Ok(Judgement {
        verdict,
        actionable: verdict.is_actionable(),
        why_not: explain::why_not(&view, verdict),
        evidence: explain::evidence(&view),
        since: view.since(verdict),
        rests_on_name_lost: false,
        fresh: names(|history| history.fresh),
        isolated: names(|history| history.fresh && history.isolated),
        stale: names(|history| !history.fresh),
        layers,
        probes,
    })
}

/// Everything a verdict is made from.
pub(super) struct View<'a> {
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
    pub(super) histories: &'a [History<'a>],
    pub(super) fresh: &'a [&'a History<'a>],
    pub(super) probes: &'a [ProbeStatus],
    pub(super) layers: Layers,
}

impl View<'_> {
    /// Rule 6: the first that fits.
    fn verdict(&self) -> Verdict {
        let layers = self.layers;
        let site = layers.of_site();
        let any = |wanted| site.iter().any(|(_, status)| *status == wanted);
        let at_quorum = |verdict| {
            let quorum = usize::try_from(self.policy.quorum).unwrap_or(usize::MAX);
            self.refusals(verdict).len() >= quorum
        };
        if self.fresh.is_empty() {
            return Verdict::Inconclusive;
        }
        if self.fresh.iter().all(|history| history.isolated) {
            return Verdict::ProbeIsolated;
        }
        match (layers.control_plane, layers.data, layers.compute) {
            (Status::Down, Status::Down, _) => return Verdict::RegionDown,
            (Status::Down, _, _) => return Verdict::ControlPlaneDown,
            (_, Status::Down, _) => return Verdict::DataPlaneDown,
            (_, _, Status::Down) => return Verdict::ComputeDown,
            _ => {}
        }
        if layers.control_plane == Status::Unknown {
            for verdict in REFUSED {
                if at_quorum(verdict) {
                    return verdict;
                }
            }
        }
        if any(Status::Degraded) {
            Verdict::Degraded
        } else if any(Status::Failing) {
            Verdict::Suspect
        } else if layers.provider.is_trouble() {
            Verdict::ProviderIncident
        } else if layers.control_plane == Status::Healthy {
            Verdict::Healthy
        } else {
            Verdict::Inconclusive
        }
    }

    /// At which fresh, not isolated vantages the newest signal of a control-plane probe is fresh and says that we are
    /// refused in the way of this verdict, and the causes.
    pub(super) fn refusals(&self, verdict: Verdict) -> Vec<(&Vantage, &UnknownCause)> {
        let refused = |newest: &Counted<'_>| {
            let fresh = self.now.duration_since(newest.at) <= self.policy.freshness();
            let cause = newest.unknown_cause();
            fresh && cause.and_then(refusal) == Some(verdict)
        };
        self.fresh
            .iter()
            .filter(|history| !history.isolated)
            .filter_map(|history| {
                history
                    .probes()
                    .into_iter()
                    .filter(|probe| probe.layer() == Layer::ControlPlane)
                    .filter_map(|probe| history.of(probe).last().copied())
                    .filter(refused)
                    .find_map(|newest| match newest.outcome {
                        Outcome::Unknown(cause) => Some((history.vantage, cause)),
                        _ => None,
                    })
            })
            .collect()
    }

    /// The layers the verdict is about.
    pub(super) fn concerned(&self, verdict: Verdict) -> Vec<Layer> {
        let such = |wanted| {
            let layers = self.layers.of_site().into_iter();
            let such = layers.filter(|(_, status)| *status == wanted);
            such.map(|(layer, _)| layer).collect()
        };
        match verdict {
            Verdict::RegionDown => vec![Layer::ControlPlane, Layer::Data],
            Verdict::ControlPlaneDown => vec![Layer::ControlPlane],
            Verdict::DataPlaneDown => vec![Layer::Data],
            Verdict::ComputeDown => vec![Layer::Compute],
            Verdict::Degraded => such(Status::Degraded),
            Verdict::Suspect => such(Status::Failing),
            Verdict::ProviderIncident => vec![Layer::Provider],
            _ => Vec::new(),
        }
    }

    fn since(&self, verdict: Verdict) -> Option<Timestamp> {
        let concerned = self.concerned(verdict);
        self.probes
            .iter()
            .filter(|status| concerned.contains(&status.probe.layer()))
            .flat_map(|status| status.readings.iter().filter_map(|reading| reading.since))
            .min()
    }
}

/// The verdicts that say that the platform answers, but not to us.
const REFUSED: [Verdict; 3] = [
    Verdict::CredentialProblem,
    Verdict::Throttled,
    Verdict::Misconfigured,
];

fn refusal(cause: &UnknownCause) -> Option<Verdict> {
    match cause {
        UnknownCause::Unauthenticated | UnknownCause::Forbidden => Some(Verdict::CredentialProblem),
        UnknownCause::Throttled => Some(Verdict::Throttled),
        UnknownCause::NameNotFound
        | UnknownCause::TlsRejected
        | UnknownCause::PrivateLinkBlocked
        | UnknownCause::NotConfigured => Some(Verdict::Misconfigured),
        UnknownCause::WarehouseCold | UnknownCause::ProbeError | UnknownCause::Other(_) => None,
    }
}

/// The same observations with `NameLost` counted as `Unknown`; nothing if there is none.
fn without_name_lost(observations: &[Observation]) -> Option<Vec<Observation>> {
    let mut rest = observations.to_vec();
    let mut found = false;
    for signal in rest.iter_mut().flat_map(|seen| &mut seen.signals) {
        if signal.outcome == Outcome::from(DownCause::NameLost)
            && signal.probe.layer() != Layer::Vantage
        {
            found = true;
            signal.outcome = UnknownCause::ProbeError.into();
        }
    }
    found.then_some(rest)
}

/// Whether a cap of rule 5 holds this probe back.
pub(super) fn is_capped(status: &ProbeStatus) -> bool {
    status.counts_as != status.status
}
