//! Asks a human, reminds, escalates, and answers what the decision document says. Idempotent: the documents in the store
//! decide what the next call does.

mod message;

use aws::documents::Change;
use aws::notices::{Audience, Notice};
use aws::{Failure, Invocation, Ports, keys};
use recovery::approval::{ApprovalAnswer, Decision, Request, Step, next};
use recovery::plan::Plan;
use recovery::run::{RunDocument, Stage};
use recovery::site::{ContentDigest, RunId, RunToken};
use serde::{Deserialize, Serialize};
use serde_json::json;

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
    let digest = digest_of(&plan, &run);
    let key = keys::of_run(&run.run, "approval.json");
    let decision: Option<Decision> = ports.read(&keys::decision(&run.run, &digest)).await?;
    let stored: Option<Request> = ports.read(&key).await?;
    let step = next(
        &run.run,
        &digest,
        stored.as_ref(),
        decision.as_ref(),
        plan.approval,
        ports.now(),
    );
    match step {
        Step::Ask(request) => {
            send(
                ports,
                &plan,
                &run,
                &request,
                Audience::Managers,
                "approve or decline",
            )
            .await?;
            record(ports, &key, request).await?;
            // An older request was for something else: the machine looks at the target again before a human does.
            let void =
                stored.is_some_and(|s| s.digest != digest && run.is_finished(Stage::Readiness));
            let answer = if void {
                ApprovalAnswer::Void
            } else {
                ApprovalAnswer::Pending
            };
            Ok(told(answer, "asked".to_owned()))
        }
        Step::Remind(request) => {
            send(
                ports,
                &plan,
                &run,
                &request,
                Audience::Managers,
                "reminder: approve or decline",
            )
            .await?;
            record(ports, &key, request).await?;
            Ok(told(ApprovalAnswer::Pending, "reminded".to_owned()))
        }
        Step::Escalate(request) => {
            send(
                ports,
                &plan,
                &run,
                &request,
                Audience::Escalation,
                "nobody has answered: approve or decline",
            )
            .await?;
            record(ports, &key, request).await?;
            Ok(told(ApprovalAnswer::Pending, "escalated".to_owned()))
        }
        Step::Answer(answer) => {
            settle(
                ports,
                &plan,
                &run,
                answer,
                decision.as_ref(),
                stored.as_ref(),
            )
            .await
        }
    }
}

/// Binds a decision to what will happen: the plan, the frozen baseline, the target, and this attempt of the run.
fn digest_of(plan: &Plan, run: &RunDocument) -> ContentDigest {
    let what = json!({
        "plan": plan,
        "run": run.run,
        "attempt": run.attempt,
        "target": run.target,
        "baseline": run.evidence.baseline.digest,
    });
    ContentDigest::of(what.to_string().as_bytes())
}

/// Sent before it is recorded: a function that dies in between asks twice, never not at all.
async fn send(
    ports: &Ports,
    plan: &Plan,
    run: &RunDocument,
    request: &Request,
    audience: Audience,
    what: &str,
) -> Result<(), Failure> {
    let readiness = ports
        .read(&keys::of_run(&run.run, "readiness.json"))
        .await?;
    ports
        .notices
        .publish(Notice {
            audience,
            subject: format!("[{}] {:?} to {}: {what}", plan.name, run.mode, run.target),
            message: message::text(plan, run, request, readiness.as_ref()),
        })
        .await
}

async fn record(ports: &Ports, key: &str, request: Request) -> Result<(), Failure> {
    ports
        .change(key, |stored: &mut Option<Request>| {
            *stored = Some(request.clone());
            Ok(Change::Write(()))
        })
        .await
}

async fn settle(
    ports: &Ports,
    plan: &Plan,
    run: &RunDocument,
    answer: ApprovalAnswer,
    decision: Option<&Decision>,
    request: Option<&Request>,
) -> Result<Answer, Failure> {
    let reason = match (answer, decision) {
        (ApprovalAnswer::Approved | ApprovalAnswer::Declined, Some(d)) => {
            format!("{:?}d by {}: {}", d.decision, d.who, d.why)
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
        ports.finish(&run.run, &run.token, Stage::Approval).await?;
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
