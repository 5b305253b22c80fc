//! Carrying out the acts of a phase.

use aws::ports::Clock;
use databricks::{
    Cause, ClusterId, Error, IdempotencyToken, JobId, PipelineId, WarehouseId, Writer,
};
use futures::{StreamExt, stream};
use recovery::activation::{ActivationAct, ActivationStep};
use recovery::inventory::Subject;
use recovery::ledger::{Entry, EntryStatus, Verified};
use recovery::site::{ContentDigest, RunId};

/// Writes in flight at once. The rate limits decide the pace.
const AT_ONCE: usize = 12;

/// Does a batch; one entry for each step says whether the platform accepted it. Names too what it refused for good.
pub(crate) async fn carry_out(
    writer: &Writer,
    batch: &[&ActivationStep],
    run: &RunId,
    clock: &Clock,
) -> (Vec<Entry>, Vec<Subject>) {
    let results: Vec<(Entry, Option<Subject>)> = stream::iter(batch.iter().copied())
        .map(|step| async move {
            let (status, refused) = match one(writer, &step.act, run).await {
                Ok(()) => (EntryStatus::Acknowledged, None),
                Err(error) => {
                    let refused = is_refusal(&error).then(|| step.subject.clone());
                    (
                        EntryStatus::Failed {
                            error: error.to_string(),
                        },
                        refused,
                    )
                }
            };
            let entry = Entry {
                subject: Some(step.subject.clone()),
                act: step.words().to_owned(),
                at: clock(),
                status,
            };
            (entry, refused)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let refused = results
        .iter()
        .filter_map(|(_, refused)| refused.clone())
        .collect();
    (
        results.into_iter().map(|(entry, _)| entry).collect(),
        refused,
    )
}

/// The platform understood and said no: asking again the same way gives the same answer.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.cause(),
        Cause::BadRequest
            | Cause::Forbidden
            | Cause::NotFound
            | Cause::Conflict
            | Cause::InvalidInput
    )
}

async fn one(writer: &Writer, act: &ActivationAct, run: &RunId) -> Result<(), Error> {
    match act {
        ActivationAct::EditPool { pool } => writer.edit_pool(pool.clone()).await,
        ActivationAct::StartCluster { id } => writer
            .start_cluster(&ClusterId(id.clone()))
            .await
            .map(|_| ()),
        ActivationAct::StartWarehouse { id } => writer
            .start_warehouse(&WarehouseId(id.clone()))
            .await
            .map(|_| ()),
        ActivationAct::UpdateJob { job_id, settings } => {
            writer.update_job(JobId(*job_id), settings.clone()).await
        }
        ActivationAct::StartPipeline { id } => writer
            .start_pipeline_update(&PipelineId(id.clone()))
            .await
            .map(|_| ()),
        ActivationAct::RunJob {
            job_id,
            interrupted,
        } => {
            let token = token(run, *interrupted)?;
            writer.run_now(JobId(*job_id), &token).await.map(|_| ())
        }
    }
}

/// The platform takes 64 characters.
fn token(run: &RunId, interrupted: i64) -> Result<IdempotencyToken, Error> {
    IdempotencyToken::new(ContentDigest::of(format!("{run}:{interrupted}").as_bytes()).as_str())
}

/// Starts one run for an interrupted one and reads it back. Says whether nothing is left to try: it exists, or it was
/// refused.
pub(crate) async fn run_once(
    writer: &Writer,
    step: &ActivationStep,
    job: i64,
    interrupted: i64,
    run: &RunId,
    clock: &Clock,
) -> (Vec<Entry>, bool) {
    let entry = |status| Entry {
        subject: Some(step.subject.clone()),
        act: format!("{} ({interrupted})", step.words()),
        at: clock(),
        status,
    };
    let mut entries = vec![entry(EntryStatus::Attempted)];
    let read_at = clock();
    let started = async {
        let id = writer
            .run_now(JobId(job), &token(run, interrupted)?)
            .await?;
        let answer = writer.workspace().get_run(id).await?;
        let is_it = |a: &databricks::Object| {
            a.get("run_id").and_then(serde_json::Value::as_i64) == Some(id.0)
        };
        Ok::<_, Error>(Verified::by_object(read_at, &answer, is_it))
    }
    .await;
    let (status, ok) = match started {
        Ok(Some(proof)) => (EntryStatus::Verified { read_at: proof }, true),
        Ok(None) => (EntryStatus::Acknowledged, false),
        Err(error) => (
            EntryStatus::Failed {
                error: error.to_string(),
            },
            is_refusal(&error),
        ),
    };
    entries.push(entry(status));
    (entries, ok)
}
