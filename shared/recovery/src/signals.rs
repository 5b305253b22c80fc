//! `signals/<vantage>.json`: what one vantage saw, with a bounded history.

use serde::{Deserialize, Serialize};

use crate::verdict::Observation;

/// The version of a signals document.
pub const SIGNALS_FORMAT: u32 = 1;

/// The newest observations of each site that are kept: two hours at one a minute.
const KEPT_PER_SITE: usize = 120;

/// What one vantage saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signals {
    /// Always [`SIGNALS_FORMAT`].
    pub format_version: u32,
    /// Oldest first.
    pub observations: Vec<Observation>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            format_version: SIGNALS_FORMAT,
            observations: Vec::new(),
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
}
