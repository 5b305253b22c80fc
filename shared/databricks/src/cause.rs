//! The classes of errors.

use std::fmt;

/// The class of an [`Error`](crate::Error), for those who decide by it: a health probe, a report.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "each class is the Error variant of the same name"
)]
pub enum Cause {
    InvalidInput,
    Client,
    ConnectTimeout,
    ReadTimeout,
    ConnectionRefused,
    ConnectionReset,
    ConnectionFailed,
    NameNotFound,
    TlsRejected,
    PrivateLinkBlocked,
    Redirected,
    Unauthenticated,
    Forbidden,
    NotFound,
    InvalidState,
    Conflict,
    Throttled,
    Http5xx,
    BadRequest,
    UnexpectedAnswer,
    AnswerTooLarge,
    EndlessPaging,
    WrongWorkspace,
    DeadlineExceeded,
    IdentityUnavailable,
}

impl Cause {
    /// The stable name, as in metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidInput => "InvalidInput",
            Self::Client => "Client",
            Self::ConnectTimeout => "ConnectTimeout",
            Self::ReadTimeout => "ReadTimeout",
            Self::ConnectionRefused => "ConnectionRefused",
            Self::ConnectionReset => "ConnectionReset",
            Self::ConnectionFailed => "ConnectionFailed",
            Self::NameNotFound => "NameNotFound",
            Self::TlsRejected => "TlsRejected",
            Self::PrivateLinkBlocked => "PrivateLinkBlocked",
            Self::Redirected => "Redirected",
            Self::Unauthenticated => "Unauthenticated",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::InvalidState => "InvalidState",
            Self::Conflict => "Conflict",
            Self::Throttled => "Throttled",
            Self::Http5xx => "Http5xx",
            Self::BadRequest => "BadRequest",
            Self::UnexpectedAnswer => "UnexpectedAnswer",
            Self::AnswerTooLarge => "AnswerTooLarge",
            Self::EndlessPaging => "EndlessPaging",
            Self::WrongWorkspace => "WrongWorkspace",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::IdentityUnavailable => "IdentityUnavailable",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
