//! The rehearsal of an estate without touching it: what a fence and an activation would do, how long the documented rates make
//! them take, and what stands in the way. Pure: it computes with the same steps that a run takes.

mod estate;
mod findings;
mod pace;
mod recovery_time;
mod words;

use jiff::Timestamp;
use serde::Serialize;

pub use self::estate::{Estate, NotAnInventory};
pub use self::findings::{Ambiguous, Findings, Pinned, Unreadable};
pub use self::pace::{LaneTime, Rates};
pub use self::recovery_time::{Assumptions, Part};
use crate::fence;
use crate::plan::Plan;

/// What came of a rehearsal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rehearsal {
    /// Objects by kind: all, and those that are live and would be fenced.
    pub objects: Vec<(String, usize, usize)>,
    /// Active runs that would be cancelled.
    pub runs: usize,
    /// What a fence asks of each lane, and when the lane is done.
    pub fence: Vec<LaneTime>,
    /// Seconds until a reachable site is fenced and read back.
    pub fence_seconds: f64,
    /// Where the time of a failover goes.
    pub parts: Vec<Part>,
    /// Seconds from the first failed signal until the endpoints are switched, if the old site is dark.
    pub rto_dark_seconds: f64,
    /// The same if it answers and is fenced to the end.
    pub rto_reachable_seconds: f64,
    /// What stands in the way.
    pub findings: Findings,
    /// What was assumed, in words.
    pub assumptions: Vec<String>,
}

/// Rehearses a failover away from `estate`. `standby`: the other site, as it is or as it would be.
#[must_use]
pub fn rehearse(
    estate: &Estate,
    standby: &Estate,
    plan: &Plan,
    rates: &Rates,
    assumptions: Assumptions,
    now: Timestamp,
) -> Rehearsal {
    let steps = fence::steps(&estate.inventory, &plan.kinds, now);
    let fence = pace::lanes(&steps, rates);
    let reading = pace::reading(&estate.inventory, rates, assumptions);
    let sweep = fence.iter().map(|lane| lane.seconds).fold(0.0, f64::max);
    // Read, quiet, and read again: only the second reading proves anything.
    let fence_seconds = reading + sweep + reading;
    let live = estate.inventory.live_counts();
    let objects = plan
        .protected_kinds()
        .map(|kind| {
            let all = estate.inventory.of_kind(kind).count();
            let live = live.get(&kind).copied().unwrap_or(0);
            (kind.as_str().to_owned(), all, live)
        })
        .filter(|(_, all, _)| *all > 0)
        .collect();
    let parts = recovery_time::parts(estate, standby, plan, rates, assumptions, fence_seconds);
    let sum = |seconds: fn(&Part) -> f64| parts.iter().map(seconds).sum();
    Rehearsal {
        objects,
        runs: estate.inventory.runs.len(),
        fence,
        fence_seconds,
        rto_dark_seconds: sum(|part| part.dark_seconds),
        rto_reachable_seconds: sum(|part| part.reachable_seconds),
        findings: Findings::of(estate, standby, plan, now),
        assumptions: assumptions.in_words(plan, rates),
        parts,
    }
}

#[cfg(test)]
mod tests;
