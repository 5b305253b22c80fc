//! Ending a run before its commit, and the way back.

use aws::{Failure, Ports};
use recovery::run::{Mode, Outcome};
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
    let document = ports.run(run).await?;
    if document.committed_at.is_some() {
        return Err(invalid(format!(
            "run {run} has committed: the {} site is active; resume it, the way back is a switchover",
            document.target
        )));
    }
    if ports
        .state()
        .await?
        .last_commit
        .is_some_and(|c| c.run == *run)
    {
        return Err(invalid(format!("run {run} has committed; resume it")));
    }
    // The outcome first: whoever closes the run from here on finds it. Asking again does no harm.
    let now = ports.now();
    ports
        .change_run(run, |d| {
            if d.outcome != Some(Outcome::Abandoned) {
                d.outcome = Some(Outcome::Abandoned);
                d.reason = Some(format!("abandoned by {who}: {why}"));
                d.closed_at.get_or_insert(now);
            }
        })
        .await?;
    // From here on the run's functions refuse to act.
    let clean_up = ports.clean_up_order(&document).await?;
    let held = ports
        .change_state(|state| {
            if state.last_commit.as_ref().is_some_and(|c| c.run == *run) {
                return Err(Refusal::LockLost { run: run.clone() });
            }
            let held = state.lock.as_ref().is_some_and(|lock| lock.run == *run);
            if held {
                state.lock = None;
                if let Some(order) = &clean_up {
                    state.order_reset(order.clone())?;
                }
            }
            Ok(held)
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
