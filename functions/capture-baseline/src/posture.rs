//! The standby's posture: what a reset brings it back to.

use aws::{Failure, Ports, keys};
use recovery::baseline::{judge_posture, may_record_posture};
use recovery::plan::Plan;

use crate::{Answer, point, read};

pub(crate) async fn record(ports: &Ports, plan: &Plan) -> Result<Answer, Failure> {
    if let Err(reason) = allowed(ports, plan).await? {
        return Ok(Answer::Refused { reason });
    }
    let state = ports.state().await?;
    let site = state.active_site.other();
    let found = read(ports, plan, site, state.epoch, None).await?;
    let still = allowed(ports, plan).await?;
    if let Err(reason) = still.and_then(|()| judge_posture(&found.inventory)) {
        return Ok(Answer::Refused { reason });
    }
    let digest = ports.store_baseline(&found).await?;
    point(ports, &keys::posture(site), &found.pointer(&digest)).await?;
    Ok(Answer::Captured {
        objects: found.inventory.resources.len(),
        digest,
    })
}

async fn allowed(ports: &Ports, plan: &Plan) -> Result<Result<(), String>, Failure> {
    let state = ports.state().await?;
    let standby = state.active_site.other();
    let verdict = ports.judgement(plan, standby).await?.verdict;
    Ok(may_record_posture(&state, standby, verdict))
}
