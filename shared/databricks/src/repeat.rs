//! Which failed attempts are repeated, and after what wait.

use std::time::Duration;

use crate::error::{Error, Refusal};

/// When a failed attempt may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Changes nothing.
    Read,
    /// Changes the same once or twice.
    Idempotent,
    /// Must not happen twice: only repeated if it surely did not happen.
    Once,
}

/// Whether an attempt that failed so may be repeated. Like the official SDKs (databricks-sdk-py 0.156.0
/// `_base_client.py`, databricks-sdk-go 0.175.0 `apierr`) for what may happen twice, stricter for the rest: those
/// repeat every POST.
pub(crate) fn may_repeat(error: &Error, repeat: Repeat) -> bool {
    let surely_not_processed = match error {
        Error::ConnectTimeout { .. }
        | Error::ConnectionRefused { .. }
        | Error::NameNotFound { .. } => true,
        other => is_rate_limited(other),
    };
    if surely_not_processed || repeat == Repeat::Once {
        return surely_not_processed;
    }
    match error {
        Error::ReadTimeout { .. }
        | Error::ConnectionReset { .. }
        | Error::ConnectionFailed { .. } => true,
        other => other
            .refusal()
            .is_some_and(|refusal| matches!(refusal.status, 502..=504) || says_try_again(refusal)),
    }
}

/// Whether the platform said "too often". A quota that is used up (`RESOURCE_EXHAUSTED` with another status than 429)
/// is [`Error::Throttled`] too, but waiting does not help there. SCIM says it with status 500 (databricks-sdk-go 0.175.0).
pub(crate) fn is_rate_limited(error: &Error) -> bool {
    const TEXT: &str = "REQUEST_LIMIT_EXCEEDED";
    let Error::Throttled { refusal, .. } = error else {
        return false;
    };
    matches!(refusal.status, 429 | 503)
        || refusal.error_code == TEXT
        || refusal.message.contains(TEXT)
}

/// The wait before the next attempt: the back-off, but at least what the platform asked for, and a second if it
/// throttles without saying how long (databricks-sdk-py 0.156.0, `retries.py`).
pub(crate) fn wait(error: &Error, backoff: Duration) -> Duration {
    let asked = error.refusal().and_then(|refusal| refusal.retry_after);
    let default = if is_rate_limited(error) {
        Duration::from_secs(1)
    } else {
        Duration::ZERO
    };
    backoff.max(asked.unwrap_or(default))
}

/// Message patterns that the official SDKs take as "try again", whatever the status
/// (databricks-sdk-py 0.156.0 `_base_client.py`; databricks-sdk-go 0.175.0 `apierr`).
pub(crate) fn says_try_again(refusal: &Refusal) -> bool {
    const PATTERNS: [&str; 11] = [
        "com.databricks.backend.manager.util.UnknownWorkerEnvironmentException",
        "UnknownWorkerEnvironmentException",
        "does not have any associated worker environments",
        "There is no worker environment with id",
        "Unknown worker environment",
        "ClusterNotReadyException",
        "Unexpected error",
        "Please try again later or try a faster operation.",
        "RPC token bucket limit has been exceeded",
        "Timed out after ",
        "deadline exceeded",
    ];
    let message = refusal.message.as_str();
    PATTERNS.iter().any(|pattern| message.contains(pattern))
        || message
            .split_once("worker env ")
            .is_some_and(|(_, rest)| rest.contains("not found"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Target;

    fn target() -> Box<Target> {
        Box::new(Target {
            operation: "test",
            object: String::new(),
            host: "h".into(),
        })
    }

    fn refusal(status: u16, message: &str, retry_after: Option<u64>) -> Box<Refusal> {
        let retry_after = retry_after.map(Duration::from_secs);
        Box::new(Refusal {
            status,
            error_code: String::new(),
            message: message.into(),
            retry_after,
        })
    }

    fn http5xx(status: u16, message: &str) -> Error {
        Error::Http5xx {
            target: target(),
            refusal: refusal(status, message, None),
        }
    }

    #[test]
    fn once_is_repeated_only_if_surely_not_processed() {
        let detail = String::new();
        for (error, idempotent, once) in [
            (
                Error::Throttled {
                    target: target(),
                    refusal: refusal(429, "", None),
                },
                true,
                true,
            ),
            (
                Error::ConnectTimeout {
                    target: target(),
                    detail: detail.clone(),
                },
                true,
                true,
            ),
            (
                Error::ConnectionRefused {
                    target: target(),
                    detail: detail.clone(),
                },
                true,
                true,
            ),
            (
                Error::ConnectionReset {
                    target: target(),
                    detail: detail.clone(),
                },
                true,
                false,
            ),
            (
                Error::ReadTimeout {
                    target: target(),
                    detail: detail.clone(),
                },
                true,
                false,
            ),
            (
                Error::TlsRejected {
                    target: target(),
                    detail,
                },
                false,
                false,
            ),
            (http5xx(503, ""), true, false),
            (http5xx(504, ""), true, false),
            (http5xx(500, ""), false, false),
            (http5xx(500, "ClusterNotReadyException: x"), true, false),
            (
                http5xx(500, "worker env WorkerEnvId(x) not found"),
                true,
                false,
            ),
            (
                Error::Forbidden {
                    target: target(),
                    refusal: refusal(403, "", None),
                },
                false,
                false,
            ),
        ] {
            assert_eq!(
                may_repeat(&error, Repeat::Idempotent),
                idempotent,
                "{error}"
            );
            assert_eq!(may_repeat(&error, Repeat::Read), idempotent, "{error}");
            assert_eq!(may_repeat(&error, Repeat::Once), once, "{error}");
        }
    }

    #[test]
    fn wait_is_at_least_what_the_platform_asks() {
        let throttled = |after| Error::Throttled {
            target: target(),
            refusal: refusal(429, "", after),
        };
        let second = Duration::from_secs(1);
        assert_eq!(wait(&throttled(Some(7)), second), second * 7);
        assert_eq!(wait(&throttled(Some(7)), second * 9), second * 9);
        assert_eq!(wait(&throttled(None), Duration::ZERO), second);
        assert_eq!(wait(&http5xx(503, ""), second / 5), second / 5);
    }
}
