//! Everything that can go wrong, in one type.

use std::fmt;
use std::time::Duration;

use crate::cause::Cause;
use crate::ids::WorkspaceId;
use crate::repeat::says_try_again;

/// What was asked of whom: the subject of an error message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The operation in words, as in `list jobs`.
    pub operation: &'static str,
    /// What it was done to, as in `job 12`; empty if that is the whole workspace.
    pub object: String,
    /// The host it was asked of.
    pub host: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if !self.object.is_empty() {
            write!(f, " ({})", self.object)?;
        }
        write!(f, " at {}", self.host)
    }
}

/// The platform's own words when it refused a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The platform's `error_code`; empty if the answer held none. No complete list is published, so it stays a text.
    pub error_code: String,
    /// The platform's message: at most 500 characters, no control characters, secrets of this client removed.
    pub message: String,
    /// What the platform asked to wait (header `Retry-After`).
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if !self.error_code.is_empty() {
            write!(f, " {}", self.error_code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// An error of this crate. Messages never hold a secret.
///
/// Code decides by [`Error::cause`], [`Error::is_transient`] and [`Error::is_unreachable`], not by message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value given to this crate is unfit; nothing was sent.
    #[error("invalid {what}: {reason}")]
    InvalidInput {
        /// Which value.
        what: &'static str,
        /// Why, and what to give instead.
        reason: String,
    },
    /// The HTTP client could not be set up (no trust store, no TLS provider); nothing was sent.
    #[error(
        "cannot set up the http client: {reason}; check that the system's ca certificates are readable"
    )]
    Client {
        /// What the HTTP library says.
        reason: String,
    },
    /// The connection was not made in time.
    #[error("{target}: no connection in time ({detail}); check the network path to the workspace")]
    ConnectTimeout {
        /// What was asked of whom.
        target: Box<Target>,
        /// What the HTTP library says.
        detail: String,
    },
    /// The connection was made (or may have been), the answer did not come in time. The platform may have done what was asked.
    #[error("{target}: no answer in time ({detail}); read back what was done before repeating it")]
    ReadTimeout {
        /// What was asked of whom.
        target: Box<Target>,
        /// What the HTTP library says.
        detail: String,
    },
    /// The host refused the connection.
    #[error("{target}: connection refused ({detail})")]
    ConnectionRefused {
        /// What was asked of whom.
        target: Box<Target>,
        /// What the HTTP library says.
        detail: String,
    },
    /// The connection broke before the answer was complete. The platform may have done what was asked.
    #[error("{target}: connection lost ({detail}); read back what was done before repeating it")]
    ConnectionReset {
        /// What was asked of whom.
        target: Box<Target>,
        /// What the HTTP library says.
        detail: String,
    },
    /// The connection could not be made for another reason (no route, no address, no sockets left).
    #[error("{target}: cannot connect ({detail})")]
    ConnectionFailed {
        /// What was asked of whom.
        target: Box<Target>,
        /// What the HTTP library says.
        detail: String,
    },
    /// The host's name could not be resolved.
    #[error(
        "{target}: host name not found ({detail}); check the workspace url and this network's dns"
    )]
    NameNotFound {
        /// What was asked of whom.
        target: Box<Target>,
        /// What the HTTP library says.
        detail: String,
    },
    /// The TLS handshake failed.
    #[error("{target}: tls rejected ({detail}); check who answers at this address")]
    TlsRejected {
        /// What was asked of whom.
        target: Box<Target>,
        /// What the HTTP library says.
        detail: String,
    },
    /// The workspace takes calls through AWS PrivateLink only, and this one came another way
    /// (a redirect to `/login.html?error=private-link-validation-error`; databricks-sdk-py 0.156.0, `errors/private_link.py`).
    #[error(
        "{target}: the workspace takes calls through its private link only; call it from within its network"
    )]
    PrivateLinkBlocked {
        /// What was asked of whom.
        target: Box<Target>,
    },
    /// The answer was a redirect, which an API never sends. It was not followed.
    #[error("{target}: redirected (HTTP {status}) to {location}; check the workspace url")]
    Redirected {
        /// What was asked of whom.
        target: Box<Target>,
        /// HTTP status.
        status: u16,
        /// Where to, without its query; at most 200 characters.
        location: String,
    },
    /// The platform did not accept the credential (401), or the token endpoint refused the client.
    #[error("{target}: not signed in ({refusal}); check the credential and its expiry")]
    Unauthenticated {
        /// What was asked of whom.
        target: Box<Target>,
        /// The platform's words.
        refusal: Box<Refusal>,
    },
    /// Signed in, but not allowed (403).
    #[error("{target}: not allowed ({refusal}); grant the permission to the service principal")]
    Forbidden {
        /// What was asked of whom.
        target: Box<Target>,
        /// The platform's words.
        refusal: Box<Refusal>,
    },
    /// The object does not exist (404, or one of the 400 answers that mean it).
    #[error("{target}: not found ({refusal})")]
    NotFound {
        /// What was asked of whom.
        target: Box<Target>,
        /// The platform's words.
        refusal: Box<Refusal>,
    },
    /// The object is in a state that does not allow this (`INVALID_STATE`).
    #[error("{target}: not possible in this state ({refusal}); read the state and decide again")]
    InvalidState {
        /// What was asked of whom.
        target: Box<Target>,
        /// The platform's words.
        refusal: Box<Refusal>,
    },
    /// Another change came in between, or the object exists already (409).
    #[error("{target}: conflict ({refusal}); read the object and decide again")]
    Conflict {
        /// What was asked of whom.
        target: Box<Target>,
        /// The platform's words.
        refusal: Box<Refusal>,
    },
    /// The rate limit was exceeded (429). Nothing was done.
    #[error(
        "{target}: throttled ({refusal}); call less often or share the rate with fewer callers"
    )]
    Throttled {
        /// What was asked of whom.
        target: Box<Target>,
        /// The platform's words.
        refusal: Box<Refusal>,
    },
    /// The platform failed (500 and above).
    #[error("{target}: the platform failed ({refusal})")]
    Http5xx {
        /// What was asked of whom.
        target: Box<Target>,
        /// The platform's words.
        refusal: Box<Refusal>,
    },
    /// The platform refused the request for another reason (any other status).
    #[error("{target}: refused ({refusal})")]
    BadRequest {
        /// What was asked of whom.
        target: Box<Target>,
        /// The platform's words.
        refusal: Box<Refusal>,
    },
    /// A success that does not hold what the API promises.
    #[error(
        "{target}: unexpected answer: {what} (HTTP {status}, content type {content_type}, starts with {start:?}); check who answers at this address"
    )]
    UnexpectedAnswer {
        /// What was asked of whom.
        target: Box<Target>,
        /// What is wrong with it.
        what: &'static str,
        /// HTTP status.
        status: u16,
        /// The answer's content type, at most 80 characters; `none` if it named none.
        content_type: String,
        /// The answer's first 80 characters without control characters.
        start: String,
    },
    /// The answer exceeds what this client takes.
    #[error("{target}: the answer is larger than {limit} bytes; ask for less at a time")]
    AnswerTooLarge {
        /// What was asked of whom.
        target: Box<Target>,
        /// The limit in bytes.
        limit: usize,
    },
    /// A listing that does not end.
    #[error(
        "{target}: the listing does not end: {reason} after {pages} pages and {objects} objects; nothing of it was used"
    )]
    EndlessPaging {
        /// What was asked of whom.
        target: Box<Target>,
        /// What gave it away.
        reason: &'static str,
        /// Pages read.
        pages: usize,
        /// Objects read.
        objects: usize,
    },
    /// Another workspace answers at this address. Nothing was written.
    #[error("wrong workspace at {host}: expected {expected}, found {}; compare workspace url and workspace id in the plan", found_text(*found))]
    WrongWorkspace {
        /// The host that was asked.
        host: String,
        /// The workspace of the settings.
        expected: WorkspaceId,
        /// The workspace that answered; `None` if it did not say.
        found: Option<WorkspaceId>,
    },
    /// The call did not succeed within [`Timeouts::total`](crate::Timeouts::total).
    #[error("{target}: gave up, {total:?} are not enough; last error: {}", last_text(last.as_deref()))]
    DeadlineExceeded {
        /// What was asked of whom.
        target: Box<Target>,
        /// The time that the call had.
        total: Duration,
        /// The error of the last attempt; `None` if the time passed before a first one (waiting for the rate limit).
        last: Option<Box<Error>>,
    },
    /// There was no token that says who we are, and no client secret to take over. The workspace was not asked.
    #[error(
        "{target}: no identity token ({detail}); enable outbound web identity federation in this account, or put a client_secret beside the client_id"
    )]
    IdentityUnavailable {
        /// What was asked of whom.
        target: Box<Target>,
        /// What the issuer says.
        detail: String,
    },
}

fn found_text(found: Option<WorkspaceId>) -> String {
    found.map_or_else(
        || "none (no X-Databricks-Org-Id)".to_owned(),
        |id| id.to_string(),
    )
}

fn last_text(last: Option<&Error>) -> String {
    last.map_or_else(
        || "none, nothing was sent (waited for the rate limit)".to_owned(),
        ToString::to_string,
    )
}

impl Error {
    /// The variant's own class.
    const fn kind(&self) -> Cause {
        match self {
            Self::InvalidInput { .. } => Cause::InvalidInput,
            Self::Client { .. } => Cause::Client,
            Self::ConnectTimeout { .. } => Cause::ConnectTimeout,
            Self::ReadTimeout { .. } => Cause::ReadTimeout,
            Self::ConnectionRefused { .. } => Cause::ConnectionRefused,
            Self::ConnectionReset { .. } => Cause::ConnectionReset,
            Self::ConnectionFailed { .. } => Cause::ConnectionFailed,
            Self::NameNotFound { .. } => Cause::NameNotFound,
            Self::TlsRejected { .. } => Cause::TlsRejected,
            Self::PrivateLinkBlocked { .. } => Cause::PrivateLinkBlocked,
            Self::Redirected { .. } => Cause::Redirected,
            Self::Unauthenticated { .. } => Cause::Unauthenticated,
            Self::Forbidden { .. } => Cause::Forbidden,
            Self::NotFound { .. } => Cause::NotFound,
            Self::InvalidState { .. } => Cause::InvalidState,
            Self::Conflict { .. } => Cause::Conflict,
            Self::Throttled { .. } => Cause::Throttled,
            Self::Http5xx { .. } => Cause::Http5xx,
            Self::BadRequest { .. } => Cause::BadRequest,
            Self::UnexpectedAnswer { .. } => Cause::UnexpectedAnswer,
            Self::AnswerTooLarge { .. } => Cause::AnswerTooLarge,
            Self::EndlessPaging { .. } => Cause::EndlessPaging,
            Self::WrongWorkspace { .. } => Cause::WrongWorkspace,
            Self::DeadlineExceeded { .. } => Cause::DeadlineExceeded,
            Self::IdentityUnavailable { .. } => Cause::IdentityUnavailable,
        }
    }

    /// The class of this error. For [`Error::DeadlineExceeded`] it is that of the last attempt, if there was one:
    /// a probe asks what is wrong with the workspace, not how often it was tried.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::DeadlineExceeded {
                last: Some(last), ..
            } => last.cause(),
            other => other.kind(),
        }
    }

    /// The stable name of the variant, as in `DeadlineExceeded`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Whether the same call may well succeed later, without anybody changing anything.
    ///
    /// It does not say that repeating is harmless: that depends on the operation.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::ConnectTimeout { .. }
            | Self::ReadTimeout { .. }
            | Self::ConnectionRefused { .. }
            | Self::ConnectionReset { .. }
            | Self::ConnectionFailed { .. }
            | Self::NameNotFound { .. }
            | Self::IdentityUnavailable { .. }
            | Self::Throttled { .. }
            | Self::Http5xx { .. } => true,
            Self::InvalidState { refusal, .. } => refusal.message.contains("state Terminating"),
            Self::DeadlineExceeded { last, .. } => {
                last.as_ref().is_none_or(|last| last.is_transient())
            }
            other => other.refusal().is_some_and(says_try_again),
        }
    }

    /// Whether nothing came back from the platform at all: network, name, TLS. An answer of any kind, a refusal or a
    /// redirect included, means that something there is alive.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self.cause(),
            Cause::ConnectTimeout
                | Cause::ReadTimeout
                | Cause::ConnectionRefused
                | Cause::ConnectionReset
                | Cause::ConnectionFailed
                | Cause::NameNotFound
                | Cause::TlsRejected
        )
    }

    /// The platform's words, if it answered with an error.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Unauthenticated { refusal, .. }
            | Self::Forbidden { refusal, .. }
            | Self::NotFound { refusal, .. }
            | Self::InvalidState { refusal, .. }
            | Self::Conflict { refusal, .. }
            | Self::Throttled { refusal, .. }
            | Self::Http5xx { refusal, .. }
            | Self::BadRequest { refusal, .. } => Some(refusal),
            Self::DeadlineExceeded {
                last: Some(last), ..
            } => last.refusal(),
            _ => None,
        }
    }

    /// Whether the object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.cause() == Cause::NotFound
    }
}
