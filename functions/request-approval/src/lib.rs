//! Asks a human, reminds, escalates, and answers what the decision document says. Idempotent: the documents in the store
//! decide what the next call does.

mod automatic;

use aws::notices::{Audience, Notice};
use aws::{Failure, Invocation, Ports};
use recovery::approval::{
    ApprovalAnswer, ApprovalId, Asked, Decisions, Loss, Request, Step, Telling, next,
};
use recovery::plan::Plan;
use recovery::run::{RunDocument, Stage};
use recovery::site::{RunId, RunToken};
use serde::{Deserialize, Serialize};

/// What the state machine hands over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The run.
    pub run: RunId,
    /// Its token.
    pub token: RunToken,
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What is decided.
    pub answer: ApprovalAnswer,
    /// In words.
    pub reason: String,
}

/// One look at the decision.
///
/// # Errors
/// `LockLost`, or what the store or SNS said.
pub async fn handle(event: Event, ports: &Ports, _: &Invocation) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    let run = ports
        .enter(&event.run, &event.token, Stage::Approval)
        .await?;
    let asked = Asked::start(&plan, &run, losses(ports, &plan, &run).await?);
    let stored = ports.request(&run.run, &asked.question).await?;
    let decisions = match &stored {
        Some(request) => ports.decisions_on(request).await?,
        None => None,
    };
    let fresh = ApprovalId::from_bits(ports.random_bits()?);
    let step = next(
        &asked,
        stored.as_ref(),
        decisions.as_ref(),
        fresh,
        ports.now(),
    );
    match step {
        Step::Open { mut request, void } => {
            request.forecast = Some(ports.forecast(&plan, &run).await);
            if !ports.open_request(&request, stored.as_ref()).await? {
                return Ok(told(
                    ApprovalAnswer::Pending,
                    "another call of this function was faster".to_owned(),
                ));
            }
            match void {
                // The machine looks at the target again before people are asked anew.
                Some(changed) => Ok(told(ApprovalAnswer::Void, changed)),
                None => tell(ports, &asked, *request, Telling::Ask).await,
            }
        }
        Step::Tell(telling, request) => tell(ports, &asked, *request, telling).await,
        Step::Answer(ApprovalAnswer::Pending) if plan.automatic_failover.is_some() => {
            let reason = automatic::decide(ports, &asked, stored.as_ref()).await?;
            Ok(told(ApprovalAnswer::Pending, reason))
        }
        Step::Answer(answer) => {
            settle(
                ports,
                &asked,
                &event.token,
                answer,
                decisions.as_ref(),
                stored.as_ref(),
            )
            .await
        }
    }
}

/// What would be lost: as the run froze it, or worse if it has become worse since.
async fn losses(ports: &Ports, plan: &Plan, run: &RunDocument) -> Result<Vec<Loss>, Failure> {
    let losses = ports.losses(plan, run).await?;
    Ok(losses.iter().map(Loss::from).collect())
}

/// Sends, then notes it.
async fn tell(
    ports: &Ports,
    asked: &Asked<'_>,
    mut request: Request,
    telling: Telling,
) -> Result<Answer, Failure> {
    let (audience, occasion, done) = match telling {
        Telling::Ask => (Audience::Managers, "", "asked"),
        Telling::Remind => (Audience::Managers, "reminder", "reminded"),
        Telling::Escalate => (Audience::Escalation, "nobody has answered", "escalated"),
    };
    // Who is asked now stands in this very message, beside those who were asked before.
    for listener in ports.listeners(audience).await {
        if !request.told.contains(&listener) {
            request.told.push(listener);
        }
    }
    ports
        .ask(asked.plan, asked.run, &request, audience, occasion)
        .await?;
    let now = ports.now();
    let stored = ports.request(&request.run, &request.question).await?;
    // Only this request is noted as sent; a newer one must be sent itself.
    if let Some(stored) = stored.filter(|s| s.id == request.id) {
        let mut noted = request;
        if telling == Telling::Ask {
            noted.sent_at = Some(now);
        }
        ports.note_request(&noted, Some(&stored)).await?;
    }
    Ok(told(ApprovalAnswer::Pending, done.to_owned()))
}

async fn settle(
    ports: &Ports,
    asked: &Asked<'_>,
    token: &RunToken,
    answer: ApprovalAnswer,
    decisions: Option<&Decisions>,
    request: Option<&Request>,
) -> Result<Answer, Failure> {
    let (plan, run) = (asked.plan, asked.run);
    let reason = match (answer, decisions.and_then(Decisions::last)) {
        (ApprovalAnswer::Approved | ApprovalAnswer::Declined, Some(d)) => {
            format!(
                "{:?}d by {} {}: {}",
                d.decision,
                d.who,
                d.via.words(),
                d.why
            )
        }
        (ApprovalAnswer::Expired, _) => format!(
            "nobody decided until {}; by the plan that counts as a decline",
            request
                .map(|r| r.expires_at.to_string())
                .unwrap_or_default()
        ),
        _ => "waiting for a decision".to_owned(),
    };
    if answer == ApprovalAnswer::Approved {
        ports.finish(&run.run, token, Stage::Approval).await?;
    }
    if answer == ApprovalAnswer::Expired {
        ports
            .notices
            .publish(Notice {
                audience: Audience::Escalation,
                subject: format!("[{}] approval expired", plan.name),
                message: format!(
                    "{reason}.\nNothing was changed. To ask again start the state machine with {{\"mode\":\"resume\",\"run\":\"{}\"}}.\n",
                    run.run
                ),
            })
            .await?;
    }
    Ok(told(answer, reason))
}

const fn told(answer: ApprovalAnswer, reason: String) -> Answer {
    Answer { answer, reason }
}
