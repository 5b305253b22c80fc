//! The probes of one site: sign-in and an authenticated API call, at the same time, over fresh connections.

use std::future::Future;
use std::time::Instant;

use aws::Ports;
use databricks::Error;
use futures::{FutureExt, TryFutureExt};
use recovery::plan::Plan;
use recovery::site::SiteLabel;
use recovery::verdict::{
    Cause, DegradedCause, DownCause, Observation, Outcome, OutcomeKind, Probe, Signal,
    UnknownCause, Vantage,
};
use sites::{Purpose, Role, connect};

/// What this vantage sees of a site now.
pub(crate) async fn observe(ports: &Ports, plan: &Plan, site: SiteLabel) -> Observation {
    let at = ports.now();
    let limit = plan.detection.probe_timeout_seconds.duration();
    let signals = match connect(ports, plan, site, Role::Observer, Purpose::Probe(limit)).await {
        Ok(workspace) => {
            let (sign_in, api) = futures::join!(
                timed(
                    plan,
                    Probe::SignIn,
                    workspace.sign_in().map_ok(|_| ()).boxed()
                ),
                // Reads /Me and compares the workspace's id: another workspace at this URL says nothing of this site.
                timed(
                    plan,
                    Probe::ControlPlaneApi,
                    workspace.verified().map_ok(|_| ()).boxed()
                ),
            );
            vec![sign_in, api]
        }
        // We do not know where to look, which says nothing of the site.
        Err(_) => vec![Signal::new(
            Probe::ControlPlaneApi,
            UnknownCause::NotConfigured,
        )],
    };
    Observation {
        at,
        vantage: Vantage::new(ports.region.as_str()),
        site,
        signals,
    }
}

async fn timed(plan: &Plan, probe: Probe, work: impl Future<Output = Result<(), Error>>) -> Signal {
    let start = Instant::now();
    let result = work.await;
    let latency_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let signal = match result {
        Ok(()) if latency_ms > plan.detection.latency_objective_ms => {
            Signal::new(probe, DegradedCause::Slow)
        }
        Ok(()) => Signal::new(probe, Outcome::Healthy),
        Err(error) => Signal::new(probe, outcome_of(&error)),
    };
    signal.with_latency_ms(latency_ms)
}

/// What an error says of the site. Only what the platform's own silence or failure explains counts as down.
fn outcome_of(error: &Error) -> Outcome {
    let cause = match error.cause() {
        databricks::Cause::DeadlineExceeded => Cause::Down(DownCause::ReadTimeout),
        databricks::Cause::ConnectionFailed => Cause::Unknown(UnknownCause::ProbeError),
        other => Cause::from_name(other.name()),
    };
    let kind: OutcomeKind = cause.kind();
    Outcome::new(kind, Some(cause)).unwrap_or(Outcome::Unknown(UnknownCause::ProbeError))
}

#[cfg(test)]
mod tests {
    use databricks::Error;

    use super::*;

    #[test]
    fn i_cannot_see_it_is_not_it_is_dead() {
        let unknown = Error::InvalidInput {
            what: "x",
            reason: "y".into(),
        };
        assert_eq!(outcome_of(&unknown).kind(), OutcomeKind::Unknown);
    }
}
