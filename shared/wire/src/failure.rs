//! Why an exchange failed, by the step in which it did.

use std::io;

/// A failed exchange. The text is what the operating system or the library says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The name was not resolved: it does not exist, or no resolver answered in time.
    #[error("host name not found ({0})")]
    NameNotFound(String),
    /// TCP and TLS were not done in time.
    #[error("no connection in time ({0})")]
    ConnectTimeout(String),
    /// Refused.
    #[error("connection refused ({0})")]
    ConnectionRefused(String),
    /// Broken before the answer was complete.
    #[error("connection lost ({0})")]
    ConnectionReset(String),
    /// Not made for another reason: no route, no address, no sockets left.
    #[error("cannot connect ({0})")]
    ConnectionFailed(String),
    /// The handshake failed: the certificate, or what answers is no TLS.
    #[error("tls rejected ({0})")]
    TlsRejected(String),
    /// A connection, but no complete answer in time.
    #[error("no answer in time ({0})")]
    ReadTimeout(String),
    /// What came is no HTTP.
    #[error("no http answer ({0})")]
    NoHttp(String),
    /// The answer is larger than what is taken.
    #[error("the answer is larger than {0} bytes")]
    AnswerTooLarge(usize),
    /// The request could not be made; nothing was sent.
    #[error("unfit request ({0})")]
    Unfit(String),
    /// TLS could not be set up (no trust store); nothing was sent.
    #[error("cannot set up tls ({0}); check that the system's ca certificates are readable")]
    Tls(String),
}

impl Failure {
    /// A connection that was not made.
    pub(crate) fn connecting(error: &io::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused(text),
            io::ErrorKind::TimedOut => Self::ConnectTimeout(text),
            kind if is_reset(kind) => Self::ConnectionReset(text),
            _ => Self::ConnectionFailed(text),
        }
    }

    /// A handshake that failed. rustls wraps what it does not like in `InvalidData`.
    pub(crate) fn shaking_hands(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::TlsRejected(error.to_string()),
            _ => Self::connecting(error),
        }
    }
}

const fn is_reset(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
}
