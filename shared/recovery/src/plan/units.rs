//! Units of the plan: time and shares are types, not numbers.

use std::time::Duration;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A whole number of seconds, as plans and waits of the state machine hold it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seconds(pub u32);

impl Seconds {
    /// For timers.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }

    /// For arithmetic with timestamps.
    #[must_use]
    pub const fn signed(self) -> SignedDuration {
        SignedDuration::from_secs(self.0 as i64)
    }
}

/// A share from 0 to 100.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Percent(pub u8);

impl Percent {
    /// Whether `part` of `whole` is more than this share. Nothing of nothing is not more.
    #[must_use]
    pub fn is_exceeded_by(self, part: usize, whole: usize) -> bool {
        (part as u128) * 100 > u128::from(self.0) * (whole as u128)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exceeded_only_above_it() {
        assert!(!Percent(30).is_exceeded_by(3, 10));
        assert!(Percent(30).is_exceeded_by(4, 10));
        assert!(!Percent(0).is_exceeded_by(0, 0));
    }
}
