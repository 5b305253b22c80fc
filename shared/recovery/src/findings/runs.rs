//! Job success: the share of failed runs among those that ended.

use serde_json::Value;

use super::{Object, text};
use crate::plan::JobSuccess;
use crate::verdict::{DegradedCause, Outcome, UnknownCause};

/// What the ended runs of the window say. Runs that somebody cancelled and runs that were skipped do not count; it is never
/// `Down`, since a bad deployment fails every job of a platform that works.
#[must_use]
pub fn runs_outcome(policy: &JobSuccess, runs: &[Object]) -> Outcome {
    let ended: Vec<bool> = runs.iter().filter_map(failed).collect();
    let failures = ended.iter().filter(|failed| **failed).count();
    if ended.len() < usize::try_from(policy.minimum_runs).unwrap_or(usize::MAX) {
        UnknownCause::Other("TooFewRuns".to_owned()).into()
    } else if policy
        .baseline_failed_percent
        .is_exceeded_by(failures, ended.len())
    {
        DegradedCause::PartialFailure.into()
    } else {
        Outcome::Healthy
    }
}

/// Whether a run failed; `None` for one that has not ended or says nothing (databricks-sdk-py 0.156.0, `RunLifeCycleState`,
/// `RunResultState`).
fn failed(run: &Object) -> Option<bool> {
    let state = run.get("state").and_then(Value::as_object)?;
    match (text(state, "life_cycle_state"), text(state, "result_state")) {
        ("INTERNAL_ERROR", _) => Some(true),
        ("TERMINATED", "SUCCESS" | "SUCCESS_WITH_FAILURES") => Some(false),
        ("TERMINATED", "FAILED" | "TIMEDOUT" | "UPSTREAM_FAILED") => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn runs(counts: &[(&str, &str, usize)]) -> Vec<Object> {
        counts
            .iter()
            .flat_map(|(cycle, result, count)| {
                let run = json!({"state": {"life_cycle_state": cycle, "result_state": result}});
                std::iter::repeat_n(run.as_object().unwrap().clone(), *count)
            })
            .collect()
    }

    #[test]
    fn a_share_above_the_baseline_is_degraded_and_never_more() {
        let policy: JobSuccess =
            serde_json::from_value(json!({"minimum_runs": 10, "baseline_failed_percent": 20}))
                .unwrap();
        for (counts, expected) in [
            (vec![], "Unknown (TooFewRuns)"),
            (vec![("TERMINATED", "FAILED", 9)], "Unknown (TooFewRuns)"),
            (
                vec![("TERMINATED", "SUCCESS", 8), ("TERMINATED", "FAILED", 2)],
                "Healthy",
            ),
            (
                vec![("TERMINATED", "SUCCESS", 7), ("TERMINATED", "TIMEDOUT", 3)],
                "Degraded (PartialFailure)",
            ),
            (
                vec![("INTERNAL_ERROR", "FAILED", 10)],
                "Degraded (PartialFailure)",
            ),
            // What a person cancelled, what still runs and what was skipped says nothing.
            (
                vec![
                    ("TERMINATED", "SUCCESS", 10),
                    ("TERMINATED", "CANCELED", 90),
                    ("RUNNING", "", 90),
                    ("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED", 90),
                ],
                "Healthy",
            ),
        ] {
            let outcome = runs_outcome(&policy, &runs(&counts));
            assert_eq!(outcome.to_string(), expected, "{counts:?}");
        }
    }
}
