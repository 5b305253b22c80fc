//! One phase of a run at its target.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws::{Failure, Invocation, Ports};
use databricks::{Workspace, Writer};
use futures::FutureExt;
use recovery::act::Act;
use recovery::activation::debts::{Debt, left_over};
use recovery::activation::{Aim, Phase, PhaseWork, Record, work};
use recovery::failure::FailureName;
use recovery::inventory::{Inventory, Subject};
use recovery::kind::Kind;
use recovery::plan::Plan;
use recovery::run::{Mode, RunDocument, Stage};
use recovery::site::{RunId, RunToken};
use sites::{Depth, Purpose, Role, connect_to, failure_at, frozen_url, read_inventory};

use crate::act;
use crate::effort::{Effort, Right};
use crate::leave::{self, Leave};
use crate::{Answer, LOOK_AGAIN, Progress};

/// One call keeps at it no longer than this, so that the state machine sees progress.
const PATIENCE: Duration = Duration::from_secs(600);

/// When the plan's time for the phase is over, a call lasts no longer than this.
const CALL_WHILE_ASKING: Duration = Duration::from_secs(20);

/// Which phase of which run.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) token: &'a RunToken,
    pub(crate) phase: Phase,
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
pub(crate) async fn one(
    event: Task<'_>,
    ports: &Ports,
    plan: &Plan,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let stage = stage_of(event.phase);
    let run = ports.enter(event.run, event.token, stage).await?;
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
    let baseline = ports.baseline(&run.baseline().digest).await?.inventory;
    let owed = ports
        .readable_debts(run.evidence.debts.as_ref(), run.from)
        .await?;
    let record = Record {
        inventory: &baseline,
        debts: &owed.debts,
    };
    let workspace = connect_to(
        ports,
        plan,
        run.target,
        frozen_url(&run, run.target)?,
        Role::Operator,
        Purpose::Activation,
    )
    .await?;
    let writer = workspace
        .verified()
        .boxed()
        .await
        .map_err(|e| failure_at(run.target, &e))?;
    let right = Right::Run(event.token.clone());
    let name = event.phase.to_string();
    let mut activation = Activation {
        effort: Effort::resume(ports, invocation, run.run.clone(), run.target, right, name).await?,
        plan,
        phase: event.phase,
        run: &run,
        record,
        left: None,
        unfinished: Vec::new(),
        is_stuck: false,
    };
    // Boxed: nested this deep, the future of the whole function would exceed what the compiler lays out.
    let work = activation.until_done(&workspace, &writer).boxed_local();
    // Cut off when the invocation must end: a call that hangs must not be killed with the function.
    let mut answer = tokio::time::timeout(invocation.left(), work)
        .await
        .unwrap_or(Ok(Answer::UNKNOWN))?;
    let now = ports.now();
    let Activation {
        unfinished,
        is_stuck,
        left,
        ..
    } = activation;
    if answer.answer == Progress::Continue
        && leave::may_leave(&run, event.phase)
        && !unfinished.is_empty()
        && (is_stuck || is_late(plan, &run, stage, now))
    {
        match leave::left_or_asked(ports, plan, &run, &unfinished).await? {
            Leave::Behind => answer.answer = Progress::Done,
            Leave::Waits => {}
            Leave::Refused(why) => return Err(incomplete(&run, stage, &answer, &why)),
        }
    } else if answer.answer == Progress::Continue
        && let Err(late) = give_up_if_late(plan, &run, stage, &answer, now)
    {
        // Before the commit there is a way back. After it one object that does not come up must not keep the others, and
        // the users, waiting: the ledger and the report name it as not verified.
        if !after_commit {
            return Err(late);
        }
        answer.answer = Progress::Done;
    }
    if answer.answer == Progress::Done {
        // Before the stage is done: a function that is killed in between does it again.
        if event.phase != Phase::OneTimeRuns && run.mode != Mode::Drill {
            let left = left.unwrap_or_else(|| all_of(plan, &run, event.phase, record, now));
            ports.keep_debts(&run, event.phase, left).await?;
        }
        if event.phase == Phase::Compute && run.mode != Mode::Drill {
            // Should the run end between its commit and a later phase, all of that phase is owed until a reading shows otherwise.
            for later in [Phase::JobConcurrency, Phase::Schedules] {
                let all = all_of(plan, &run, later, record, now);
                ports.keep_debts(&run, later, all).await?;
            }
        }
        ports.finish(event.run, event.token, stage).await?;
    }
    Ok(answer)
}

/// The target was not read: all of a phase is owed until a reading shows otherwise.
fn all_of(
    plan: &Plan,
    run: &RunDocument,
    phase: Phase,
    record: Record<'_>,
    now: jiff::Timestamp,
) -> Vec<Debt> {
    let kinds: Vec<Kind> = plan.protected_kinds().collect();
    let unfinished = BTreeSet::new();
    left_over(phase, &kinds, record, None, &run.run, &unfinished, now)
}

fn give_up_if_late(
    plan: &Plan,
    run: &RunDocument,
    stage: Stage,
    answer: &Answer,
    now: jiff::Timestamp,
) -> Result<(), Failure> {
    if !is_late(plan, run, stage, now) {
        return Ok(());
    }
    let why = format!(
        "not done after {} s",
        plan.activation.give_up_after_seconds.0
    );
    Err(incomplete(run, stage, answer, &why))
}

fn is_late(plan: &Plan, run: &RunDocument, stage: Stage, now: jiff::Timestamp) -> bool {
    now.duration_since(run.entered_at(stage, now)) >= plan.activation.give_up_after_seconds.signed()
}

fn incomplete(run: &RunDocument, stage: Stage, answer: &Answer, why: &str) -> Failure {
    Failure::new(
        FailureName::ActivationIncomplete,
        format!(
            "{stage:?} at the {} site: {why}: {} objects are not as in the baseline; the ledger names them",
            run.target, answer.remaining
        ),
    )
}

struct Activation<'a> {
    effort: Effort<'a>,
    plan: &'a Plan,
    phase: Phase,
    run: &'a RunDocument,
    record: Record<'a>,
    /// What the last reading shows as left to be done.
    left: Option<Vec<Debt>>,
    /// What is not as the record says, by the last reading.
    unfinished: Vec<Subject>,
    /// All that is left was refused for good.
    is_stuck: bool,
}

impl Activation<'_> {
    async fn until_done(
        &mut self,
        workspace: &Workspace,
        writer: &Writer,
    ) -> Result<Answer, Failure> {
        let began = Instant::now();
        let kinds: Vec<Kind> = self
            .plan
            .protected_kinds()
            .filter(|kind| kind.is_restored_in(self.phase))
            .collect();
        let waves = &self.plan.activation.waves;
        loop {
            self.effort.require_right().await?;
            let now = self.effort.ports.now();
            let target = read_inventory(workspace, self.run.target, &kinds, Depth::Whole, now)
                .await
                .map_err(|e| failure_at(self.run.target, &e))?;
            let work = work(
                self.phase,
                Aim::TakeOver,
                &kinds,
                waves,
                self.record,
                &target,
            );
            self.effort.list(&work).await?;
            if self.phase == Phase::OneTimeRuns {
                return self.one_time_runs(writer, &work).await;
            }
            self.effort.verify(&target, &work).await?;
            let open = self.effort.open(&work);
            let remaining = work.steps.len() + work.waiting.len();
            self.unfinished = work.unfinished();
            self.is_stuck = open == 0 && remaining > 0;
            let is_done = open == 0 && (self.run.committed_at.is_some() || remaining == 0);
            let over = self.effort.invocation.is_over() || began.elapsed() >= self.call_limit();
            if is_done || open == 0 || over {
                self.left = Some(self.left_at(&target, now));
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
            let last_wave = self.open_wave(&work);
            self.effort.act(writer, &work, last_wave).await?;
            tokio::time::sleep(LOOK_AGAIN.div_f64(self.effort.ports.time_scale)).await;
        }
    }

    /// What would be owed if this phase ended now.
    fn left_at(&self, target: &Inventory, now: jiff::Timestamp) -> Vec<Debt> {
        let kinds: Vec<Kind> = self.plan.protected_kinds().collect();
        let unfinished: BTreeSet<Subject> = self.unfinished.iter().cloned().collect();
        let (record, run) = (self.record, &self.run.run);
        left_over(
            self.phase,
            &kinds,
            record,
            Some(target),
            run,
            &unfinished,
            now,
        )
    }

    fn open_wave(&self, work: &PhaseWork) -> usize {
        let now = self.effort.ports.now();
        let entered = self.run.entered_at(stage_of(self.phase), now);
        work.open_wave(
            &self.effort.refused,
            self.plan.activation.waves.len(),
            now.duration_since(entered).unsigned_abs(),
            self.patience(),
        )
    }

    /// How long this call keeps at it: not beyond the plan's time for the phase, and then only shortly, so that people's answer is soon
    /// looked at.
    fn call_limit(&self) -> Duration {
        let now = self.effort.ports.now();
        let spent = now.duration_since(self.run.entered_at(stage_of(self.phase), now));
        let left = self.patience().saturating_sub(spent.unsigned_abs());
        let asking = CALL_WHILE_ASKING.div_f64(self.effort.ports.time_scale);
        left.max(asking).min(PATIENCE)
    }

    fn patience(&self) -> Duration {
        self.plan.activation.give_up_after_seconds.duration()
    }

    /// Each interrupted run that is asked for starts once, however often this is called: the idempotency token is made
    /// of this run and the interrupted one. Verified is what `runs/get` then shows.
    async fn one_time_runs(&self, writer: &Writer, work: &PhaseWork) -> Result<Answer, Failure> {
        let mut remaining = 0;
        for step in &work.steps {
            let Act::RunJob {
                job_id,
                interrupted,
            } = &step.act
            else {
                continue;
            };
            if self.effort.invocation.is_over() {
                remaining += 1;
                continue;
            }
            let acting = act::run_once(
                writer,
                step,
                *job_id,
                *interrupted,
                &self.run.run,
                &self.effort.ports.clock,
            );
            let (entries, settled) = self.effort.during(acting).await?;
            remaining += usize::from(!settled);
            self.effort.write(entries).await?;
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
}
