//! Who watches the watcher: an observer looks whether the control region still reports. Its alarm is in its own region, and so is
//! the topic.

use aws::{Ports, keys};
use recovery::plan::Plan;
use recovery::signals::Signals;

use crate::emit;

/// Whether the control region has stopped reporting, as far as can be seen from here: signals that cannot be read are stale.
pub(crate) async fn control_region(ports: &Ports, plan: Option<&Plan>, vantage: &str) -> bool {
    let key = keys::signals(ports.region.as_str());
    let newest = match (plan, ports.read::<Signals>(&key).await) {
        (Some(plan), Ok(Some(signals))) => signals
            .newest()
            .map(|at| (at, plan.detection.policy.freshness())),
        _ => None,
    };
    let now = ports.now();
    let stale = newest.is_none_or(|(at, freshness)| now.duration_since(at) > freshness);
    emit::control_region(vantage, stale, ports);
    stale
}
