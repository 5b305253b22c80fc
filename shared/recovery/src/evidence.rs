//! `runs/<id>/evidence.json`: what every vantage saw of both sites when the run began, for those who must decide on it.
//! Written once for each attempt that asks; nothing later changes it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::site::{RunId, SiteLabel};
use crate::verdict::{Judgement, Observation};

/// The version of the document.
pub const EVIDENCE_FORMAT: u32 = 1;

/// The newest observations that are kept of each site and vantage: an hour at one a minute.
const KEPT: usize = 60;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenEvidence {
    /// Always [`EVIDENCE_FORMAT`].
    pub format_version: u32,
    /// The run.
    pub run: RunId,
    /// The attempt of the run that froze it.
    pub attempt: u32,
    /// When.
    pub frozen_at: Timestamp,
    /// What was known of each site.
    pub sites: BTreeMap<SiteLabel, SiteEvidence>,
}

/// What was known of one site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteEvidence {
    /// The whole judgement: layers, probes, vantages. None if the signals could not be read or judged.
    pub judgement: Option<Judgement>,
    /// What could not be read, in words.
    pub problem: Option<String>,
    /// The newest observations of every vantage, oldest first.
    pub observations: Vec<Observation>,
}

impl SiteEvidence {
    /// What was known, with a bounded history.
    #[must_use]
    pub fn new(judgement: Option<Judgement>, mut observations: Vec<Observation>) -> Self {
        observations.sort_by(|a, b| (a.at, &a.vantage).cmp(&(b.at, &b.vantage)));
        let mut newer = BTreeMap::new();
        let mut kept: Vec<Observation> = observations
            .into_iter()
            .rev()
            .filter(|o| {
                let count = newer.entry(o.vantage.clone()).or_insert(0_usize);
                *count += 1;
                *count <= KEPT
            })
            .collect();
        kept.reverse();
        Self {
            judgement,
            problem: None,
            observations: kept,
        }
    }

    /// Nothing could be read.
    #[must_use]
    pub fn unreadable(problem: String) -> Self {
        Self {
            problem: Some(problem),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Vantage;

    #[test]
    fn the_newest_observations_of_every_vantage_are_kept_in_order() {
        let seen = |vantage: &str, second: i64| Observation {
            at: Timestamp::from_second(second).unwrap(),
            vantage: Vantage::new(vantage),
            site: SiteLabel::Primary,
            signals: vec![],
        };
        let mut all: Vec<Observation> = (0..100).map(|s| seen("a", s)).collect();
        all.push(seen("b", 1));
        all.reverse();
        let kept = SiteEvidence::new(None, all).observations;
        assert_eq!(kept.len(), KEPT + 1);
        assert_eq!(kept[0], seen("b", 1), "a quiet vantage is not crowded out");
        assert_eq!(kept[1], seen("a", 40));
        assert_eq!(kept[KEPT], seen("a", 99));
    }
}
