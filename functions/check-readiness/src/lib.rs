//! Compares the standby with the baseline: on a schedule, and in every run before the approval and after the fence.

mod resuming;
mod sources;
mod surroundings;
mod target;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use aws::buckets::Buckets;
use aws::concurrency::Concurrency;
use aws::{Failure, Invocation, Ports, keys};
use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use recovery::failure::FailureName;
use recovery::plan::Plan;
use recovery::readiness::{Readiness, ReadinessAnswer, Summary};
use recovery::run::{Mode, Stage};
use recovery::site::{RunId, RunToken, SiteLabel};
use serde::{Deserialize, Serialize};
use sites::{Details, Purpose};

use crate::resuming::Progress;
pub use surroundings::FUNCTIONS;

/// What starts the function.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase", deny_unknown_fields)]
pub enum Event {
    /// By the schedule.
    Scheduled,
    /// In a run, as evidence before the approval.
    Target {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
    /// In a run, after the fence.
    Recheck {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
    /// In a run, before anything is started: do the data sources answer?
    Sources {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
}

/// What of AWS no other function asks.
#[derive(Clone)]
pub struct Around {
    /// The plan's buckets, as data sources.
    pub buckets: Buckets,
    /// What the account leaves to the functions.
    pub concurrency: Arc<dyn Concurrency>,
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether anything blocks.
    pub answer: ReadinessAnswer,
    /// The summary in one sentence.
    pub reason: String,
}

/// `readiness/status.json` and `runs/<id>/readiness-<phase>.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadinessDocument {
    /// Always 1.
    pub format_version: u32,
    /// When the standby was read.
    pub checked_at: Timestamp,
    /// The standby.
    pub site: SiteLabel,
    /// The numbers, and one sentence.
    pub summary: Summary,
    /// What was found.
    pub readiness: Readiness,
}

/// One comparison.
///
/// # Errors
/// `LockLost`, `NoBaseline`, `SiteUnreachable`, `CredentialRefused`, `WrongWorkspace`, or what the store said.
pub async fn handle(
    event: Event,
    ports: &Ports,
    around: &Around,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    let buckets = &around.buckets;
    let time = invocation.left();
    let task = |run, token, stage| Task {
        run,
        token,
        stage,
        time,
    };
    match event {
        Event::Scheduled => scheduled(ports, around, &plan, time).await,
        Event::Target { run, token } => {
            in_run(ports, buckets, &plan, task(&run, &token, Stage::Readiness)).await
        }
        Event::Recheck { run, token } => {
            in_run(ports, buckets, &plan, task(&run, &token, Stage::Recheck)).await
        }
        Event::Sources { run, token } => sources::in_run(ports, buckets, &plan, &run, &token).await,
    }
}

async fn scheduled(
    ports: &Ports,
    around: &Around,
    plan: &Plan,
    time: Duration,
) -> Result<Answer, Failure> {
    let state = ports.state().await?;
    let pointer = ports
        .baseline_pointer()
        .await?
        .filter(|p| p.site == state.active_site)
        .ok_or_else(|| {
            Failure::new(
                FailureName::NoBaseline,
                "there is no baseline of the active site to compare with yet",
            )
        })?;
    let site = pointer.site.other();
    let before = target::before(ports, site).await?;
    let check = async |details: &Details| {
        let purpose = Purpose::Background;
        let before = before.as_ref();
        target::check(ports, plan, site, &pointer, before, purpose, details)
            .boxed()
            .await
    };
    let key = keys::READINESS_DETAILS;
    let mut readiness = match resuming::resume(ports, key, time, check).await? {
        Progress::Done(readiness) => readiness,
        // The next call of the schedule goes on.
        Progress::GoesOn { known, .. } => return Ok(goes_on(site, known)),
    };
    surroundings::look(ports, around, plan, site, &mut readiness).await;
    readiness
        .notes
        .extend(silent_sources(&around.buckets, plan, site).await);
    let document = document(ports, site, readiness);
    telling::tell(ports, plan, before.as_ref(), &document).await?;
    ports.put(keys::READINESS, &document).await?;
    telling::measure(ports, plan, &document);
    Ok(answer(&document))
}

/// The data sources that do not answer now. Before the fence that is a warning; a run waits for them after it.
async fn silent_sources(buckets: &Buckets, plan: &Plan, site: SiteLabel) -> Vec<String> {
    let seen = sources::ask(buckets, plan, site).await;
    seen.into_iter()
        .filter(|source| !source.reachable)
        .map(|source| format!("data source \"{}\": {}", source.name, source.detail))
        .collect()
}

/// A look at the target in a run.
struct Task<'a> {
    run: &'a RunId,
    token: &'a RunToken,
    stage: Stage,
    time: Duration,
}

/// The first state machine waits 330 seconds for an answer.
const FIRST_MACHINE_WAITS: Duration = Duration::from_secs(280);

/// A run that cannot read its target within this does not wait on.
const LONGEST_LOOK: SignedDuration = SignedDuration::from_hours(1);

async fn in_run(
    ports: &Ports,
    buckets: &Buckets,
    plan: &Plan,
    task: Task<'_>,
) -> Result<Answer, Failure> {
    let Task {
        run,
        token,
        stage,
        time,
    } = task;
    let entered = ports.enter(run, token, stage).await?;
    let time = if entered.is_called_again() {
        time
    } else {
        time.min(FIRST_MACHINE_WAITS)
    };
    let (pointer, site) = (entered.baseline(), entered.target);
    let before = target::before(ports, site).await?;
    let check = async |details: &Details| {
        let (purpose, before) = (Purpose::Run, before.as_ref());
        target::check(ports, plan, site, pointer, before, purpose, details)
            .boxed()
            .await
    };
    let key = keys::readiness_details(run, entered.attempt, stage);
    let mut readiness = match resuming::resume(ports, &key, time, check).await? {
        Progress::Done(readiness) => readiness,
        Progress::GoesOn { known, began_at } => {
            if ports.now().duration_since(began_at) >= LONGEST_LOOK {
                return Err(Failure::new(
                    FailureName::SiteUnreachable,
                    format!(
                        "the {site} site could not be read within {} min: {known} details are known; look at its rates and its latency",
                        LONGEST_LOOK.as_mins()
                    ),
                ));
            }
            let answer = goes_on(site, known);
            if entered.is_called_again() {
                return Ok(answer);
            }
            // An older state machine knows no such answer, but repeats what passes.
            return Err(Failure::new(FailureName::Transient, answer.reason));
        }
    };
    let mut unaccepted = Vec::new();
    if stage == Stage::Recheck {
        // Whoever approved accepted losses by name and number; what was not accepted may not be lost.
        let losses = ports.unaccepted_losses(plan, &entered).await?;
        unaccepted.extend(
            losses
                .iter()
                .map(|loss| format!("not accepted by the approval: {loss}")),
        );
        let proof = entered.evidence.proof.filter(|proof| proof.untried > 0);
        readiness.notes.extend(proof.map(|proof| proof.describe()));
    } else {
        readiness.notes.extend(surroundings::listeners(ports).await);
        readiness
            .notes
            .extend(silent_sources(buckets, plan, site).await);
        let losses = ports.losses(plan, &entered).await?;
        let above = losses.iter().filter(|loss| loss.is_above_objective());
        readiness.notes.extend(above.map(|loss| {
            format!(
                "{}: {} of data would be lost, above the objective of {} s; the approver must accept it",
                loss.name,
                loss.in_words(),
                loss.objective_seconds.0
            )
        }));
    }
    // In a failover people are asked again if that is all that stands in the way, and the machine can. A planned move leads back: its active
    // site is fenced meanwhile.
    let is_only_loss = !unaccepted.is_empty() && readiness.answer() == ReadinessAnswer::Ready;
    let may_ask = entered.mode == Mode::Failover && entered.is_called_again();
    let asks_again = is_only_loss && may_ask;
    if asks_again {
        readiness.notes.extend(unaccepted);
    } else {
        readiness.blockers.extend(unaccepted);
    }
    let name = if stage == Stage::Recheck {
        "readiness-recheck.json"
    } else {
        "readiness.json"
    };
    let document = document(ports, site, readiness);
    ports.put(&keys::of_run(run, name), &document).await?;
    let mut answer = answer(&document);
    if asks_again {
        answer.answer = ReadinessAnswer::Unaccepted;
    }
    if answer.answer == ReadinessAnswer::Ready {
        ports.finish(run, token, stage).await?;
    }
    Ok(answer)
}

fn goes_on(site: SiteLabel, known: usize) -> Answer {
    Answer {
        answer: ReadinessAnswer::Pending,
        reason: format!(
            "the {site} site is not read to its end: {known} details are known; the next call goes on"
        ),
    }
}

fn document(ports: &Ports, site: SiteLabel, readiness: Readiness) -> ReadinessDocument {
    ReadinessDocument {
        format_version: 1,
        checked_at: ports.now(),
        site,
        summary: readiness.in_numbers(),
        readiness,
    }
}

fn answer(document: &ReadinessDocument) -> Answer {
    Answer {
        answer: document.readiness.answer(),
        reason: format!("the {} site: {}", document.site, document.summary.text),
    }
}
