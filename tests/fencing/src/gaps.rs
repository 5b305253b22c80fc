//! Where the time of a fence went, from its recording: the time between accepted pauses that the rate would not have needed, by
//! what happened meanwhile.

use std::collections::BTreeMap;
use std::fmt;

/// What is known of one exchange of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A pause that the platform accepted.
    Pause,
    /// A pause that was too much.
    Refused,
    /// A page of the list of jobs.
    Reading,
    /// A pass knocked at the door.
    Begins,
}

/// Why nothing was paused for longer than the rate needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The wait after a refusal.
    Refusal,
    /// One pass ended, another began.
    Handover,
    /// More than a second while the site was read.
    Reading,
    /// More than a second for no reason that the recording shows.
    Silence,
    /// Less than a second each: the pace, and what the machine could not keep up with.
    Pace,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Refusal => "waits after a refusal",
            Self::Handover => "from one pass to the next",
            Self::Reading => "longer than 1 s, with a reading",
            Self::Silence => "longer than 1 s, for no visible cause",
            Self::Pace => "shorter than 1 s, slower than the rate",
        })
    }
}

/// How often, and how much more time than the rate needs, in the platform's seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lost {
    /// How many gaps.
    pub times: usize,
    /// The seconds in them beyond the one interval that the rate needs. Pauses that came faster give some of it back.
    pub seconds: f64,
}

/// The gaps between accepted pauses that are longer than `interval`. `events` are in order, at the platform's seconds.
#[must_use]
pub fn gaps(events: &[(f64, Event)], interval: f64) -> BTreeMap<Cause, Lost> {
    let mut lost: BTreeMap<Cause, Lost> = BTreeMap::new();
    let (mut last, mut meanwhile) = (None, Vec::new());
    for (at, event) in events {
        if *event != Event::Pause {
            meanwhile.push(*event);
            continue;
        }
        let long = last.map_or(0.0, |last| at - last);
        if long > interval {
            let cause = if meanwhile.contains(&Event::Begins) {
                Cause::Handover
            } else if meanwhile.contains(&Event::Refused) {
                Cause::Refusal
            } else if long < 1.0 {
                Cause::Pace
            } else if meanwhile.contains(&Event::Reading) {
                Cause::Reading
            } else {
                Cause::Silence
            };
            let entry = lost.entry(cause).or_default();
            entry.times += 1;
            entry.seconds += long - interval;
        }
        last = Some(*at);
        meanwhile.clear();
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gap_has_one_cause_and_only_what_the_rate_did_not_need_is_lost() {
        let events = [
            (0.0, Event::Begins),
            (1.0, Event::Pause),
            (1.25, Event::Pause),
            (1.5, Event::Refused),
            (2.75, Event::Pause),
            (3.5, Event::Pause),
            (4.0, Event::Reading),
            (5.5, Event::Pause),
            (6.0, Event::Begins),
            (9.5, Event::Pause),
            (11.5, Event::Pause),
        ];
        let lost = gaps(&events, 0.25);
        let of = |cause| lost.get(&cause).map(|l: &Lost| (l.times, l.seconds));
        assert_eq!(of(Cause::Refusal), Some((1, 1.25)));
        assert_eq!(of(Cause::Pace), Some((1, 0.5)));
        assert_eq!(of(Cause::Reading), Some((1, 1.75)));
        assert_eq!(of(Cause::Handover), Some((1, 3.75)));
        assert_eq!(of(Cause::Silence), Some((1, 1.75)));
    }
}
