//! Access tokens: fetched with the client credentials flow, kept, replaced before they expire.

use std::collections::VecDeque;
use std::sync::Mutex as StdMutex;
use std::sync::PoisonError;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::{Error, Target};
use crate::refusal::token_refused;
use crate::secret::Secret;
use crate::transport::Answer;
use crate::url::WorkspaceUrl;

/// A token is not used in its last 40 s: the platform may reject it earlier than it says
/// (databricks-sdk-py 0.156.0, `oauth.py`).
const EXPIRES_EARLY: Duration = Duration::from_secs(40);
/// A token is replaced ahead of time in its last 20 min, or the second half of its life if that is shorter (same source).
const STALE_AT_MOST: Duration = Duration::from_secs(20 * 60);
/// After a failed replacement ahead of time the next one waits (same source).
const STALE_PAUSE: Duration = Duration::from_secs(60);
/// What a token's life is taken as if the platform does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);

/// A token and what is known of its life. `generation` tells tokens apart without comparing secrets.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) generation: u64,
    pub(crate) life: Option<Duration>,
    stale_at: Instant,
    expired_at: Instant,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Fetches that have ended, and how the last of them failed.
    fetched: u64,
    failed: Option<Error>,
    /// No replacement ahead of time before this.
    not_before: Option<Instant>,
    /// The newest tokens, dropped ones included.
    seen: VecDeque<Secret>,
}

/// The token of one workspace, shared by all its callers.
pub(crate) struct Tokens {
    state: StdMutex<State>,
    /// Held while a token is fetched: one at a time.
    flight: Mutex<()>,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self {
            state: StdMutex::new(State::default()),
            flight: Mutex::new(()),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A token that is good now. `fetch` gets a new one; of several callers one fetches and all take its result, also
    /// if that is a failure.
    pub(crate) async fn get(
        &self,
        fetch: impl AsyncFnOnce() -> Result<Fetched, Error>,
    ) -> Result<Token, Error> {
        let (kept, fetched) = self.with(|state| (state.token.clone(), state.fetched));
        let now = Instant::now();
        if let Some(kept) = kept.filter(|token| now < token.expired_at) {
            let replace = now >= kept.stale_at
                && self.with(|state| state.not_before.is_none_or(|time| now >= time));
            if !replace {
                return Ok(kept);
            }
            // One caller replaces it, the others go on with what there is.
            let Ok(_flight) = self.flight.try_lock() else {
                return Ok(kept);
            };
            return Ok(match self.store(fetch().await) {
                Ok(token) => token,
                Err(error) => {
                    tracing::warn!(%error, "cannot replace the token ahead of time; the old one is still good");
                    self.with(|state| state.not_before = Some(Instant::now() + STALE_PAUSE));
                    kept
                }
            });
        }
        let _flight = self.flight.lock().await;
        let shared = self.with(|state| {
            let good = state
                .token
                .clone()
                .filter(|token| Instant::now() < token.expired_at);
            match (good, &state.failed) {
                (Some(token), _) => Some(Ok(token)),
                (None, Some(error)) if state.fetched > fetched => Some(Err(error.clone())),
                _ => None,
            }
        });
        match shared {
            Some(result) => result,
            None => self.store(fetch().await),
        }
    }

    /// A new token, whatever there is.
    pub(crate) async fn renew(
        &self,
        fetch: impl AsyncFnOnce() -> Result<Fetched, Error>,
    ) -> Result<Token, Error> {
        let _flight = self.flight.lock().await;
        self.store(fetch().await)
    }

    /// The tokens that may be in use, to keep them out of error messages.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.with(|state| state.seen.iter().cloned().collect())
    }

    /// Drops a token that the platform did not take, unless it was replaced meanwhile.
    pub(crate) fn reject(&self, generation: u64) {
        self.with(|state| {
            if state
                .token
                .as_ref()
                .is_some_and(|token| token.generation == generation)
            {
                state.token = None;
            }
        });
    }

    fn store(&self, result: Result<Fetched, Error>) -> Result<Token, Error> {
        self.with(|state| {
            state.fetched += 1;
            match result {
                Ok(fetched) => {
                    let life = fetched.life.unwrap_or(DEFAULT_LIFE);
                    let stale = (life / 2).min(STALE_AT_MOST).max(EXPIRES_EARLY);
                    let token = Token {
                        secret: fetched.secret,
                        generation: state.fetched,
                        life: fetched.life,
                        stale_at: fetched.asked_at + life.saturating_sub(stale),
                        expired_at: fetched.asked_at + life.saturating_sub(EXPIRES_EARLY),
                    };
                    state.seen.push_front(token.secret.clone());
                    state.seen.truncate(3);
                    state.token = Some(token.clone());
                    state.failed = None;
                    state.not_before = None;
                    Ok(token)
                }
                Err(error) => {
                    // That one caller's time was up says nothing to the others.
                    let too_late = matches!(error, Error::DeadlineExceeded { .. });
                    state.failed = (!too_late).then(|| error.clone());
                    Err(error)
                }
            }
        })
    }
}

/// A token as the platform gave it.
pub(crate) struct Fetched {
    secret: Secret,
    /// When it was asked for: its life counts from here, so the answer's way is not added to it.
    asked_at: Instant,
    life: Option<Duration>,
}

impl Fetched {
    /// A personal token is its own access token.
    pub(crate) fn personal(token: &Secret) -> Self {
        Self {
            secret: token.clone(),
            asked_at: Instant::now(),
            life: None,
        }
    }
}

/// What is shown to the token endpoint.
#[derive(Clone, Copy)]
pub(crate) enum Proof<'a> {
    /// The service principal's own secret.
    ClientSecret(&'a Secret),
    /// A token of an issuer that the service principal's federation policy trusts.
    Identity(&'a Secret),
}

impl Proof<'_> {
    /// What must not be repeated.
    pub(crate) const fn secret(&self) -> &Secret {
        match self {
            Self::ClientSecret(secret) | Self::Identity(secret) => secret,
        }
    }
}

/// Asks `POST /oidc/v1/token` for a token (databricks-sdk-py 0.156.0, `credentials_provider.py`, `oauth.py`, `oidc.py`).
pub(crate) fn request(
    http: &Client,
    url: &WorkspaceUrl,
    client_id: &str,
    proof: Proof<'_>,
) -> RequestBuilder {
    let mut address = url.to_url();
    address.set_path("/oidc/v1/token");
    let request = http.post(address);
    match proof {
        Proof::ClientSecret(secret) => request
            .basic_auth(client_id, Some(secret.expose()))
            .form(&[("grant_type", "client_credentials"), ("scope", "all-apis")]),
        Proof::Identity(token) => request.form(&[
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token", token.expose()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("client_id", client_id),
            ("scope", "all-apis"),
        ]),
    }
}

/// Reads the token that was asked for.
pub(crate) fn read(
    answer: &Answer,
    asked_at: Instant,
    proof: Proof<'_>,
    target: Box<Target>,
) -> Result<Fetched, Error> {
    if !(200..300).contains(&answer.status) {
        return Err(token_refused(
            answer,
            target,
            std::slice::from_ref(proof.secret()),
        ));
    }
    // Parts of this answer are secret, so nothing of it is shown.
    let unexpected = |what| Error::UnexpectedAnswer {
        target: target.clone(),
        what,
        status: answer.status,
        content_type: "not shown".to_owned(),
        start: "[redacted]".to_owned(),
    };
    let body: Value =
        serde_json::from_slice(&answer.body).map_err(|_| unexpected("it is not json"))?;
    let token = body.get("access_token").and_then(Value::as_str);
    let token =
        token.filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()));
    let token = token.ok_or_else(|| unexpected("it has no usable access_token"))?;
    let life = body
        .get("expires_in")
        .and_then(seconds)
        .map(Duration::from_secs);
    Ok(Fetched {
        secret: Secret::new(token),
        asked_at,
        life,
    })
}

/// `expires_in` is a number or a numeric text (databricks-sdk-py 0.156.0 reads both; databricks/cli's server sends text).
/// More than a day is taken as a day.
fn seconds(value: &Value) -> Option<u64> {
    let seconds = match value {
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.as_f64().map(|float| float as u64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.map(|seconds| seconds.min(86_400))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn fetched(life: u64) -> Fetched {
        Fetched {
            secret: Secret::new("t"),
            asked_at: Instant::now(),
            life: Some(Duration::from_secs(life)),
        }
    }

    fn refused() -> Error {
        Error::InvalidInput {
            what: "test",
            reason: String::new(),
        }
    }

    #[test]
    fn expires_in_is_number_or_text() {
        for (value, read) in [
            (Value::from(3600), Some(3600)),
            (Value::from("3600"), Some(3600)),
            (Value::from(3600.0), Some(3600)),
            (Value::from(u64::MAX), Some(86_400)),
            (Value::from("soon"), None),
            (Value::Null, None),
        ] {
            assert_eq!(seconds(&value), read);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn token_is_kept_then_replaced_early() {
        let tokens = Tokens::new();
        let first = tokens.get(async || Ok(fetched(3600))).await.unwrap();
        tokio::time::advance(Duration::from_secs(2399)).await;
        let same = tokens.get(async || Err(refused())).await.unwrap();
        assert_eq!(first.generation, same.generation);
        // 20 minutes before its end it is replaced; a failure leaves the old one, and pauses for a minute.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(
            tokens
                .get(async || Err(refused()))
                .await
                .unwrap()
                .generation,
            first.generation
        );
        assert_eq!(
            tokens
                .get(async || Ok(fetched(3600)))
                .await
                .unwrap()
                .generation,
            first.generation
        );
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_ne!(
            tokens
                .get(async || Ok(fetched(3600)))
                .await
                .unwrap()
                .generation,
            first.generation
        );
    }

    #[tokio::test(start_paused = true)]
    async fn token_is_not_used_in_its_last_40_seconds() {
        let tokens = Tokens::new();
        tokens.get(async || Ok(fetched(100))).await.unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(tokens.get(async || Err(refused())).await.is_err());
    }

    #[tokio::test]
    async fn rejecting_an_old_token_keeps_the_new_one() {
        let tokens = Tokens::new();
        let old = tokens.get(async || Ok(fetched(3600))).await.unwrap();
        let new = tokens.renew(async || Ok(fetched(3600))).await.unwrap();
        tokens.reject(old.generation);
        assert_eq!(
            tokens
                .get(async || Err(refused()))
                .await
                .unwrap()
                .generation,
            new.generation
        );
        tokens.reject(new.generation);
        assert!(tokens.get(async || Err(refused())).await.is_err());
    }

    #[tokio::test]
    async fn waiting_callers_share_a_failure_and_later_ones_try_again() {
        let tokens = Tokens::new();
        let fetches = AtomicU32::new(0);
        let call = || {
            tokens.get(async || {
                fetches.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Err(refused())
            })
        };
        let results = futures::future::join_all((0..20).map(|_| call())).await;
        assert!(results.iter().all(Result::is_err));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        assert!(call().await.is_err());
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
    }
}
