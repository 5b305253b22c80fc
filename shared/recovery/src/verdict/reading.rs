//! Rule 3: what one vantage says about one probe.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::{Counted, History};
use super::{OutcomeKind, Policy, Probe, Vantage};

/// What one vantage says about one probe, over its recent signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reading {
    /// Nothing recent is known.
    Unknown,
    /// It works.
    Healthy,
    /// It answers, but not well, and has done so often enough.
    Degraded,
    /// It fails, but not often or long enough yet.
    Failing,
    /// It fails and recovers again and again.
    Flapping,
    /// It fails, often and long enough.
    Down,
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A reading with the numbers it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReading {
    /// Who says it.
    pub vantage: Vantage,
    /// What it says.
    pub reading: Reading,
    /// When it last asked.
    pub newest_at: Timestamp,
    /// The newest outcome with its cause, as it was written.
    pub newest: String,
    /// How long that took.
    pub latency_ms: Option<u64>,
    /// The newest signal was sent from behind a broken network and counts as `Unknown`, or such an observation
    /// followed it.
    pub cut_off: bool,
    /// How many of the newest signals that are not `Unknown` were looked at: at most the window.
    pub known: u32,
    /// How many of these are `Down`.
    pub down: u32,
    /// How many of these are `Degraded`.
    pub degraded: u32,
    /// How often these change between `Down` and not `Down`.
    pub changes: u32,
    /// The beginning of the unbroken series of `Down` that ends with the newest signal; of a `Degraded` reading the
    /// same for `Degraded` or `Down`; of a `Flapping` one that has just recovered, its first `Down`.
    pub since: Option<Timestamp>,
}

/// A flapping probe changed at least this often within the window.
const FLAPPING: u32 = 3;

/// Rule 3; nothing if the vantage never carried the probe.
pub(super) fn read(
    history: &History<'_>,
    probe: &Probe,
    policy: &Policy,
    now: Timestamp,
) -> Option<ProbeReading> {
    let signals = history.of(probe);
    let newest = *signals.last()?;
    let mut known: Vec<Counted<'_>> = signals
        .iter()
        .rev()
        .filter(|signal| signal.kind != OutcomeKind::Unknown)
        .take(usize::try_from(policy.window).unwrap_or(usize::MAX))
        .copied()
        .collect();
    known.reverse();
    let count = |kind| number(known.iter().filter(|signal| signal.kind == kind).count());
    let (down, degraded) = (count(OutcomeKind::Down), count(OutcomeKind::Degraded));
    let changes = number(
        known
            .iter()
            .zip(known.iter().skip(1))
            .filter(|(a, b)| is_down(a) != is_down(b))
            .count(),
    );

    let stale = now.duration_since(newest.at) > policy.freshness();
    // The vantage has lost its own network since: what it saw before confirms nothing.
    let cut_off_since = history.last_cut_off.is_some_and(|at| at > newest.at);
    let down_since = unbroken(&signals, is_down);
    let reading = if stale || newest.kind == OutcomeKind::Unknown {
        Reading::Unknown
    } else if changes >= FLAPPING {
        Reading::Flapping
    } else if let Some(began) = down_since {
        let lasted = now.duration_since(began) >= policy.grace();
        if down >= policy.confirmations && lasted && !cut_off_since {
            Reading::Down
        } else {
            Reading::Failing
        }
    } else if newest.kind == OutcomeKind::Degraded && degraded + down >= policy.confirmations {
        Reading::Degraded
    } else {
        Reading::Healthy
    };
    let since = match reading {
        Reading::Unknown | Reading::Healthy => None,
        Reading::Degraded => unbroken(&signals, is_failure),
        Reading::Failing | Reading::Down => down_since,
        Reading::Flapping => {
            down_since.or_else(|| known.iter().find(|signal| is_down(signal)).map(|s| s.at))
        }
    };
    Some(ProbeReading {
        vantage: history.vantage.clone(),
        reading,
        newest_at: newest.at,
        newest: newest.outcome.to_string(),
        latency_ms: newest.latency_ms,
        cut_off: newest.cut_off || cut_off_since,
        known: number(known.len()),
        down,
        degraded,
        changes,
        since,
    })
}

fn is_down(signal: &Counted<'_>) -> bool {
    signal.kind == OutcomeKind::Down
}

fn is_failure(signal: &Counted<'_>) -> bool {
    matches!(signal.kind, OutcomeKind::Down | OutcomeKind::Degraded)
}

/// When the unbroken series of such signals began that ends with the newest one.
fn unbroken(signals: &[Counted<'_>], such: fn(&Counted<'_>) -> bool) -> Option<Timestamp> {
    signals
        .iter()
        .rev()
        .take_while(|signal| such(signal))
        .last()
        .map(|signal| signal.at)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
