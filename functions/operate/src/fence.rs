//! Lifting a fence: a question like any other, asked and answered in one act if one approval is enough.

use std::time::Duration;

use aws::notices::{Audience, Notice};
use aws::{Failure, Ports};
use jiff::SignedDuration;
use recovery::approval::{ApprovalId, Asked, Decisions, End, Override, Receipt, Request};
use recovery::failure::FailureName;
use recovery::site::SiteLabel;
use recovery::state::{LiftGround, Lifted, Refusal};

use crate::decide::{Asking, words};
use crate::reading::Reader;

/// How long an operator waits for a pass that is under way; it stops within seconds, unless it was killed.
const PATIENCE: SignedDuration = SignedDuration::from_secs(40);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(crate) async fn unfence(
    ports: &Ports,
    reader: &Reader<'_>,
    site: SiteLabel,
    asking: Asking<'_>,
) -> Result<String, Failure> {
    let plan = ports.plan().await?;
    let state = ports.state().await?;
    if let Some(lock) = &state.lock {
        let (run, since) = (lock.run.clone(), lock.taken_at);
        return Err(Refusal::Locked { run, since }.into());
    }
    if !asking.confirmed {
        reader.wait_for_quiet(ports, site).await?;
    }
    let state = ports.state().await?;
    let fence = state.fences.get(&site).ok_or(Refusal::NoFence { site })?;
    let active = state.active_site == site;
    let now = ports.now();
    if !fence.is_quiet(now) && !active && !asking.confirmed {
        return Err(Refusal::NeverQuiet { site }.into());
    }
    let run = ports.run(&fence.run).await?;
    let asked = Asked::unfence(&plan, &run, site, fence, active, now);
    let request = request(ports, &asked).await?;
    let decisions = ports.decisions_on(&request).await?;
    // Approved on the page, or by an act that died before it lifted the fence.
    if decisions.as_ref().and_then(Decisions::end) == Some(End::Approved) {
        return lift(ports, reader, site, ground_of(&request)).await;
    }
    let wish = asking.wish(&request);
    let receipt = ports.record_decision(&request.id, wish).await?;
    let receipt = receipt.unwrap_or(Receipt::Replaced);
    let first = matches!(
        receipt,
        Receipt::Recorded {
            end: None,
            approvals: 1,
            ..
        }
    );
    let done = words(&request, asking, receipt, plan.name.as_str())?;
    if done.end == Some(End::Approved) {
        return lift(ports, reader, site, ground_of(&request)).await;
    }
    if first {
        ask_others(ports, &request, site, asking).await?;
    }
    Ok(done.text)
}

/// The open request for this fence; a new one if there is none, or it has ended, or something has changed.
async fn request(ports: &Ports, asked: &Asked<'_>) -> Result<Request, Failure> {
    let stored = ports.request(&asked.run.run, &asked.question).await?;
    if let Some(request) = &stored {
        let ended = ports.decisions_on(request).await?;
        let ended = ended.as_ref().and_then(Decisions::end);
        let open = ports.now() < request.expires_at && ended != Some(End::Declined);
        if open && asked.still(request).is_ok() {
            return Ok(request.clone());
        }
    }
    let id = ApprovalId::from_bits(ports.random_bits()?);
    let mut request = asked.request(id, ports.now());
    request.sent_at = Some(request.asked_at);
    if ports.open_request(&request, stored.as_ref()).await? {
        Ok(request)
    } else {
        Err(Failure::new(
            FailureName::Conflict,
            "somebody else asks to lift this fence at this moment; try again",
        ))
    }
}

async fn ask_others(
    ports: &Ports,
    request: &Request,
    site: SiteLabel,
    asking: Asking<'_>,
) -> Result<(), Failure> {
    let overrides: Vec<String> = request.overrides.iter().map(ToString::to_string).collect();
    ports
        .notices
        .publish(Notice {
            audience: Audience::Managers,
            subject: format!("[{}] lift the fence on {site}? approve or decline", ports.plan_name),
            message: format!(
                "{} wants to lift the fence on the {site} site: {}\n{} people must approve until {}; one decline ends it.\n{}\n\
                 To decide, sign a request to the function URL of operate (output OperateUrl, runbook \"Doors\") with the body\n\
                 {{\"act\":\"decide\",\"run\":\"{}\",\"request\":\"{}\",\"decision\":\"approve\",\"who\":\"YOUR NAME\",\"why\":\"REASON\",\"confirm\":\"{}\"}}\n",
                asking.who,
                asking.why,
                request.required_approvals,
                request.expires_at,
                overrides.join("\n"),
                request.run,
                request.id,
                ports.plan_name,
            ),
        })
        .await
}

/// What an approved request allows: who approved it has accepted all that it names, and nothing else.
pub(crate) fn ground_of(request: &Request) -> LiftGround {
    let names = |o: &Override| matches!(o, Override::NeverQuiet { .. });
    if request.overrides.iter().any(names) {
        LiftGround::AcceptedOverride
    } else {
        LiftGround::FreshReading
    }
}

/// Lifts a fence whose request was approved, as soon as no pass is under way. That the site is quiet is asked again within the swap:
/// it may have woken since the request was made.
pub(crate) async fn lift(
    ports: &Ports,
    reader: &Reader<'_>,
    site: SiteLabel,
    ground: LiftGround,
) -> Result<String, Failure> {
    if ground == LiftGround::FreshReading {
        reader.wait_for_quiet(ports, site).await?;
    }
    let asked_at = ports.now();
    let fence = loop {
        let now = ports.now();
        let lifted = ports
            .change_state(|state| state.lift_fence(site, ground, now))
            .await?;
        match lifted {
            Lifted::Done(fence) => break fence,
            Lifted::Waits if now.duration_since(asked_at) >= PATIENCE => {
                // Nobody waits any more, so passes need not make room.
                ports
                    .change_state(|state| {
                        state.stop_lifting(site);
                        Ok(())
                    })
                    .await?;
                return Err(Failure::new(
                    FailureName::Blocked,
                    format!("a pass of the fence on the {site} site does not end; ask again"),
                ));
            }
            Lifted::Waits => tokio::time::sleep(LOOK_AGAIN).await,
        }
    };
    let state = ports.state().await?;
    if let Err(failure) = ports.announce_fences(&state).await {
        // The watch tells it in its next pass.
        tracing::warn!(%failure, "the end of a fence was not told");
    }
    let rest = if fence.is_quiet(ports.now()) {
        "what it paused stays paused until something restores it"
    } else {
        "no fresh reading showed it quiet: what ran there may run on"
    };
    Ok(format!(
        "the fence of run {} on the {site} site is lifted; {rest}",
        fence.run
    ))
}
