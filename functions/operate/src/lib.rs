//! Every human act by command line: a closed list, each with who and why, each recorded.

use aws::notices::{Audience, Notice};
use aws::store::Written;
use aws::{Failure, Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::approval::{APPROVAL_FORMAT, Choice, Decision, Request};
use recovery::failure::FailureName;
use recovery::run::Outcome;
use recovery::site::{RunId, SiteLabel};
use recovery::state::{Hold, Refusal};
use serde::{Deserialize, Serialize};

/// A human act.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "lowercase", deny_unknown_fields)]
pub enum Event {
    /// Approve or decline what a run asks.
    Decide {
        /// The run.
        run: RunId,
        /// The decision.
        decision: Choice,
        /// Who decides.
        who: String,
        /// Why.
        why: String,
        /// The plan's name, typed: needed to approve on a verdict that does not call for action.
        #[serde(default)]
        confirm: Option<String>,
    },
    /// Block every start.
    Hold {
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// End a hold.
    Release {
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// End the cool-down, and vouch that the active site runs what it should: automatic starts and captures are allowed
    /// again.
    Acknowledge {
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// Lift the fence of a site.
    Unfence {
        /// The site.
        site: SiteLabel,
        /// Who.
        who: String,
        /// Why.
        why: String,
        /// The plan's name, typed: needed for a site that was never seen quiet and is not the active one.
        #[serde(default)]
        confirm: Option<String>,
    },
    /// End a run before its commit. Its execution must not act any more; the fence stays.
    Abandon {
        /// The run.
        run: RunId,
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
}

impl Event {
    fn who_and_why(&self) -> (&str, &str) {
        match self {
            Self::Decide { who, why, .. }
            | Self::Hold { who, why }
            | Self::Release { who, why }
            | Self::Acknowledge { who, why }
            | Self::Unfence { who, why, .. }
            | Self::Abandon { who, why, .. } => (who, why),
        }
    }
}

/// What became of the act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// In words.
    pub done: String,
}

/// An act as it is recorded: what was asked, by whom and why.
#[derive(Serialize)]
struct Record<'a> {
    at: Timestamp,
    request: &'a str,
    event: &'a Event,
}

/// Does one act.
///
/// # Errors
/// `InvalidEvent` for an act that cannot be done now, `Blocked`, or what the store said.
pub async fn handle(
    event: Event,
    ports: &Ports,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let (who, why) = event.who_and_why();
    if who.trim().is_empty() || why.trim().is_empty() {
        return Err(invalid("who and why must say something"));
    }
    if who.len() + why.len() > 2000 {
        return Err(invalid("who and why are longer than 2,000 characters"));
    }
    ports.plan().await?;
    // What was asked is recorded before it is done, so that no act goes without a trace.
    record(&event, ports, invocation).await?;
    let done = act(&event, ports).await?;
    tell(&event, ports, &done).await?;
    Ok(Answer { done })
}

fn invalid(problem: impl Into<String>) -> Failure {
    Failure::new(FailureName::InvalidEvent, problem)
}

async fn act(event: &Event, ports: &Ports) -> Result<String, Failure> {
    let now = ports.now();
    match event {
        Event::Decide {
            run,
            decision,
            who,
            why,
            confirm,
        } => decide(ports, run, *decision, who, why, confirm.as_deref()).await,
        Event::Hold { who, why } => {
            ports
                .change_state(|state| {
                    state.hold = Some(Hold {
                        who: who.clone(),
                        why: why.clone(),
                        since: now,
                    });
                    Ok(())
                })
                .await?;
            Ok("every start is blocked until `release`".to_owned())
        }
        Event::Release { .. } => {
            let was = ports.change_state(|state| Ok(state.hold.take())).await?;
            Ok(was.map_or_else(
                || "there was no hold".to_owned(),
                |h| format!("the hold by {} since {} is released", h.who, h.since),
            ))
        }
        Event::Acknowledge { .. } => {
            let (until, run) = ports
                .change_state(|state| Ok((state.cool_down_until.take(), state.unsettled.take())))
                .await?;
            let cool_down = until.map_or_else(
                || "there was no cool-down".to_owned(),
                |until| format!("the cool-down until {until} is over"),
            );
            let learn = run.map_or_else(String::new, |run| {
                format!("; what run {run} left behind is vouched for, captures go on")
            });
            Ok(format!("{cool_down}{learn}"))
        }
        Event::Unfence { site, confirm, .. } => {
            let confirmed = confirm.as_deref() == Some(ports.plan_name.as_str());
            let fence = ports
                .change_state(|state| state.lift_fence(*site, confirmed))
                .await?;
            Ok(if fence.verified_at.is_some() {
                format!(
                    "the fence of run {} on the {site} site is lifted; what it paused stays paused until something restores it",
                    fence.run
                )
            } else {
                format!(
                    "the fence of run {} on the {site} site is lifted; the site was never seen quiet: what ran there may run on",
                    fence.run
                )
            })
        }
        Event::Abandon { run, who, why } => abandon(ports, run, who, why).await,
    }
}

async fn decide(
    ports: &Ports,
    run: &RunId,
    decision: Choice,
    who: &str,
    why: &str,
    confirm: Option<&str>,
) -> Result<String, Failure> {
    let document = ports.run(run).await?;
    if let Some(outcome) = document.outcome {
        return Err(invalid(format!("run {run} is over: {}", outcome.as_str())));
    }
    let request: Request = ports
        .read(&keys::of_run(run, "approval.json"))
        .await?
        .ok_or_else(|| invalid(format!("run {run} has not asked for anything yet")))?;
    let now = ports.now();
    if now >= request.expires_at {
        return Err(invalid(format!(
            "the request of run {run} expired at {}",
            request.expires_at
        )));
    }
    if decision == Choice::Approve
        && !document.evidence.actionable
        && confirm != Some(ports.plan_name.as_str())
    {
        return Err(invalid(format!(
            "the verdict does not call for a failover; to approve it all the same add \"confirm\":\"{}\"",
            ports.plan_name
        )));
    }
    let document = Decision {
        format_version: APPROVAL_FORMAT,
        run: run.clone(),
        digest: request.digest.clone(),
        decision,
        who: who.to_owned(),
        why: why.to_owned(),
        at: now,
    };
    let key = keys::decision(run, &request.digest);
    match ports.create(&key, &document).await? {
        Written::Done => Ok(format!("{decision:?}d: run {run}")),
        Written::Conflict => {
            let standing: Option<Decision> = ports.read(&key).await?;
            match standing {
                // The same decision by the same person again: its first answer was lost.
                Some(d) if d.decision == decision && d.who == who => {
                    Ok(format!("{decision:?}d already: run {run}"))
                }
                Some(d) => Err(invalid(format!(
                    "run {run} was decided by {} at {}: {:?}",
                    d.who, d.at, d.decision
                ))),
                None => Err(invalid(format!("run {run} was decided by someone else"))),
            }
        }
    }
}

async fn abandon(ports: &Ports, run: &RunId, who: &str, why: &str) -> Result<String, Failure> {
    let document = ports.run(run).await?;
    if document.committed_at.is_some() {
        return Err(invalid(format!(
            "run {run} has committed: the {} site is active; resume it, the way back is a switchover",
            document.target
        )));
    }
    if ports
        .state()
        .await?
        .last_commit
        .is_some_and(|c| c.run == *run)
    {
        return Err(invalid(format!("run {run} has committed; resume it")));
    }
    // The outcome first: whoever closes the run from here on finds it. Asking again does no harm.
    let now = ports.now();
    ports
        .change_run(run, |d| {
            if d.outcome != Some(Outcome::Abandoned) {
                d.outcome = Some(Outcome::Abandoned);
                d.reason = Some(format!("abandoned by {who}: {why}"));
                d.closed_at.get_or_insert(now);
            }
        })
        .await?;
    // From here on the run's functions refuse to act.
    let held = ports
        .change_state(|state| {
            if state.last_commit.as_ref().is_some_and(|c| c.run == *run) {
                return Err(Refusal::LockLost { run: run.clone() });
            }
            let held = state.lock.as_ref().is_some_and(|lock| lock.run == *run);
            if held {
                state.lock = None;
            }
            Ok(held)
        })
        .await?;
    Ok(format!(
        "run {run} is abandoned{}; a fence it raised stays until `unfence`",
        if held { " and its lock is free" } else { "" }
    ))
}

async fn record(event: &Event, ports: &Ports, invocation: &Invocation) -> Result<(), Failure> {
    let at = ports.now();
    let key = format!(
        "acts/{:015}-{}.json",
        at.as_millisecond(),
        invocation.request_id
    );
    let record = Record {
        at,
        request: &invocation.request_id,
        event,
    };
    ports.create(&key, &record).await.map(|_| ())
}

async fn tell(event: &Event, ports: &Ports, done: &str) -> Result<(), Failure> {
    let at = ports.now();
    let (who, why) = event.who_and_why();
    ports
        .notices
        .publish(Notice {
            audience: Audience::Managers,
            subject: format!("[{}] {done}", ports.plan_name),
            message: format!("{done}\nby {who} at {at}\nreason: {why}\n"),
        })
        .await
}
