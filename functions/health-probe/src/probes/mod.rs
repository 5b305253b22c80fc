//! One file for each thing that is asked. A probe answers with a [`Finding`]; its pace is applied here, in one place.

pub(crate) mod clusters;
pub(crate) mod feeds;
pub(crate) mod jobs;
pub(crate) mod references;
pub(crate) mod sql;
pub(crate) mod store;
pub(crate) mod workspace;

use std::future::Future;
use std::time::{Duration, Instant};

use recovery::plan::ProbePace;
use recovery::verdict::{DegradedCause, Outcome, Probe, Signal, Times};

/// A probe of several calls ends each of them in its own time; this is for what is left over.
const MARGIN: Duration = Duration::from_millis(500);

/// What a probe came to, before its latency is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) outcome: Outcome,
    /// Where the time of its last exchange went.
    pub(crate) times: Option<wire::Times>,
    /// The name that it resolved, or could not.
    pub(crate) host: Option<String>,
}

impl Finding {
    pub(crate) fn new(outcome: impl Into<Outcome>) -> Self {
        Self {
            outcome: outcome.into(),
            times: None,
            host: None,
        }
    }

    pub(crate) fn at(self, host: &str, times: Option<wire::Times>) -> Self {
        Self {
            times,
            host: Some(host.to_owned()),
            ..self
        }
    }
}

/// A signal, and the name behind it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) signal: Signal,
    pub(crate) host: Option<String>,
    /// Whether the host's name was resolved for it.
    pub(crate) resolved: bool,
}

/// Runs a probe at its pace: healthy but slower than its objective is slow, and so is one that did not get done with its calls
/// although each was answered.
pub(crate) async fn paced(
    probe: Probe,
    pace: ProbePace,
    work: impl Future<Output = Finding>,
) -> Seen {
    let start = Instant::now();
    let finding = tokio::time::timeout(pace.timeout + MARGIN, work)
        .await
        .unwrap_or_else(|_| Finding::new(DegradedCause::Slow));
    let latency_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let outcome = match finding.outcome {
        Outcome::Healthy if latency_ms > pace.latency_objective_ms => DegradedCause::Slow.into(),
        outcome => outcome,
    };
    Seen {
        signal: Signal::new(probe, outcome)
            .with_latency_ms(latency_ms)
            .with_times(finding.times.map(in_milliseconds)),
        resolved: finding.times.is_some_and(|times| times.dns.is_some()),
        host: finding.host,
    }
}

fn in_milliseconds(times: wire::Times) -> Times {
    let whole = |time: Option<Duration>| {
        time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    };
    Times {
        dns: whole(times.dns),
        tcp: whole(times.tcp),
        tls: whole(times.tls),
        first_byte: whole(times.first_byte),
    }
}

/// What is left of a probe's time.
pub(crate) fn left(start: Instant, timeout: Duration) -> Duration {
    timeout
        .saturating_sub(start.elapsed())
        .max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use recovery::verdict::DownCause;

    use super::*;

    fn pace(timeout_ms: u64, objective_ms: u64) -> ProbePace {
        ProbePace {
            timeout: Duration::from_millis(timeout_ms),
            period: None,
            latency_objective_ms: objective_ms,
        }
    }

    #[tokio::test]
    async fn slow_is_degraded_but_a_failure_stays_one() {
        let healthy = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Finding::new(Outcome::Healthy)
        };
        let seen = paced(Probe::SignIn, pace(1000, 0), healthy).await;
        assert_eq!(seen.signal.outcome, DegradedCause::Slow.into());
        let down = async { Finding::new(DownCause::Http5xx) };
        let seen = paced(Probe::SignIn, pace(1000, 0), down).await;
        assert_eq!(seen.signal.outcome, DownCause::Http5xx.into());
        let never = std::future::pending();
        let seen = paced(Probe::JobSuccess, pace(1, 1000), never).await;
        assert_eq!(seen.signal.outcome, DegradedCause::Slow.into());
    }
}
