//! The end of a switchover or a drill: the site that is left as a standby goes into its recorded posture, verified by reading it. The
//! order outlives the run: what is not done when the run must end is worked off by the schedule.

use aws::{Failure, Invocation, Ports, keys};
use recovery::baseline::BaselinePointer;
use recovery::failure::FailureName;
use recovery::plan::Plan;
use recovery::reset::{Reset, StandbyAnswer};
use recovery::run::{RunDocument, Stage};
use recovery::site::{RunId, RunToken};
use recovery::state::Lifted;

use crate::reset::{Worked, work_on};

pub(crate) async fn one(
    ports: &Ports,
    plan: &Plan,
    run_id: &RunId,
    token: &RunToken,
    invocation: &Invocation,
) -> Result<(StandbyAnswer, String), Failure> {
    let run = ports.enter(run_id, token, Stage::Standby).await?;
    let site = run.standby();
    if !run.is_in(Stage::Standby) {
        let words = format!("the {site} site is as it was recorded");
        return Ok((StandbyAnswer::AsRecorded, words));
    }
    let posture: Option<BaselinePointer> = ports.read(&keys::posture(site)).await?;
    let Some(posture) = posture.filter(|posture| posture.site == site) else {
        let words = format!(
            "no posture of the {site} site was ever recorded; it stays fenced if it was, and is to be prepared by hand"
        );
        return Ok((StandbyAnswer::Left, words));
    };
    let now = ports.now();
    let lifted = ports
        .change_state(|state| state.lift_in_run(site, run_id, token, now))
        .await;
    let lifted = match lifted {
        Ok(lifted) => lifted,
        // No fresh reading shows it quiet: the watch reads it again within a minute.
        Err(failure) if failure.name == FailureName::InvalidEvent => {
            let entered = run.entered_at(Stage::Standby, now);
            let patience = plan.activation.give_up_after_seconds.signed();
            let answer = if now.duration_since(entered) < patience {
                StandbyAnswer::Continue
            } else {
                StandbyAnswer::Left
            };
            return Ok((answer, failure.message));
        }
        Err(failure) => return Err(failure),
    };
    if lifted == Some(Lifted::Waits) {
        let words = format!("a pass of the fence on the {site} site must end first");
        return Ok((StandbyAnswer::Continue, words));
    }
    if lifted.is_some()
        && let Err(failure) = ports.announce_fences(&ports.state().await?).await
    {
        // The watch tells it in its next pass.
        tracing::warn!(%failure, "the end of a fence was not told");
    }
    let order = order(ports, &run, &posture);
    ports
        .change_state(|state| state.order_reset_in_run(order.clone(), token))
        .await?;
    match work_on(ports, plan, &order, invocation).await? {
        Worked::AsRecorded => {
            ports.finish(run_id, token, Stage::Standby).await?;
            let words = Worked::AsRecorded.words(site);
            Ok((StandbyAnswer::AsRecorded, words))
        }
        left @ Worked::Left(_) => Ok((StandbyAnswer::Left, left.words(site))),
        other => Ok((StandbyAnswer::Continue, other.words(site))),
    }
}

/// The order counts from when the stage began, so that a repeated call does not start its patience anew.
fn order(ports: &Ports, run: &RunDocument, posture: &BaselinePointer) -> Reset {
    Reset {
        id: run.run.clone(),
        site: run.standby(),
        record: posture.digest.clone(),
        who: format!("run {}", run.run),
        why: format!("the end of a {}", run.mode.as_str()),
        ordered_at: run.entered_at(Stage::Standby, ports.now()),
        brings_up_owed: false,
        pass: None,
    }
}
