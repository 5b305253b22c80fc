//! A switchover records the site that it leaves once more, just before the fence: what was changed there comes along.

use aws::{Failure, Ports, keys};
use recovery::baseline::{CaptureVerdict, judge_capture, may_capture_in_run};
use recovery::plan::Plan;
use recovery::run::{CaptureAnswer, Stage};
use recovery::site::{RunId, RunToken};

use crate::{point, read};

/// Captures once: a repeated call, or a resumed run whose fence stands, keeps what was captured.
pub(crate) async fn capture(
    ports: &Ports,
    plan: &Plan,
    run_id: &RunId,
    token: &RunToken,
) -> Result<(CaptureAnswer, String), Failure> {
    let run = ports.enter(run_id, token, Stage::Capture).await?;
    let site = run.from;
    if let Some(captured) = &run.captured {
        // The call that recorded it may have died before it made it the one that counts.
        point(ports, keys::BASELINE, captured).await?;
        ports.finish(run_id, token, Stage::Capture).await?;
        let words = format!("the {site} site was recorded at {}", captured.captured_at);
        return Ok((CaptureAnswer::Captured, words));
    }
    let state = ports.require_lock(run_id, token).await?;
    let verdict = ports.judgement(plan, site).await?.verdict;
    if let Err(reason) = may_capture_in_run(&state, site, verdict) {
        return Ok((CaptureAnswer::Refused, reason));
    }
    let known = ports.baseline(&run.evidence.baseline.digest).await?;
    let captured = read(ports, plan, site, state.epoch, Some(&known)).await?;
    let digest = ports.store_baseline(&captured).await?;
    // Many schedules that have gone since people looked are no state to carry on.
    if let CaptureVerdict::Candidate { reason } =
        judge_capture(Some(&known), &captured, &plan.baseline)
    {
        let key = keys::baseline(&digest);
        return Ok((CaptureAnswer::Refused, format!("{reason}; see {key}")));
    }
    let pointer = captured.pointer(&digest);
    let words = format!(
        "{} objects of the {site} site are recorded",
        pointer.objects
    );
    ports
        .change_own_run(run_id, token, |d| {
            d.captured.get_or_insert_with(|| pointer.clone());
        })
        .await?;
    // It is what counts if the run is led back.
    point(ports, keys::BASELINE, &pointer).await?;
    ports.finish(run_id, token, Stage::Capture).await?;
    Ok((CaptureAnswer::Captured, words))
}
