//! How long requests take at the documented rates: one lane for each rate, lanes side by side, as in a run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Assumptions;
use crate::act::{Act, Lane};
use crate::fence::FenceStep;
use crate::inventory::{Inventory, Subject};
use crate::kind::{Kind, ReadBack};

/// Objects on one page of a list; of runs fewer. Source: databricks-sdk-py 0.156.0, limits of the lists' parameters.
const PAGE: usize = 100;
const PAGE_OF_RUNS: usize = 25;

/// The documented rates and the share of them that a run uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    per_minute: BTreeMap<Lane, u64>,
    reads_per_minute: u64,
    percent: u32,
}

/// One lane of a fence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LaneTime {
    /// Its name.
    pub lane: String,
    /// Requests.
    pub requests: usize,
    /// Requests a second that a run sends.
    pub per_second: f64,
    /// Seconds after which the last one is answered.
    pub seconds: f64,
}

impl Rates {
    /// `of`: requests a minute that the platform documents for a lane; `reads`: for reading single objects; `percent`: our share.
    #[must_use]
    pub fn new(of: impl Fn(Lane) -> u64, reads: u64, percent: u32) -> Self {
        Self {
            per_minute: Lane::ALL.map(|lane| (lane, of(lane))).into(),
            reads_per_minute: reads,
            percent,
        }
    }

    /// Our share, percent.
    #[must_use]
    pub const fn percent(&self) -> u32 {
        self.percent
    }

    /// Requests a second in a lane.
    #[must_use]
    pub fn per_second(&self, lane: Lane) -> f64 {
        self.share(self.per_minute.get(&lane).copied().unwrap_or(1))
    }

    fn share(&self, per_minute: u64) -> f64 {
        per_minute.max(1) as f64 / 60.0 * f64::from(self.percent) / 100.0
    }

    fn seconds(&self, act: &Act) -> f64 {
        requests(act) as f64 / self.per_second(act.lane())
    }
}

/// A job with several places is paused by several requests.
fn requests(act: &Act) -> usize {
    match act {
        Act::UpdateJob { updates, .. } => updates.len().max(1),
        _ => 1,
    }
}

/// The lanes of a fence. A run waits for the pause of its job.
pub(super) fn lanes(steps: &[FenceStep], rates: &Rates) -> Vec<LaneTime> {
    let mut clocks: BTreeMap<Lane, (usize, f64)> = BTreeMap::new();
    let mut done: BTreeMap<&Subject, f64> = BTreeMap::new();
    for step in steps {
        let earliest = step.after.as_ref().and_then(|job| done.get(job)).copied();
        let (count, clock) = clocks.entry(step.act.lane()).or_default();
        *count += requests(&step.act);
        *clock = clock.max(earliest.unwrap_or(0.0)) + rates.seconds(&step.act);
        if let Some(subject) = &step.subject {
            done.insert(subject, *clock);
        }
    }
    clocks
        .into_iter()
        .map(|(lane, (requests, seconds))| LaneTime {
            lane: format!("{lane:?}"),
            requests,
            per_second: rates.per_second(lane),
            seconds,
        })
        .collect()
}

/// Seconds that these acts take, lanes side by side.
pub(super) fn acts<'a>(acts: impl Iterator<Item = &'a Act>, rates: &Rates) -> f64 {
    let mut clocks: BTreeMap<Lane, f64> = BTreeMap::new();
    for act in acts {
        *clocks.entry(act.lane()).or_default() += rates.seconds(act);
    }
    clocks.into_values().fold(0.0, f64::max)
}

/// Seconds of one reading of a site: lists side by side, each page after the other, and single objects where the list does not
/// show all that counts.
pub(super) fn reading(site: &Inventory, rates: &Rates, assumptions: Assumptions) -> f64 {
    let pages = |objects: usize, page: usize| {
        objects.div_ceil(page).max(1) as f64 * assumptions.page_seconds
    };
    let of_kind = |kind: Kind| {
        let single = match kind.read_back() {
            ReadBack::List => 0,
            ReadBack::ObjectIf(needed) => site.of_kind(kind).filter(|r| needed(&r.raw)).count(),
        };
        pages(site.of_kind(kind).count(), PAGE)
            + single as f64 / rates.share(rates.reads_per_minute)
    };
    let lists = Kind::ALL.map(of_kind);
    lists
        .into_iter()
        .fold(pages(site.runs.len(), PAGE_OF_RUNS), f64::max)
}
