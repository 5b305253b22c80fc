//! The simulated clock: simulated time = start + scale x real time since the start.

use std::time::Instant;

use jiff::Timestamp;

/// Maps real time to simulated time and back.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    started: Instant,
    started_ms: i64,
    scale: f64,
}

impl Clock {
    pub(crate) fn start(scale: f64) -> Self {
        Self {
            started: Instant::now(),
            started_ms: Timestamp::now().as_millisecond(),
            scale,
        }
    }

    /// The simulated time now, in Unix milliseconds.
    pub(crate) fn now(&self) -> i64 {
        self.started_ms
            .saturating_add((self.started.elapsed().as_secs_f64() * 1000.0 * self.scale) as i64)
    }

    /// The simulated time at the start.
    pub(crate) fn start_ms(&self) -> i64 {
        self.started_ms
    }

    /// The real time, in Unix milliseconds, at which the simulated time is `sim_ms`.
    pub(crate) fn real(&self, sim_ms: i64) -> i64 {
        self.started_ms
            .saturating_add(((sim_ms - self.started_ms) as f64 / self.scale) as i64)
    }
}

/// A time as the newer APIs write it.
pub(crate) fn iso(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .map(|t| t.to_string())
        .unwrap_or_default()
}
