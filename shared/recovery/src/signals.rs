//! `signals/<vantage>.json`: what one vantage saw, with a bounded history.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::plan::Seconds;
use crate::site::SiteLabel;
use crate::verdict::{Observation, Probe};

/// The version of a signals document.
pub const SIGNALS_FORMAT: u32 = 1;

/// The newest observations of each site that are kept: two hours at one a minute.
const KEPT_PER_SITE: usize = 120;

/// A name that resolved within this and does not any more is `NameLost`; one that did not is `NameNotFound`.
const NAMES_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// The most names that are remembered. A plan makes a few dozen probes ask.
const NAMES_AT_MOST: usize = 200;

/// What one vantage saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// Always [`SIGNALS_FORMAT`].
    pub format_version: u32,
    /// Oldest first.
    pub observations: Vec<Observation>,
    /// When each name last resolved here, within the last 24 hours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Timestamp>,
    /// The beginning of the newest hour that was put aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<Timestamp>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            format_version: SIGNALS_FORMAT,
            observations: Vec::new(),
            names: BTreeMap::new(),
            archived: None,
        }
    }
}

impl Signals {
    /// Adds an observation and drops the oldest of its site beyond the bound. One of the same moment is there already:
    /// two probes at once saw the same.
    pub fn add(&mut self, observation: Observation) {
        let site = observation.site;
        if self
            .observations
            .iter()
            .any(|o| o.site == site && o.at == observation.at)
        {
            return;
        }
        self.observations.push(observation);
        self.observations.sort_by_key(|o| o.at);
        let count = self.observations.iter().filter(|o| o.site == site).count();
        if count > KEPT_PER_SITE {
            let mut surplus = count - KEPT_PER_SITE;
            self.observations.retain(|o| {
                let drop = o.site == site && surplus > 0;
                surplus -= usize::from(drop);
                !drop
            });
        }
    }

    /// Takes note that a name resolved, and forgets those that have not for a day.
    pub fn resolved(&mut self, name: &str, at: Timestamp) {
        let newest = self.names.entry(name.to_owned()).or_insert(at);
        *newest = (*newest).max(at);
        self.names
            .retain(|_, seen| at.duration_since(*seen) <= NAMES_KEPT);
        while self.names.len() > NAMES_AT_MOST {
            let oldest = self.names.iter().min_by_key(|(_, seen)| **seen);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            self.names.remove(&oldest);
        }
    }

    /// Whether this vantage resolved the name within the last 24 hours.
    #[must_use]
    pub fn has_resolved(&self, name: &str, now: Timestamp) -> bool {
        self.names
            .get(name)
            .is_some_and(|seen| now.duration_since(*seen) <= NAMES_KEPT)
    }

    /// When this vantage last reported.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.observations.iter().map(|o| o.at).max()
    }

    /// The last full hour and what was seen in it, if there is anything and it was not put aside yet.
    #[must_use]
    pub fn past_hour(&self, now: Timestamp) -> Option<(Timestamp, Self)> {
        let begin = |at: Timestamp| at.as_second().div_euclid(3600) * 3600;
        let hour = Timestamp::from_second(begin(now) - 3600).ok()?;
        if self.archived.is_some_and(|archived| archived >= hour) {
            return None;
        }
        let observations: Vec<Observation> = self
            .observations
            .iter()
            .filter(|o| begin(o.at) == hour.as_second())
            .cloned()
            .collect();
        let past = Self {
            observations,
            ..Self::default()
        };
        (!past.observations.is_empty()).then_some((hour, past))
    }

    /// When a probe last spoke of a site.
    #[must_use]
    pub fn last(&self, site: SiteLabel, probe: &Probe) -> Option<Timestamp> {
        self.observations
            .iter()
            .filter(|o| o.site == site)
            .filter(|o| o.signals.iter().any(|signal| signal.probe == *probe))
            .map(|o| o.at)
            .max()
    }

    /// Whether a probe's period has elapsed since it last spoke of a site. The schedule never starts on the dot, so half an
    /// interval early is in time: otherwise every second start would be a second too early and the period double.
    #[must_use]
    pub fn is_due(
        &self,
        site: SiteLabel,
        probe: &Probe,
        period: Option<Seconds>,
        interval: Seconds,
        now: Timestamp,
    ) -> bool {
        let (Some(period), Some(last)) = (period, self.last(site, probe)) else {
            return true;
        };
        now.duration_since(last) + interval.signed() / 2 >= period.signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Outcome, Signal, Vantage};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn seen(second: i64, probe: Probe) -> Observation {
        Observation {
            at: at(second),
            vantage: Vantage::new("us-west-2"),
            site: SiteLabel::Primary,
            signals: vec![Signal::new(probe, Outcome::Healthy)],
        }
    }

    #[test]
    fn each_full_hour_is_put_aside_once() {
        let mut signals = Signals::default();
        // The zero of these tests lies 400 s after a full hour.
        signals.add(seen(0, Probe::SignIn));
        signals.add(seen(3199, Probe::SignIn));
        signals.add(seen(3200, Probe::SignIn));
        assert_eq!(signals.past_hour(at(3199)), None, "it is not over");
        let (hour, past) = signals.past_hour(at(3200)).unwrap();
        assert_eq!(hour, at(-400));
        assert_eq!(past.observations.len(), 2);
        signals.archived = Some(hour);
        assert_eq!(signals.past_hour(at(3260)), None);
        let (next, past) = signals.past_hour(at(6800)).unwrap();
        assert_eq!((next, past.observations.len()), (at(3200), 1));
    }

    #[test]
    fn a_name_is_remembered_for_a_day() {
        let mut signals = Signals::default();
        signals.resolved("host", at(0));
        assert!(signals.has_resolved("host", at(86_400)));
        assert!(!signals.has_resolved("host", at(86_401)));
        assert!(!signals.has_resolved("other", at(0)));
        signals.resolved("other", at(86_401));
        assert_eq!(signals.names.len(), 1, "what is a day old is forgotten");
    }

    #[test]
    fn no_more_names_are_kept_than_the_bound() {
        let mut signals = Signals::default();
        for second in 0..300 {
            signals.resolved(&format!("host-{second}"), at(second));
        }
        assert_eq!(signals.names.len(), NAMES_AT_MOST);
        assert!(signals.has_resolved("host-299", at(300)));
        assert!(!signals.has_resolved("host-0", at(300)));
    }

    #[test]
    fn a_period_is_kept_although_the_schedule_starts_unevenly() {
        let mut signals = Signals::default();
        let due = |signals: &Signals, probe: &Probe, second| {
            let period = Some(Seconds(120));
            signals.is_due(SiteLabel::Primary, probe, period, Seconds(60), at(second))
        };
        assert!(due(&signals, &Probe::SqlCanary, 0), "never asked");
        signals.add(seen(1, Probe::SqlCanary));
        signals.add(seen(61, Probe::SignIn));
        assert!(!due(&signals, &Probe::SqlCanary, 60));
        assert!(due(&signals, &Probe::SqlCanary, 119));
        assert!(!due(&signals, &Probe::SignIn, 120));
        assert!(
            signals.is_due(
                SiteLabel::Secondary,
                &Probe::SqlCanary,
                Some(Seconds(120)),
                Seconds(60),
                at(2)
            ),
            "the other site"
        );
        assert!(
            signals.is_due(
                SiteLabel::Primary,
                &Probe::SqlCanary,
                None,
                Seconds(60),
                at(2)
            ),
            "no period"
        );
    }
}
