//! How a function fails: a stable name for the state machine and a sentence for people.

use lambda_runtime::Diagnostic;
use recovery::failure::FailureName;
use recovery::plan::PlanError;
use recovery::state::Refusal;

/// A failure with the name that the state machine matches on. The message says what failed, on what, and what to do; it
/// never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {message}")]
pub struct Failure {
    /// The stable name.
    pub name: FailureName,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure with this name.
    pub fn new(name: FailureName, message: impl Into<String>) -> Self {
        Self {
            name,
            message: message.into(),
        }
    }

    /// A fault of this system.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(FailureName::Internal, message)
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.name.as_str().to_owned(),
            error_message: failure.message,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let name = match refusal {
            Refusal::Held { .. }
            | Refusal::Locked { .. }
            | Refusal::PassUnderWay { .. }
            | Refusal::Fenced { .. }
            | Refusal::Resetting { .. }
            | Refusal::Unsettled { .. }
            | Refusal::Lifting { .. }
            | Refusal::AtHome { .. } => FailureName::Blocked,
            Refusal::Committed { .. } | Refusal::Completed { .. } => FailureName::InvalidEvent,
            Refusal::LockLost { .. } | Refusal::NoReset { .. } => FailureName::LockLost,
            Refusal::NoFence { .. } | Refusal::NeverQuiet { .. } => FailureName::InvalidEvent,
            Refusal::Changed { .. } => FailureName::Blocked,
            Refusal::NotFenced { .. } => FailureName::Internal,
        };
        Self::new(name, refusal.to_string())
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::new(FailureName::InvalidPlan, error.to_string())
    }
}

/// Sorts an error of the AWS SDK: what was tried goes first, the SDK's own words and code follow.
pub(crate) fn of_aws(
    what: &str,
    code: Option<&str>,
    timed_out_or_unsent: bool,
    words: &str,
) -> Failure {
    let name = match code {
        Some(c)
            if c.contains("AccessDenied")
                || c.contains("UnrecognizedClient")
                || c.contains("InvalidClientTokenId")
                || c.contains("ExpiredToken") =>
        {
            FailureName::AccessDenied
        }
        Some(c)
            if c.contains("Throttl")
                || c == "SlowDown"
                || c == "TooManyRequestsException"
                || c == "TooManyUpdates" =>
        {
            FailureName::Throttled
        }
        Some(
            "InternalError"
            | "ServiceUnavailable"
            | "InternalServerError"
            | "InternalFailure"
            | "RequestTimeout",
        ) => FailureName::Transient,
        // S3, while another change of the same bucket is under way.
        Some("OperationAborted") => FailureName::Conflict,
        None if timed_out_or_unsent => FailureName::Transient,
        None => FailureName::Transient,
        Some(_) => FailureName::Internal,
    };
    let code = code.map(|c| format!(" ({c})")).unwrap_or_default();
    Failure::new(name, format!("{what} failed{code}: {words}"))
}

/// Turns an SDK error into a [`Failure`]; `$what` says what was tried.
macro_rules! aws_failure {
    ($what:expr) => {
        |error| {
            use aws_sdk_s3::error::ProvideErrorMetadata;
            let unsent = matches!(
                &error,
                aws_sdk_s3::error::SdkError::TimeoutError(_)
                    | aws_sdk_s3::error::SdkError::DispatchFailure(_)
            );
            let code = error.code().map(str::to_owned);
            $crate::failure::of_aws(
                &$what,
                code.as_deref(),
                unsent,
                &aws_sdk_s3::error::DisplayErrorContext(&error).to_string(),
            )
        }
    };
}
pub(crate) use aws_failure;
