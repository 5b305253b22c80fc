//! Begins or resumes a run: checks plan and mode, takes the lock, freezes the evidence.

use std::collections::BTreeMap;

use aws::documents::Change;
use aws::store::Written;
use aws::{Failure, Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::baseline::BaselinePointer;
use recovery::evidence::{EVIDENCE_FORMAT, FrozenEvidence, SiteEvidence};
use recovery::failure::FailureName;
use recovery::incident::{CurrentIncident, Incident};
use recovery::plan::Plan;
use recovery::replication::ReplicationStatus;
use recovery::run::{Evidence, Mode, RUN_FORMAT, ResumeAt, RunDocument, Stage};
use recovery::site::{RunId, RunToken, SiteLabel};
use recovery::users::{Move, UsersNotice};
use recovery::verdict::judge;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

/// The input of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Input {
    Failover { incident: Option<RunId> },
    Resume { run: RunId },
}

/// What the state machine needs from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The run.
    pub run: RunId,
    /// Proof for every later function.
    pub token: RunToken,
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

/// Begins or resumes.
///
/// # Errors
/// `UnknownMode`, `InvalidEvent`, `InvalidPlan`, `Blocked`, `NoBaseline`, `NotResumable`, or what the store said. Nothing
/// is written then, and the lock is not held.
pub async fn handle(event: Event, ports: &Ports, _: &Invocation) -> Result<Answer, Failure> {
    let input = parse_input(event.input)?;
    let plan = ports.plan().await?;
    let urls = workspace_urls(ports).await?;
    let (document, fence_stands) = match input {
        Input::Failover { incident } => {
            let run = RunId::parse(&event.name)
                .map_err(|e| Failure::new(FailureName::InvalidEvent, e))?;
            (
                begin(ports, &plan, run, event.execution, incident, urls).await?,
                false,
            )
        }
        Input::Resume { run } => resume(ports, &plan, run, event.execution, urls).await?,
    };
    Ok(answer(&plan, &document, fence_stands))
}

fn parse_input(input: Value) -> Result<Input, Failure> {
    let invalid = |problem: String| {
        Failure::new(
            FailureName::InvalidEvent,
            format!(
                "{problem}; the input is {{\"mode\":\"failover\"}} or {{\"mode\":\"resume\",\"run\":\"<id>\"}}"
            ),
        )
    };
    let Value::Object(mut fields) = input else {
        return Err(invalid("the input is not an object".to_owned()));
    };
    let mode = fields.remove("mode");
    let mut id = |field: &str| match fields.remove(field) {
        None => Ok(None),
        Some(Value::String(text)) => RunId::parse(&text)
            .map(Some)
            .map_err(|e| invalid(format!("{field}: {e}"))),
        Some(_) => Err(invalid(format!("{field} is not a text"))),
    };
    let input = match mode.as_ref().and_then(Value::as_str) {
        Some("failover") => Input::Failover {
            incident: id("incident")?,
        },
        Some("resume") => Input::Resume {
            run: id("run")?.ok_or_else(|| invalid("run is missing".to_owned()))?,
        },
        _ => {
            return Err(Failure::new(
                FailureName::UnknownMode,
                format!(
                    "mode is {}; allowed are \"failover\" and \"resume\"",
                    mode.unwrap_or(Value::Null)
                ),
            ));
        }
    };
    match fields.keys().next() {
        None => Ok(input),
        Some(field) => Err(invalid(format!("unknown field {field:?}"))),
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

async fn begin(
    ports: &Ports,
    plan: &Plan,
    run: RunId,
    token: RunToken,
    incident: Option<RunId>,
    workspace_urls: BTreeMap<SiteLabel, String>,
) -> Result<RunDocument, Failure> {
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
    if state.fences.contains_key(&target) {
        return Err(Failure::new(
            FailureName::Blocked,
            format!(
                "the {target} site is fenced; make sure that it may be active, then lift its fence with operate `unfence`"
            ),
        ));
    }
    let baseline = baseline_of(ports, from).await?;
    let evidence = evidence(ports, plan, from, incident, baseline, workspace_urls).await?;
    let now = ports.now();
    let epoch = state.epoch;
    // Another run may have committed since the state was read.
    ports
        .change_state(|state| {
            state.require_unchanged(from, epoch)?;
            state.take_lock(&run, &token, Mode::Failover, now)
        })
        .await?;
    mark_incident(ports, &run, now).await;
    let mut document = RunDocument {
        format_version: RUN_FORMAT,
        run: run.clone(),
        plan: plan.name.clone(),
        mode: Mode::Failover,
        attempt: 1,
        token,
        epoch,
        from,
        target,
        begun_at: now,
        evidence,
        stages: vec![],
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

async fn baseline_of(ports: &Ports, from: SiteLabel) -> Result<BaselinePointer, Failure> {
    let pointer = ports.baseline_pointer().await?;
    let none = |why: String| Failure::new(FailureName::NoBaseline, why);
    let pointer = pointer.ok_or_else(|| {
        none("there is no baseline, so nothing could be restored; capture-baseline records one while the active site is healthy".to_owned())
    })?;
    if pointer.site != from {
        return Err(none(format!(
            "the baseline is of the {} site, but the {from} site is active; wait for a capture or check why there is none",
            pointer.site
        )));
    }
    // It must be readable now, not when it is needed.
    ports.baseline(&pointer.digest).await?;
    Ok(pointer)
}

async fn evidence(
    ports: &Ports,
    plan: &Plan,
    from: SiteLabel,
    incident: Option<RunId>,
    baseline: BaselinePointer,
    workspace_urls: BTreeMap<SiteLabel, String>,
) -> Result<Evidence, Failure> {
    // Evidence that cannot be read is missing evidence, which a human is told; it must not stop a failover.
    let mut signals = Vec::new();
    let judged = ports
        .judgement(plan, from)
        .await
        .map_err(|f| signals.push(f.to_string()))
        .ok();
    let incident: Option<Incident> = match incident {
        Some(id) => ports.read(&keys::incident(&id)).await.unwrap_or_else(|f| {
            signals.push(f.to_string());
            None
        }),
        None => None,
    };
    let replication: Option<ReplicationStatus> =
        ports.read(keys::REPLICATION).await.unwrap_or_else(|f| {
            signals.push(f.to_string());
            None
        });
    if let Some(judged) = &judged {
        signals.extend(judged.evidence.iter().cloned());
        signals.extend(
            judged
                .why_not
                .iter()
                .map(|why| format!("not actionable: {why}")),
        );
    }
    Ok(Evidence {
        verdict: judged.as_ref().map(|j| j.verdict),
        actionable: judged.as_ref().is_some_and(|j| j.actionable),
        failing_since: incident
            .map(|i| i.since)
            .or_else(|| judged.and_then(|j| j.since)),
        signals,
        baseline,
        replication: replication.filter(|r| r.from == from),
        repair: None,
        workspace_urls,
    })
}

/// Freezes what every vantage saw of both sites, for the request and its page. What cannot be read is missing evidence, which
/// people are told; it must not stop a failover.
async fn freeze(ports: &Ports, plan: &Plan, run: &RunId, attempt: u32) {
    let mut sites = BTreeMap::new();
    for site in SiteLabel::ALL {
        let seen = match ports.observations(plan, site).await {
            Ok(observations) => {
                let judged = judge(&observations, &plan.detection.policy, ports.now());
                let problem = judged.as_ref().err().map(ToString::to_string);
                SiteEvidence {
                    problem,
                    ..SiteEvidence::new(judged.ok(), observations)
                }
            }
            Err(failure) => SiteEvidence::unreadable(failure.to_string()),
        };
        sites.insert(site, seen);
    }
    let evidence = FrozenEvidence {
        format_version: EVIDENCE_FORMAT,
        run: run.clone(),
        attempt,
        frozen_at: ports.now(),
        sites,
    };
    if let Err(failure) = ports
        .put(&keys::of_run(run, "evidence.json"), &evidence)
        .await
    {
        tracing::warn!(%failure, "the evidence could not be frozen");
    }
}

/// Opens the next attempt of a run. Says too whether the fence that this run raised stands.
async fn resume(
    ports: &Ports,
    plan: &Plan,
    run: RunId,
    token: RunToken,
    workspace_urls: BTreeMap<SiteLabel, String>,
) -> Result<(RunDocument, bool), Failure> {
    let refuse = |why: String| Failure::new(FailureName::NotResumable, why);
    let mut document = ports.run(&run).await.map_err(|f| refuse(f.message))?;
    let state = ports.state().await?;
    // The commit may have been made by a function that died before it could note it in the run.
    let commit = state.last_commit.clone().filter(|c| c.run == run);
    document.committed_at = document.committed_at.or(commit.as_ref().map(|c| c.at));
    document.reopen(token.clone()).map_err(refuse)?;
    let (from, epoch, mode) = (document.from, document.epoch, document.mode);
    let committed = document.committed_at.is_some();
    let right_state = if committed {
        commit.is_some() && state.active_site == document.target
    } else {
        state.require_unchanged(from, epoch).is_ok()
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
        let baseline = baseline_of(ports, from).await?;
        document.evidence =
            evidence(ports, plan, from, None, baseline, workspace_urls.clone()).await?;
    }
    document.evidence.workspace_urls = workspace_urls;
    let now = ports.now();
    ports
        .change_state(|state| {
            if !committed {
                state.require_unchanged(from, epoch)?;
            }
            state.resume_lock(&run, &token, mode, now)
        })
        .await?;
    if document.resume_at(fence_stands) == ResumeAt::Readiness {
        freeze(ports, plan, &run, document.attempt).await;
    }
    document.enter(Stage::Begin, now);
    document.finish(Stage::Begin, now);
    ports
        .change_run(&run, |stored| {
            // Nobody else may write a run whose lock is ours; a repeat of this call finds its own attempt.
            if stored.token == token {
                document.clone_from(stored);
            } else {
                stored.clone_from(&document);
            }
        })
        .await?;
    Ok((document, fence_stands))
}

fn answer(plan: &Plan, run: &RunDocument, fence_stands: bool) -> Answer {
    Answer {
        run: run.run.clone(),
        token: run.token.clone(),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_typo_in_the_mode_is_refused_with_what_is_allowed() {
        for mode in [json!("fail-over"), json!("Failover"), json!(null), json!(1)] {
            let failure = parse_input(json!({"mode": mode})).unwrap_err();
            assert_eq!(failure.name, FailureName::UnknownMode);
            assert!(failure.message.contains("\"failover\""), "{failure}");
        }
    }

    #[test]
    fn an_unknown_field_or_a_path_as_a_run_is_refused() {
        for input in [
            json!({"mode": "failover", "force": true}),
            json!({"mode": "resume"}),
            json!({"mode": "resume", "run": "../state"}),
            json!("failover"),
        ] {
            assert_eq!(
                parse_input(input.clone()).unwrap_err().name,
                FailureName::InvalidEvent,
                "{input}"
            );
        }
        assert_eq!(
            parse_input(json!({"mode": "failover"})).unwrap(),
            Input::Failover { incident: None }
        );
    }
}
