//! The documented request rates, as token buckets of one second.

use std::collections::HashMap;
use std::time::Instant;

use axum::http::Method;

/// Where nothing is published.
const DEFAULT_RATE: f64 = 10.0;

/// The class of a request and its rate per second.
pub(crate) fn class(method: &Method, route: &str) -> (String, f64) {
    let read = method == Method::GET;
    let group = |name: &str, rate: f64| {
        (
            format!("{} {name}", if read { "read" } else { "write" }),
            rate,
        )
    };
    let path = route
        .split_once("/api/2.")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or(route, |(_, p)| p);
    let rate = match path {
        "jobs/create" | "jobs/get" | "jobs/list" | "jobs/reset" | "jobs/run-now" => 20.0,
        "jobs/delete" | "jobs/update" | "jobs/runs/cancel" => 10.0,
        "jobs/runs/cancel-all" => 5.0,
        "jobs/runs/get" => 100.0,
        "jobs/runs/list" => 30.0,
        "jobs/runs/submit" => 35.0,
        // 255 a minute, for all of workspace SCIM.
        "preview/scim/v2/Me" => 255.0 / 60.0,
        _ if path.starts_with("pipelines") => {
            return group("pipelines", if read { 150.0 } else { 50.0 });
        }
        _ if path.starts_with("permissions") => {
            return group("permissions", if read { 100.0 } else { 30.0 });
        }
        _ => DEFAULT_RATE,
    };
    (format!("{method} {path}"), rate)
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The buckets of a workspace.
pub(crate) struct Limits {
    /// How many times the documented rates are allowed.
    scale: f64,
    buckets: HashMap<String, Bucket>,
    refused: u64,
}

impl Limits {
    pub(crate) fn new(scale: f64) -> Self {
        Self {
            scale,
            buckets: HashMap::new(),
            refused: 0,
        }
    }

    /// Takes a token. Without one: whether this refusal carries Retry-After, as only some do.
    pub(crate) fn take(&mut self, class: String, rate: f64) -> Result<(), bool> {
        let now = Instant::now();
        let full = rate.max(1.0);
        let bucket = self.buckets.entry(class).or_insert(Bucket {
            tokens: full,
            at: now,
        });
        let refill = now.duration_since(bucket.at).as_secs_f64() * rate * self.scale;
        bucket.tokens = (bucket.tokens + refill).min(full);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        self.refused += 1;
        Err(self.refused.is_multiple_of(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_table() {
        assert_eq!(class(&Method::POST, "/api/2.2/jobs/update").1, 10.0);
        assert_eq!(class(&Method::GET, "/api/2.2/jobs/runs/list").1, 30.0);
        assert_eq!(class(&Method::GET, "/api/2.1/clusters/list").1, 10.0);
        assert_eq!(class(&Method::PUT, "/api/2.0/permissions/{*rest}").1, 30.0);
        let list = class(&Method::GET, "/api/2.0/pipelines");
        assert_eq!(list, class(&Method::GET, "/api/2.0/pipelines/{id}"));
    }

    #[test]
    fn every_second_refusal_names_a_wait() {
        let mut limits = Limits::new(1.0);
        let answers: Vec<_> = (0..4)
            .map(|_| limits.take("x".to_owned(), 0.000_001))
            .collect();
        assert_eq!(answers, [Ok(()), Err(false), Err(true), Err(false)]);
    }
}
