//! Ends a run: report, lock, cool-down, named outcome. Called by the state machine, by EventBridge when an execution
//! was stopped, timed out or broke before it could call, and by a schedule for what both missed.

mod chart;
mod gather;
pub mod page;
mod sweep;

use aws::documents::Change;
use aws::executions::ExecutionStatuses;
use aws::notices::{Audience, Notice};
use aws::serve::parse;
use aws::{Failure, Invocation, Ports, keys, metrics};
use recovery::failure::FailureName;
use recovery::report::Report;
use recovery::run::{Mode, Outcome, RunDocument, outcome_of};
use recovery::site::{RunId, RunToken};
use recovery::state::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What starts the function: the state machine at its end, an event of EventBridge, told apart by its `detail-type`, or the schedule
/// (`{"by": "schedule"}`).
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Event(Value);

/// What starts the function, told apart.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// The state machine, at its end.
    Machine(FromMachine),
    /// EventBridge, of an execution that ended.
    Ended(ExecutionEnded),
    /// The schedule: looks for a lock that nobody freed.
    Schedule,
}

impl Event {
    /// Who sent it, and what.
    ///
    /// # Errors
    /// `InvalidEvent`.
    pub fn classify(self) -> Result<EventKind, Failure> {
        if self.0 == json!({"by": "schedule"}) {
            Ok(EventKind::Schedule)
        } else if self.0.get("detail-type").is_some() {
            parse(self.0).map(EventKind::Ended)
        } else {
            parse(self.0).map(EventKind::Machine)
        }
    }
}

/// The state machine, at its end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromMachine {
    /// Everything the machine knows.
    pub state: Value,
    /// The name of the execution.
    pub name: String,
    /// The id of the execution.
    pub execution: RunToken,
}

/// What EventBridge says of an execution that ended. Its other fields are AWS's and may grow.
#[derive(Clone, Debug, Deserialize)]
pub struct ExecutionEnded {
    /// The details.
    pub detail: ExecutionDetail,
}

/// The details that count.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionDetail {
    /// The id of the execution.
    pub execution_arn: RunToken,
    /// Its name.
    pub name: String,
    /// `ABORTED`, `TIMED_OUT` or `FAILED`.
    pub status: String,
    /// Why, if somebody said so.
    #[serde(default)]
    pub cause: Option<String>,
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The named outcome.
    pub outcome: Outcome,
    /// In one sentence.
    pub reason: String,
    /// The key of the report; empty if the run never began.
    pub report: String,
}

/// The answer, by who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To the state machine, and to EventBridge.
    Closed(Answer),
    /// To the logs of the schedule.
    Swept {
        /// What was found, in words.
        found: String,
    },
}

/// Ends a run. Ending it again changes nothing.
///
/// # Errors
/// `InvalidEvent`, `StateCorrupt`, or what the store said.
pub async fn handle(
    event: Event,
    ports: &Ports,
    executions: &dyn ExecutionStatuses,
    _: &Invocation,
) -> Result<Reply, Failure> {
    let (name, token, ended) = match event.classify()? {
        EventKind::Schedule => return sweep::close_what_is_over(ports, executions).await,
        EventKind::Ended(event) => {
            let ended = of_status(&event.detail)?;
            (event.detail.name, event.detail.execution_arn, ended)
        }
        EventKind::Machine(event) => {
            let ended = outcome_of(&event.state);
            // A resumed run has another name than its execution.
            let run = event
                .state
                .pointer("/begin/run")
                .and_then(Value::as_str)
                .map(str::to_owned);
            (run.unwrap_or(event.name), event.execution, ended)
        }
    };
    let run = run_of(ports, &name, &token, &ended).await?;
    let (outcome, reason) = ended;
    let Some(run) = run else {
        return Ok(Reply::Closed(Answer {
            outcome,
            reason,
            report: String::new(),
        }));
    };
    let answer = close(ports, run, &token, outcome, reason).await?;
    Ok(Reply::Closed(answer))
}

fn of_status(detail: &ExecutionDetail) -> Result<(Outcome, String), Failure> {
    let cause = detail
        .cause
        .as_deref()
        .filter(|c| !c.is_empty())
        .map(|c| format!(": {c}"))
        .unwrap_or_default();
    match detail.status.as_str() {
        "ABORTED" => Ok((
            Outcome::Stopped,
            format!("the execution was stopped{cause}"),
        )),
        "TIMED_OUT" => Ok((Outcome::Stopped, format!("the execution timed out{cause}"))),
        "FAILED" => Ok((Outcome::Failed, format!("the execution failed{cause}"))),
        other => Err(Failure::new(
            FailureName::InvalidEvent,
            format!(
                "detail.status is {other:?}; an execution that ended has ABORTED, TIMED_OUT or FAILED"
            ),
        )),
    }
}

/// The run that this execution acts for: by the lock it holds, else by its own name. An execution that never began a run
/// has none, and nothing is written for it.
async fn run_of(
    ports: &Ports,
    name: &str,
    token: &RunToken,
    ended: &(Outcome, String),
) -> Result<Option<RunDocument>, Failure> {
    let state = ports.state().await?;
    let held = state
        .lock
        .filter(|lock| lock.token == *token)
        .map(|lock| lock.run);
    let Some(run) = held.or_else(|| RunId::parse(name).ok()) else {
        return Ok(None);
    };
    let document: Option<RunDocument> = ports.read(&keys::of_run(&run, "run.json")).await?;
    if let Some(document) = document.filter(|document| document.token == *token) {
        return Ok(Some(document));
    }
    // Begun, but its document was never written, or not begun yet: its function may be slow and alive. Its token ends, so that it can
    // take no lock any more.
    let (outcome, reason) = ended;
    let now = ports.now();
    ports
        .change_state(|state| {
            state.end_attempt(&run, token, *outcome, reason, now);
            Ok(())
        })
        .await?;
    Ok(None)
}

async fn close(
    ports: &Ports,
    run: RunDocument,
    token: &RunToken,
    outcome: Outcome,
    reason: String,
) -> Result<Answer, Failure> {
    let now = ports.now();
    let id = run.run.clone();
    // One swap ends the attempt: its token, its lock and its outcome. It comes before the report: a report that cannot be made must not
    // keep the next run from starting.
    let plan = ports.plan().await.ok();
    let clean_up = ports.clean_up_order(&run).await?;
    let owed = if outcome == Outcome::Completed && run.mode != Mode::Drill {
        ports.owed_after(&run).await?
    } else {
        None
    };
    let state = ports
        .change_state(|state| {
            let released = state.end_attempt(&id, token, outcome, &reason, now);
            // A drill changes nothing that a failover would have to wait for.
            let settles = run.mode != Mode::Drill;
            if let Some(plan) = plan.as_ref().filter(|_| released && settles) {
                state.cool_down_until = Some(now + plan.cool_down_seconds.signed());
            }
            if let Some(order) = clean_up.as_ref().filter(|_| released) {
                // A site that is being reset already, or is fenced by now, is taken care of.
                match state.order_reset(order.clone()) {
                    Ok(()) | Err(Refusal::Resetting { .. } | Refusal::Fenced { .. }) => {}
                    Err(other) => return Err(other),
                }
            }
            let ended = state.end_of(token).map(|end| end.outcome);
            if ended == Some(Outcome::Completed) {
                state.settle_run(&id, Some((&id, owed.clone())));
            }
            Ok(state.clone())
        })
        .await?;
    let commit = state.last_commit.as_ref().filter(|c| c.run == id);
    // What ended this attempt first stands: an operator, a run that took the lock, an earlier close.
    let (outcome, reason) = state
        .end_of(token)
        .filter(|end| end.outcome != outcome)
        .map_or((outcome, reason), |end| (end.outcome, end.reason.clone()));
    let closed = ports
        .change_run(&id, |d| {
            // A newer attempt acts for the run by now: this one has nothing to say of it.
            if d.token != *token {
                return None;
            }
            // A function may have died between the commit and its note in the run.
            d.committed_at = d.committed_at.or(commit.map(|c| c.at));
            if d.outcome.is_none() {
                d.outcome = Some(outcome);
                d.reason = Some(reason.clone());
                d.closed_at = Some(now);
            }
            Some(d.clone())
        })
        .await?;
    let Some(closed) = closed else {
        return Ok(Answer {
            outcome,
            reason,
            report: String::new(),
        });
    };
    let outcome = closed.outcome.unwrap_or(outcome);
    let closed = lead_back(ports, closed, outcome).await?;
    let report = gather::gather(
        ports,
        plan.as_ref(),
        &closed,
        &state,
        outcome,
        closed.reason.clone().unwrap_or(reason),
    )
    .await?;
    let key = keys::of_run(&id, "report.json");
    ports
        .change(&key, |stored: &mut Option<Report>| {
            if stored
                .as_ref()
                .is_some_and(|s| s.attempts == report.attempts && s.outcome == report.outcome)
            {
                return Ok(Change::Keep(()));
            }
            *stored = Some(report.clone());
            Ok(Change::Write(()))
        })
        .await?;
    gather::remember(ports, &report).await?;
    // A page that cannot be made is a pity; the run is closed all the same.
    match page::render(&report) {
        Ok(html) => {
            ports
                .put_text(&keys::of_run(&id, "report.html"), &html)
                .await?;
        }
        Err(failure) => tracing::error!(%failure, "the report has no page"),
    }
    if closed.told_at.is_none() {
        tell(ports, &report).await?;
        // Told first, noted then: a function that dies in between tells twice, never not at all.
        ports
            .change_run(&id, |d| {
                if d.token == *token {
                    d.told_at = Some(now);
                }
            })
            .await?;
    }
    Ok(Answer {
        outcome,
        reason: report.reason,
        report: key,
    })
}

/// A switchover that cannot verify what must hold before anything is activated leads back to the old state by itself. Other ends leave
/// the choice to people: resume or abandon.
async fn lead_back(
    ports: &Ports,
    closed: RunDocument,
    outcome: Outcome,
) -> Result<RunDocument, Failure> {
    let unverified = matches!(outcome, Outcome::FenceUnverified | Outcome::NotReady);
    if closed.mode != Mode::Switchover || closed.committed_at.is_some() || !unverified {
        return Ok(closed);
    }
    let why = format!("the switchover ended in {}", outcome.as_str());
    let who = format!("run {}", closed.run);
    let words = match ports.lead_back(&closed, &who, &why).await {
        Ok(None) => return Ok(closed),
        Ok(Some(words)) => words,
        // The run is closed all the same; a person leads it back.
        Err(failure) => {
            tracing::error!(%failure, "a switchover was not led back");
            format!("IT WAS NOT LED BACK ({}); abandon it", failure.message)
        }
    };
    ports
        .change_run(&closed.run, |d| {
            if d.token == closed.token {
                let reason = d.reason.take().unwrap_or_default();
                d.reason = Some(format!("{reason}; {words}"));
            }
            d.clone()
        })
        .await
}

async fn tell(ports: &Ports, report: &Report) -> Result<(), Failure> {
    let completed = report.outcome == Outcome::Completed;
    let metric = if completed { 1.0 } else { 0.0 };
    let mut values = vec![("RunCompleted", metric, "Count")];
    if let Some(rto) = report.rto_seconds {
        values.push(("RtoSeconds", rto, "Seconds"));
    }
    metrics::emit(&report.plan, &[], &values, ports.now());
    ports
        .notices
        .publish(Notice {
            audience: if completed {
                Audience::Managers
            } else {
                Audience::Escalation
            },
            subject: format!(
                "[{}] {} ended: {}",
                report.plan,
                report.run,
                report.outcome.as_str()
            ),
            message: report.markdown(),
        })
        .await
}
