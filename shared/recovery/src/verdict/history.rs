//! Rules 1 and 2: the history of each vantage, whether it is fresh and whether it was cut off.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{CaseError, Observation, Outcome, OutcomeKind, Policy, Probe, UnknownCause, Vantage};

/// The observations of one vantage, oldest first.
pub(super) struct History<'a> {
    pub(super) vantage: &'a Vantage,
    seen: Vec<Seen<'a>>,
    /// When it last reported.
    pub(super) newest: Timestamp,
    /// Rule 1.
    pub(super) fresh: bool,
    /// Rule 2: its newest observation is cut off.
    pub(super) isolated: bool,
    /// Its newest observation that is cut off.
    pub(super) last_cut_off: Option<Timestamp>,
}

struct Seen<'a> {
    observation: &'a Observation,
    cut_off: bool,
}

/// What counts of one signal.
#[derive(Clone, Copy)]
pub(super) struct Counted<'a> {
    pub(super) at: Timestamp,
    pub(super) kind: OutcomeKind,
    /// As it was written, whatever it counts as.
    pub(super) outcome: &'a Outcome,
    pub(super) latency_ms: Option<u64>,
    pub(super) cut_off: bool,
}

impl Counted<'_> {
    /// Why nothing was learned, for a signal that says so itself.
    pub(super) fn unknown_cause(&self) -> Option<&UnknownCause> {
        match self.outcome {
            Outcome::Unknown(cause) if !self.cut_off => Some(cause),
            _ => None,
        }
    }
}

impl<'a> History<'a> {
    /// The signals of one probe, oldest first; empty if this vantage does not carry it.
    pub(super) fn of(&self, probe: &Probe) -> Vec<Counted<'a>> {
        let mut counted = Vec::new();
        for seen in &self.seen {
            let signals = &seen.observation.signals;
            if let Some(signal) = signals.iter().find(|signal| signal.probe == *probe) {
                let cut_off = seen.cut_off && !probe.is_reference();
                counted.push(Counted {
                    at: seen.observation.at,
                    kind: if cut_off {
                        OutcomeKind::Unknown
                    } else {
                        signal.outcome.kind()
                    },
                    outcome: &signal.outcome,
                    latency_ms: signal.latency_ms,
                    cut_off,
                });
            }
        }
        counted
    }

    /// Every probe it ever carried.
    pub(super) fn probes(&self) -> BTreeSet<&'a Probe> {
        self.seen
            .iter()
            .flat_map(|seen| seen.observation.signals.iter().map(|signal| &signal.probe))
            .collect()
    }

    fn new(
        vantage: &'a Vantage,
        observations: BTreeMap<Timestamp, &'a Observation>,
        policy: &Policy,
        now: Timestamp,
    ) -> Option<Self> {
        let newest = *observations.keys().next_back()?;
        let seen: Vec<_> = observations
            .into_values()
            .map(|observation| Seen {
                observation,
                cut_off: is_cut_off(observation),
            })
            .collect();
        Some(Self {
            vantage,
            newest,
            fresh: now.duration_since(newest) <= policy.freshness(),
            isolated: seen.last().is_some_and(|seen| seen.cut_off),
            last_cut_off: seen
                .iter()
                .rev()
                .find(|seen| seen.cut_off)
                .map(|seen| seen.observation.at),
            seen,
        })
    }
}

/// Sorts observations by vantage and time.
///
/// # Errors
/// Two observations of one vantage at one time, two signals of one probe in one observation, or more than one site.
pub(super) fn histories<'a>(
    observations: &'a [Observation],
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<History<'a>>, CaseError> {
    let mut vantages: BTreeMap<&Vantage, BTreeMap<Timestamp, &Observation>> = BTreeMap::new();
    let site = observations.first().map(|first| first.site);
    for (index, observation) in observations.iter().enumerate() {
        if site.is_some_and(|site| site != observation.site) {
            return Err(CaseError::new(
                format!("observations[{index}].site"),
                "a verdict is about one site, and the first observation is of the other",
            ));
        }
        let mut probes = BTreeSet::new();
        for (at, signal) in observation.signals.iter().enumerate() {
            if !probes.insert(&signal.probe) {
                return Err(CaseError::new(
                    format!("observations[{index}].signals[{at}].probe"),
                    format!("a second signal of `{}` in one observation", signal.probe),
                ));
            }
        }
        let earlier = vantages
            .entry(&observation.vantage)
            .or_default()
            .insert(observation.at, observation);
        if earlier.is_some() {
            return Err(CaseError::new(
                format!("observations[{index}].at"),
                format!(
                    "a second observation of vantage `{}` at {}",
                    observation.vantage, observation.at
                ),
            ));
        }
    }
    Ok(vantages
        .into_iter()
        .filter_map(|(vantage, observations)| History::new(vantage, observations, policy, now))
        .collect())
}

/// Rule 2: it carries `reference` probes, and none of them answered.
fn is_cut_off(observation: &Observation) -> bool {
    let mut references = observation
        .signals
        .iter()
        .filter(|signal| signal.probe.is_reference())
        .peekable();
    references.peek().is_some()
        && !references
            .any(|signal| matches!(signal.outcome, Outcome::Healthy | Outcome::Degraded(_)))
}
