//! How long each stage took, beside earlier runs.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Report, StageSeconds};
use crate::run::{Mode, Outcome, Stage};
use crate::site::RunId;

/// The version of `reports/history.json`.
pub const HISTORY_FORMAT: u32 = 1;

/// The most runs that are kept.
const MOST_RUNS: usize = 100;

/// `reports/history.json`: what is kept of every run, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Always [`HISTORY_FORMAT`].
    pub format_version: u32,
    /// The runs.
    pub runs: Vec<PastRun>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastRun {
    /// The run.
    pub run: RunId,
    /// What it did.
    pub mode: Mode,
    /// How it ended.
    pub outcome: Outcome,
    /// When.
    pub closed_at: Timestamp,
    /// Its RTO, if it was reached.
    pub rto_seconds: Option<f64>,
    /// Seconds per stage.
    pub stages: Vec<StageSeconds>,
}

/// A stage beside the same stage of earlier runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The stage.
    pub stage: Stage,
    /// Seconds in this run.
    pub seconds: f64,
    /// The median of the earlier runs, seconds.
    pub median: f64,
    /// Three quarters of the earlier runs took no longer than this, seconds.
    pub p75: f64,
    /// How many earlier runs finished the stage.
    pub runs: usize,
}

impl History {
    /// Adds a run, or what is now known of it: a resumed run is closed again.
    pub fn add(&mut self, report: &Report) {
        self.format_version = HISTORY_FORMAT;
        self.runs.retain(|past| past.run != report.run);
        self.runs.push(PastRun {
            run: report.run.clone(),
            mode: report.mode,
            outcome: report.outcome,
            closed_at: report.closed_at,
            rto_seconds: report.rto_seconds,
            stages: report.stages.clone(),
        });
        let surplus = self.runs.len().saturating_sub(MOST_RUNS);
        self.runs.drain(..surplus);
    }

    /// When the newest other run was closed.
    #[must_use]
    pub fn last_before(&self, run: &RunId) -> Option<Timestamp> {
        let others = self.runs.iter().filter(|past| past.run != *run);
        others.map(|past| past.closed_at).max()
    }

    /// The stages of a run beside those of the other runs of its mode that finished them.
    #[must_use]
    pub fn compare(&self, run: &RunId, mode: Mode, stages: &[StageSeconds]) -> Vec<Comparison> {
        let earlier = self
            .runs
            .iter()
            .filter(|past| past.run != *run && past.mode == mode);
        stages
            .iter()
            .filter(|stage| stage.finished)
            .filter_map(|stage| {
                let mut before: Vec<f64> = earlier
                    .clone()
                    .flat_map(|past| &past.stages)
                    .filter(|past| past.stage == stage.stage && past.finished)
                    .map(|past| past.seconds)
                    .collect();
                before.sort_by(f64::total_cmp);
                Some(Comparison {
                    stage: stage.stage,
                    seconds: stage.seconds,
                    median: nearest_rank(&before, 50)?,
                    p75: nearest_rank(&before, 75)?,
                    runs: before.len(),
                })
            })
            .collect()
    }
}

/// The smallest value that at least this percentage of the sorted values does not exceed; `None` of none.
fn nearest_rank(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stage(seconds: f64, finished: bool) -> StageSeconds {
        StageSeconds {
            stage: Stage::Fence,
            seconds,
            finished,
        }
    }

    fn past(name: &str, seconds: f64, finished: bool) -> PastRun {
        PastRun {
            run: RunId::new(name),
            mode: Mode::Failover,
            outcome: Outcome::Completed,
            closed_at: Timestamp::UNIX_EPOCH,
            rto_seconds: None,
            stages: vec![stage(seconds, finished)],
        }
    }

    #[test]
    fn a_stage_is_compared_with_finished_stages_of_other_runs_only() {
        let history = History {
            format_version: HISTORY_FORMAT,
            runs: vec![
                past("a", 10.0, true),
                past("b", 30.0, true),
                past("c", 20.0, true),
                past("d", 40.0, true),
                past("broken-off", 1.0, false),
                past("this", 2.0, true),
            ],
        };
        let compare =
            |stages: &[StageSeconds]| history.compare(&RunId::new("this"), Mode::Failover, stages);
        let found = compare(&[stage(25.0, true)]);
        assert_eq!(
            found,
            [Comparison {
                stage: Stage::Fence,
                seconds: 25.0,
                median: 20.0,
                p75: 30.0,
                runs: 4
            }]
        );
        assert_eq!(compare(&[stage(25.0, false)]), []);
        let none = History::default();
        assert_eq!(
            none.compare(&RunId::new("this"), Mode::Failover, &[stage(1.0, true)]),
            []
        );
    }

    proptest! {
        #[test]
        fn a_rank_is_one_of_the_values_and_enough_are_not_above_it(mut values in proptest::collection::vec(0.0f64..1e6, 1..40), percent in 1usize..=100) {
            values.sort_by(f64::total_cmp);
            let found = nearest_rank(&values, percent).unwrap();
            let below = values.iter().filter(|v| **v <= found).count();
            prop_assert!(values.contains(&found));
            prop_assert!(below * 100 >= values.len() * percent);
        }
    }
}
