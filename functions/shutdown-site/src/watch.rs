//! The watch: while a fence stands, every pass reads the whole site. A redeploy, a person or a site that comes back is
//! fenced again, and told once.

use std::time::Duration;

use aws::{Failure, Invocation, Ports};
use recovery::plan::Plan;
use recovery::site::SiteLabel;
use recovery::state::Fence;
use serde::Serialize;
use sites::{Purpose, Role, connect};

use crate::guard::{Right, is_fenced_by_a_run};
use crate::news;
use crate::pass::Pass;

/// A pass of the watch goes on for so long while there is something to fence; the next one begins only when it is over.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the watch found at one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// The fenced site.
    pub site: SiteLabel,
    /// What was found, in words.
    pub found: String,
    /// How much was fenced again.
    pub acted: usize,
}

/// One pass over every standing fence.
///
/// # Errors
/// The first failure; the others were worked on before it is told.
pub(crate) async fn all(
    ports: &Ports,
    plan: &Plan,
    invocation: &Invocation,
) -> Result<Vec<Watched>, Failure> {
    let state = ports.state().await?;
    crate::warn_untold(ports.announce_fences(&state).await);
    let mut watched = Vec::new();
    let mut failure = None;
    for (site, fence) in &state.fences {
        if is_fenced_by_a_run(ports, &state, *site).await {
            continue;
        }
        match one(ports, plan, *site, fence, invocation).await {
            Ok(found) => watched.push(found),
            Err(f) => failure = Some(f),
        }
    }
    failure.map_or(Ok(watched), Err)
}

async fn one(
    ports: &Ports,
    plan: &Plan,
    site: SiteLabel,
    before: &Fence,
    invocation: &Invocation,
) -> Result<Watched, Failure> {
    let call = plan.fence.call_timeout_seconds.duration();
    let door = connect(ports, plan, site, Role::Operator, Purpose::Probe(call)).await?;
    let workspace = connect(ports, plan, site, Role::Operator, Purpose::Fence(call)).await?;
    let run = &before.run;
    let right = Right::StandingFence;
    let pass = Pass::begin(ports, plan, site, run.clone(), right, invocation).await?;
    let (found, _) = pass.work(&door, &workspace, PATIENCE).await?;
    let acted = news::tell(ports, plan, run, site, &pass.records, &found, before).await?;
    Ok(Watched {
        site,
        found: found.words(),
        acted,
    })
}
