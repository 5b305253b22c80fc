//! The object store in the site's region: a marker is written, read back and deleted, each over a connection of its own.

use std::time::{Duration, Instant};

use aws::buckets::{Buckets, SignedRequest, Verb};
use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use recovery::plan::ProbePace;
use recovery::site::{PlanName, Region};
use recovery::verdict::{DownCause, Outcome, UnknownCause};
use wire::Limits;

use super::{Finding, left};
use crate::outcome;

/// S3's refusals are short.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Where the marker goes.
pub(crate) struct Place<'a> {
    pub(crate) plan: &'a PlanName,
    pub(crate) vantage: &'a str,
    pub(crate) region: &'a Region,
    pub(crate) bucket: &'a str,
}

/// Can an object be written, read and deleted there?
pub(crate) async fn marker(
    buckets: &Buckets,
    place: &Place<'_>,
    call: Duration,
    pace: ProbePace,
    now: Timestamp,
) -> Finding {
    let start = Instant::now();
    // A key of this very probe: another one at the same time deletes its own.
    let key = format!(
        "databricks-dr-marker/{}/probe/{}-{}.json",
        place.plan,
        place.vantage,
        now.as_nanosecond()
    );
    let body = format!("{{\"at\":\"{now}\"}}");
    let mut last = Finding::new(Outcome::Healthy);
    for verb in [Verb::Put, Verb::Get, Verb::Delete] {
        let signed = match buckets.signed(place.region, place.bucket, &key, verb).await {
            Ok(signed) => signed,
            Err(_) => return Finding::new(UnknownCause::ProbeError),
        };
        let sent = if verb == Verb::Put { body.as_str() } else { "" };
        let time = left(start, pace.timeout).min(call);
        let (finding, answer) = send(signed, sent, time).await;
        if finding.outcome != Outcome::Healthy {
            return finding;
        }
        if verb == Verb::Get && answer != body.as_bytes() {
            return Finding {
                outcome: DownCause::StoreUnavailable.into(),
                ..finding
            };
        }
        last = finding;
    }
    last
}

async fn send(signed: SignedRequest, body: &str, time: Duration) -> (Finding, Vec<u8>) {
    let Some(request) = prepare(&signed, body) else {
        return (Finding::new(UnknownCause::ProbeError), Vec::new());
    };
    let host = host_of(&signed.url);
    let limits = Limits {
        connect: time,
        total: time,
        body: LARGEST_ANSWER,
    };
    let (times, result) = wire::exchange(request, limits).await;
    let (outcome, answer) = match result {
        Ok(answer) if (200..300).contains(&answer.status) => {
            (Outcome::Healthy, answer.body.to_vec())
        }
        Ok(answer) => (outcome::of_store(answer.status, &answer.body), Vec::new()),
        Err(failure) => (outcome::of_wire(&failure), Vec::new()),
    };
    (Finding::new(outcome).at(&host, Some(times)), answer)
}

fn prepare(signed: &SignedRequest, body: &str) -> Option<wire::Request> {
    let mut headers = HeaderMap::new();
    for (name, value) in &signed.headers {
        // The length of the body and the host are set by what sends them.
        if name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case("content-length") {
            continue;
        }
        let name: HeaderName = name.parse().ok()?;
        headers.insert(name, HeaderValue::from_str(value).ok()?);
    }
    Some(wire::Request {
        method: signed.method.parse::<Method>().ok()?,
        url: signed.url.clone(),
        headers,
        body: body.to_owned().into(),
    })
}

fn host_of(url: &str) -> String {
    url.parse::<hyper::Uri>()
        .ok()
        .and_then(|uri| uri.host().map(str::to_owned))
        .unwrap_or_default()
}
