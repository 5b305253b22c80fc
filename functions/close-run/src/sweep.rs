//! Closing what nobody closed: an event of EventBridge may be lost or late, and a lock whose execution is over blocks every start.

use aws::executions::{ExecutionStatus, ExecutionStatuses};
use aws::notices::{Audience, Notice};
use aws::{Failure, Ports};
use recovery::run::Outcome;
use recovery::state::Lock;

use crate::{Reply, close, run_of};

/// Closes the run that holds the lock, if its execution is over. People are notified: by the report, or by a notice of its own where this
/// execution left nothing to report on.
pub(crate) async fn close_what_is_over(
    ports: &Ports,
    executions: &dyn ExecutionStatuses,
) -> Result<Reply, Failure> {
    let Some(lock) = ports.state().await?.lock else {
        return Ok(found("nobody holds the lock".to_owned()));
    };
    let status = executions.read_status(&lock.token).await?;
    if !status.is_over() {
        return Ok(found(format!("run {} goes on ({status:?})", lock.run)));
    }
    let (outcome, reason) = end_of(status);
    let ended = (outcome, reason.clone());
    let run = run_of(ports, lock.run.as_str(), &lock.token, &ended).await?;
    match run {
        Some(run) => {
            close(ports, run, &lock.token, outcome, reason).await?;
        }
        None => ports.notices.publish(notice(ports, &lock, &reason)).await?,
    }
    Ok(found(format!(
        "run {} is closed: {}",
        lock.run,
        outcome.as_str()
    )))
}

fn end_of(status: ExecutionStatus) -> (Outcome, String) {
    let outcome = match status {
        ExecutionStatus::Stopped => Outcome::Stopped,
        _ => Outcome::Failed,
    };
    let reason = format!("its execution is over ({status:?}), and nothing had closed it");
    (outcome, reason)
}

fn notice(ports: &Ports, lock: &Lock, reason: &str) -> Notice {
    Notice {
        audience: Audience::Managers,
        subject: format!("[{}] the lock of run {} is free", ports.plan_name, lock.run),
        message: format!(
            "An execution for run {} took the lock at {} and wrote nothing under it: {reason}.\nThe lock is free. Start a new run, or, if there is \
             runs/{}/run.json, resume that one.\n",
            lock.run, lock.taken_at, lock.run
        ),
    }
}

fn found(words: String) -> Reply {
    Reply::Swept { found: words }
}
