//! From a verdict to an incident and a run. Detection is never blocked; the start may be, with the reasons told. Every step is
//! repeated by the next call if this one dies, so its order is: claim, write, tell, start, note.

use aws::documents::Change;
use aws::executions::{ExecutionStatus, Executions};
use aws::notices::{Audience, Notice};
use aws::{Failure, Ports, keys};
use recovery::incident::message::{self, Message};
use recovery::incident::{
    Block, CurrentIncident, INCIDENT_FORMAT, Incident, Next, RunProgress, Telling, blocks,
};
use recovery::plan::Plan;
use recovery::run::{Outcome, RunDocument};
use recovery::site::RunId;
use recovery::state::State;
use recovery::verdict::{Judgement, Verdict};
use serde_json::json;

/// The message that opens an incident.
const EVIDENCE: &str = "evidence";
/// The message that it is over.
const CLEARED: &str = "cleared";
/// The message that no run is started by itself any more, to the managers and to who is woken.
const SPENT: [(&str, Audience); 2] = [
    ("spent", Audience::Managers),
    ("spent-escalation", Audience::Escalation),
];

/// What an incident is judged by.
pub(crate) struct Known<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) plan: &'a Plan,
    pub(crate) state: &'a State,
    /// The judgement on the active site.
    pub(crate) judged: &'a Judgement,
    /// The verdict on the other one.
    pub(crate) standby: Verdict,
}

/// What was done about the verdict.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// In words; none if nothing was to be done.
    pub(crate) done: Option<String>,
    /// The open incident.
    pub(crate) open: Option<RunId>,
    /// What stands in the way of its run.
    pub(crate) blocked: Vec<String>,
}

/// Opens, continues or clears the incident of the active site.
pub(crate) async fn follow(
    known: &Known<'_>,
    executions: &dyn Executions,
) -> Result<Followed, Failure> {
    let Some(incident) = open_incident(known).await? else {
        return Ok(Followed::default());
    };
    let run = progress(known, &incident, executions).await?;
    let done = |done: String| Followed {
        done: Some(done),
        ..Followed::default()
    };
    match incident.next(known.judged, known.state.active_site, run) {
        Next::End => {
            release(known.ports, &incident.id).await?;
            Ok(done(format!(
                "{} ended: the {} site is no longer active",
                incident.id, incident.site
            )))
        }
        Next::Clear => clear(known, &incident).await.map(done),
        Next::Start => start(known, &incident, executions).await,
        Next::GiveUp => give_up(known, &incident).await,
        Next::Wait => {
            // Its opener may have died before it told anybody.
            tell(
                known,
                &incident.id,
                EVIDENCE,
                Audience::Managers,
                |stored| message::opened(known.plan, stored, &[]),
            )
            .await?;
            tell_restart(known, &incident, incident.restarts).await?;
            Ok(Followed {
                open: Some(incident.id),
                blocked: incident.blocked,
                done: None,
            })
        }
    }
}

/// The open incident; a new one if there is none and the verdict is actionable. The pointer is claimed first: two probes at once,
/// which may see beginnings that differ, open one incident, and one that was claimed by a probe that died is written by the next.
async fn open_incident(known: &Known<'_>) -> Result<Option<Incident>, Failure> {
    let ports = known.ports;
    let fresh = Incident::from_judgement(
        known.judged,
        known.state.active_site,
        known.state.epoch,
        ports.now(),
    );
    let current: Option<CurrentIncident> = ports.read(keys::INCIDENT).await?;
    let open = current.and_then(|current| current.open);
    let stored = match &open {
        Some(id) => ports.read::<Incident>(&keys::incident(id)).await?,
        None => None,
    };
    match (open, stored, fresh) {
        (_, Some(incident), _) => Ok(Some(incident)),
        // Claimed by a probe that died, and the failure is gone.
        (Some(id), None, None) => {
            release(ports, &id).await?;
            Ok(None)
        }
        (None, None, None) => Ok(None),
        (_, None, Some(fresh)) => {
            let id = claim(ports, &fresh.id).await?;
            write(ports, Incident { id, ..fresh }).await.map(Some)
        }
    }
}

/// Makes this the open incident, unless one is open: that one's id.
async fn claim(ports: &Ports, id: &RunId) -> Result<RunId, Failure> {
    ports
        .change(
            keys::INCIDENT,
            |stored: &mut Option<CurrentIncident>| match stored
                .as_ref()
                .and_then(|current| current.open.clone())
            {
                Some(open) => Ok(Change::Keep(open)),
                None => {
                    *stored = Some(CurrentIncident {
                        format_version: INCIDENT_FORMAT,
                        open: Some(id.clone()),
                    });
                    Ok(Change::Write(id.clone()))
                }
            },
        )
        .await
}

/// Writes a new incident. One of the same name is the same failure: it is open again, and what was done for it stays done.
async fn write(ports: &Ports, fresh: Incident) -> Result<Incident, Failure> {
    ports
        .change(
            &keys::incident(&fresh.id),
            |stored: &mut Option<Incident>| {
                let incident = stored.get_or_insert_with(|| fresh.clone());
                if incident.cleared_at.take().is_some() {
                    incident.told.remove(CLEARED);
                }
                Ok(Change::Write(incident.clone()))
            },
        )
        .await
}

async fn release(ports: &Ports, id: &RunId) -> Result<(), Failure> {
    ports
        .change(
            keys::INCIDENT,
            |stored: &mut Option<CurrentIncident>| match stored {
                Some(current) if current.open.as_ref() == Some(id) => {
                    current.open = None;
                    Ok(Change::Write(()))
                }
                _ => Ok(Change::Keep(())),
            },
        )
        .await
}

async fn start(
    known: &Known<'_>,
    incident: &Incident,
    executions: &dyn Executions,
) -> Result<Followed, Failure> {
    let now = known.ports.now();
    let target = known.state.active_site.other();
    let found = blocks(known.state, target, known.standby, now);
    let id = &incident.id;
    // Evidence first: people should hear of the incident even if the start fails. Nor does the start wait for them to hear.
    let told = tell(known, id, EVIDENCE, Audience::Managers, |stored| {
        message::opened(known.plan, stored, &found)
    })
    .await;
    if found.is_empty() {
        let restarts = match incident.started_at {
            Some(_) => incident.restarts.saturating_add(1),
            None => 0,
        };
        let told_again = tell_restart(known, incident, restarts).await;
        let run = incident.next_run();
        executions
            .start(&run, &json!({"mode": "failover", "incident": id}))
            .await?;
        update(known.ports, id, |stored| {
            stored.blocked.clear();
            stored.started_at.get_or_insert(now);
            // Two probes at once start the same run, and count it once.
            stored.restarts = stored.restarts.max(restarts);
        })
        .await?;
        told?;
        told_again?;
        return Ok(Followed {
            done: Some(format!("{id} started run {run}")),
            open: Some(id.clone()),
            blocked: vec![],
        });
    }
    let reasons: Vec<String> = found.iter().map(ToString::to_string).collect();
    update(known.ports, id, |stored| {
        stored.blocked.clone_from(&reasons)
    })
    .await?;
    tell_blocks(known, id, &found, told?).await?;
    Ok(Followed {
        done: Some(format!("{id}: {}", reasons.join("; "))),
        open: Some(id.clone()),
        blocked: reasons,
    })
}

/// What stands in the way is told once of each kind. `told`: the evidence that was just sent says it all.
async fn tell_blocks(
    known: &Known<'_>,
    id: &RunId,
    found: &[Block],
    told: bool,
) -> Result<(), Failure> {
    let now = known.ports.now();
    let kinds: Vec<&str> = found.iter().map(Block::kind).collect();
    let fresh = update(known.ports, id, |stored| {
        let mut fresh = false;
        for kind in &kinds {
            if let Some(claim) = Telling::claim(stored.told.get(*kind), now) {
                let telling = if told { claim.sent(now) } else { claim };
                stored.told.insert((*kind).to_owned(), telling);
                fresh = true;
            }
        }
        fresh.then(|| stored.clone())
    })
    .await?
    .flatten();
    let Some(incident) = fresh.filter(|_| !told) else {
        return Ok(());
    };
    publish(
        known.ports,
        Audience::Managers,
        message::blocked(known.plan, &incident, found),
    )
    .await?;
    update(known.ports, id, |stored| {
        for kind in &kinds {
            if let Some(telling) = stored.told.get_mut(*kind) {
                *telling = telling.sent(now);
            }
        }
    })
    .await
    .map(|_| ())
}

/// Tells of this restart, if it is one.
async fn tell_restart(known: &Known<'_>, incident: &Incident, restart: u32) -> Result<(), Failure> {
    if restart == 0 {
        return Ok(());
    }
    let what = format!("restart-{restart}");
    tell(known, &incident.id, &what, Audience::Managers, |stored| {
        message::restarted(known.plan, stored, restart)
    })
    .await
    .map(|_| ())
}

/// Every run that the incident may start failed before it began. People are told once, and somebody is woken.
async fn give_up(known: &Known<'_>, incident: &Incident) -> Result<Followed, Failure> {
    let reason = message::spent_reason(incident);
    update(known.ports, &incident.id, |stored| {
        stored.blocked = vec![reason.clone()];
    })
    .await?;
    for (what, audience) in SPENT {
        tell(known, &incident.id, what, audience, |stored| {
            message::spent(known.plan, stored)
        })
        .await?;
    }
    Ok(Followed {
        done: None,
        open: Some(incident.id.clone()),
        blocked: vec![reason],
    })
}

/// How far the newest run of the incident has come. Only an execution that is known to have failed without a run is started again.
async fn progress(
    known: &Known<'_>,
    incident: &Incident,
    executions: &dyn Executions,
) -> Result<RunProgress, Failure> {
    let Some(started_at) = incident.started_at else {
        return Ok(RunProgress::UnderWay);
    };
    let id = incident.run();
    let run: Option<RunDocument> = known.ports.read(&keys::of_run(&id, "run.json")).await?;
    if let Some(run) = run {
        return Ok(match run.outcome {
            Some(_) => RunProgress::Over,
            None => RunProgress::UnderWay,
        });
    }
    // What people decided on a run that one of them started for this failure stands: it is not asked again.
    let is_decided = known.state.ends.iter().any(|end| {
        let by_people = matches!(
            end.outcome,
            Outcome::Declined | Outcome::ApprovalExpired | Outcome::Abandoned
        );
        by_people && end.at >= started_at && !incident.has_started(&end.run)
    });
    if is_decided {
        return Ok(RunProgress::Over);
    }
    Ok(match executions.status(&id).await {
        Ok(ExecutionStatus::Failed) => RunProgress::FailedToBegin,
        Ok(ExecutionStatus::Succeeded | ExecutionStatus::Stopped) => RunProgress::Over,
        // Unknown: a person started a run before the probe did, so none has the incident's name.
        Ok(ExecutionStatus::Running | ExecutionStatus::Unknown) => RunProgress::UnderWay,
        Err(failure) => {
            // Detection goes on without this answer; the next probe asks again.
            tracing::warn!(%failure, run = %id, "the execution of the incident could not be described");
            RunProgress::UnderWay
        }
    })
}

/// The pointer goes last: until then the next probe does all of this again.
async fn clear(known: &Known<'_>, incident: &Incident) -> Result<String, Failure> {
    let now = known.ports.now();
    let verdict = known.judged.verdict;
    update(known.ports, &incident.id, |stored| {
        stored.cleared_at.get_or_insert(now);
    })
    .await?;
    tell(known, &incident.id, CLEARED, Audience::Managers, |stored| {
        message::cleared(known.plan, stored, verdict, now)
    })
    .await?;
    release(known.ports, &incident.id).await?;
    Ok(format!("{} cleared", incident.id))
}

/// Sends a message of the incident if nobody has and nobody is about to. Says whether it did.
async fn tell(
    known: &Known<'_>,
    id: &RunId,
    what: &str,
    audience: Audience,
    text: impl Fn(&Incident) -> Message,
) -> Result<bool, Failure> {
    let now = known.ports.now();
    let claimed = update(known.ports, id, |stored| {
        let claim = Telling::claim(stored.told.get(what), now)?;
        stored.told.insert(what.to_owned(), claim);
        Some(stored.clone())
    })
    .await?
    .flatten();
    let Some(incident) = claimed else {
        return Ok(false);
    };
    publish(known.ports, audience, text(&incident)).await?;
    update(known.ports, id, |stored| {
        if let Some(telling) = stored.told.get_mut(what) {
            *telling = telling.sent(now);
        }
    })
    .await?;
    Ok(true)
}

async fn publish(
    ports: &Ports,
    audience: Audience,
    (subject, message): Message,
) -> Result<(), Failure> {
    ports
        .notices
        .publish(Notice {
            audience,
            subject,
            message,
        })
        .await
}

/// Changes an incident; nothing is written if nothing changes. `None` if it is gone.
async fn update<R: Send>(
    ports: &Ports,
    id: &RunId,
    mut change: impl FnMut(&mut Incident) -> R + Send,
) -> Result<Option<R>, Failure> {
    ports
        .change(&keys::incident(id), |stored: &mut Option<Incident>| {
            let Some(incident) = stored else {
                return Ok(Change::Keep(None));
            };
            let before = incident.clone();
            let result = change(incident);
            Ok(if before == *incident {
                Change::Keep(Some(result))
            } else {
                Change::Write(Some(result))
            })
        })
        .await
}
