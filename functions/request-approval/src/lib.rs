//! Asks a human, reminds, escalates, and answers what the decision document says. Idempotent: the documents in the store
//! decide what the next call does.

mod automatic;

use aws::notices::{Audience, Notice};
use aws::polling::DecisionPoll;
use aws::{Failure, Invocation, Ports};
use recovery::approval::{ApprovalAnswer, Asked, Loss};
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
    let poll = ports.poll_decision(&asked).await?;
    match poll.answer {
        // The plan decides only after people were asked. Once they were, a reminder that cannot be sent does not stop it.
        ApprovalAnswer::Pending if poll.was_sent && plan.automatic_failover.is_some() => {
            let decided = automatic::decide(ports, &asked, &poll.request).await?;
            let reason = match poll.notification {
                Some(notification) => format!("{decided}; {notification}"),
                None => decided,
            };
            Ok(told(pending(&run), reason))
        }
        // The machine looks at the target again before people are asked anew.
        ApprovalAnswer::Pending => Ok(told(pending(&run), poll.reason)),
        ApprovalAnswer::Void => Ok(told(poll.answer, poll.reason)),
        _ => settle(ports, &asked, &event.token, poll).await,
    }
}

/// Nobody has decided. While tables are still to be proven the machine goes on with that between two looks.
fn pending(run: &RunDocument) -> ApprovalAnswer {
    let proof = run.evidence.proof;
    if proof.is_some_and(|proof| proof.is_open()) {
        ApprovalAnswer::Proving
    } else {
        ApprovalAnswer::Pending
    }
}

/// What would be lost: as the run froze it, or worse if it has become worse since.
async fn losses(ports: &Ports, plan: &Plan, run: &RunDocument) -> Result<Vec<Loss>, Failure> {
    let losses = ports.losses(plan, run).await?;
    Ok(losses.iter().map(Loss::from).collect())
}

async fn settle(
    ports: &Ports,
    asked: &Asked<'_>,
    token: &RunToken,
    poll: DecisionPoll,
) -> Result<Answer, Failure> {
    let (plan, run) = (asked.plan, asked.run);
    let DecisionPoll {
        answer, mut reason, ..
    } = poll;
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
