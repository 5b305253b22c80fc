//! Probes both sites, stores the signals of this vantage; in the control region also judges, opens incidents, starts the
//! state machine and asserts the pointers.

mod incident;
mod probe;

use std::collections::BTreeMap;

use aws::documents::Change;
use aws::executions::Executions;
use aws::{Failure, Ports, keys, metrics};
use recovery::plan::Plan;
use recovery::signals::Signals;
use recovery::site::SiteLabel;
use recovery::state::State;
use recovery::verdict::{Judgement, Observation, Verdict};
use serde::{Deserialize, Serialize};
use sites::{Pointers, assert_pointers};

/// What starts the function.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Always true: the schedule says so.
    pub scheduled: bool,
}

/// What the function tells its logs.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The verdict on the active site; none outside of the control region.
    pub verdict: Option<Verdict>,
    /// What was done about it.
    pub incident: Option<String>,
    /// Regions whose pointers could not be asserted.
    pub pointer_problems: Vec<String>,
}

/// One probe of both sites.
///
/// # Errors
/// `InvalidPlan`, or what the store said. A site that does not answer is a signal, not an error.
pub async fn handle(_: Event, ports: &Ports, executions: &Executions) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    let observations =
        futures::future::join_all(SiteLabel::ALL.map(|site| probe::observe(ports, &plan, site)))
            .await;
    store(ports, &observations).await?;
    if ports.region != plan.control_region {
        return Ok(Answer {
            verdict: None,
            incident: None,
            pointer_problems: vec![],
        });
    }
    let state = ports.state().await?;
    let judged = ports.judgement(&plan, state.active_site).await?;
    let standby = ports.judgement(&plan, state.active_site.other()).await?;
    emit(&plan, &state, &judged, ports);
    let (incident, pointer_problems) = futures::join!(
        incident::follow(ports, &plan, &state, &judged, standby.verdict, executions),
        pointers(ports, &plan, &state),
    );
    Ok(Answer {
        verdict: Some(judged.verdict),
        incident: incident?,
        pointer_problems,
    })
}

async fn store(ports: &Ports, observations: &[Observation]) -> Result<(), Failure> {
    ports
        .change(
            &keys::signals(ports.region.as_str()),
            |stored: &mut Option<Signals>| {
                let signals = stored.get_or_insert_default();
                for observation in observations {
                    signals.add(observation.clone());
                }
                Ok(Change::Write(()))
            },
        )
        .await
}

fn emit(plan: &Plan, state: &State, judged: &Judgement, ports: &Ports) {
    let verdict = judged.verdict.to_string();
    let site = state.active_site.as_str();
    metrics::emit(
        &plan.name,
        &[("Site", site)],
        &[
            (
                "Actionable",
                f64::from(u8::from(judged.actionable)),
                "Count",
            ),
            (
                "Healthy",
                f64::from(u8::from(judged.verdict == Verdict::Healthy)),
                "Count",
            ),
        ],
        ports.now(),
    );
    metrics::emit(
        &plan.name,
        &[("Site", site), ("Verdict", &verdict)],
        &[("Verdict", 1.0, "Count")],
        ports.now(),
    );
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
