//! What an error says of a site. Only what the platform's own silence or failure explains counts as down.

use databricks::Error;
use recovery::verdict::{Cause, DownCause, Outcome, UnknownCause};

/// What an error of a workspace says of its site.
pub(crate) fn of_workspace(error: &Error) -> Outcome {
    match error.cause() {
        // It waited for its own turn only: nothing was sent.
        databricks::Cause::DeadlineExceeded | databricks::Cause::ConnectionFailed => {
            UnknownCause::ProbeError.into()
        }
        databricks::Cause::WrongWorkspace | databricks::Cause::Redirected => {
            UnknownCause::NotConfigured.into()
        }
        other => match Cause::from_name(other.name()) {
            Cause::Down(cause) => cause.into(),
            Cause::Unknown(UnknownCause::Other(_)) | Cause::Degraded(_) => {
                UnknownCause::ProbeError.into()
            }
            Cause::Unknown(cause) => cause.into(),
        },
    }
}

/// What a failed exchange with any other host says of that host.
pub(crate) fn of_wire(failure: &wire::Failure) -> Outcome {
    match failure {
        wire::Failure::NameNotFound(_) => UnknownCause::NameNotFound.into(),
        wire::Failure::ConnectTimeout(_) => DownCause::ConnectTimeout.into(),
        wire::Failure::ConnectionRefused(_) => DownCause::ConnectionRefused.into(),
        wire::Failure::ConnectionReset(_) => DownCause::ConnectionReset.into(),
        wire::Failure::ReadTimeout(_) => DownCause::ReadTimeout.into(),
        wire::Failure::TlsRejected(_) => UnknownCause::TlsRejected.into(),
        wire::Failure::ConnectionFailed(_)
        | wire::Failure::NoHttp(_)
        | wire::Failure::AnswerTooLarge(_)
        | wire::Failure::Unfit(_)
        | wire::Failure::Tls(_) => UnknownCause::ProbeError.into(),
    }
}

/// What S3's refusal says of the store. The code stands in the body.
pub(crate) fn of_store(status: u16, body: &[u8]) -> Outcome {
    let body = String::from_utf8_lossy(body);
    let says = |code: &str| body.contains(&format!("<Code>{code}</Code>"));
    match status {
        403 => UnknownCause::Forbidden.into(),
        404 if says("NoSuchBucket") => UnknownCause::NotConfigured.into(),
        429 => UnknownCause::Throttled.into(),
        503 if says("SlowDown") => UnknownCause::Throttled.into(),
        // It was written a moment ago, and S3 reads what it wrote.
        404 | 500..=599 => DownCause::StoreUnavailable.into(),
        301 | 307 => UnknownCause::NotConfigured.into(),
        _ => UnknownCause::ProbeError.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i_cannot_see_it_is_not_it_is_dead() {
        let unfit = Error::InvalidInput {
            what: "x",
            reason: "y".into(),
        };
        assert_eq!(of_workspace(&unfit), UnknownCause::ProbeError.into());
        for (status, body, expected) in [
            (403, "<Code>AccessDenied</Code>", "Unknown (Forbidden)"),
            (404, "<Code>NoSuchBucket</Code>", "Unknown (NotConfigured)"),
            (404, "<Code>NoSuchKey</Code>", "Down (StoreUnavailable)"),
            (500, "", "Down (StoreUnavailable)"),
            (503, "<Code>SlowDown</Code>", "Unknown (Throttled)"),
            (503, "", "Down (StoreUnavailable)"),
            (400, "", "Unknown (ProbeError)"),
        ] {
            let outcome = of_store(status, body.as_bytes());
            assert_eq!(outcome.to_string(), expected, "{status} {body}");
        }
        let text = String::new;
        for (failure, expected) in [
            (
                wire::Failure::NameNotFound(text()),
                "Unknown (NameNotFound)",
            ),
            (
                wire::Failure::ConnectTimeout(text()),
                "Down (ConnectTimeout)",
            ),
            (wire::Failure::TlsRejected(text()), "Unknown (TlsRejected)"),
            (
                wire::Failure::ConnectionFailed(text()),
                "Unknown (ProbeError)",
            ),
        ] {
            assert_eq!(of_wire(&failure).to_string(), expected);
        }
    }
}
