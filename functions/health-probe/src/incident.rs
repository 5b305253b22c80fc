//! From a verdict to an incident and a run. Detection is never blocked; the start may be, with the reason told.

use aws::documents::Change;
use aws::executions::Executions;
use aws::notices::{Audience, Notice};
use aws::{Failure, Ports, keys};
use recovery::incident::{CurrentIncident, INCIDENT_FORMAT, Incident};
use recovery::plan::Plan;
use recovery::run::RunDocument;
use recovery::site::RunId;
use recovery::state::State;
use recovery::verdict::{Judgement, Verdict};
use serde_json::json;

/// Opens, continues or clears the incident of the active site. Says what was done.
pub(crate) async fn follow(
    ports: &Ports,
    plan: &Plan,
    state: &State,
    judged: &Judgement,
    standby: Verdict,
    executions: &Executions,
) -> Result<Option<String>, Failure> {
    let current: Option<CurrentIncident> = ports.read(keys::INCIDENT).await?;
    let open = match current.and_then(|c| c.open) {
        Some(id) => ports.read::<Incident>(&keys::incident(&id)).await?,
        None => None,
    };
    match open {
        Some(incident) if incident.site != state.active_site => {
            set_current(ports, None).await?;
            Ok(Some(format!(
                "{} ended: the {} site is no longer active",
                incident.id, incident.site
            )))
        }
        Some(incident) if judged.verdict == Verdict::Healthy => {
            clear(ports, &incident, judged.verdict).await.map(Some)
        }
        // Not down any more, and nothing is under way for it: the next disaster is an incident of its own.
        Some(incident) if !judged.actionable && is_over(ports, &incident).await? => {
            clear(ports, &incident, judged.verdict).await.map(Some)
        }
        Some(incident) if judged.actionable && incident.started_at.is_none() => {
            start(ports, state, standby, incident, executions)
                .await
                .map(Some)
        }
        Some(_) => Ok(None),
        None => match Incident::from_judgement(judged, state.active_site, state.epoch, ports.now())
        {
            Some(incident) => {
                let incident = open_new(ports, plan, incident).await?;
                start(ports, state, standby, incident, executions)
                    .await
                    .map(Some)
            }
            None => Ok(None),
        },
    }
}

/// The document first, then the pointer, then the notice: two probes at once open one incident.
async fn open_new(ports: &Ports, plan: &Plan, incident: Incident) -> Result<Incident, Failure> {
    let key = keys::incident(&incident.id);
    let written = ports.create(&key, &incident).await?;
    set_current(ports, Some(&incident.id)).await?;
    if written == aws::store::Written::Conflict {
        return Ok(ports.read(&key).await?.unwrap_or(incident));
    }
    ports
        .notices
        .publish(Notice {
            audience: Audience::Managers,
            subject: format!(
                "[{}] {} on the {} site",
                plan.name, incident.verdict, incident.site
            ),
            message: format!(
                "{} on the {} site since {}.\nIncident {}.\n\nWhat the probes saw:\n{}\n",
                incident.verdict,
                incident.site,
                incident.since,
                incident.id,
                incident.evidence.join("\n")
            ),
        })
        .await?;
    Ok(incident)
}

async fn start(
    ports: &Ports,
    state: &State,
    standby: Verdict,
    incident: Incident,
    executions: &Executions,
) -> Result<String, Failure> {
    let now = ports.now();
    let sick_target = (standby != Verdict::Healthy)
        .then(|| format!("blocked: the verdict on the target site is {standby}"));
    let blocked = state.automatic_start_blocked(now).or(sick_target);
    if blocked.is_none() {
        executions
            .start(
                &incident.id,
                &json!({"mode": "failover", "incident": incident.id}),
            )
            .await?;
    }
    let changed = incident.blocked != blocked || blocked.is_none();
    if changed {
        update(ports, &incident.id, |stored| {
            stored.blocked.clone_from(&blocked);
            if blocked.is_none() {
                stored.started_at = Some(now);
            }
        })
        .await?;
    }
    match blocked {
        None => Ok(format!("{} started a run", incident.id)),
        Some(reason) => {
            if changed {
                ports
                    .notices
                    .publish(Notice {
                        audience: Audience::Managers,
                        subject: format!("No run was started for {}", incident.id),
                        message: format!("{reason}\nA person can start the state machine with {{\"mode\":\"failover\"}}.\n"),
                    })
                    .await?;
            }
            Ok(format!("{}: {reason}", incident.id))
        }
    }
}

async fn is_over(ports: &Ports, incident: &Incident) -> Result<bool, Failure> {
    let run: Option<RunDocument> = ports.read(&keys::of_run(&incident.id, "run.json")).await?;
    Ok(run.is_some_and(|r| r.outcome.is_some()))
}

async fn clear(ports: &Ports, incident: &Incident, verdict: Verdict) -> Result<String, Failure> {
    let now = ports.now();
    update(ports, &incident.id, |stored| stored.cleared_at = Some(now)).await?;
    set_current(ports, None).await?;
    ports
        .notices
        .publish(Notice {
            audience: Audience::Managers,
            subject: format!("Cleared: {}", incident.id),
            message: format!(
                "The verdict on the {} site is {verdict} at {now}.\nA run that was started goes on until it is declined or done.\n",
                incident.site
            ),
        })
        .await?;
    Ok(format!("{} cleared", incident.id))
}

async fn set_current(ports: &Ports, open: Option<&RunId>) -> Result<(), Failure> {
    ports
        .change(keys::INCIDENT, |stored: &mut Option<CurrentIncident>| {
            *stored = Some(CurrentIncident {
                format_version: INCIDENT_FORMAT,
                open: open.cloned(),
            });
            Ok(Change::Write(()))
        })
        .await
}

async fn update(
    ports: &Ports,
    id: &RunId,
    mut change: impl FnMut(&mut Incident) + Send,
) -> Result<(), Failure> {
    ports
        .change(
            &keys::incident(id),
            |stored: &mut Option<Incident>| match stored {
                Some(incident) => {
                    change(incident);
                    Ok(Change::Write(()))
                }
                None => Ok(Change::Keep(())),
            },
        )
        .await
}
