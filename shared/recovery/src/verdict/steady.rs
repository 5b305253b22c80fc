//! Since when a site has been healthy without a break: what a planned run asks for before it begins.

use jiff::{SignedDuration, Timestamp};

use super::{Observation, OutcomeKind};

/// Since when every look at the site found nothing down or degraded, by all vantages together. `None`: the newest look did, or there is
/// none. A pause between two looks of more than `longest_pause` is a break: nobody knows what was then.
#[must_use]
pub fn healthy_since(
    observations: &[Observation],
    longest_pause: SignedDuration,
) -> Option<Timestamp> {
    let mut looks: Vec<&Observation> = observations.iter().collect();
    looks.sort_by_key(|look| look.at);
    let mut since: Option<Timestamp> = None;
    let mut last: Option<Timestamp> = None;
    for look in looks {
        let broken = last.is_none_or(|last| look.at.duration_since(last) > longest_pause);
        let sick = look.signals.iter().any(|signal| {
            matches!(
                signal.outcome.kind(),
                OutcomeKind::Down | OutcomeKind::Degraded
            )
        });
        since = match since {
            _ if sick => None,
            Some(since) if !broken => Some(since),
            _ => Some(look.at),
        };
        last = Some(look.at);
    }
    since
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::SiteLabel;
    use crate::verdict::{DownCause, Outcome, Probe, Signal, Vantage};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn look(second: i64, healthy: bool) -> Observation {
        let outcome = if healthy {
            Outcome::Healthy
        } else {
            DownCause::Http5xx.into()
        };
        Observation {
            at: at(second),
            vantage: Vantage::new("a"),
            site: SiteLabel::Primary,
            signals: vec![Signal::new(Probe::ControlPlaneApi, outcome)],
        }
    }

    #[test]
    fn a_failure_and_a_pause_begin_the_count_anew() {
        let pause = SignedDuration::from_secs(60);
        let since = |looks: &[(i64, bool)]| {
            let looks: Vec<_> = looks.iter().rev().map(|(s, ok)| look(*s, *ok)).collect();
            healthy_since(&looks, pause)
        };
        assert_eq!(since(&[]), None);
        assert_eq!(since(&[(0, true), (60, true)]), Some(at(0)));
        assert_eq!(since(&[(0, true), (61, true)]), Some(at(61)));
        assert_eq!(since(&[(0, true), (30, false), (60, true)]), Some(at(60)));
        assert_eq!(since(&[(0, true), (30, false)]), None);
    }
}
