//! The names under which functions fail. State machines match on them, so they never change.

use std::fmt;

/// A failure as the state machine sees it. `Transient`, `Throttled` and `Conflict` are retried there, the rest ends the
/// run in a named outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureName {
    /// AWS or a reachable workspace failed in a way that passes.
    Transient,
    /// A rate limit; the same call may succeed later.
    Throttled,
    /// Another writer was faster several times in a row.
    Conflict,
    /// The event is not one this function knows. Nothing was done.
    InvalidEvent,
    /// The plan is missing or refused. Nothing was done.
    InvalidPlan,
    /// The input names a mode that does not exist. Nothing was done.
    UnknownMode,
    /// A hold or another run stands in the way. Nothing was done.
    Blocked,
    /// This execution no longer holds the lock: pre-empted, abandoned or resumed elsewhere. It must not act.
    LockLost,
    /// The run that was to be resumed cannot be.
    NotResumable,
    /// There is no baseline to restore from.
    NoBaseline,
    /// A document in the store cannot be read by this version.
    StateCorrupt,
    /// A URL leads to another workspace than the plan says. Nothing was written there.
    WrongWorkspace,
    /// The platform refused our credential.
    CredentialRefused,
    /// A site that is needed cannot be reached.
    SiteUnreachable,
    /// Something at the target did not start within the plan's patience.
    ActivationIncomplete,
    /// AWS refused our role.
    AccessDenied,
    /// A fault of this system.
    Internal,
}

impl FailureName {
    /// All names.
    pub const ALL: [Self; 17] = [
        Self::Transient,
        Self::Throttled,
        Self::Conflict,
        Self::InvalidEvent,
        Self::InvalidPlan,
        Self::UnknownMode,
        Self::Blocked,
        Self::LockLost,
        Self::NotResumable,
        Self::NoBaseline,
        Self::StateCorrupt,
        Self::WrongWorkspace,
        Self::CredentialRefused,
        Self::SiteUnreachable,
        Self::ActivationIncomplete,
        Self::AccessDenied,
        Self::Internal,
    ];

    /// The name as the state machine matches it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "Transient",
            Self::Throttled => "Throttled",
            Self::Conflict => "Conflict",
            Self::InvalidEvent => "InvalidEvent",
            Self::InvalidPlan => "InvalidPlan",
            Self::UnknownMode => "UnknownMode",
            Self::Blocked => "Blocked",
            Self::LockLost => "LockLost",
            Self::NotResumable => "NotResumable",
            Self::NoBaseline => "NoBaseline",
            Self::StateCorrupt => "StateCorrupt",
            Self::WrongWorkspace => "WrongWorkspace",
            Self::CredentialRefused => "CredentialRefused",
            Self::SiteUnreachable => "SiteUnreachable",
            Self::ActivationIncomplete => "ActivationIncomplete",
            Self::AccessDenied => "AccessDenied",
            Self::Internal => "Internal",
        }
    }
}

impl fmt::Display for FailureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
