//! Canary jobs: run once in each attempt, and looked at until they have ended.
//!
//! The idempotency token is that of the attempt, so asking again for the run gives the same run: no memory is needed of it.

use std::time::Instant;

use aws::{Failure, Ports};
use databricks::{IdempotencyToken, JobId, RunId as PlatformRunId, RunsFilter, Writer};
use recovery::inventory::Inventory;
use recovery::kind::Kind;
use recovery::plan::{CanaryJob, Plan};
use recovery::run::{RunDocument, Stage};
use recovery::site::{ContentDigest, RunToken};
use recovery::validation::{Check, run_ended};
use sites::{Depth, failure_at, read_inventory};

use crate::checks::{since, the_one};

/// What a canary has come to.
enum Seen {
    Succeeded(String),
    Runs(String),
    Failed(String),
}

/// One check for each canary of the plan.
///
/// # Errors
/// `LockLost` before a run is asked for, or what the store said. What the workspace says is in the checks.
pub(crate) async fn look(
    ports: &Ports,
    plan: &Plan,
    run: &RunDocument,
    token: &RunToken,
    writer: &Writer,
) -> Result<Vec<Check>, Failure> {
    let canaries = &plan.validation.canaries;
    if canaries.is_empty() {
        return Ok(Vec::new());
    }
    let (site, now) = (run.target, ports.now());
    let jobs = read_inventory(writer.workspace(), site, &[Kind::Job], Depth::Live, now)
        .await
        .map_err(|e| failure_at(site, &e).message);
    let entered = run.entered_at(Stage::Validation, now);
    let is_late = now.duration_since(entered) > plan.validation.canary_timeout_seconds.signed();
    let mut checks = Vec::new();
    for canary in canaries {
        // A zombie starts nothing.
        ports.require_lock(&run.run, token).await?;
        let start = Instant::now();
        let seen = match &jobs {
            Ok(jobs) => one(run, writer, jobs, canary, is_late).await,
            Err(error) => Err(error.clone()),
        };
        let (passed, pending, detail) = match seen {
            Ok(Seen::Succeeded(detail)) => (true, false, detail),
            Ok(Seen::Runs(detail)) => (false, true, detail),
            Ok(Seen::Failed(detail)) | Err(detail) => (false, false, detail),
        };
        checks.push(Check {
            name: format!("canary job \"{}\"", canary.job),
            passed,
            seconds: since(start),
            detail,
            required: canary.required,
            pending,
            accepted: None,
        });
    }
    Ok(checks)
}

async fn one(
    run: &RunDocument,
    writer: &Writer,
    jobs: &Inventory,
    canary: &CanaryJob,
    is_late: bool,
) -> Result<Seen, String> {
    let job = the_one(jobs, Kind::Job, &canary.job)?;
    let job_id = job
        .id
        .parse()
        .map(JobId)
        .map_err(|_| "its id is not a number".to_owned())?;
    let words = |e: databricks::Error| e.to_string();
    let active = RunsFilter {
        active_only: true,
        job_id: Some(job_id),
        ..RunsFilter::default()
    };
    // A run of an earlier attempt may go on: beside it ours would be skipped, and ours itself goes on the same way.
    let going_on = writer.workspace().list_runs(active).await.map_err(words)?;
    let going_on = going_on
        .iter()
        .filter_map(|run| run.get("run_id")?.as_i64());
    let going_on: Vec<i64> = going_on.collect();
    if let Some(first) = going_on.first() {
        if !is_late {
            return Ok(Seen::Runs(format!("run {first} goes on")));
        }
        for run_id in &going_on {
            let cancelled = writer.cancel_run(PlatformRunId(*run_id)).await;
            cancelled.map_err(words)?;
        }
        let how = "has not ended in the plan's time and is cancelled";
        return Ok(Seen::Failed(format!("run {first} {how}")));
    }
    let token = token_of(run, canary).map_err(words)?;
    let started = writer.run_now(job_id, &token).await.map_err(words)?;
    let found = writer.workspace().get_run(started).await.map_err(words)?;
    Ok(match run_ended(&found) {
        Some(Ok(())) => Seen::Succeeded(format!("run {started} succeeded")),
        Some(Err(how)) => Seen::Failed(format!("run {started} {how}")),
        None => Seen::Runs(format!("run {started} goes on")),
    })
}

/// One run of a canary for each attempt. The platform takes 64 characters.
fn token_of(run: &RunDocument, canary: &CanaryJob) -> Result<IdempotencyToken, databricks::Error> {
    let text = format!("{}:{}:canary:{}", run.run, run.attempt, canary.job);
    IdempotencyToken::new(ContentDigest::of(text.as_bytes()).as_str())
}
