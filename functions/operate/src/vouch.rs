//! Vouching for the active site after a run that changed sites and did not complete.

use aws::{Failure, Ports};
use recovery::site::RunId;
use recovery::state::Refusal;

use crate::invalid;

/// Clears `unsettled` if it names this run. A repeat is answered, not refused: the first answer may have been lost.
///
/// # Errors
/// `Blocked` while any run holds the lock: it may be changing the sites. `InvalidEvent` if another run is unsettled.
pub(crate) async fn settle(ports: &Ports, run: &RunId) -> Result<String, Failure> {
    let state = ports.state().await?;
    // Whoever vouches need not know by heart what could not be brought up: it stays owed until it is up or given up. The run that made the
    // site active may be an older one than that which is vouched for.
    let owing = state
        .owing
        .filter(|_| state.unsettled.as_ref() == Some(run));
    let owed = match &owing {
        Some(owing) => ports.owed_after(&ports.run(owing).await?).await?,
        None => None,
    };
    let unsettled = ports
        .change_state(|state| {
            if let Some(lock) = &state.lock {
                return Err(Refusal::Locked {
                    run: lock.run.clone(),
                    since: lock.taken_at,
                });
            }
            // What was gathered is of the run that made the site active when this act began.
            if state.unsettled.as_ref() == Some(run) && state.owing != owing {
                return Err(Refusal::Changed {
                    active: state.active_site,
                    epoch: state.epoch,
                });
            }
            Ok(
                if state.settle_run(run, owing.as_ref().map(|owing| (owing, owed.clone()))) {
                    Some(run.clone())
                } else {
                    state.unsettled.clone()
                },
            )
        })
        .await?;
    match unsettled {
        Some(named) if named == *run => Ok(format!(
            "the active site runs what it should after run {run}; captures go on"
        )),
        Some(other) => Err(invalid(format!(
            "run {other} is unsettled, not {run}; check what it left at the sites, then vouch for that run"
        ))),
        None => Ok(format!(
            "nothing to vouch for: run {run} is not unsettled, and no other run is"
        )),
    }
}
