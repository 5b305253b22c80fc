//! Brings the target up from the baseline, one phase a call. Level-triggered: it reads the target, does what differs from
//! the baseline, and reads it again; done is what a reading shows.

mod act;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws::{Failure, Invocation, Ports};
use databricks::{Workspace, Writer};
use futures::FutureExt;
use recovery::act::Act;
use recovery::activation::{ActivationStep, Aim, Phase, PhaseWork, work};
use recovery::failure::FailureName;
use recovery::inventory::{Inventory, Subject};
use recovery::kind::Kind;
use recovery::ledger::{Entry, EntryStatus, Verified};
use recovery::plan::Plan;
use recovery::run::{RunDocument, Stage};
use recovery::site::{RunId, RunToken};
use serde::{Deserialize, Serialize};
use sites::{Depth, Purpose, Role, connect_to, failure_at, frozen_url, read_inventory};

use crate::act::carry_out;

/// Steps between two looks at the lock: at 10 updates a second well under 15 seconds.
const BATCH: usize = 24;
/// The pause between two readings.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// One call keeps at it no longer than this, so that the state machine sees progress.
const PATIENCE: Duration = Duration::from_secs(600);
/// An act is repeated if a reading this much later still shows the old state.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// What the state machine hands over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The run.
    pub run: RunId,
    /// Its token.
    pub token: RunToken,
    /// The phase.
    pub phase: Phase,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Progress {
    /// A reading shows the phase as done.
    Done,
    /// Call again.
    Continue,
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether to go on.
    pub answer: Progress,
    /// Objects as the baseline says, by the last reading.
    pub as_wanted: usize,
    /// What is not done yet.
    pub remaining: usize,
}

impl Answer {
    /// Time was up before anything was known.
    const UNKNOWN: Self = Self {
        answer: Progress::Continue,
        as_wanted: 0,
        remaining: 0,
    };
}

const fn stage_of(phase: Phase) -> Stage {
    match phase {
        Phase::Pools => Stage::Pools,
        Phase::Compute => Stage::Compute,
        Phase::JobConcurrency => Stage::JobConcurrency,
        Phase::OneTimeRuns => Stage::OneTimeRuns,
        Phase::Schedules => Stage::Schedules,
    }
}

/// One call of one phase.
///
/// # Errors
/// `LockLost`, `SiteUnreachable`, `WrongWorkspace`, `CredentialRefused`, `ActivationIncomplete` when the plan's patience
/// is over, or what the store said.
pub async fn handle(
    event: Event,
    ports: &Ports,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    let stage = stage_of(event.phase);
    let run = ports.enter(&event.run, &event.token, stage).await?;
    let after_commit = matches!(
        event.phase,
        Phase::JobConcurrency | Phase::OneTimeRuns | Phase::Schedules
    );
    if after_commit && run.committed_at.is_none() {
        return Err(Failure::internal(format!(
            "{} may write production data and comes after the commit",
            event.phase
        )));
    }
    let baseline = ports
        .baseline(&run.evidence.baseline.digest)
        .await?
        .inventory;
    let workspace = connect_to(
        ports,
        &plan,
        run.target,
        frozen_url(&run, run.target)?,
        Role::Operator,
        Purpose::Run,
    )
    .await?;
    let writer = workspace
        .verified()
        .boxed()
        .await
        .map_err(|e| failure_at(run.target, &e))?;
    let mut activation = Activation {
        ports,
        plan: &plan,
        event: &event,
        run: &run,
        invocation,
        acted: BTreeMap::new(),
        refused: BTreeSet::new(),
        told: BTreeSet::new(),
    };
    let work = activation.until_done(&workspace, &writer, &baseline);
    // Cut off when the invocation must end: a call that hangs must not be killed with the function.
    let mut answer = tokio::time::timeout(invocation.left(), work)
        .await
        .unwrap_or(Ok(Answer::UNKNOWN))?;
    let now = ports.now();
    if answer.answer == Progress::Continue
        && let Err(late) = give_up_if_late(&plan, &run, stage, &answer, now)
    {
        // Before the commit there is a way back. After it one object that does not come up must not keep the others, and
        // the users, waiting: the ledger and the report name it as not verified.
        if !after_commit {
            return Err(late);
        }
        answer.answer = Progress::Done;
    }
    if answer.answer == Progress::Done {
        ports.finish(&event.run, &event.token, stage).await?;
    }
    Ok(answer)
}

fn give_up_if_late(
    plan: &Plan,
    run: &RunDocument,
    stage: Stage,
    answer: &Answer,
    now: jiff::Timestamp,
) -> Result<(), Failure> {
    if now.duration_since(run.entered_at(stage, now))
        < plan.activation.give_up_after_seconds.signed()
    {
        return Ok(());
    }
    Err(Failure::new(
        FailureName::ActivationIncomplete,
        format!(
            "{stage:?} at the {} site is not done after {} s: {} objects are not as in the baseline; the ledger names them",
            run.target, plan.activation.give_up_after_seconds.0, answer.remaining
        ),
    ))
}

/// When something was last acted upon, and how often.
#[derive(Clone, Copy)]
struct Acted {
    at: jiff::Timestamp,
    tried: Instant,
    attempts: u32,
}

struct Activation<'a> {
    ports: &'a Ports,
    plan: &'a Plan,
    event: &'a Event,
    run: &'a RunDocument,
    invocation: &'a Invocation,
    acted: BTreeMap<Subject, Acted>,
    /// What the platform refused for good: tried once a call, so that it does not hold up the rest.
    refused: BTreeSet<Subject>,
    told: BTreeSet<Subject>,
}

impl Activation<'_> {
    async fn until_done(
        &mut self,
        workspace: &Workspace,
        writer: &Writer,
        baseline: &Inventory,
    ) -> Result<Answer, Failure> {
        let began = Instant::now();
        let kinds: Vec<Kind> = self
            .plan
            .protected_kinds()
            .filter(|kind| kind.is_restored_in(self.event.phase))
            .collect();
        loop {
            self.ports
                .require_lock(&self.event.run, &self.event.token)
                .await?;
            let target = read_inventory(
                workspace,
                self.run.target,
                &kinds,
                Depth::Whole,
                self.ports.now(),
            )
            .await
            .map_err(|e| failure_at(self.run.target, &e))?;
            let waves = &self.plan.activation.waves;
            let work = work(
                self.event.phase,
                Aim::TakeOver,
                &kinds,
                waves,
                baseline,
                &target,
            );
            self.list(&work).await?;
            if self.event.phase == Phase::OneTimeRuns {
                return self.one_time_runs(writer, &work).await;
            }
            self.verify(&target, &work).await?;
            let open = work
                .steps
                .iter()
                .filter(|s| !self.refused.contains(&s.subject))
                .count()
                + work.waiting.len();
            let remaining = work.steps.len() + work.waiting.len();
            let is_done = open == 0 && (self.after_commit() || remaining == 0);
            let over =
                self.invocation.is_over() || began.elapsed() >= PATIENCE.min(self.patience());
            if is_done || open == 0 || over {
                return Ok(Answer {
                    answer: if is_done {
                        Progress::Done
                    } else {
                        Progress::Continue
                    },
                    as_wanted: work.as_wanted.len(),
                    remaining,
                });
            }
            self.act(writer, &work).await?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    const fn after_commit(&self) -> bool {
        self.run.committed_at.is_some()
    }

    fn patience(&self) -> Duration {
        self.plan.activation.give_up_after_seconds.duration()
    }

    /// What is left alone is named once.
    async fn list(&mut self, work: &PhaseWork) -> Result<(), Failure> {
        let at = self.ports.now();
        let entries = work
            .listed
            .iter()
            .filter(|(subject, _)| self.told.insert(subject.clone()))
            .map(|(subject, reason)| Entry {
                subject: Some(subject.clone()),
                act: "left alone".to_owned(),
                at,
                attempts: 0,
                status: EntryStatus::Listed {
                    reason: reason.clone(),
                },
            })
            .collect();
        self.write(entries).await
    }

    async fn verify(&mut self, target: &Inventory, work: &PhaseWork) -> Result<(), Failure> {
        let as_wanted: BTreeSet<&Subject> = work.as_wanted.iter().collect();
        let mut entries = Vec::new();
        self.acted.retain(|subject, acted| {
            match Verified::by_reading(target, Some(acted.at), |_| as_wanted.contains(subject)) {
                Some(proof) => {
                    entries.push(Entry {
                        subject: Some(subject.clone()),
                        act: "read back".to_owned(),
                        at: target.read_at,
                        attempts: acted.attempts,
                        status: EntryStatus::Verified { read_at: proof },
                    });
                    false
                }
                None => true,
            }
        });
        self.write(entries).await
    }

    async fn act(&mut self, writer: &Writer, work: &PhaseWork) -> Result<(), Failure> {
        let now = self.ports.now();
        let entered = self.run.entered_at(stage_of(self.event.phase), now);
        let open = work.open_wave(
            &self.refused,
            self.plan.activation.waves.len(),
            now.duration_since(entered).unsigned_abs(),
            self.patience(),
        );
        let due: Vec<&ActivationStep> = work
            .steps
            .iter()
            .filter(|step| step.wave <= open && !self.refused.contains(&step.subject))
            .filter(|step| {
                self.acted
                    .get(&step.subject)
                    .is_none_or(|acted| acted.tried.elapsed() >= REPEAT_AFTER)
            })
            .collect();
        for batch in due.chunks(BATCH) {
            if self.invocation.is_over() {
                return Ok(());
            }
            self.ports
                .require_lock(&self.event.run, &self.event.token)
                .await?;
            self.announce(batch).await?;
            let acted = &self.acted;
            let attempts = |subject: &Subject| acted.get(subject).map_or(1, |a| a.attempts);
            let clock = &self.ports.clock;
            let (results, refused) = carry_out(writer, batch, attempts, &self.run.run, clock).await;
            self.refused.extend(refused);
            self.write(results).await?;
        }
        Ok(())
    }

    /// Notes that these are about to be tried, so that a killed function leaves a trace.
    async fn announce(&mut self, batch: &[&ActivationStep]) -> Result<(), Failure> {
        let at = self.ports.now();
        let mut entries = Vec::new();
        for step in batch {
            let before = self.acted.get(&step.subject).map_or(0, |a| a.attempts);
            let acted = Acted {
                at,
                tried: Instant::now(),
                attempts: before.saturating_add(1),
            };
            self.acted.insert(step.subject.clone(), acted);
            entries.push(Entry {
                subject: Some(step.subject.clone()),
                act: step.act.restoring_words().to_owned(),
                at,
                attempts: acted.attempts,
                status: EntryStatus::Attempted,
            });
        }
        self.write(entries).await
    }

    /// Each interrupted run that is asked for starts once, however often this is called: the idempotency token is made
    /// of this run and the interrupted one. Verified is what `runs/get` then shows.
    async fn one_time_runs(&self, writer: &Writer, work: &PhaseWork) -> Result<Answer, Failure> {
        let mut remaining = 0;
        for step in &work.steps {
            self.ports
                .require_lock(&self.event.run, &self.event.token)
                .await?;
            let Act::RunJob {
                job_id,
                interrupted,
            } = &step.act
            else {
                continue;
            };
            if self.invocation.is_over() {
                remaining += 1;
                continue;
            }
            let (entries, settled) = act::run_once(
                writer,
                step,
                *job_id,
                *interrupted,
                &self.run.run,
                &self.ports.clock,
            )
            .await;
            remaining += usize::from(!settled);
            self.write(entries).await?;
        }
        Ok(Answer {
            answer: if remaining == 0 {
                Progress::Done
            } else {
                Progress::Continue
            },
            as_wanted: work.steps.len() - remaining,
            remaining,
        })
    }

    async fn write(&self, entries: Vec<Entry>) -> Result<(), Failure> {
        let stage = self.event.phase.to_string();
        self.ports
            .add_to_ledger(
                &self.run.run,
                self.run.target,
                &stage,
                &self.invocation.request_id,
                entries,
            )
            .await
    }
}
