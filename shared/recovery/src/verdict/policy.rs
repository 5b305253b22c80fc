//! How sure one has to be.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CaseError;

/// How many signals, from how many places, over how long a time make a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// How many of the newest known signals of a probe are looked at.
    #[schemars(range(min = 1))]
    pub window: u32,
    /// How many of them must fail before a probe counts as failed. At most `window`.
    #[schemars(range(min = 1))]
    pub confirmations: u32,
    /// How long the failure must have lasted, in seconds.
    pub grace_seconds: u32,
    /// How many vantages must agree.
    #[schemars(range(min = 1))]
    pub quorum: u32,
    /// How old the newest signal of a vantage or probe may be to count, in seconds.
    pub freshness_seconds: u32,
}

impl Policy {
    /// Refuses settings under which nothing could ever be noticed, or everything would be.
    ///
    /// # Errors
    /// Names the field (`policy.window`, …) and what is wrong with it.
    pub fn check(&self) -> Result<(), CaseError> {
        let positive = [
            ("policy.window", self.window),
            ("policy.confirmations", self.confirmations),
            ("policy.quorum", self.quorum),
        ];
        for (field, value) in positive {
            if value == 0 {
                return Err(CaseError::new(field, "must be at least 1"));
            }
        }
        if self.confirmations > self.window {
            return Err(CaseError::new(
                "policy.confirmations",
                format!(
                    "{} confirmations never fit into a window of {}",
                    self.confirmations, self.window
                ),
            ));
        }
        Ok(())
    }

    pub(super) fn grace(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.grace_seconds))
    }

    /// How old the newest signal of a vantage may be to count.
    #[must_use]
    pub fn freshness(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.freshness_seconds))
    }
}
