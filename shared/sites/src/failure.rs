//! What an error of a workspace means for the state machine.

use aws::Failure;
use databricks::{Cause, Error};
use recovery::failure::FailureName;
use recovery::site::SiteLabel;

/// The failure of a function that needed this site.
#[must_use]
pub fn failure_at(site: SiteLabel, error: &Error) -> Failure {
    let name = match error.cause() {
        Cause::WrongWorkspace => FailureName::WrongWorkspace,
        Cause::Unauthenticated | Cause::Forbidden => FailureName::CredentialRefused,
        Cause::Throttled => FailureName::Throttled,
        Cause::ConnectTimeout
        | Cause::ReadTimeout
        | Cause::ConnectionRefused
        | Cause::ConnectionReset
        | Cause::ConnectionFailed
        | Cause::NameNotFound
        | Cause::TlsRejected
        | Cause::PrivateLinkBlocked
        | Cause::Redirected
        | Cause::DeadlineExceeded
        | Cause::Http5xx => FailureName::SiteUnreachable,
        _ => FailureName::Internal,
    };
    Failure::new(name, format!("the {site} site: {error}"))
}
