//! Probes both sites, stores the signals of this vantage; in the control region also judges, opens incidents, starts the
//! state machine and asserts the pointers.

mod emit;
mod health;
mod incident;
mod observe;
mod outcome;
mod paging;
mod plan_notification;
mod probes;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use aws::documents::Change;
use aws::executions::Executions;
use aws::{Failure, Ports, keys};
use recovery::findings::Taken;
use recovery::plan::Plan;
use recovery::signals::Signals;
use recovery::site::{RunId, SiteLabel};
use recovery::state::State;
use recovery::verdict::{Judgement, Verdict};
use serde::{Deserialize, Serialize};
use sites::{Pointers, assert_pointers};

pub use crate::health::{Delivery, Source};
use crate::incident::Known;
pub use crate::observe::Prober;
use crate::observe::Round;

/// What starts the function.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// The schedule.
    Schedule(Schedule),
    /// EventBridge, with an event of AWS Health.
    Health(Box<Delivery>),
}

/// What the schedule sends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Always true.
    pub scheduled: bool,
}

/// What the function tells its logs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    /// The verdict on the active site; none outside of the control region.
    pub verdict: Option<Verdict>,
    /// What was done about it.
    pub incident: Option<String>,
    /// The open incident.
    pub open: Option<RunId>,
    /// Why its run is not started.
    pub blocked: Vec<String>,
    /// For what somebody was woken.
    pub pages: Vec<String>,
    /// Regions whose pointers could not be asserted.
    pub pointer_problems: Vec<String>,
    /// What became of an event of AWS Health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_event: Option<Taken>,
    /// Whether the control region has stopped reporting; none in the control region itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_region_stale: Option<bool>,
}

/// One probe of both sites, or an event of AWS Health taken in.
///
/// # Errors
/// `InvalidPlan`, or what the store said. A site that does not answer is a signal, not an error.
pub async fn handle(
    event: Event,
    prober: &Prober,
    executions: Option<&dyn Executions>,
) -> Result<Answer, Failure> {
    let ports = &prober.ports;
    if let Event::Health(delivery) = event {
        return Ok(Answer {
            health_event: Some(health::take(ports, &delivery).await?),
            ..Answer::default()
        });
    }
    let observer = prober.vantage != ports.region;
    let plan = ports.plan().await;
    // First of all, since the rest may fail for the same reason.
    let control_region_stale = if observer {
        let seen = plan.as_ref().ok();
        Some(watch::control_region(ports, seen, prober.vantage.as_str()).await)
    } else {
        None
    };
    let plan = plan?;
    let key = keys::signals(prober.vantage.as_str());
    let (before, state) = futures::join!(ports.read::<Signals>(&key), ports.state());
    let before = before?.unwrap_or_default();
    let active = state.as_ref().ok().map(|state| state.active_site);
    let round = prober.observe(&plan, &before, active).await;
    let stored = store(ports, &key, &round).await?;
    emit::observations(&plan, &round.observations, ports);
    archive(ports, &key, prober.vantage.as_str(), &stored).await?;
    let decided = match executions {
        Some(executions) if !observer => decide(prober, &plan, &state?, executions).await?,
        _ => Answer::default(),
    };
    Ok(Answer {
        control_region_stale,
        ..decided
    })
}

/// What only the control region does: it judges by the signals of all vantages, and acts on it.
async fn decide(
    prober: &Prober,
    plan: &Plan,
    state: &State,
    executions: &dyn Executions,
) -> Result<Answer, Failure> {
    let ports = &prober.ports;
    let active = state.active_site;
    let judged = ports.judgement(plan, active).await?;
    let standby = ports.judgement(plan, active.other()).await?;
    measure(ports, plan, active, &judged, &standby);
    let known = Known {
        ports,
        plan,
        state,
        judged: &judged,
        standby: standby.verdict,
    };
    let pages = async {
        // One after the other: both write one document.
        Ok::<_, Failure>([
            paging::follow(ports, plan, active, true, &judged).await?,
            paging::follow(ports, plan, active.other(), false, &standby).await?,
        ])
    };
    let (followed, pages, pointer_problems, ()) = futures::join!(
        incident::follow(&known, executions),
        pages,
        pointers(ports, plan, state),
        plan_notification::notify_of_unsafe_settings(ports, plan),
    );
    let followed = followed?;
    Ok(Answer {
        verdict: Some(judged.verdict),
        incident: followed.done,
        open: followed.open,
        blocked: followed.blocked,
        pages: pages?.into_iter().flatten().collect(),
        pointer_problems,
        ..Answer::default()
    })
}

fn measure(ports: &Ports, plan: &Plan, active: SiteLabel, judged: &Judgement, standby: &Judgement) {
    emit::judgement(plan, active, judged, ports);
    emit::judgement(plan, active.other(), standby, ports);
    let fresh: BTreeSet<&str> = judged.fresh.iter().map(|v| v.as_str()).collect();
    let isolated: BTreeSet<&str> = judged.isolated.iter().map(|v| v.as_str()).collect();
    // One that never reported is as stale as one that stopped.
    let stale = plan
        .detection
        .vantages
        .iter()
        .filter(|vantage| !fresh.contains(vantage.as_str()))
        .count();
    emit::overall(plan, judged, stale, ports);
    emit::vantages(plan, &fresh, &isolated, ports);
}

async fn store(ports: &Ports, key: &str, round: &Round) -> Result<Signals, Failure> {
    let now = ports.now();
    ports
        .change(key, |stored: &mut Option<Signals>| {
            let signals = stored.get_or_insert_default();
            for observation in &round.observations {
                signals.add(observation.clone());
            }
            for name in &round.resolved {
                signals.resolved(name, now);
            }
            Ok(Change::Write(signals.clone()))
        })
        .await
}

/// Once an hour the last full hour is put aside, for tuning on one's own history. The document that it comes from keeps two hours.
async fn archive(ports: &Ports, key: &str, vantage: &str, stored: &Signals) -> Result<(), Failure> {
    let Some((hour, past)) = stored.past_hour(ports.now()) else {
        return Ok(());
    };
    // What is there already was put there by a probe that died before it noted it, or by another one at the same time.
    ports
        .create(&keys::past_signals(vantage, hour), &past)
        .await?;
    ports
        .change(key, |stored: &mut Option<Signals>| match stored {
            Some(signals) if signals.archived.is_none_or(|archived| archived < hour) => {
                signals.archived = Some(hour);
                Ok(Change::Write(()))
            }
            _ => Ok(Change::Keep(())),
        })
        .await
}

/// The pointers are only re-asserted while no run changes them.
async fn pointers(ports: &Ports, plan: &Plan, state: &State) -> Vec<String> {
    if state.lock.is_some() {
        return vec![];
    }
    let mut urls = BTreeMap::new();
    for site in SiteLabel::ALL {
        match sites::workspace_url(ports, site).await {
            Ok(url) => {
                urls.insert(site, url.as_str().to_owned());
            }
            Err(failure) => return vec![failure.message],
        }
    }
    let wanted = Pointers::new(plan, state.active_site, &urls);
    assert_pointers(
        ports,
        plan,
        &wanted,
        plan.detection.probe_timeout_seconds.duration(),
    )
    .await
    .into_iter()
    .filter_map(|(region, result)| result.err().map(|f| format!("{region}: {}", f.message)))
    .collect()
}
