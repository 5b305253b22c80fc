//! The watch: while a fence stands, every pass reads the whole site. A redeploy, a person or a site that comes back is
//! fenced again, and told once.

use std::time::Duration;

use aws::notices::{Audience, Notice};
use aws::{Failure, Invocation, Ports};
use recovery::inventory::Subject;
use recovery::plan::Plan;
use recovery::run::Stage;
use recovery::site::SiteLabel;
use recovery::state::Fence;
use serde::Serialize;
use sites::{Purpose, Role, connect};

use crate::pass::{Found, Pass, Right};

/// A pass of the watch ends before the next one begins.
const PATIENCE: Duration = Duration::from_secs(45);

/// What the watch found at one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// The fenced site.
    pub site: SiteLabel,
    /// What was found, in words.
    pub found: String,
    /// How much was acted upon.
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
    let mut watched = Vec::new();
    let mut failure = None;
    for (site, fence) in &state.fences {
        // Only while a run is at this very fence does it need no watch: two passes at once do no harm, but twice the
        // requests. Between its fence and its commit the watch goes on: the site may come back in between.
        if let Some(lock) = &state.lock
            && ports
                .run(&lock.run)
                .await
                .is_ok_and(|run| run.from == *site && run.is_in(Stage::Fence))
        {
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
    let mut pass = Pass::new(
        ports,
        plan,
        site,
        before.run.clone(),
        Right::StandingFence,
        invocation,
    );
    let found = pass.work_in_time(&door, &workspace, PATIENCE).await?;
    pass.record(&found).await?;
    let touched: Vec<Subject> = pass.touched.iter().cloned().collect();
    let newly_quiet = found.is_quiet() && before.verified_at.is_none();
    if !touched.is_empty() || newly_quiet {
        tell(ports, plan, site, &found, &touched).await?;
    }
    Ok(Watched {
        site,
        found: found.words(),
        acted: touched.len(),
    })
}

async fn tell(
    ports: &Ports,
    plan: &Plan,
    site: SiteLabel,
    found: &Found,
    touched: &[Subject],
) -> Result<(), Failure> {
    let (runs, others): (Vec<&Subject>, Vec<&Subject>) =
        touched.iter().partition(|s| s.kind == "run");
    let list = |subjects: &[&Subject]| -> String {
        let mut lines: Vec<String> = subjects
            .iter()
            .take(50)
            .map(|s| format!("  {} {} \"{}\"", s.kind, s.id, s.name))
            .collect();
        if subjects.len() > 50 {
            lines.push(format!(
                "  … and {} more, see the ledger",
                subjects.len() - 50
            ));
        }
        lines.join("\n")
    };
    let subject = if found.is_quiet() {
        format!("[{}] the fenced {site} site is quiet", plan.name)
    } else {
        format!("[{}] the fenced {site} site is not quiet", plan.name)
    };
    let message = format!(
        "The {site} site: {}.\n\nRuns that got through and were cancelled: {}\n{}\n\nAlso fenced again: {}\n{}\n",
        found.words(),
        runs.len(),
        list(&runs),
        others.len(),
        list(&others)
    );
    ports
        .notices
        .publish(Notice {
            audience: Audience::Managers,
            subject,
            message,
        })
        .await
}
