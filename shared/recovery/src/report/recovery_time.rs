//! The RTO of a run, and where its clock starts and ends.

use jiff::Timestamp;

use super::clock::between;
use crate::run::{RunDocument, Stage};

pub(super) struct RecoveryTime {
    pub(super) seconds: Option<f64>,
    pub(super) clock: String,
}

impl RecoveryTime {
    pub(super) fn of(run: &RunDocument) -> Self {
        let (from, words): (Timestamp, &str) = match run.evidence.failing_since {
            Some(since) => (since, "from the first failed signal"),
            None => (
                run.begun_at,
                "from the beginning of the run (no failure was seen)",
            ),
        };
        let until = run
            .stages
            .iter()
            .filter(|s| s.stage == Stage::Endpoints)
            .filter_map(|s| s.finished_at)
            .max();
        Self {
            seconds: until.map(|until| between(from, until)),
            clock: format!("{words} until the endpoints were switched"),
        }
    }
}
