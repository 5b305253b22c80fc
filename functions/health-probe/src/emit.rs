//! Metrics, one line each in the embedded metric format. Names and dimensions are documented in docs/design-notes.md; alarms, dashboard and scrapers
//! rely on them.

use std::collections::BTreeSet;

use aws::Ports;
use recovery::plan::Plan;
use recovery::site::SiteLabel;
use recovery::verdict::{Judgement, Observation, OutcomeKind, Signal, Status, Verdict};

/// What this vantage saw: dimensions Plan, Site, Vantage, Probe.
pub(crate) fn observations(plan: &Plan, observations: &[Observation], ports: &Ports) {
    for observation in observations {
        for signal in &observation.signals {
            let probe = signal.probe.to_string();
            ports.metrics.emit(
                &plan.name,
                &[
                    ("Site", observation.site.as_str()),
                    ("Vantage", observation.vantage.as_str()),
                    ("Probe", &probe),
                ],
                &of_signal(signal),
                ports.now(),
            );
        }
    }
}

/// `Failed` is missing for a signal from which nothing was learned, so that its average is the share of failures.
fn of_signal(signal: &Signal) -> Vec<(&'static str, f64, &'static str)> {
    let kind = signal.outcome.kind();
    let mut all = vec![("Unknown", flag(kind == OutcomeKind::Unknown), "Count")];
    if kind != OutcomeKind::Unknown {
        all.push(("Failed", flag(kind == OutcomeKind::Down), "Count"));
    }
    let times = signal.times_ms.unwrap_or_default();
    let latencies = [
        ("Latency", signal.latency_ms),
        ("DnsTime", times.dns),
        ("TcpTime", times.tcp),
        ("TlsTime", times.tls),
        ("FirstByteTime", times.first_byte),
    ];
    all.extend(
        latencies
            .into_iter()
            .filter_map(|(name, value)| Some((name, in_floating(value?), "Milliseconds"))),
    );
    all
}

/// The judgement on a site: dimensions Plan, Site, and Layer or Verdict.
pub(crate) fn judgement(plan: &Plan, site: SiteLabel, judged: &Judgement, ports: &Ports) {
    let site = site.as_str();
    let metrics = [
        ("Actionable", flag(judged.actionable), "Count"),
        ("Healthy", flag(judged.verdict == Verdict::Healthy), "Count"),
    ];
    ports
        .metrics
        .emit(&plan.name, &[("Site", site)], &metrics, ports.now());
    let verdict = judged.verdict.to_string();
    ports.metrics.emit(
        &plan.name,
        &[("Site", site), ("Verdict", &verdict)],
        &[("Verdict", 1.0, "Count")],
        ports.now(),
    );
    let layers = judged.layers;
    for (layer, status) in [
        ("control-plane", layers.control_plane),
        ("compute", layers.compute),
        ("data", layers.data),
        ("provider", layers.provider),
    ] {
        ports.metrics.emit(
            &plan.name,
            &[("Site", site), ("Layer", layer)],
            &[
                ("LayerDown", flag(status == Status::Down), "Count"),
                ("LayerTroubled", flag(status.is_trouble()), "Count"),
                ("LayerUnknown", flag(status == Status::Unknown), "Count"),
            ],
            ports.now(),
        );
    }
}

/// The whole plan, for alarms that must not know which site is active: dimension Plan.
pub(crate) fn overall(plan: &Plan, active: &Judgement, stale: usize, ports: &Ports) {
    ports.metrics.emit(
        &plan.name,
        &[],
        &[
            ("ActiveSiteActionable", flag(active.actionable), "Count"),
            (
                "ActiveSiteHealthy",
                flag(active.verdict == Verdict::Healthy),
                "Count",
            ),
            ("StaleVantages", in_floating(stale as u64), "Count"),
            (
                "IsolatedVantages",
                in_floating(active.isolated.len() as u64),
                "Count",
            ),
        ],
        ports.now(),
    );
}

/// Each vantage of the plan: dimensions Plan, Vantage.
pub(crate) fn vantages(
    plan: &Plan,
    fresh: &BTreeSet<&str>,
    isolated: &BTreeSet<&str>,
    ports: &Ports,
) {
    for vantage in &plan.detection.vantages {
        let name = vantage.as_str();
        ports.metrics.emit(
            &plan.name,
            &[("Vantage", name)],
            &[
                ("VantageStale", flag(!fresh.contains(name)), "Count"),
                ("VantageIsolated", flag(isolated.contains(name)), "Count"),
            ],
            ports.now(),
        );
    }
}

/// What an observer says of the control region: dimensions Plan, Vantage.
pub(crate) fn control_region(vantage: &str, stale: bool, ports: &Ports) {
    ports.metrics.emit(
        &ports.plan_name,
        &[("Vantage", vantage)],
        &[("ControlRegionStale", flag(stale), "Count")],
        ports.now(),
    );
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Counts and milliseconds: far below what a float holds exactly.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and milliseconds stay far below 2^52"
)]
const fn in_floating(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use recovery::verdict::{DownCause, Outcome, Probe, UnknownCause};

    use super::*;

    #[test]
    fn what_was_not_learned_is_neither_up_nor_down() {
        let names = |signal: Signal| {
            let all = of_signal(&signal);
            all.into_iter()
                .map(|(name, value, _)| (name, value))
                .collect::<Vec<_>>()
        };
        let unknown = Signal::new(Probe::SignIn, UnknownCause::Throttled);
        assert_eq!(names(unknown), [("Unknown", 1.0)]);
        let down = Signal::new(Probe::SignIn, DownCause::Http5xx).with_latency_ms(7);
        assert_eq!(
            names(down),
            [("Unknown", 0.0), ("Failed", 1.0), ("Latency", 7.0)]
        );
        let healthy = Signal::new(Probe::SignIn, Outcome::Healthy);
        assert_eq!(names(healthy), [("Unknown", 0.0), ("Failed", 0.0)]);
    }
}
