//! One call of an operation: its turn, its token, its attempts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::Object;
use crate::error::{Error, Target, says_try_again};
use crate::limits::Class;
use crate::refusal::refused;
use crate::secret::Credential;
use crate::settings::Retries;
use crate::token::{self, Token};
use crate::transport::{Answer, exchange};
use crate::workspace::Workspace;

/// HTTP method of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

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

/// How the platform says that the object of an operation does not exist, beyond status 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// In no other way.
    Status,
    Job,
    Run,
    Cluster,
    /// As `Cluster`, and a state that cannot be read (a purged cluster).
    ClusterRead,
    Permissions,
}

/// What the platform can do, and how it may be asked.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    pub(crate) class: Class,
    pub(crate) repeat: Repeat,
    pub(crate) missing: Missing,
}

impl Operation {
    pub(crate) const fn read(name: &'static str, class: Class) -> Self {
        Self {
            name,
            method: Method::Get,
            class,
            repeat: Repeat::Read,
            missing: Missing::Status,
        }
    }

    pub(crate) const fn missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }
}

/// One request, ready to be sent any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) operation: &'static Operation,
    path: String,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    object: String,
}

impl Request {
    pub(crate) fn new(operation: &'static Operation, path: &str) -> Self {
        Self {
            operation,
            path: path.to_owned(),
            segments: Vec::new(),
            query: Vec::new(),
            body: None,
            object: String::new(),
        }
    }

    /// Adds a segment to the path, escaped.
    pub(crate) fn segment(mut self, segment: &str) -> Self {
        self.segments.push(segment.to_owned());
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Names the object, for error messages.
    pub(crate) fn on(mut self, object: String) -> Self {
        self.object = object;
        self
    }
}

/// A failed attempt.
struct Failure {
    error: Error,
    /// Whether the operation itself may have reached the platform (a failed sign-in has not sent it).
    sent: bool,
    /// Whether no attempt was made because the time was up.
    too_late: bool,
}

impl Failure {
    fn may_repeat(&self, repeat: Repeat) -> bool {
        let repeat = if self.sent { repeat } else { Repeat::Read };
        !self.too_late && may_repeat(&self.error, repeat)
    }
}

/// Whether an attempt that failed so may be repeated. Like the official SDKs (databricks-sdk-py 0.156.0
/// `_base_client.py`, databricks-sdk-go 0.175.0 `apierr`) for what may happen twice, stricter for the rest: those
/// repeat every POST.
fn may_repeat(error: &Error, repeat: Repeat) -> bool {
    let surely_not_processed = matches!(
        error,
        Error::Throttled { .. }
            | Error::ConnectTimeout { .. }
            | Error::ConnectionRefused { .. }
            | Error::NameNotFound { .. }
    );
    if repeat == Repeat::Once {
        return surely_not_processed;
    }
    surely_not_processed
        || matches!(
            error,
            Error::ReadTimeout { .. }
                | Error::ConnectionReset { .. }
                | Error::ConnectionFailed { .. }
        )
        || error
            .refusal()
            .is_some_and(|refusal| matches!(refusal.status, 502..=504) || says_try_again(refusal))
}

/// The wait before the next attempt: the back-off, but at least what the platform asked for, and a second if it
/// throttles without saying how long (databricks-sdk-py 0.156.0, `retries.py`).
fn wait(error: &Error, backoff: Duration) -> Duration {
    let asked = error.refusal().and_then(|refusal| refusal.retry_after);
    let throttled = matches!(error, Error::Throttled { .. });
    backoff.max(asked.unwrap_or(if throttled {
        Duration::from_secs(1)
    } else {
        Duration::ZERO
    }))
}

impl Workspace {
    pub(crate) fn target(&self, request: &Request) -> Target {
        Target {
            operation: request.operation.name,
            object: request.object.clone(),
            host: self.settings().url.host().to_owned(),
        }
    }

    /// Makes a call whose answer is a JSON object that `read` can read.
    pub(crate) async fn map<T>(
        &self,
        request: Request,
        what: &'static str,
        read: impl FnOnce(Object) -> Option<T>,
    ) -> Result<T, Error> {
        let answer = self.call(&request).await?;
        let unexpected = |what| answer.unexpected(self.target(&request), what, &self.secrets(None));
        match serde_json::from_slice(&answer.body) {
            Ok(Value::Object(object)) => read(object).ok_or_else(|| unexpected(what)),
            Ok(_) => Err(unexpected("it is not a json object")),
            Err(_) => Err(unexpected("it is not json")),
        }
    }

    /// Makes a call whose answer is a JSON object.
    pub(crate) async fn object(&self, request: Request) -> Result<Object, Error> {
        self.map(request, "it is not a json object", Some).await
    }

    /// Makes a call of whose answer one field counts.
    pub(crate) async fn field<T>(
        &self,
        request: Request,
        name: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, Error> {
        self.map(request, "a field is missing or of another type", |object| {
            object.get(name).and_then(read)
        })
        .await
    }

    /// Makes a call whose answer says nothing: `{}` or nothing at all.
    pub(crate) async fn done(&self, request: Request) -> Result<(), Error> {
        let answer = self.call(&request).await?;
        if answer.body.iter().all(u8::is_ascii_whitespace)
            || serde_json::from_slice::<Value>(&answer.body).is_ok()
        {
            return Ok(());
        }
        Err(answer.unexpected(self.target(&request), "it is not json", &self.secrets(None)))
    }

    /// Makes a call: attempts until one succeeds, fails for good, or the time is up.
    pub(crate) async fn call(&self, request: &Request) -> Result<Answer, Error> {
        let total = self.settings().timeouts.total;
        let deadline = Instant::now() + total;
        let operation = request.operation;
        let retries = self.settings().retries;
        let out_of_time = AtomicBool::new(false);
        let last: Mutex<Option<Error>> = Mutex::new(None);
        let backoff = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .without_max_times();
        let result = (|| self.attempt(request, deadline))
            .retry(backoff)
            .when(|failure| retries == Retries::On && failure.may_repeat(operation.repeat))
            .adjust(|failure, backoff| {
                let wait = wait(&failure.error, backoff?);
                let in_time = Instant::now()
                    .checked_add(wait)
                    .is_some_and(|then| then < deadline);
                out_of_time.store(!in_time, Ordering::Relaxed);
                in_time.then_some(wait)
            })
            .notify(|failure, wait| {
                tracing::debug!(error = %failure.error, ?wait, "repeating");
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.error.clone());
            })
            .await;
        result.map_err(|failure| {
            let last = if failure.too_late {
                last.into_inner().unwrap_or_else(PoisonError::into_inner)
            } else if out_of_time.load(Ordering::Relaxed) {
                Some(failure.error)
            } else {
                return failure.error;
            };
            Error::DeadlineExceeded {
                target: self.target(request),
                total,
                last: last.map(Box::new),
            }
        })
    }

    /// One attempt, or two if the platform no longer takes the token.
    async fn attempt(&self, request: &Request, deadline: Instant) -> Result<Answer, Failure> {
        let token = self.token(deadline).await?;
        match self.send(request, &token, deadline).await {
            Err(Failure {
                error: Error::Unauthenticated { .. },
                ..
            }) if matches!(self.settings().credential, Credential::ClientSecret { .. }) => {
                self.tokens().reject(token.generation);
                let token = self.token(deadline).await?;
                self.send(request, &token, deadline).await
            }
            other => other,
        }
    }

    async fn send(
        &self,
        request: &Request,
        token: &Token,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let operation = request.operation;
        let target = self.target(request);
        let time = self.turn(operation.class, deadline, &target).await?;
        let sent = |error| Failure {
            error,
            sent: true,
            too_late: false,
        };
        let mut url = self.settings().url.to_url();
        url.set_path(&request.path);
        if let Some(unfit) = request
            .segments
            .iter()
            .find(|segment| matches!(segment.as_str(), "" | "." | ".."))
        {
            return Err(sent(Error::InvalidInput {
                what: "object id",
                reason: format!("{unfit:?} is none"),
            }));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(&request.segments);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let builder = match operation.method {
            Method::Get => self.http().get(url),
            Method::Post => self.http().post(url),
        };
        let builder = builder.bearer_auth(token.secret.expose());
        let builder = match &request.body {
            Some(body) => builder.json(body),
            None => builder,
        };
        let answer = exchange(builder, time, &target).await.map_err(sent)?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let error = refused(
            &answer,
            target,
            operation.missing,
            &self.secrets(Some(token)),
        );
        if matches!(error, Error::Throttled { .. }) {
            self.limits()
                .pause(operation.class, wait(&error, Duration::ZERO));
        }
        Err(sent(error))
    }

    /// Waits for the turn of a class, and says how long the attempt may take then.
    async fn turn(
        &self,
        class: Class,
        deadline: Instant,
        target: &Target,
    ) -> Result<Duration, Failure> {
        let acquired = timeout_at(deadline, self.limits().acquire(class)).await;
        let left = deadline.saturating_duration_since(Instant::now());
        if acquired.is_err() || left.is_zero() {
            let total = self.settings().timeouts.total;
            let error = Error::DeadlineExceeded {
                target: target.clone(),
                total,
                last: None,
            };
            return Err(Failure {
                error,
                sent: false,
                too_late: true,
            });
        }
        Ok(left.min(self.settings().timeouts.call))
    }

    /// The token to send.
    async fn token(&self, deadline: Instant) -> Result<Token, Failure> {
        let unsent = |error| Failure {
            error,
            sent: false,
            too_late: false,
        };
        let wait = self.tokens().get(async || self.fetch_token(deadline).await);
        match timeout_at(deadline, wait).await {
            Ok(result) => result.map_err(unsent),
            Err(_elapsed) => {
                let target = self.sign_in_target();
                Err(unsent(Error::ReadTimeout {
                    target,
                    detail: "another caller's sign-in took all the time".into(),
                }))
            }
        }
    }

    /// One attempt to fetch a new token.
    pub(crate) async fn fetch_token(&self, deadline: Instant) -> Result<token::Fetched, Error> {
        let settings = self.settings();
        let time = match settings.credential {
            Credential::Token(_) => settings.timeouts.call,
            Credential::ClientSecret { .. } => self
                .turn(Class::Token, deadline, &self.sign_in_target())
                .await
                .map_err(|failure| failure.error)?,
        };
        let result = token::fetch(self.http(), &settings.url, &settings.credential, time).await;
        if let Err(error @ Error::Throttled { .. }) = &result {
            self.limits()
                .pause(Class::Token, wait(error, Duration::ZERO));
        }
        result
    }

    pub(crate) fn sign_in_target(&self) -> Target {
        Target {
            operation: "sign in",
            object: String::new(),
            host: self.settings().url.host().to_owned(),
        }
    }

    /// Texts that must not appear in an error.
    fn secrets<'a>(&'a self, token: Option<&'a Token>) -> Vec<&'a str> {
        let own = match &self.settings().credential {
            Credential::Token(token) => token.expose(),
            Credential::ClientSecret { client_secret, .. } => client_secret.expose(),
        };
        [Some(own), token.map(|token| token.secret.expose())]
            .into_iter()
            .flatten()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    fn target() -> Target {
        Target {
            operation: "test",
            object: String::new(),
            host: "h".into(),
        }
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
        let failed_sign_in = Failure {
            error: http5xx(503, ""),
            sent: false,
            too_late: false,
        };
        assert!(
            failed_sign_in.may_repeat(Repeat::Once),
            "the operation was not sent"
        );
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
