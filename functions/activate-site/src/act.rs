//! Carrying out the acts of a phase.

use aws::ports::Clock;
use databricks::{Error, JobId, Writer};
use futures::{StreamExt, stream};
use recovery::activation::ActivationStep;
use recovery::inventory::Subject;
use recovery::ledger::{Entry, EntryStatus, Verified};
use recovery::site::RunId;
use sites::{is_refusal, is_silence, rerun_token};

/// Writes in flight at once. The rate limits decide the pace.
const AT_ONCE: usize = 12;

/// What the ledger says of a failed call.
fn status_of(error: &Error) -> EntryStatus {
    let text = error.to_string();
    if is_silence(error) {
        EntryStatus::Unreachable { error: text }
    } else {
        EntryStatus::Failed { error: text }
    }
}

/// Does a batch; one entry for each step says whether the platform accepted it. Names too what it refused for good.
pub(crate) async fn carry_out(
    writer: &Writer,
    batch: &[&ActivationStep],
    attempts: impl Fn(&Subject) -> u32,
    run: &RunId,
    clock: &Clock,
) -> (Vec<Entry>, Vec<Subject>) {
    let attempts = &attempts;
    let results: Vec<(Entry, Option<Subject>)> = stream::iter(batch.iter().copied())
        .map(|step| async move {
            let (status, refused) = match sites::carry_out(writer, &step.act, run).await {
                Ok(()) => (EntryStatus::Acknowledged, None),
                Err(error) => {
                    let refused = is_refusal(&error).then(|| step.subject.clone());
                    (status_of(&error), refused)
                }
            };
            let entry = Entry {
                subject: Some(step.subject.clone()),
                act: step.act.restoring_words().to_owned(),
                at: clock(),
                attempts: attempts(&step.subject),
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
        act: format!("{} ({interrupted})", step.act.restoring_words()),
        at: clock(),
        attempts: 1,
        status,
    };
    let mut entries = vec![entry(EntryStatus::Attempted)];
    let read_at = clock();
    let started = async {
        let id = writer
            .run_now(JobId(job), &rerun_token(run, interrupted)?)
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
        Err(error) => (status_of(&error), is_refusal(&error)),
    };
    entries.push(entry(status));
    (entries, ok)
}
