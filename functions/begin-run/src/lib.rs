//! Begins or resumes a run: checks plan and mode, takes the lock, freezes the evidence.

mod evidence;
mod input;
mod planned;
mod record;

use std::collections::BTreeMap;

use aws::documents::Change;
use aws::executions::ExecutionStatuses;
use aws::store::Written;
use aws::{Failure, Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::failure::FailureName;
use recovery::incident::{CurrentIncident, Incident};
use recovery::plan::Plan;
use recovery::run::{Mode, RUN_FORMAT, ResumeAt, RunDocument, Stage};
use recovery::site::{RunId, RunToken, SiteLabel};
use recovery::state::Refusal;
use recovery::users::{Move, UsersNotice};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::evidence::{EvidenceInput, evidence, freeze};
use crate::input::Input;
use crate::record::choose_record;

/// What the state machine hands over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The input of the execution, as a person or the probe gave it.
    pub input: Value,
    /// The name of the execution.
    pub name: String,
    /// The id of the execution: the token of the lock.
    pub execution: RunToken,
    /// What the state machine understands, a number as text; the first one did not say.
    #[serde(default)]
    pub machine: String,
}

/// What the state machine needs from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The run.
    pub run: RunId,
    /// Proof for every later function.
    pub token: RunToken,
    /// What the run does.
    pub mode: Mode,
    /// Where to go on.
    pub resume_at: ResumeAt,
    /// Seconds between two looks.
    pub waits: Waits,
    /// What the users are told before the target is touched.
    pub notice: UsersNotice,
}

/// Seconds between two looks, from the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Waits {
    replication: u32,
    approval: u32,
    fence: u32,
    activation: u32,
    sources: u32,
    validation: u32,
}

/// Whether an execution may be started with this input: for those who write schedules.
///
/// # Errors
/// `UnknownMode` or `InvalidEvent` with what is allowed.
pub fn check_input(input: Value) -> Result<(), Failure> {
    input::parse(input).map(|_| ())
}

/// Begins or resumes.
///
/// # Errors
/// `UnknownMode`, `InvalidEvent`, `InvalidPlan`, `Blocked`, `NoBaseline`, `NotResumable`, `LockLost` for an execution that is over, or
/// what the store said. Nothing is written then, and the lock is not held.
pub async fn handle(
    event: Event,
    ports: &Ports,
    executions: &dyn ExecutionStatuses,
    _: &Invocation,
) -> Result<Answer, Failure> {
    let input = input::parse(event.input)?;
    let machine = event.machine.parse().unwrap_or(0);
    require_running(executions, &event.execution).await?;
    let plan = ports.plan().await?;
    let urls = workspace_urls(ports).await?;
    let (document, fence_stands) = match input {
        Input::Begin {
            mode,
            incident,
            rehearsal,
        } => {
            let run = RunId::parse(&event.name)
                .map_err(|e| Failure::new(FailureName::InvalidEvent, e))?;
            let asked = Asked {
                run,
                token: event.execution,
                mode,
                incident,
                rehearsal,
                machine,
            };
            (begin(ports, &plan, asked, urls).await?, false)
        }
        Input::Resume { run } => {
            let execution = Resuming {
                token: event.execution,
                machine,
            };
            resume(ports, &plan, run, execution, urls).await?
        }
    };
    Ok(answer(&plan, &document, fence_stands))
}

/// A function of a stopped execution may be slow, or repeated by a queue: nobody would act for the run that it begins. A status that cannot
/// be read keeps nobody from a failover.
async fn require_running(
    executions: &dyn ExecutionStatuses,
    execution: &RunToken,
) -> Result<(), Failure> {
    match executions.read_status(execution).await {
        Ok(status) if status.is_over() => Err(Failure::new(
            FailureName::LockLost,
            format!(
                "execution {} is over ({status:?}); start a new one",
                execution.as_str()
            ),
        )),
        Ok(_) => Ok(()),
        Err(failure) => {
            tracing::warn!(%failure, "whether this execution runs is not known");
            Ok(())
        }
    }
}

async fn workspace_urls(ports: &Ports) -> Result<BTreeMap<SiteLabel, String>, Failure> {
    let mut urls = BTreeMap::new();
    for site in SiteLabel::ALL {
        urls.insert(
            site,
            sites::workspace_url(ports, site).await?.as_str().to_owned(),
        );
    }
    Ok(urls)
}

/// A new run, as it is asked for.
struct Asked {
    run: RunId,
    token: RunToken,
    mode: Mode,
    incident: Option<RunId>,
    rehearsal: bool,
    machine: u32,
}

async fn begin(
    ports: &Ports,
    plan: &Plan,
    asked: Asked,
    workspace_urls: BTreeMap<SiteLabel, String>,
) -> Result<RunDocument, Failure> {
    let Asked {
        run, token, mode, ..
    } = asked;
    let state = ports.state().await?;
    let key = keys::of_run(&run, "run.json");
    // The state machine repeats this call when its answer was lost.
    if let Some(document) = ports.read::<RunDocument>(&key).await? {
        if document.token == token && state.require_lock(&run, &token).is_ok() {
            return Ok(document);
        }
        return Err(Failure::new(
            FailureName::InvalidEvent,
            format!(
                "there was a run {run} before; start the execution under another name, or resume that run"
            ),
        ));
    }
    let from = state.active_site;
    let target = from.other();
    if mode != Mode::Failover {
        planned::require_well(ports, plan, &state, mode, asked.rehearsal).await?;
    } else if state.fences.contains_key(&target) {
        return Err(Failure::new(
            FailureName::Blocked,
            format!(
                "the {target} site is fenced; make sure that it may be active, then lift its fence with operate `unfence`"
            ),
        ));
    }
    let baseline = choose_record(ports, mode, from).await?;
    let known = EvidenceInput {
        incident: asked.incident,
        baseline,
        owed: state.debts.clone(),
        workspace_urls,
    };
    let mut evidence = evidence(ports, plan, from, known).await?;
    let now = ports.now();
    let epoch = state.epoch;
    // Another run may have committed since the state was read.
    let owed = ports
        .change_state(|state| {
            state.require_unchanged(from, epoch, mode)?;
            state.take_lock(&run, &token, mode, now)?;
            Ok(state.debts.clone())
        })
        .await?;
    if owed != state.debts {
        evidence.debts = owed;
    }
    if mode == Mode::Failover {
        mark_incident(ports, &run, now).await;
    }
    let mut document = RunDocument {
        format_version: RUN_FORMAT,
        run: run.clone(),
        plan: plan.name.clone(),
        mode,
        attempt: 1,
        token,
        machine: asked.machine,
        epoch,
        from,
        target,
        begun_at: now,
        evidence,
        stages: vec![],
        captured: None,
        lifted: None,
        committed_at: None,
        outcome: None,
        reason: None,
        closed_at: None,
        told_at: None,
    };
    freeze(ports, plan, &run, 1).await;
    document.enter(Stage::Begin, now);
    document.finish(Stage::Begin, ports.now());
    match ports.create(&key, &document).await? {
        Written::Done => Ok(document),
        Written::Conflict => ports.run(&run).await,
    }
}

/// The open incident has its run now, also if a person was faster than the probe: a decline must not be followed by a
/// start of the probe's own. A mark that cannot be set must not stop the run.
async fn mark_incident(ports: &Ports, run: &RunId, now: Timestamp) {
    let marked = async {
        let current: Option<CurrentIncident> = ports.read(keys::INCIDENT).await?;
        let Some(id) = current.and_then(|c| c.open).filter(|id| id != run) else {
            return Ok(());
        };
        ports
            .change(
                &keys::incident(&id),
                |stored: &mut Option<Incident>| match stored {
                    Some(incident) if incident.started_at.is_none() => {
                        incident.started_at = Some(now);
                        incident.blocked.clear();
                        Ok(Change::Write(()))
                    }
                    _ => Ok(Change::Keep(())),
                },
            )
            .await
    };
    let result: Result<(), Failure> = marked.await;
    if let Err(failure) = result {
        tracing::warn!(%failure, "the open incident could not be marked");
    }
}

/// The execution that takes a run over.
struct Resuming {
    token: RunToken,
    machine: u32,
}

/// Opens the next attempt of a run. Says too whether the fence that this run raised stands.
async fn resume(
    ports: &Ports,
    plan: &Plan,
    run: RunId,
    execution: Resuming,
    workspace_urls: BTreeMap<SiteLabel, String>,
) -> Result<(RunDocument, bool), Failure> {
    let Resuming { token, machine } = execution;
    let refuse = |why: String| Failure::new(FailureName::NotResumable, why);
    let mut document = ports.run(&run).await.map_err(|f| refuse(f.message))?;
    let read = document.token.clone();
    let state = ports.state().await?;
    // The commit may have been made by a function that died before it could note it in the run.
    let commit = state.last_commit.clone().filter(|c| c.run == run);
    document.committed_at = document.committed_at.or(commit.as_ref().map(|c| c.at));
    // The state alone knows how the attempt ended; `run.json` follows and may be behind.
    if let Some(end) = state.end_of(&read) {
        document.outcome = Some(end.outcome);
    }
    document.reopen(token.clone()).map_err(refuse)?;
    document.machine = machine;
    let (from, epoch, mode) = (document.from, document.epoch, document.mode);
    let committed = document.committed_at.is_some();
    let right_state = if committed {
        commit.is_some() && state.active_site == document.target
    } else {
        state.require_unchanged(from, epoch, mode).is_ok()
    };
    if !right_state {
        return Err(refuse(format!(
            "the {} site is active in epoch {}, which is not what run {run} left behind, or its target is fenced; start a new run",
            state.active_site, state.epoch
        )));
    }
    let fence_stands = state.fences.get(&from).is_some_and(|f| f.run == run);
    if document.resume_at(fence_stands) == ResumeAt::Readiness {
        // A human is asked anew, so on what is known now.
        let baseline = choose_record(ports, mode, from).await?;
        let known = EvidenceInput {
            incident: None,
            baseline,
            owed: state.debts.clone(),
            workspace_urls: workspace_urls.clone(),
        };
        document.evidence = evidence(ports, plan, from, known).await?;
        document.captured = None;
        document.lifted = None;
    }
    document.evidence.workspace_urls = workspace_urls;
    let now = ports.now();
    let owed = ports
        .change_state(|state| {
            if !committed {
                state.require_unchanged(from, epoch, mode)?;
            }
            state.resume_lock(&run, &token, &read, mode, now)?;
            if committed {
                state.reopen(&run);
            }
            Ok(state.debts.clone())
        })
        .await?;
    // People may have given up some since the run began.
    if owed != state.debts || document.evidence.debts.is_some() {
        document.evidence.debts = owed;
    }
    if document.resume_at(fence_stands) == ResumeAt::Readiness {
        freeze(ports, plan, &run, document.attempt).await;
    }
    document.enter(Stage::Begin, now);
    document.finish(Stage::Begin, now);
    let ours = ports
        .change_run(&run, |stored| {
            if stored.token == token {
                // A repeat of this call finds its own attempt.
                document.clone_from(stored);
            } else if stored.token == read {
                stored.clone_from(&document);
            } else {
                return false;
            }
            true
        })
        .await?;
    if !ours {
        return Err(Refusal::LockLost { run }.into());
    }
    Ok((document, fence_stands))
}

fn answer(plan: &Plan, run: &RunDocument, fence_stands: bool) -> Answer {
    Answer {
        run: run.run.clone(),
        token: run.token.clone(),
        mode: run.mode,
        resume_at: run.resume_at(fence_stands),
        waits: Waits {
            replication: plan.replication.poll_seconds.0,
            approval: plan.approval.poll_seconds.0,
            fence: plan.fence.poll_seconds.0,
            activation: plan.activation.poll_seconds.0,
            sources: plan.data_sources.poll_seconds.0,
            validation: plan.validation.poll_seconds.0,
        },
        notice: Move {
            plan,
            from: run.from,
            target: run.target,
            urls: &run.evidence.workspace_urls,
        }
        .started(),
    }
}
