//! Going on although checks failed: people are asked, and what they have accepted counts at the next attempt.

use std::collections::BTreeSet;

use aws::notices::Audience;
use aws::{Failure, Ports};
use recovery::approval::{ApprovalId, Asked, Decisions, End, Override};
use recovery::plan::Plan;
use recovery::run::RunDocument;

/// Who has accepted that exactly these checks (or more) failed, in words. If nobody has, people are asked, once for each set of
/// failures; the answer counts when the run is resumed.
pub(crate) async fn accepted_or_asked(
    ports: &Ports,
    plan: &Plan,
    run: &RunDocument,
    failed: BTreeSet<String>,
) -> Result<Option<String>, Failure> {
    let needed = Override::ValidationFailed {
        checks: failed.clone(),
    };
    let asked = Asked::validation(plan, run, failed);
    let stored = ports.request(&run.run, &asked.question).await?;
    let decisions = match &stored {
        Some(request) => ports.decisions_on(request).await?,
        None => None,
    };
    let end = decisions.as_ref().and_then(Decisions::end);
    let tolerance = plan.approval.loss_tolerance_seconds;
    if let Some(decisions) = decisions.filter(|_| end == Some(End::Approved)) {
        let covers = |accepted: &Override| accepted.covers(&needed, tolerance);
        if let Some(last) = decisions.last()
            && decisions.accepted().iter().any(covers)
        {
            return Ok(Some(format!("accepted by {}: {}", last.who, last.why)));
        }
    }
    let open = stored.as_ref().filter(|request| {
        end.is_none()
            && request.attempt == run.attempt
            && ports.now() < request.expires_at
            && asked.still(request).is_ok()
    });
    let request = match open {
        Some(request) if request.sent_at.is_some() => return Ok(None),
        // The function died, or SNS failed, before the message was out.
        Some(request) => request.clone(),
        None => {
            let id = ApprovalId::from_bits(ports.random_bits()?);
            let mut request = asked.request(id, ports.now());
            request.told = ports.listeners(Audience::Managers).await;
            if !ports.open_request(&request, stored.as_ref()).await? {
                return Ok(None);
            }
            request
        }
    };
    ports
        .ask(plan, run, &request, Audience::Managers, "")
        .await?;
    let mut sent = request.clone();
    sent.sent_at = Some(ports.now());
    ports.note_request(&sent, Some(&request)).await?;
    Ok(None)
}
