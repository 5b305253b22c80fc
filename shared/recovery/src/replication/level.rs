//! How lag stands against what is allowed, and when people are told.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::Seconds;

/// How a data set stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LagLevel {
    /// Within three quarters of the objective and twice the expected interval.
    #[default]
    Fine,
    /// At or above one of these.
    Warning,
    /// At or above the objective, or three times the expected interval.
    Critical,
    /// Not known, which is worse than a number.
    Unknown,
}

/// What lag is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// The recovery point objective.
    pub objective: Seconds,
    /// How often replication is expected to catch up, if the plan says so.
    pub expected_interval: Option<Seconds>,
}

impl Thresholds {
    /// The level of a loss in seconds; `None` is an unknown one.
    #[must_use]
    pub fn level(&self, loss_seconds: Option<i64>) -> LagLevel {
        let Some(loss) = loss_seconds else {
            return LagLevel::Unknown;
        };
        let loss = loss.max(0);
        let objective = i64::from(self.objective.0);
        let of_objective = if loss >= objective {
            LagLevel::Critical
        } else if loss.saturating_mul(4) >= objective.saturating_mul(3) {
            LagLevel::Warning
        } else {
            LagLevel::Fine
        };
        let of_interval = match self.expected_interval.map(|interval| i64::from(interval.0)) {
            Some(interval) if loss >= interval.saturating_mul(3) => LagLevel::Critical,
            Some(interval) if loss >= interval.saturating_mul(2) => LagLevel::Warning,
            _ => LagLevel::Fine,
        };
        of_objective.max(of_interval)
    }
}

/// What people were told, kept from one measurement to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The level that was told last.
    pub told: LagLevel,
    /// Since when nothing is known.
    pub unknown_since: Option<Timestamp>,
}

/// Whether people are told now, and what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Whether the level is news.
    pub tell: bool,
    /// What to keep.
    pub standing: Standing,
}

impl Standing {
    /// A change of level is told once. An unknown level is told when it has lasted for `patience`: a first measurement has
    /// nothing to compare with, and one reading may fail.
    #[must_use]
    pub fn next(self, level: LagLevel, patience: Seconds, now: Timestamp) -> Telling {
        let unknown_since = match level {
            LagLevel::Unknown => Some(self.unknown_since.unwrap_or(now)),
            LagLevel::Fine | LagLevel::Warning | LagLevel::Critical => None,
        };
        let patient =
            unknown_since.is_some_and(|since| now.duration_since(since) < patience.signed());
        let tell = level != self.told && !patient;
        Telling {
            tell,
            standing: Self {
                told: if tell { level } else { self.told },
                unknown_since,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn thresholds(objective: u32, interval: Option<u32>) -> Thresholds {
        Thresholds {
            objective: Seconds(objective),
            expected_interval: interval.map(Seconds),
        }
    }

    #[test]
    fn the_level_of_a_loss() {
        use LagLevel::{Critical, Fine, Unknown, Warning};
        for (objective, interval, loss, level) in [
            (100, None, None, Unknown),
            (100, None, Some(0), Fine),
            (100, None, Some(-5), Fine),
            (100, None, Some(74), Fine),
            (100, None, Some(75), Warning),
            (100, None, Some(99), Warning),
            (100, None, Some(100), Critical),
            (1000, Some(60), Some(119), Fine),
            (1000, Some(60), Some(120), Warning),
            (1000, Some(60), Some(179), Warning),
            (1000, Some(60), Some(180), Critical),
            (100, Some(60), Some(110), Critical),
            (100, Some(3600), Some(80), Warning),
            (100, Some(3600), None, Unknown),
        ] {
            let found = thresholds(objective, interval).level(loss);
            assert_eq!(found, level, "{loss:?} of {objective}, every {interval:?}");
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_change_is_told_once_and_the_unknown_only_when_it_lasts() {
        use LagLevel::{Critical, Fine, Unknown, Warning};
        let mut standing = Standing::default();
        for (second, level, told) in [
            (0, Unknown, false),
            (300, Fine, false),
            (600, Warning, true),
            (900, Warning, false),
            (1200, Unknown, false),
            (1500, Warning, false),
            (1800, Critical, true),
            (2100, Unknown, false),
            (2400, Unknown, false),
            (2700, Unknown, true),
            (3000, Unknown, false),
            (3300, Fine, true),
            (3600, Fine, false),
        ] {
            let next = standing.next(level, Seconds(600), at(second));
            assert_eq!(next.tell, told, "at {second}: {level:?}");
            standing = next.standing;
        }
    }

    proptest! {
        #[test]
        fn more_loss_is_never_a_better_level(objective in 1u32.., interval in proptest::option::of(1u32..), loss in 0i64.., more in 0i64..) {
            let thresholds = thresholds(objective, interval);
            let (less, more) = (thresholds.level(Some(loss)), thresholds.level(Some(loss.saturating_add(more))));
            prop_assert!(less <= more);
            prop_assert!(more < thresholds.level(None));
        }

        #[test]
        fn what_lasts_is_told_and_nothing_is_told_twice(steps in proptest::collection::vec((0u8..4, 1i64..2000), 1..40)) {
            let levels = [LagLevel::Fine, LagLevel::Warning, LagLevel::Critical, LagLevel::Unknown];
            let (mut standing, mut now, mut said) = (Standing::default(), 0, LagLevel::Fine);
            for (level, seconds) in steps {
                now += seconds;
                let level = levels[usize::from(level)];
                let next = standing.next(level, Seconds(600), at(now));
                if next.tell {
                    prop_assert_ne!(level, said);
                    said = level;
                }
                if level != LagLevel::Unknown {
                    prop_assert_eq!(level, said, "a known level is told at once");
                }
                standing = next.standing;
            }
        }
    }
}
