//! Stored signals judged again, moment by moment, under any settings: what would have been noticed, and when.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CaseError, Observation, Policy, Verdict, judge};
use crate::site::SiteLabel;

/// What people know to have been an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealIncident {
    /// What they call it.
    pub name: String,
    /// The failed site.
    pub site: SiteLabel,
    /// When it began.
    pub began: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
}

/// A time in which the verdict was actionable without a break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The site.
    pub site: SiteLabel,
    /// From the first judgement that was actionable ...
    pub from: Timestamp,
    /// ... to the last.
    pub to: Timestamp,
    /// The first verdict.
    pub verdict: Verdict,
}

/// How an incident would have fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Fate {
    /// Noticed in time.
    Noticed,
    /// Noticed, but later than the team wants.
    Late,
    /// Never noticed while it lasted.
    Missed,
}

/// The alerts that stored observations of one site give under a policy. It judges whenever a vantage has reported, by what was
/// known then: as the control region does. `kept` is how much of the past it knows.
///
/// # Errors
/// As [`judge`].
pub fn alerts(
    observations: &[Observation],
    policy: &Policy,
    kept: SignedDuration,
) -> Result<Vec<Alert>, CaseError> {
    let mut sorted: Vec<&Observation> = observations.iter().collect();
    sorted.sort_by_key(|o| o.at);
    let mut moments: Vec<Timestamp> = sorted.iter().map(|o| o.at).collect();
    moments.dedup();
    let mut alerts: Vec<Alert> = Vec::new();
    let mut before_was_actionable = false;
    let (mut first, mut end) = (0, 0);
    for now in moments {
        let count = |such: &dyn Fn(Timestamp) -> bool| sorted.partition_point(|o| such(o.at));
        first = count(&|at| now.duration_since(at) > kept).max(first);
        end = count(&|at| at <= now).max(end);
        let known: Vec<Observation> = sorted
            .get(first..end)
            .unwrap_or_default()
            .iter()
            .map(|o| (*o).clone())
            .collect();
        let judged = judge(&known, policy, now)?;
        let site = known.last().map(|o| o.site);
        match (alerts.last_mut(), site) {
            (Some(alert), _) if judged.actionable && before_was_actionable => alert.to = now,
            (_, Some(site)) if judged.actionable => alerts.push(Alert {
                site,
                from: now,
                to: now,
                verdict: judged.verdict,
            }),
            _ => {}
        }
        before_was_actionable = judged.actionable;
    }
    Ok(alerts)
}

/// How long after its beginning an incident was noticed; `None` if it was not while it lasted. An alert that stood already when
/// it began counts from the beginning.
#[must_use]
pub fn noticed_after(incident: &RealIncident, alerts: &[Alert]) -> Option<SignedDuration> {
    alerts
        .iter()
        .filter(|alert| alert.site == incident.site && overlaps(alert, incident))
        .map(|alert| {
            alert
                .from
                .max(incident.began)
                .duration_since(incident.began)
        })
        .min()
}

/// The fate of an incident that was noticed after so long.
#[must_use]
pub fn fate(noticed_after: Option<SignedDuration>, late_after: SignedDuration) -> Fate {
    match noticed_after {
        None => Fate::Missed,
        Some(after) if after > late_after => Fate::Late,
        Some(_) => Fate::Noticed,
    }
}

/// The alerts that belong to no incident.
#[must_use]
pub fn false_alerts<'a>(alerts: &'a [Alert], incidents: &[RealIncident]) -> Vec<&'a Alert> {
    alerts
        .iter()
        .filter(|alert| {
            !incidents
                .iter()
                .any(|incident| incident.site == alert.site && overlaps(alert, incident))
        })
        .collect()
}

fn overlaps(alert: &Alert, incident: &RealIncident) -> bool {
    alert.from <= incident.ended && alert.to >= incident.began
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{DownCause, Outcome, Probe, Signal, Vantage};

    const HOURS: SignedDuration = SignedDuration::from_hours(2);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + minute * 60).unwrap()
    }

    fn policy(quorum: u32, confirmations: u32, grace_seconds: u32) -> Policy {
        Policy {
            window: 5,
            confirmations,
            grace_seconds,
            quorum,
            freshness_seconds: 180,
        }
    }

    /// One observation a minute by each vantage; `down` says when it fails there.
    fn history(minutes: i64, down: impl Fn(&str, i64) -> bool) -> Vec<Observation> {
        let mut all = Vec::new();
        for minute in 0..minutes {
            for vantage in ["a", "b"] {
                let outcome = if down(vantage, minute) {
                    Outcome::from(DownCause::Http5xx)
                } else {
                    Outcome::Healthy
                };
                all.push(Observation {
                    at: at(minute),
                    vantage: Vantage::new(vantage),
                    site: SiteLabel::Primary,
                    signals: vec![Signal::new(Probe::ControlPlaneApi, outcome)],
                });
            }
        }
        all
    }

    fn incident(began: i64, ended: i64) -> RealIncident {
        RealIncident {
            name: "real".to_owned(),
            site: SiteLabel::Primary,
            began: at(began),
            ended: at(ended),
        }
    }

    #[test]
    fn settings_decide_what_is_noticed_late_missed_or_false() {
        // Both vantages from 30 to 49; one of them alone from 80 to 89; both for three minutes at 110.
        let down = |vantage: &str, minute: i64| {
            (30..50).contains(&minute)
                || (vantage == "a" && (80..90).contains(&minute))
                || (110..113).contains(&minute)
        };
        let seen = history(140, down);
        let real = [incident(30, 50)];
        for (settings, expected_after, expected_false) in [
            (policy(2, 3, 120), Some(120), 1),
            (policy(2, 3, 300), Some(300), 0),
            (policy(2, 5, 1800), None, 0),
            (policy(1, 3, 120), Some(120), 1),
            (policy(2, 1, 0), Some(0), 1),
        ] {
            let found = alerts(&seen, &settings, HOURS).unwrap();
            let after = noticed_after(&real[0], &found).map(|after| after.as_secs());
            assert_eq!(after, expected_after, "{settings:?}: {found:?}");
            let wrong = false_alerts(&found, &real);
            assert_eq!(wrong.len(), expected_false, "{settings:?}: {wrong:?}");
        }
        let late = SignedDuration::from_secs(60);
        assert_eq!(fate(None, late), Fate::Missed);
        assert_eq!(fate(Some(late * 2), late), Fate::Late);
        assert_eq!(fate(Some(late), late), Fate::Noticed);
    }

    #[test]
    fn one_vantage_alone_raises_nothing_under_any_quorum_of_two() {
        let seen = history(60, |vantage, minute| vantage == "a" && minute >= 10);
        assert!(alerts(&seen, &policy(2, 3, 120), HOURS).unwrap().is_empty());
        // More than half must agree, too.
        assert!(alerts(&seen, &policy(1, 3, 120), HOURS).unwrap().is_empty());
    }

    #[test]
    fn the_order_of_what_is_stored_changes_nothing() {
        let seen = history(60, |_, minute| (20..40).contains(&minute));
        let mut reversed = seen.clone();
        reversed.reverse();
        let settings = policy(2, 3, 120);
        let found = alerts(&seen, &settings, HOURS).unwrap();
        assert_eq!(found, alerts(&reversed, &settings, HOURS).unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].from, found[0].to), (at(22), at(39)));
    }
}
