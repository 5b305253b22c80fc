//! The share of failed runs, at the active site.

use databricks::{RunsFilter, Workspace};
use jiff::Timestamp;
use recovery::findings::runs_outcome;
use recovery::plan::{Detection, JobSuccess, ProbePace};

use super::Finding;
use super::workspace::{finding, patient};

/// At most so many pages of 24 runs, newest first: enough for a share, and within the probe's time at a fifth of the rate.
const MOST_PAGES: usize = 20;

/// How many of the runs that ended in the window failed?
pub(crate) async fn success(
    workspace: &Workspace,
    detection: &Detection,
    jobs: &JobSuccess,
    pace: ProbePace,
    now: Timestamp,
) -> Finding {
    let workspace = patient(workspace, detection, pace);
    let filter = RunsFilter {
        start_time_from: Some(now - jobs.window_seconds.signed()),
        ..RunsFilter::default()
    };
    let result = workspace.newest_runs(filter, MOST_PAGES).await;
    finding(&workspace, result.map(|runs| runs_outcome(jobs, &runs)))
}
