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
/// `LockLost`, or what the store said. What SNS said is no error; it stands in the reason.
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
                None => {
                    let notified = notify(ports, &asked, *request, Telling::Ask).await?;
                    Ok(told(ApprovalAnswer::Pending, notified.reason()))
                }
            }
        }
        Step::Tell(telling, request) => {
            let notified = notify(ports, &asked, *request, telling).await?;
            let mut reason = notified.reason();
            // The plan decides only after people were asked. Once they were, a reminder that cannot be sent does not stop it.
            if let Notified::Unsent(_) = notified
                && telling != Telling::Ask
                && plan.automatic_failover.is_some()
            {
                let decided = automatic::decide(ports, &asked, stored.as_ref()).await?;
                reason = format!("{decided}; {reason}");
            }
            Ok(told(ApprovalAnswer::Pending, reason))
        }
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

/// What became of a message to people.
enum Notified {
    /// SNS has it.
    Sent(&'static str),
    /// It could not be sent; the next call tries again.
    Unsent(Failure),
}

impl Notified {
    fn reason(&self) -> String {
        match self {
            Self::Sent(done) => (*done).to_owned(),
            Self::Unsent(failure) => {
                format!("waiting for a decision, but people could not be notified: {failure}")
            }
        }
    }
}

/// Sends, then notes it. A message that cannot be sent is not noted, so that the next call sends it. It is no error: the state
/// machine would end the run after a few, although people can decide by the command line.
async fn notify(
    ports: &Ports,
    asked: &Asked<'_>,
    mut request: Request,
    telling: Telling,
) -> Result<Notified, Failure> {
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
    if let Err(failure) = ports
        .ask(asked.plan, asked.run, &request, audience, occasion)
        .await
    {
        return Ok(Notified::Unsent(failure));
    }
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
    Ok(Notified::Sent(done))
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
    let mut reason = match (answer, decisions.and_then(Decisions::last)) {
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
        let sent = ports
            .notices
            .publish(Notice {
                audience: Audience::Escalation,
                subject: format!("[{}] approval expired", plan.name),
                message: format!(
                    "{reason}.\nNothing was changed. To ask again start the state machine with {{\"mode\":\"resume\",\"run\":\"{}\"}}.\n",
                    run.run
                ),
            })
            .await;
        if let Err(failure) = sent {
            reason = format!("{reason}; people could not be notified: {failure}");
        }
    }
    Ok(told(answer, reason))
}

const fn told(answer: ApprovalAnswer, reason: String) -> Answer {
    Answer { answer, reason }
}
