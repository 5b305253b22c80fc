//! How a probe ended, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a probe ended, with the reason where there is one. A reason under the wrong outcome cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It answered as it should.
    Healthy,
    /// It answered, but not well.
    Degraded(Option<DegradedCause>),
    /// It did not answer, or with a failure of its own.
    Down(Option<DownCause>),
    /// Nothing was learned about the site.
    Unknown(UnknownCause),
}

/// An outcome without its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OutcomeKind {
    /// [`Outcome::Healthy`].
    Healthy,
    /// [`Outcome::Degraded`].
    Degraded,
    /// [`Outcome::Down`].
    Down,
    /// [`Outcome::Unknown`].
    Unknown,
}

/// Why a probe was `Degraded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DegradedCause {
    /// Above the latency objective of the probe.
    Slow,
    /// Some of what was asked failed.
    PartialFailure,
}

/// Why a probe was `Down`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DownCause {
    /// No connection in time.
    ConnectTimeout,
    /// A connection, but no answer in time.
    ReadTimeout,
    /// The connection was refused.
    ConnectionRefused,
    /// The connection was reset.
    ConnectionReset,
    /// The service answered with a failure of its own.
    Http5xx,
    /// The statement failed.
    QueryFailed,
    /// The object store failed.
    StoreUnavailable,
    /// A name that this vantage resolved within the last 24 hours is gone. Never grounds for an automatic failover.
    NameLost,
}

/// Why nothing was learned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnknownCause {
    /// 401: the credential is not accepted.
    Unauthenticated,
    /// 403: the credential may not do this.
    Forbidden,
    /// 429: we ask too often.
    Throttled,
    /// The name does not resolve, and never did here.
    NameNotFound,
    /// The certificate is not accepted.
    TlsRejected,
    /// The workspace admits private connections only.
    PrivateLinkBlocked,
    /// The warehouse does not run, and a canary does not wake it.
    WarehouseCold,
    /// The plan does not say how to probe this.
    NotConfigured,
    /// The probe itself failed.
    ProbeError,
    /// A cause this version does not know, kept as text; counts as [`UnknownCause::ProbeError`].
    Other(String),
}

/// The cause of any outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Of a `Degraded` outcome.
    Degraded(DegradedCause),
    /// Of a `Down` outcome.
    Down(DownCause),
    /// Of an `Unknown` outcome.
    Unknown(UnknownCause),
}

impl Cause {
    /// The cause of this name; any other text is [`UnknownCause::Other`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "Slow" => Self::Degraded(DegradedCause::Slow),
            "PartialFailure" => Self::Degraded(DegradedCause::PartialFailure),
            "ConnectTimeout" => Self::Down(DownCause::ConnectTimeout),
            "ReadTimeout" => Self::Down(DownCause::ReadTimeout),
            "ConnectionRefused" => Self::Down(DownCause::ConnectionRefused),
            "ConnectionReset" => Self::Down(DownCause::ConnectionReset),
            "Http5xx" => Self::Down(DownCause::Http5xx),
            "QueryFailed" => Self::Down(DownCause::QueryFailed),
            "StoreUnavailable" => Self::Down(DownCause::StoreUnavailable),
            "NameLost" => Self::Down(DownCause::NameLost),
            "Unauthenticated" => Self::Unknown(UnknownCause::Unauthenticated),
            "Forbidden" => Self::Unknown(UnknownCause::Forbidden),
            "Throttled" => Self::Unknown(UnknownCause::Throttled),
            "NameNotFound" => Self::Unknown(UnknownCause::NameNotFound),
            "TlsRejected" => Self::Unknown(UnknownCause::TlsRejected),
            "PrivateLinkBlocked" => Self::Unknown(UnknownCause::PrivateLinkBlocked),
            "WarehouseCold" => Self::Unknown(UnknownCause::WarehouseCold),
            "NotConfigured" => Self::Unknown(UnknownCause::NotConfigured),
            "ProbeError" => Self::Unknown(UnknownCause::ProbeError),
            other => Self::Unknown(UnknownCause::Other(other.to_owned())),
        }
    }

    /// The outcome this cause is listed under.
    #[must_use]
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Degraded(_) => OutcomeKind::Degraded,
            Self::Down(_) => OutcomeKind::Down,
            Self::Unknown(_) => OutcomeKind::Unknown,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Degraded(cause) => write!(f, "{cause:?}"),
            Self::Down(cause) => write!(f, "{cause:?}"),
            Self::Unknown(UnknownCause::Other(text)) => f.write_str(text),
            Self::Unknown(cause) => write!(f, "{cause:?}"),
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A cause that is listed under another outcome than the one it came with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cause `{cause}` belongs to the outcome {belongs}, not to {given}", belongs = match .cause {
    Cause::Degraded(_) => "Degraded", Cause::Down(_) => "Down", Cause::Unknown(_) => "Unknown",
})]
pub struct MisplacedCause {
    cause: Cause,
    given: OutcomeKind,
}

impl Outcome {
    /// The outcome of this name and cause.
    ///
    /// A cause this version does not know counts as `ProbeError`, and that is a cause of `Unknown`: whatever such a
    /// signal claims, nothing was learned from it.
    ///
    /// # Errors
    /// The cause is listed under another outcome.
    pub fn new(given: OutcomeKind, cause: Option<Cause>) -> Result<Self, MisplacedCause> {
        match (given, cause) {
            (OutcomeKind::Healthy, None) => Ok(Self::Healthy),
            (OutcomeKind::Degraded, None) => Ok(Self::Degraded(None)),
            (OutcomeKind::Down, None) => Ok(Self::Down(None)),
            (OutcomeKind::Unknown, None) => Ok(Self::Unknown(UnknownCause::ProbeError)),
            (OutcomeKind::Degraded, Some(Cause::Degraded(cause))) => Ok(cause.into()),
            (OutcomeKind::Down, Some(Cause::Down(cause))) => Ok(cause.into()),
            (OutcomeKind::Unknown, Some(Cause::Unknown(cause)))
            | (_, Some(Cause::Unknown(cause @ UnknownCause::Other(_)))) => Ok(cause.into()),
            (given, Some(cause)) => Err(MisplacedCause { cause, given }),
        }
    }

    /// This outcome without its cause.
    #[must_use]
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Healthy => OutcomeKind::Healthy,
            Self::Degraded(_) => OutcomeKind::Degraded,
            Self::Down(_) => OutcomeKind::Down,
            Self::Unknown(_) => OutcomeKind::Unknown,
        }
    }

    /// The cause, if it has one.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Healthy => None,
            Self::Degraded(cause) => cause.map(Cause::Degraded),
            Self::Down(cause) => cause.map(Cause::Down),
            Self::Unknown(cause) => Some(Cause::Unknown(cause.clone())),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause() {
            Some(cause) => write!(f, "{} ({cause})", self.kind()),
            None => write!(f, "{}", self.kind()),
        }
    }
}

impl From<DegradedCause> for Outcome {
    fn from(cause: DegradedCause) -> Self {
        Self::Degraded(Some(cause))
    }
}

impl From<DownCause> for Outcome {
    fn from(cause: DownCause) -> Self {
        Self::Down(Some(cause))
    }
}

impl From<UnknownCause> for Outcome {
    fn from(cause: UnknownCause) -> Self {
        Self::Unknown(cause)
    }
}
