//! Rule 7: why a verdict is not actionable, and what was seen, in words and numbers for somebody at 3 a.m.

use jiff::Timestamp;

use super::judgement::{View, is_capped};
use super::{Layer, Probe, ProbeReading, ProbeStatus, Reading, Status, Verdict};

/// What is missing for an actionable verdict.
pub(super) fn why_not(view: &View<'_>, verdict: Verdict) -> Vec<String> {
    match verdict {
        Verdict::RegionDown
        | Verdict::ControlPlaneDown
        | Verdict::DataPlaneDown
        | Verdict::ComputeDown
        | Verdict::Healthy => Vec::new(),
        Verdict::ProbeIsolated => isolated(view),
        Verdict::CredentialProblem | Verdict::Throttled | Verdict::Misconfigured => {
            refused(view, verdict)
        }
        Verdict::Degraded | Verdict::Suspect => {
            let mut reasons = Vec::new();
            let concerned = view.concerned(verdict);
            for status in view.probes {
                if concerned.contains(&status.probe.layer()) && status.status.is_trouble() {
                    trouble(view, status, &mut reasons);
                }
            }
            reasons.extend(isolated(view));
            reasons
        }
        Verdict::ProviderIncident => {
            let mut reasons = vec![
                "only the provider reports trouble: none of the site's own probes fails".to_owned(),
            ];
            for status in view.probes {
                if status.probe.layer() == Layer::Provider && status.status.is_trouble() {
                    reasons.push(format!("{} is {}", status.probe, status.status));
                }
            }
            reasons
        }
        Verdict::Inconclusive => inconclusive(view),
    }
}

fn inconclusive(view: &View<'_>) -> Vec<String> {
    if view.histories.is_empty() {
        return vec!["no observations: 0 vantages have reported".to_owned()];
    }
    if view.fresh.is_empty() {
        let mut reasons = vec![format!("0 of {} vantages are fresh", view.histories.len())];
        reasons.extend(stale(view));
        return reasons;
    }
    let mut reasons = vec![format!(
        "nothing is known about the control plane at {} fresh {}",
        view.fresh.len(),
        plural(view.fresh.len(), "vantage"),
    )];
    for status in view.probes {
        if status.probe.layer() == Layer::ControlPlane {
            for reading in &status.readings {
                reasons.push(line(view, &status.probe, reading));
            }
        }
    }
    reasons.extend(isolated(view));
    reasons.extend(stale(view));
    reasons
}

fn isolated(view: &View<'_>) -> Vec<String> {
    view.fresh
        .iter()
        .filter(|history| history.isolated)
        .map(|history| {
            format!(
                "{}: the prober's own network fails, no reference answered",
                history.vantage
            )
        })
        .collect()
}

fn stale(view: &View<'_>) -> Vec<String> {
    view.histories
        .iter()
        .filter(|history| !history.fresh)
        .map(|history| {
            format!(
                "{}: stale, last reported {} s ago, freshness {} s",
                history.vantage,
                ago(view, history.newest),
                view.policy.freshness_seconds
            )
        })
        .collect()
}

fn refused(view: &View<'_>, verdict: Verdict) -> Vec<String> {
    let refusals = view.refusals(verdict);
    let what = match verdict {
        Verdict::CredentialProblem => "our credential is refused",
        Verdict::Throttled => "we are throttled",
        _ => "the control plane is not reachable the way we ask for it",
    };
    let mut reasons = vec![format!(
        "{what} at {} of {} vantages: nothing is known about the platform itself",
        refusals.len(),
        view.fresh.len()
    )];
    for (vantage, cause) in refusals {
        reasons.push(format!("control plane at {vantage}: {cause:?}"));
    }
    reasons
}

/// What keeps one probe that is in trouble from being `Down`.
fn trouble(view: &View<'_>, status: &ProbeStatus, reasons: &mut Vec<String>) {
    let policy = view.policy;
    let probe = &status.probe;
    let down = status.vantages(Reading::Down);
    let fails = |reading: &ProbeReading| {
        matches!(
            reading.reading,
            Reading::Down | Reading::Failing | Reading::Flapping
        )
    };
    if is_capped(status) {
        reasons.push(match probe {
            Probe::SignIn => {
                "sign-in is Down, but control-plane-api is not: counts as Degraded".to_owned()
            }
            _ => format!(
                "{probe} is Down, but no canary is: counts as Degraded, look at the last deployment"
            ),
        });
    } else if status.readings.iter().any(fails) {
        if u32::try_from(down).unwrap_or(u32::MAX) < policy.quorum {
            reasons.push(format!(
                "{probe}: Down at {down} of {} vantages",
                policy.quorum
            ));
        } else if 2 * down <= status.readings.len() {
            reasons.push(format!(
                "{probe}: Down at {down} of {} vantages, more than half must agree",
                status.readings.len()
            ));
        }
    }
    for reading in &status.readings {
        let place = format!("{probe} at {}", reading.vantage);
        match reading.reading {
            Reading::Failing => {
                if reading.down < policy.confirmations {
                    reasons.push(format!(
                        "{place}: {} of {} confirmations",
                        reading.down, policy.confirmations
                    ));
                }
                if let Some(since) = reading.since
                    && view.now.duration_since(since) < policy.grace()
                {
                    reasons.push(format!(
                        "{place}: first failure {} s ago, grace {} s",
                        ago(view, since),
                        policy.grace_seconds
                    ));
                }
                if reading.cut_off {
                    reasons.push(format!(
                        "{place}: since then the prober's own network fails"
                    ));
                }
            }
            Reading::Flapping => reasons.push(format!(
                "{place}: {} changes between Down and not Down in the last {} known signals",
                reading.changes, reading.known
            )),
            Reading::Degraded => reasons.push(format!(
                "{place}: answers, but {} of the last {} known signals are Degraded and {} Down",
                reading.degraded, reading.known, reading.down
            )),
            Reading::Unknown if status.readings.iter().any(fails) => {
                reasons.push(format!("{place}: nothing known, newest {}", reading.newest));
            }
            Reading::Unknown | Reading::Healthy | Reading::Down => {}
        }
    }
}

/// What was seen: the layers, the vantages, then the probes, the worst first.
pub(super) fn evidence(view: &View<'_>) -> Vec<String> {
    let layers = view.layers;
    let hidden = if layers.control_plane == Status::Down {
        " (its probes go through the control plane)"
    } else {
        ""
    };
    let mut lines = vec![format!(
        "control plane {}, compute {}{hidden}, data {}, provider {}",
        layers.control_plane, layers.compute, layers.data, layers.provider
    )];
    for history in view.fresh {
        lines.push(format!(
            "{}: last reported {} s ago{}",
            history.vantage,
            ago(view, history.newest),
            if history.isolated {
                ", isolated: the prober's own network fails"
            } else {
                ""
            }
        ));
    }
    lines.extend(stale(view));
    let mut worst_first: Vec<_> = view.probes.iter().collect();
    worst_first.sort_by_key(|status| std::cmp::Reverse(status.status));
    for status in worst_first {
        for reading in &status.readings {
            lines.push(line(view, &status.probe, reading));
        }
    }
    lines
}

/// One probe at one vantage.
fn line(view: &View<'_>, probe: &Probe, reading: &ProbeReading) -> String {
    let mut text = format!(
        "{probe} at {}: {}, newest {} {} s ago",
        reading.vantage,
        reading.reading,
        reading.newest,
        ago(view, reading.newest_at)
    );
    if let Some(latency) = reading.latency_ms {
        text.push_str(&format!(" in {latency} ms"));
    }
    if reading.down + reading.degraded > 0 {
        text.push_str(&format!(
            "; of the last {} known {} Down, {} Degraded",
            reading.known, reading.down, reading.degraded
        ));
    }
    if let Some(since) = reading.since {
        text.push_str(&format!(
            "; first failure {since}, {} s ago",
            ago(view, since)
        ));
    }
    if reading.cut_off {
        text.push_str("; the prober's own network fails");
    }
    text
}

fn ago(view: &View<'_>, at: Timestamp) -> i64 {
    view.now.duration_since(at).as_secs()
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}
