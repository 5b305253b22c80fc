//! One exchange over one fresh connection, with the time of each of its steps: what a probe of a host needs and a pooling
//! HTTP client hides. Name, TCP, TLS, request and answer are steps of the same connection, so the times are those of the call
//! itself, and a failure names the step in which it happened.

mod connect;
mod exchange;
mod failure;
mod tls;

use std::time::Duration;

pub use self::connect::{Host, reach};
pub use self::exchange::{Answer, Request, exchange};
pub use self::failure::Failure;

/// How long each step took. A step that was not needed (a name that is an address, no TLS) or not completed is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Resolving the name.
    pub dns: Option<Duration>,
    /// Opening the connection: the address that answered, and those before it that did not.
    pub tcp: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From sending the request to the head of the answer.
    pub first_byte: Option<Duration>,
}

/// What an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Name, TCP and TLS together.
    pub connect: Duration,
    /// All of it, to the last byte of the answer.
    pub total: Duration,
    /// The largest body that is taken, in bytes.
    pub body: usize,
}
