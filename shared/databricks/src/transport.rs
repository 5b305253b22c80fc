//! One HTTP exchange over a pooled connection: a request out, an answer of bounded size back, failures named. `fresh` does the
//! same over a connection of its own.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, redirect, retry};

use crate::error::{Error, Target};
use crate::ids::WorkspaceId;
use crate::refusal::clean;
use crate::secret::Secret;
use crate::settings::Settings;

/// The largest answer taken. A page of 100 jobs with 100 tasks each stays far below.
pub(crate) const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// How long an idle connection is kept: less than load balancers do, so that a request seldom meets a closed one.
const KEPT_IDLE: Duration = Duration::from_secs(30);

/// The header with the id of the workspace that answers (databricks-sdk-py 0.156.0, `mixins/files.py`).
const WORKSPACE_ID_HEADER: &str = "x-databricks-org-id";

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) location: Option<String>,
    pub(crate) workspace_id: Option<WorkspaceId>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// An answer without its body.
    pub(crate) fn new(status: u16, headers: &HeaderMap) -> Self {
        Self {
            status,
            content_type: text(headers, CONTENT_TYPE.as_str()).map(str::to_owned),
            retry_after: text(headers, RETRY_AFTER.as_str())
                .and_then(|text| retry_after(text, jiff::Timestamp::now())),
            location: text(headers, LOCATION.as_str()).map(str::to_owned),
            workspace_id: text(headers, WORKSPACE_ID_HEADER)
                .and_then(|text| text.trim().parse().ok()),
            body: Vec::new(),
        }
    }

    pub(crate) fn unexpected(
        &self,
        target: Box<Target>,
        what: &'static str,
        secrets: &[Secret],
    ) -> Error {
        let head = self.body.get(..4096).unwrap_or(&self.body);
        Error::UnexpectedAnswer {
            target,
            what,
            status: self.status,
            content_type: self
                .content_type
                .as_deref()
                .map_or_else(|| "none".to_owned(), |text| clean(text, 80, secrets)),
            start: clean(&String::from_utf8_lossy(head), 80, secrets),
        }
    }
}

/// User-Agent as the platform's SDKs build it: `product/semver key/value ...` (databricks-sdk-py 0.156.0, `useragent.py`).
pub(crate) fn agent(settings: &Settings) -> String {
    format!(
        "databricks-dr/{} lang/rust os/{} auth/{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        settings.credential.auth_name()
    )
}

/// The HTTP client for the settings: no redirects, no proxies, no repeats of its own. For fresh connections it only builds requests.
pub(crate) fn client(settings: &Settings) -> Result<Client, Error> {
    Client::builder()
        .user_agent(agent(settings))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .connect_timeout(settings.timeouts.connect)
        .pool_idle_timeout(KEPT_IDLE)
        .build()
        .map_err(|error| Error::Client {
            reason: chain(&error.without_url()),
        })
}

/// Sends a request and reads its answer, all within `time`.
pub(crate) async fn exchange(
    request: RequestBuilder,
    time: Duration,
    target: &Target,
) -> Result<Answer, Error> {
    let mut response = request
        .timeout(time)
        .send()
        .await
        .map_err(|error| failure(error, target))?;
    let mut answer = Answer::new(response.status().as_u16(), response.headers());
    let too_large = || Error::AnswerTooLarge {
        target: Box::new(target.clone()),
        limit: ANSWER_LIMIT,
    };
    if response
        .content_length()
        .is_some_and(|length| length > ANSWER_LIMIT as u64)
    {
        return Err(too_large());
    }
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| failure(error, target))?
    {
        if answer.body.len() + chunk.len() > ANSWER_LIMIT {
            return Err(too_large());
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads a `Retry-After`: seconds ("as this is what Databricks platform returns", databricks-sdk-py 0.156.0), or the
/// HTTP date that the standard allows too.
fn retry_after(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let then = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Names a failed exchange by what lies beneath it.
fn failure(error: reqwest::Error, target: &Target) -> Error {
    let error = error.without_url();
    let target = Box::new(target.clone());
    let detail = clean(&chain(&error), 300, &[]);
    let kind = io_kind(&error);
    if error.is_builder() {
        return Error::Client { reason: detail };
    }
    if error.is_dns() {
        return Error::NameNotFound { target, detail };
    }
    if error.is_connect() {
        return match kind {
            _ if error.is_timeout() => Error::ConnectTimeout { target, detail },
            Some(io::ErrorKind::ConnectionRefused) => Error::ConnectionRefused { target, detail },
            Some(
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof,
            ) => Error::ConnectionReset { target, detail },
            // rustls wraps what it does not like in this kind.
            Some(io::ErrorKind::InvalidData) => Error::TlsRejected { target, detail },
            _ => Error::ConnectionFailed { target, detail },
        };
    }
    if error.is_timeout() {
        Error::ReadTimeout { target, detail }
    } else {
        Error::ConnectionReset { target, detail }
    }
}

/// The error and all beneath it. An I/O error's own `source` skips the error that it wraps.
fn sources<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        wrapped
            .map(|inner| inner as &(dyn StdError + 'static))
            .or_else(|| (*error).source())
    })
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    sources(error)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .map(io::Error::kind)
        .find(|kind| *kind != io::ErrorKind::Other)
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = sources(error).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: jiff::Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:07 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("-1", now), None);
        assert_eq!(retry_after("soon", now), None);
    }
}
