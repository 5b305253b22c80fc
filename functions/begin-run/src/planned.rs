//! What must be well before a switchover or a drill begins: nothing forces it.

use aws::{Failure, Ports, keys};
use jiff::{SignedDuration, Timestamp};
use recovery::baseline::BaselinePointer;
use recovery::failure::FailureName;
use recovery::plan::Plan;
use recovery::replication::{ReplicationStatus, predicted_losses};
use recovery::run::Mode;
use recovery::site::SiteLabel;
use recovery::state::State;
use recovery::verdict::{Verdict, healthy_since};

/// Refuses a planned run with every reason at once.
pub(crate) async fn require_well(
    ports: &Ports,
    plan: &Plan,
    state: &State,
    mode: Mode,
    rehearsal: bool,
) -> Result<(), Failure> {
    let mut against = by_state(state, mode, ports.now());
    if rehearsal && !plan.planned.live_rehearsal {
        against
            .push("the plan does not allow a live rehearsal (planned.live_rehearsal)".to_owned());
    }
    for site in SiteLabel::ALL {
        against.extend(sickness(ports, plan, site).await?);
    }
    against.extend(losses(ports, plan, state.active_site).await?);
    if mode == Mode::Drill {
        let target = state.active_site.other();
        let posture: Option<BaselinePointer> = ports.read(&keys::posture(target)).await?;
        if posture.is_none() {
            against.push(format!(
                "no posture of the {target} site is recorded, so it could not be cleaned up; capture-baseline records one"
            ));
        }
    }
    if against.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        FailureName::Blocked,
        format!("a {} may not begin: {}", mode.as_str(), against.join("; ")),
    ))
}

fn by_state(state: &State, mode: Mode, now: Timestamp) -> Vec<String> {
    let mut against = Vec::new();
    if let Some(run) = &state.unsettled {
        against.push(format!(
            "run {run} has changed sites and did not complete; resume it, or vouch for the active site with operate `vouch`"
        ));
    }
    let target = state.active_site.other();
    if let Some(fence) = state.fences.get(&target) {
        match mode {
            Mode::Switchover if !fence.is_quiet(now) => against.push(format!(
                "no fresh reading shows the fenced {target} site quiet; the switchover would lift its fence"
            )),
            Mode::Drill => against.push(format!(
                "the {target} site is fenced; a drill starts what a fence stops"
            )),
            _ => {}
        }
    }
    against
}

/// Why a site is not healthy, or not for long enough.
async fn sickness(ports: &Ports, plan: &Plan, site: SiteLabel) -> Result<Option<String>, Failure> {
    let observations = ports.observations(plan, site).await?;
    let verdict = ports.judgement(plan, site).await?.verdict;
    if verdict != Verdict::Healthy {
        return Ok(Some(format!(
            "the verdict on the {site} site is {verdict}, not Healthy"
        )));
    }
    let pause = SignedDuration::from_secs(i64::from(plan.detection.policy.freshness_seconds));
    let needed = plan.planned.healthy_seconds;
    let since = healthy_since(&observations, pause);
    let long_enough =
        since.is_some_and(|since| ports.now().duration_since(since) >= needed.signed());
    Ok((!long_enough).then(|| {
        let since = since.map_or_else(|| "not yet".to_owned(), |since| format!("since {since}"));
        format!(
            "the {site} site is healthy {since}, not for the plan's {} s",
            needed.0
        )
    }))
}

/// Recovery points beyond their objective, as last measured.
async fn losses(ports: &Ports, plan: &Plan, from: SiteLabel) -> Result<Vec<String>, Failure> {
    let status: Option<ReplicationStatus> = ports.read(keys::REPLICATION).await?;
    let status = status.filter(|status| status.from == from);
    let losses = predicted_losses(plan, status.as_ref(), ports.now());
    let above = losses.iter().filter(|loss| loss.is_above_objective());
    Ok(above
        .map(|loss| {
            format!(
                "{}: {} behind, above the objective of {} s",
                loss.name,
                loss.in_words(),
                loss.objective_seconds.0
            )
        })
        .collect())
}
