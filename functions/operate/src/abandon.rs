//! Ending a run before its commit, and the way back.

use aws::{Failure, Ports, keys};
use recovery::run::{Mode, Outcome, RunDocument};
use recovery::site::RunId;
use recovery::state::Refusal;

use crate::invalid;

pub(crate) async fn abandon(
    ports: &Ports,
    run: &RunId,
    restore: Option<bool>,
    who: &str,
    why: &str,
) -> Result<String, Failure> {
    let now = ports.now();
    let reason = format!("abandoned by {who}: {why}");
    let stored: Option<RunDocument> = ports.read(&keys::of_run(run, "run.json")).await?;
    let Some(document) = stored else {
        return free_unwritten(ports, run, &reason).await;
    };
    // The state knows the newest commit and the newest ends only; `run.json` keeps its own for ever.
    if document.committed_at.is_some() {
        return Err(Refusal::Committed { run: run.clone() }.into());
    }
    if document.outcome == Some(Outcome::Completed) {
        return Err(Refusal::Completed { run: run.clone() }.into());
    }
    // One swap decides between this and a commit: from then on the run's functions refuse to act, and whoever closes it finds the
    // outcome. Asking again changes nothing.
    let clean_up = ports.clean_up_order(&document).await?;
    let held = ports
        .change_state(|state| {
            let held = state.abandon(run, &document.token, &reason, now)?;
            if let Some(order) = clean_up.as_ref().filter(|_| held) {
                state.order_reset(order.clone())?;
            }
            Ok(held)
        })
        .await?;
    ports
        .change_run(run, |d| {
            if d.token == document.token && d.outcome != Some(Outcome::Abandoned) {
                d.outcome = Some(Outcome::Abandoned);
                d.reason = Some(reason.clone());
                d.closed_at.get_or_insert(now);
            }
        })
        .await?;
    let freed = if held { " and its lock is free" } else { "" };
    let rest = match document.mode {
        Mode::Drill if held && clean_up.is_some() => {
            format!(
                "the {} site goes back into its posture; a notice tells when it is done",
                document.target
            )
        }
        Mode::Drill => "it had changed nothing".to_owned(),
        mode if restore.unwrap_or(mode == Mode::Switchover) => {
            // A function may have noted something before it found its lock gone.
            let document = ports.run(run).await?;
            let words = ports.lead_back(&document, who, why).await?;
            words.unwrap_or_else(|| {
                "no fence of it stands, so there is nothing to lead back".to_owned()
            })
        }
        _ => "a fence it raised stays until `unfence`".to_owned(),
    };
    Ok(format!("run {run} is abandoned{freed}; {rest}"))
}

/// A run that took the lock and died before it wrote its document: there is nothing but its lock to free.
async fn free_unwritten(ports: &Ports, run: &RunId, reason: &str) -> Result<String, Failure> {
    let now = ports.now();
    let held = ports
        .change_state(|state| {
            let token = state.lock.as_ref().filter(|lock| lock.run == *run);
            let Some(token) = token.map(|lock| lock.token.clone()) else {
                return Ok(false);
            };
            state.abandon(run, &token, reason, now)
        })
        .await?;
    if held {
        Ok(format!(
            "run {run} is abandoned and its lock is free; it had changed nothing"
        ))
    } else {
        Err(invalid(format!(
            "there is no run {run}; see runs/ in the state bucket"
        )))
    }
}
