//! One HTTP exchange over a connection of its own, with the time of each step.

use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::{HeaderValue, USER_AGENT};
use wire::{Failure, Limits, Times};

use crate::error::{Error, Target};
use crate::refusal::clean;
use crate::transport::Answer;

/// The largest answer that a probe takes: a page of 100 clusters stays far below.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// Sends a request and reads its answer, all within `time`, of which connecting takes at most `connect`.
pub(crate) async fn exchange(
    request: RequestBuilder,
    agent: &str,
    connect: Duration,
    time: Duration,
    target: &Target,
) -> (Times, Result<Answer, Error>) {
    let limits = Limits {
        connect,
        total: time,
        body: ANSWER_LIMIT,
    };
    let request = match prepare(request, agent) {
        Ok(request) => request,
        Err(error) => return (Times::default(), Err(error)),
    };
    let (times, result) = wire::exchange(request, limits).await;
    let result = result
        .map(|answer| Answer {
            body: answer.body.into(),
            ..Answer::new(answer.status, &answer.headers)
        })
        .map_err(|failure| failed(failure, target));
    (times, result)
}

fn prepare(request: RequestBuilder, agent: &str) -> Result<wire::Request, Error> {
    let unfit = |reason: &str| Error::Client {
        reason: reason.to_owned(),
    };
    let mut request = request
        .build()
        .map_err(|error| unfit(&error.without_url().to_string()))?;
    let body = match request.body() {
        None => Vec::new(),
        Some(body) => body
            .as_bytes()
            .ok_or_else(|| unfit("the body is a stream"))?
            .to_vec(),
    };
    let mut headers = std::mem::take(request.headers_mut());
    let agent = HeaderValue::from_str(agent).map_err(|_| unfit("the user agent is unfit"))?;
    headers.insert(USER_AGENT, agent);
    Ok(wire::Request {
        method: request.method().clone(),
        url: request.url().to_string(),
        headers,
        body: body.into(),
    })
}

fn failed(failure: Failure, target: &Target) -> Error {
    let target = Box::new(target.clone());
    let short = |text: String| clean(&text, 300, &[]);
    match failure {
        Failure::NameNotFound(text) => Error::NameNotFound {
            target,
            detail: short(text),
        },
        Failure::ConnectTimeout(text) => Error::ConnectTimeout {
            target,
            detail: short(text),
        },
        Failure::ConnectionRefused(text) => Error::ConnectionRefused {
            target,
            detail: short(text),
        },
        Failure::ConnectionReset(text) => Error::ConnectionReset {
            target,
            detail: short(text),
        },
        Failure::ConnectionFailed(text) => Error::ConnectionFailed {
            target,
            detail: short(text),
        },
        Failure::TlsRejected(text) => Error::TlsRejected {
            target,
            detail: short(text),
        },
        Failure::ReadTimeout(text) => Error::ReadTimeout {
            target,
            detail: short(text),
        },
        Failure::NoHttp(_) => Error::UnexpectedAnswer {
            target,
            what: "it is not http",
            status: 0,
            content_type: "none".to_owned(),
            start: String::new(),
        },
        Failure::AnswerTooLarge(limit) => Error::AnswerTooLarge { target, limit },
        Failure::Unfit(reason) | Failure::Tls(reason) => Error::Client {
            reason: short(reason),
        },
    }
}
