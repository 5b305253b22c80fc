//! Start-up of a function: logs, the event, the deadline, and failures with stable names.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use lambda_runtime::{LambdaEvent, service_fn, tracing};
use recovery::failure::FailureName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::{Instrument as _, Span};

use crate::Failure;

/// A function that may not finish stops working this long before its deadline and says so.
const MARGIN: Duration = Duration::from_secs(20);

/// What is known of the present invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Names it in logs and ledger keys.
    pub request_id: String,
    /// After this no new work may begin.
    pub stop_at: SystemTime,
}

impl Invocation {
    /// Whether no new work may begin.
    #[must_use]
    pub fn is_over(&self) -> bool {
        SystemTime::now() >= self.stop_at
    }

    /// The time left for work.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.stop_at
            .duration_since(SystemTime::now())
            .unwrap_or_default()
    }

    /// For tests: an invocation with this much time.
    #[must_use]
    pub fn lasting(time: Duration) -> Self {
        Self {
            request_id: "test".to_owned(),
            stop_at: SystemTime::now() + time,
        }
    }
}

/// Serves invocations until the process ends.
///
/// # Errors
/// What the Lambda runtime could not go on after.
pub async fn serve<E, A, H, F>(handler: H) -> Result<(), lambda_runtime::Error>
where
    E: DeserializeOwned,
    A: Serialize,
    H: Fn(E, Invocation) -> F,
    F: Future<Output = Result<A, Failure>>,
{
    tracing::init_default_subscriber();
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        let context = event.context.clone();
        let invocation = Invocation {
            request_id: context.request_id.clone(),
            stop_at: stop_at(context.deadline()),
        };
        let span = span(&event.payload, &context.request_id);
        let parsed = parse::<E>(event.payload);
        let handler = &handler;
        let invocation = async move {
            let result = match parsed {
                // Boxed: within the runtime's own futures a handler is nested deeper than the compiler lays out.
                Ok(event) => {
                    (Box::pin(handler(event, invocation)) as Pin<Box<dyn Future<Output = _>>>).await
                }
                Err(failure) => Err(failure),
            };
            if let Err(failure) = &result {
                tracing::error!(name = %failure.name, message = %failure.message, "failed");
            }
            result
        };
        invocation.instrument(span)
    }))
    .await
}

/// What every log line of an invocation carries. The run's id is the incident's, and names its folder and its report: one id from the
/// first signal to the last line.
fn span(event: &Value, request_id: &str) -> Span {
    let field = |name: &str| event.get(name).and_then(Value::as_str);
    tracing::info_span!(
        "invocation",
        request_id,
        run = field("run"),
        phase = field("phase"),
        site = field("site"),
        act = field("act"),
        by = field("by"),
    )
}

/// A short function keeps half of its time; a long one the usual margin.
fn stop_at(deadline: SystemTime) -> SystemTime {
    let left = deadline
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    deadline
        .checked_sub(MARGIN.min(left / 2))
        .unwrap_or(deadline)
}

/// Reads an event, or says which field is wrong.
///
/// # Errors
/// `InvalidEvent` with the path of the field.
pub fn parse<E: DeserializeOwned>(event: Value) -> Result<E, Failure> {
    serde_path_to_error::deserialize(event).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." {
            String::new()
        } else {
            format!(" at {path}")
        };
        Failure::new(
            FailureName::InvalidEvent,
            format!("the event is not understood{at}: {}", error.inner()),
        )
    })
}
