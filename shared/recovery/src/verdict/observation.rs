//! What one vantage saw at one time.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::outcome::MisplacedCause;
use super::{Cause, Outcome, OutcomeKind, Probe};
use crate::site::SiteLabel;

/// The name of a place that probes run from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vantage(pub String);

impl Vantage {
    /// The vantage of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the time of one exchange went, in milliseconds, each step on its own. A step that was not needed (a name that is an
/// address, no TLS) or not completed is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Times {
    /// Resolving the host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<u64>,
    /// Opening the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<u64>,
    /// The TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<u64>,
    /// From sending the request to the head of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<u64>,
}

/// The result of one probe.
///
/// In JSON the outcome and its cause are two fields: `{"probe","outcome","cause","latency_ms","times_ms"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawSignal", into = "RawSignal")]
pub struct Signal {
    /// What was asked.
    pub probe: Probe,
    /// How it ended, and why.
    pub outcome: Outcome,
    /// How long it took.
    pub latency_ms: Option<u64>,
    /// Where the time of its last exchange went. No rule looks at it: it tells people what is slow.
    pub times_ms: Option<Times>,
}

impl Signal {
    /// A signal without a latency. The outcome may be given as its cause: `Signal::new(probe, DownCause::Http5xx)`.
    pub fn new(probe: Probe, outcome: impl Into<Outcome>) -> Self {
        Self {
            probe,
            outcome: outcome.into(),
            latency_ms: None,
            times_ms: None,
        }
    }

    /// The same signal with its latency.
    #[must_use]
    pub fn with_latency_ms(self, latency_ms: u64) -> Self {
        Self {
            latency_ms: Some(latency_ms),
            ..self
        }
    }

    /// The same signal with where its time went.
    #[must_use]
    pub fn with_times(self, times_ms: Option<Times>) -> Self {
        Self { times_ms, ..self }
    }

    /// Why the outcome is what it is.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.outcome.cause()
    }
}

/// Everything that one vantage saw of one site at one time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Observation {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub vantage: Vantage,
    /// Of which site.
    pub site: SiteLabel,
    /// The results, at most one per probe.
    pub signals: Vec<Signal>,
}

/// A signal as it is written.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RawSignal {
    probe: Probe,
    outcome: OutcomeKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times_ms: Option<Times>,
}

impl TryFrom<RawSignal> for Signal {
    type Error = MisplacedCause;

    fn try_from(raw: RawSignal) -> Result<Self, MisplacedCause> {
        let cause = raw.cause.as_deref().map(Cause::from_name);
        Ok(Self {
            probe: raw.probe,
            outcome: Outcome::new(raw.outcome, cause)?,
            latency_ms: raw.latency_ms,
            times_ms: raw.times_ms,
        })
    }
}

impl From<Signal> for RawSignal {
    fn from(signal: Signal) -> Self {
        Self {
            outcome: signal.outcome.kind(),
            cause: signal.cause().map(|cause| cause.to_string()),
            probe: signal.probe,
            latency_ms: signal.latency_ms,
            times_ms: signal.times_ms,
        }
    }
}

/// An observation as it is written, before its causes are checked one by one.
#[derive(Deserialize)]
pub(super) struct RawObservation {
    pub(super) at: Timestamp,
    pub(super) vantage: Vantage,
    pub(super) site: SiteLabel,
    pub(super) signals: Vec<RawSignal>,
}
