//! What the benchmark measures against.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Value, json};

use crate::Trouble;
use crate::gaps::Event;

/// The job that somebody else keeps changing; it takes no part in a fence.
pub const STRANGER: i64 = 999_999_999;

/// The minute of the day at which a job fires: spread evenly, in no order.
const fn minute(job: i64) -> i64 {
    (job * 7919) % (24 * 60)
}

/// A workspace of so many jobs, each with one daily schedule.
#[must_use]
pub fn estate(jobs: i64) -> Value {
    let job = |id: i64, settings: Value| json!({"job_id": id, "settings": settings});
    let mut all: Vec<Value> = (1..=jobs)
        .map(|id| {
            let (hour, minute) = (minute(id) / 60, minute(id) % 60);
            let cron = format!("0 {minute} {hour} * * ?");
            job(id, json!({"name": format!("job {id}"), "schedule":
                {"quartz_cron_expression": cron, "timezone_id": "UTC", "pause_status": "UNPAUSED"}}))
        })
        .collect();
    all.push(job(
        STRANGER,
        json!({"name": "somebody else's", "tags": {"dr-mode": "excluded"}}),
    ));
    json!({"jobs": all})
}

/// The fewest runs that any order of pauses lets through.
pub struct Least {
    /// Runs.
    pub runs: usize,
}

impl Least {
    /// Jobs of [`estate`] are paused one by one at `rate` a second from `begins` on, milliseconds since 1970. By the rule for unit
    /// tasks with deadlines: in the order of the deadlines each that can still be kept is kept; each other job fires once at least.
    /// `unknown` is for how many seconds nobody knows yet what there is to pause.
    #[must_use]
    pub fn of(jobs: i64, begins: i64, rate: f64, unknown: f64) -> Self {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        let today = begins.rem_euclid(DAY);
        let mut fires: Vec<i64> = (1..=jobs)
            .map(|job| (minute(job) * 60_000 - today).rem_euclid(DAY))
            .collect();
        fires.sort_unstable();
        let mut kept = 0_usize;
        for fire in &fires {
            let done = (unknown + (kept + 1) as f64 / rate) * 1000.0;
            kept += usize::from(done <= *fire as f64);
        }
        Self {
            runs: fires.len() - kept,
        }
    }
}

/// What a recording says of the requests.
#[derive(Default)]
pub struct Requests {
    /// Ours.
    pub ours: usize,
    /// Ours that were too much.
    pub ours_refused: usize,
    /// Somebody else's that were accepted.
    pub others_accepted: usize,
    /// From the first of our pauses to the last, real milliseconds.
    pub pausing_ms: i64,
    /// What happened when, real milliseconds since 1970, in order.
    pub events: Vec<(i64, Event)>,
}

impl Requests {
    /// Counts.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(recording: &Path) -> Result<Self, Trouble> {
        let mut counts = Self::default();
        let mut pauses = Vec::new();
        for line in BufReader::new(std::fs::File::open(recording)?).lines() {
            let line: Value = serde_json::from_str(&line?).unwrap_or_default();
            let status = line.get("status").and_then(Value::as_u64);
            let refused = status == Some(429);
            let job = line.pointer("/body/job_id").and_then(Value::as_i64);
            if job == Some(STRANGER) {
                counts.others_accepted += usize::from(!refused);
            } else {
                counts.ours += 1;
                counts.ours_refused += usize::from(refused);
                let at = line.get("_at_ms").and_then(Value::as_i64).unwrap_or(0);
                if job.is_some() {
                    pauses.push(at);
                }
                let path = line.get("path").and_then(Value::as_str).unwrap_or_default();
                let event = match path.rsplit('/').next() {
                    Some("update") if refused => Some(Event::Refused),
                    Some("update") => Some(Event::Pause),
                    Some("list") if path.contains("/jobs/list") => Some(Event::Reading),
                    // A pass asks who it is twice: at the door, and before it writes.
                    Some("Me") => Some(Event::Begins),
                    _ => None,
                };
                counts.events.extend(event.map(|event| (at, event)));
            }
        }
        counts.events.sort_by_key(|(at, _)| *at);
        let (first, last) = (pauses.iter().min(), pauses.iter().max());
        counts.pausing_ms = last.zip(first).map_or(0, |(last, first)| last - first);
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_possible_is_none_if_all_can_be_paused_in_time_and_all_if_none_can() {
        // Noon: the next jobs fire from 12:00 on, one job a minute and less.
        let noon = 12 * 60 * 60 * 1000 + 1;
        assert_eq!(Least::of(100, noon, 1000.0, 0.0).runs, 0);
        assert_eq!(Least::of(100, noon, 0.000_001, 0.0).runs, 100);
        assert_eq!(Least::of(100, noon, 1000.0, 86_400.0).runs, 100);
        // At one a minute a day's worth of jobs is just not to be kept.
        let some = Least::of(12_000, noon, 7.0, 0.0).runs;
        assert!(some < 50, "{some}");
    }
}
