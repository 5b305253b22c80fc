//! One call of an operation: its turn, its token, its attempts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::RequestBuilder;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::Object;
use crate::error::{Error, Target};
use crate::fresh;
use crate::limits::Class;
use crate::refusal::refused;
use crate::repeat::{Repeat, is_rate_limited, may_repeat, wait};
use crate::request::{Method, Request};
use crate::secret::{Credential, IdentitySource, Secret};
use crate::settings::{Connections, Retries};
use crate::token::{self, Proof, Token};
use crate::transport::{self, Answer};
use crate::workspace::Workspace;

/// The waits between attempts: 0.2 s doubling to 10 s, each up to twice as long by chance. The SDKs wait up to 10 s too
/// (databricks-sdk-py 0.156.0, `retries.py`). What ends them is the call's total time.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_jitter()
    .with_min_delay(Duration::from_millis(200))
    .with_max_delay(Duration::from_secs(10))
    .without_max_times();

/// How long the issuer of identity tokens is waited for at most, and never longer than half of the time that is left: the
/// client secret needs some, too. STS answers within a second or not at all.
const ISSUER_PATIENCE: Duration = Duration::from_secs(3);

/// A failed attempt.
struct Failure {
    error: Error,
    /// Whether the operation itself may have reached the platform (a failed sign-in has not sent it).
    sent: bool,
    /// Whether no attempt was made because the time was up.
    too_late: bool,
}

impl Failure {
    fn sent(error: Error) -> Self {
        Self {
            error,
            sent: true,
            too_late: false,
        }
    }

    fn unsent(error: Error) -> Self {
        let too_late = matches!(error, Error::DeadlineExceeded { .. });
        Self {
            error,
            sent: false,
            too_late,
        }
    }

    fn may_repeat(&self, repeat: Repeat) -> bool {
        let repeat = if self.sent { repeat } else { Repeat::Read };
        !self.too_late && may_repeat(&self.error, repeat)
    }
}

impl Workspace {
    pub(crate) fn target(&self, request: &Request) -> Box<Target> {
        Box::new(Target {
            operation: request.operation.name,
            object: request.object.clone(),
            host: self.settings().url.host().to_owned(),
        })
    }

    fn sign_in_target(&self) -> Box<Target> {
        let host = self.settings().url.host().to_owned();
        Box::new(Target {
            operation: "sign in",
            object: String::new(),
            host,
        })
    }

    /// Makes a call whose answer is a JSON object that `read` can read.
    pub(crate) async fn map<T>(
        &self,
        request: Request,
        what: &'static str,
        read: impl FnOnce(Object) -> Option<T>,
    ) -> Result<T, Error> {
        self.map_sized(request, what, |object, _| read(object))
            .await
    }

    /// The same; `read` is told the size of the answer in bytes, too.
    pub(crate) async fn map_sized<T>(
        &self,
        request: Request,
        what: &'static str,
        read: impl FnOnce(Object, usize) -> Option<T>,
    ) -> Result<T, Error> {
        let answer = self.call(&request).await?;
        let size = answer.body.len();
        match serde_json::from_slice(&answer.body) {
            Ok(Value::Object(object)) => {
                read(object, size).ok_or_else(|| self.unexpected(&request, &answer, what))
            }
            Ok(_) => Err(self.unexpected(&request, &answer, "it is not a json object")),
            Err(_) => Err(self.unexpected(&request, &answer, "it is not json")),
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
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<T, Error> {
        self.map(
            request,
            "a field is missing or of another type",
            |mut object| object.remove(name).and_then(read),
        )
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
        Err(self.unexpected(&request, &answer, "it is not json"))
    }

    /// The error for a success that does not hold what it should.
    pub(crate) fn unexpected(
        &self,
        request: &Request,
        answer: &Answer,
        what: &'static str,
    ) -> Error {
        answer.unexpected(self.target(request), what, &self.secrets())
    }

    /// Makes a call: attempts until one succeeds, fails for good, or the time is up.
    pub(crate) async fn call(&self, request: &Request) -> Result<Answer, Error> {
        let total = self.timeouts().total;
        let deadline = Instant::now() + total;
        let retries = self.settings().retries;
        let out_of_time = AtomicBool::new(false);
        let last: Mutex<Option<Error>> = Mutex::new(None);
        let result = (|| self.attempt(request, deadline))
            .retry(BACKOFF)
            .when(|failure| retries == Retries::On && failure.may_repeat(request.operation.repeat))
            .adjust(|failure, backoff| {
                let wait = wait(&failure.error, backoff?).div_f64(self.settings().time_scale);
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
        self.tell(request, result.as_ref().err().map(|failure| &failure.error));
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

    /// Every change is in the log, with what it was done to; reads are not.
    fn tell(&self, request: &Request, error: Option<&Error>) {
        if request.operation.method == Method::Get {
            return;
        }
        let host = self.settings().url.host();
        let (operation, object) = (request.operation.name, request.object.as_str());
        match error {
            None => tracing::info!(operation, object, host, "done"),
            Some(error) => tracing::info!(operation, object, host, %error, "not done"),
        }
    }

    /// One attempt, counted.
    async fn attempt(&self, request: &Request, deadline: Instant) -> Result<Answer, Failure> {
        let result = self.attempt_signed_in(request, deadline).await;
        self.heard()
            .count(result.as_ref().err().map(|failure| &failure.error));
        result
    }

    /// One attempt, or two if the platform no longer takes the token.
    async fn attempt_signed_in(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let token = self.token(deadline).await?;
        match self.send(request, &token, deadline).await {
            Err(Failure {
                error: Error::Unauthenticated { .. },
                ..
            }) if !matches!(self.settings().credential, Credential::Token(_)) => {
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
        let url = request.url(&self.settings().url).map_err(Failure::unsent)?;
        let target = self.target(request);
        let time = self
            .turn(operation.class, deadline, &target)
            .await
            .map_err(Failure::unsent)?;
        let builder = match operation.method {
            Method::Get => self.http().get(url),
            Method::Post => self.http().post(url),
            Method::Put => self.http().put(url),
            Method::Patch => self.http().patch(url),
        };
        let builder = builder.bearer_auth(token.secret.expose());
        let builder = match &request.body {
            Some(body) => builder.json(body),
            None => builder,
        };
        let sent = Instant::now();
        let answer = self
            .exchange(builder, time, &target)
            .await
            .map_err(Failure::sent)?;
        self.heard().name(answer.workspace_id);
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let error = refused(&answer, target, operation.missing, &self.secrets());
        self.slow_down(operation.class, sent, &error);
        Err(Failure::sent(error))
    }

    /// One exchange: pooled, or over a connection of its own, whose times are kept.
    async fn exchange(
        &self,
        request: RequestBuilder,
        time: Duration,
        target: &Target,
    ) -> Result<Answer, Error> {
        match self.settings().connections {
            Connections::Pooled => transport::exchange(request, time, target).await,
            Connections::Fresh => {
                let connect = self.timeouts().connect;
                let agent = transport::agent(self.settings());
                let (times, result) = fresh::exchange(request, &agent, connect, time, target).await;
                self.keep_times(times);
                result
            }
        }
    }

    /// Waits for the turn of a class, and says how long the attempt may take then.
    async fn turn(
        &self,
        class: Class,
        deadline: Instant,
        target: &Target,
    ) -> Result<Duration, Error> {
        let timeouts = self.timeouts();
        let acquired = timeout_at(deadline, self.limits().acquire(class)).await;
        let left = deadline.saturating_duration_since(Instant::now());
        if acquired.is_err() || left.is_zero() {
            let target = Box::new(target.clone());
            return Err(Error::DeadlineExceeded {
                target,
                total: timeouts.total,
                last: None,
            });
        }
        Ok(left.min(timeouts.call))
    }

    /// Pauses a class that the platform throttles, at most for the time of one call: a pause that no call outlives
    /// need not be longer.
    fn slow_down(&self, class: Class, sent: Instant, error: &Error) {
        if is_rate_limited(error) {
            let pause = wait(error, Duration::ZERO).div_f64(self.settings().time_scale);
            self.limits()
                .slow_down(class, sent, pause.min(self.timeouts().total));
        }
    }

    /// The token to send.
    async fn token(&self, deadline: Instant) -> Result<Token, Failure> {
        let token = self.tokens().get(async || self.fetch_token(deadline).await);
        let result = timeout_at(deadline, token)
            .await
            .unwrap_or_else(|_elapsed| {
                let detail = "another caller's sign-in took all the time".to_owned();
                Err(Error::ReadTimeout {
                    target: self.sign_in_target(),
                    detail,
                })
            });
        result.map_err(Failure::unsent)
    }

    /// Gets a new token in one attempt, whatever there is, and keeps it.
    pub(crate) async fn new_token(&self) -> Result<Token, Error> {
        let total = self.timeouts().total;
        let deadline = Instant::now() + total;
        let renewed = timeout_at(
            deadline,
            self.tokens()
                .renew(async || self.fetch_token(deadline).await),
        )
        .await;
        renewed.unwrap_or_else(|_elapsed| {
            Err(Error::DeadlineExceeded {
                target: self.sign_in_target(),
                total,
                last: None,
            })
        })
    }

    /// One attempt to fetch a new token.
    async fn fetch_token(&self, deadline: Instant) -> Result<token::Fetched, Error> {
        match &self.settings().credential {
            Credential::Token(token) => Ok(token::Fetched::personal(token)),
            Credential::ClientSecret {
                client_id,
                client_secret,
            } => {
                let proof = Proof::ClientSecret(client_secret);
                self.exchange_token(client_id, proof, deadline).await
            }
            Credential::Federated {
                client_id,
                identity,
                fallback,
            } => {
                let federated = self.federated(client_id, identity, deadline).await;
                match (federated, fallback) {
                    (Err(error), Some(secret)) if takes_over(&error) => {
                        tracing::warn!(%error, "this function's own identity does not open the workspace; the client secret takes over");
                        let proof = Proof::ClientSecret(secret);
                        self.exchange_token(client_id, proof, deadline).await
                    }
                    (result, _) => result,
                }
            }
        }
    }

    /// A token for the identity that AWS vouches for.
    async fn federated(
        &self,
        client_id: &str,
        identity: &IdentitySource,
        deadline: Instant,
    ) -> Result<token::Fetched, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        let issued = tokio::time::timeout(ISSUER_PATIENCE.min(left / 2), identity.issue())
            .await
            .unwrap_or_else(|_elapsed| Err("the issuer did not answer in time".to_owned()));
        let token = issued.map_err(|detail| Error::IdentityUnavailable {
            target: self.sign_in_target(),
            detail,
        })?;
        self.exchange_token(client_id, Proof::Identity(&token), deadline)
            .await
    }

    /// Asks the workspace's token endpoint once.
    async fn exchange_token(
        &self,
        client_id: &str,
        proof: Proof<'_>,
        deadline: Instant,
    ) -> Result<token::Fetched, Error> {
        let target = self.sign_in_target();
        let time = self.turn(Class::Token, deadline, &target).await?;
        let asked_at = Instant::now();
        let request = token::request(self.http(), &self.settings().url, client_id, proof);
        let result = self
            .exchange(request, time, &target)
            .await
            .and_then(|answer| token::read(&answer, asked_at, proof, target));
        if let Err(error) = &result {
            self.slow_down(Class::Token, asked_at, error);
        }
        result
    }

    /// Texts that must not appear in an error.
    fn secrets(&self) -> Vec<Secret> {
        let own = self.settings().credential.secrets();
        own.cloned()
            .into_iter()
            .chain(self.tokens().secrets())
            .collect()
    }
}

/// Whether a client secret can help: there was no identity token, or the workspace answered and would not take it (it may not
/// reach the issuer's keys). A workspace that does not answer at all will not answer to a secret either.
fn takes_over(error: &Error) -> bool {
    matches!(error, Error::IdentityUnavailable { .. })
        || (error.refusal().is_some() && !is_rate_limited(error))
}
