//! Hosts that belong to neither site: if none answers, it is this prober that is cut off.

use recovery::plan::{Address, ProbePace, Reference, Scheme};
use recovery::verdict::{Outcome, UnknownCause};
use wire::{Host, Limits, Request};

use super::Finding;
use crate::outcome;

/// No more of an answer is taken than it needs to be one.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// Any HTTP answer counts, whatever it says, and for `tcp` a connection.
pub(crate) async fn ask(reference: &Reference, pace: ProbePace) -> Finding {
    let Ok(address) = reference.url.parse::<Address>() else {
        return Finding::new(UnknownCause::NotConfigured);
    };
    let (times, result) = if address.scheme == Scheme::Tcp {
        let host = Host {
            name: address.host.clone(),
            port: address.port,
            tls: false,
        };
        wire::reach(&host, pace.timeout).await
    } else {
        let limits = Limits {
            connect: pace.timeout,
            total: pace.timeout,
            body: LARGEST_ANSWER,
        };
        let (times, result) = wire::exchange(Request::get(&reference.url), limits).await;
        let answered = match result {
            Err(wire::Failure::AnswerTooLarge(_)) => Ok(()),
            other => other.map(|_| ()),
        };
        (times, answered)
    };
    let outcome = result.map_or_else(|failure| outcome::of_wire(&failure), |()| Outcome::Healthy);
    Finding::new(outcome).at(&address.host, Some(times))
}
