//! Carrying out an act at a workspace.

use databricks::{
    Cause, ClusterId, Error, IdempotencyToken, JobId, PipelineId, RunId as PlatformRunId,
    WarehouseId, Writer,
};
use recovery::act::Act;
use recovery::site::{ContentDigest, RunId};

/// Asks the platform for one act; an answer proves nothing yet. `run` is the run on whose behalf it is done.
///
/// # Errors
/// What the workspace said, or its silence.
pub async fn carry_out(writer: &Writer, act: &Act, run: &RunId) -> Result<(), Error> {
    match act {
        Act::UpdateJob { job_id, updates } => {
            for update in updates {
                writer.update_job(JobId(*job_id), update.clone()).await?;
            }
            Ok(())
        }
        Act::RunJob {
            job_id,
            interrupted,
        } => {
            let token = rerun_token(run, *interrupted)?;
            writer.run_now(JobId(*job_id), &token).await.map(|_| ())
        }
        Act::CancelQueuedRuns => writer.cancel_all_queued_runs().await,
        Act::CancelRun { run_id } => writer.cancel_run(PlatformRunId(*run_id)).await,
        Act::StartPipeline { id } => writer
            .start_pipeline_update(&PipelineId(id.clone()))
            .await
            .map(|_| ()),
        Act::StopPipeline { id } => writer.stop_pipeline(&PipelineId(id.clone())).await,
        Act::StartCluster { id } => writer
            .start_cluster(&ClusterId(id.clone()))
            .await
            .map(|_| ()),
        Act::TerminateCluster { id } => writer.terminate_cluster(&ClusterId(id.clone())).await,
        Act::StartWarehouse { id } => writer
            .start_warehouse(&WarehouseId(id.clone()))
            .await
            .map(|_| ()),
        Act::StopWarehouse { id } => writer
            .stop_warehouse(&WarehouseId(id.clone()))
            .await
            .map(|_| ()),
        Act::EditPool { pool } => writer.edit_pool(pool.clone()).await,
        Act::StartApp { name } => writer.start_app(name).await,
        Act::StopApp { name } => writer.stop_app(name).await,
        Act::PutDashboardSchedule {
            dashboard,
            schedule,
            body,
        } => {
            writer
                .put_dashboard_schedule(dashboard, schedule, body.clone())
                .await
        }
        Act::PatchAlert { id, schedule } => writer.set_alert_schedule(id, schedule.clone()).await,
    }
}

/// One run for each interrupted one, however often it is asked for. The platform takes 64 characters.
///
/// # Errors
/// `InvalidInput`, never for a digest.
pub fn rerun_token(run: &RunId, interrupted: i64) -> Result<IdempotencyToken, Error> {
    IdempotencyToken::new(ContentDigest::of(format!("{run}:{interrupted}").as_bytes()).as_str())
}

/// The platform gave no answer of its own, or one that says that it is not itself.
#[must_use]
pub fn is_silence(error: &Error) -> bool {
    error.is_unreachable() || matches!(error.cause(), Cause::Http5xx | Cause::DeadlineExceeded)
}

/// The error says something of us and not of the site: asking the site again is no use, and may do harm.
#[must_use]
pub fn is_our_own(error: &Error) -> bool {
    matches!(
        error.cause(),
        Cause::WrongWorkspace | Cause::InvalidInput | Cause::Client | Cause::IdentityUnavailable
    )
}

/// The platform understood and said no: asking again the same way gives the same answer.
#[must_use]
pub fn is_refusal(error: &Error) -> bool {
    matches!(
        error.cause(),
        Cause::BadRequest | Cause::Forbidden | Cause::NotFound | Cause::InvalidInput
    )
}
