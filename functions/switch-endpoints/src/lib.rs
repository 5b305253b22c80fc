//! The commit, and the routes of S3 access points right after it; then the pointers and workspace URLs in SSM of both sites'
//! regions and the control region, and the news for machines and users.

mod routes;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use aws::access_points::AccessPoints;
use aws::site_news::ActiveSite;
use aws::{Failure, Invocation, Ports, keys};
use recovery::failure::FailureName;
use recovery::kind::Kind;
use recovery::ledger::{Entry, EntryStatus};
use recovery::plan::Plan;
use recovery::run::{RunDocument, Stage};
use recovery::site::{RunId, RunToken, SiteLabel};
use recovery::users::{Move, UsersNotice};
use serde::{Deserialize, Serialize};
use sites::{
    Depth, Pointers, Purpose, Role, assert_pointers, connect_to, failure_at, read_inventory,
};

/// What the state machine hands over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The run.
    pub run: RunId,
    /// Its token.
    pub token: RunToken,
    /// What to do.
    pub phase: Phase,
}

/// The two phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Phase {
    /// Make the target the active site.
    Commit,
    /// Point everybody to it.
    Endpoints,
}

/// The answer to the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Switched {
    /// The target is the active site.
    Committed,
    /// The pointers say so too.
    Switched,
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What was done.
    pub answer: Switched,
    /// In words.
    pub reason: String,
    /// What the users are told, once everything is switched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<UsersNotice>,
}

/// One phase.
///
/// # Errors
/// `LockLost`, `Transient` if a region that must answer did not, or what the store said.
pub async fn handle(
    event: Event,
    ports: &Ports,
    points: &dyn AccessPoints,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    ports.require_lock(&event.run, &event.token).await?;
    match event.phase {
        Phase::Commit => commit(ports, points, &plan, &event, invocation).await,
        Phase::Endpoints => endpoints(ports, points, &plan, &event, invocation).await,
    }
}

async fn commit(
    ports: &Ports,
    points: &dyn AccessPoints,
    plan: &Plan,
    event: &Event,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let run = ports.enter(&event.run, &event.token, Stage::Commit).await?;
    if !run.is_finished(Stage::Validation) {
        return Err(Failure::internal(format!(
            "run {} has not passed its validation",
            run.run
        )));
    }
    let now = ports.now();
    let done = ports
        .change_state(|state| state.commit(run.target, &event.run, &event.token, run.epoch, now))
        .await?;
    let now = ports.now();
    ports
        .change_own_run(&event.run, &event.token, |d| {
            d.committed_at.get_or_insert(done.at);
            d.finish(Stage::Commit, now);
        })
        .await?;
    // Jobs read through the access points, so their routes come before the schedules. What S3 refuses holds up nothing: it is
    // tried again with the endpoints.
    let open = routes::flip(ports, points, plan, &run, event, invocation).await?;
    Ok(Answer {
        answer: Switched::Committed,
        reason: with_open_routes(
            format!("the {} site is active since {}", run.target, done.at),
            &open,
        ),
        notice: None,
    })
}

fn with_open_routes(reason: String, open: &[String]) -> String {
    if open.is_empty() {
        reason
    } else {
        format!(
            "{reason}; ACCESS POINTS DO NOT LEAD THERE YET: {}",
            open.join("; ")
        )
    }
}

async fn endpoints(
    ports: &Ports,
    points: &dyn AccessPoints,
    plan: &Plan,
    event: &Event,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let run = ports
        .enter(&event.run, &event.token, Stage::Endpoints)
        .await?;
    if run.committed_at.is_none() {
        return Err(Failure::internal(format!(
            "run {} has not committed",
            run.run
        )));
    }
    let urls = current_urls(ports, &run).await;
    let mut pointers = Pointers::new(plan, run.target, &urls);
    let warehouses = add_warehouses(ports, plan, &run, &mut pointers).await?;
    let results = assert_pointers(
        ports,
        plan,
        &pointers,
        plan.detection.probe_timeout_seconds.duration(),
    )
    .await;
    let failed_region = &plan.sites.get(run.from).region;
    let mut entries = Vec::new();
    let mut missing = Vec::new();
    for (region, result) in results {
        let status = match result {
            Ok(_) => continue,
            Err(failure) if region == *failed_region && region != plan.control_region => {
                missing.push(region.to_string());
                EntryStatus::Failed {
                    error: failure.message,
                }
            }
            // The control region and the target's must say the truth before anybody is told.
            Err(failure) => return Err(Failure::new(FailureName::Transient, failure.message)),
        };
        entries.push(Entry {
            subject: None,
            act: format!("pointers in {region}"),
            at: ports.now(),
            attempts: 1,
            status,
        });
    }
    let open = routes::flip(ports, points, plan, &run, event, invocation).await?;
    let told = announce(ports, &run, &urls).await;
    entries.push(Entry {
        subject: None,
        act: "event Active Site Changed".to_owned(),
        at: ports.now(),
        attempts: 1,
        status: match &told {
            Ok(()) => EntryStatus::Acknowledged,
            Err(failure) => EntryStatus::Failed {
                error: failure.to_string(),
            },
        },
    });
    ports
        .add_to_ledger(
            &run.run,
            run.target,
            "Endpoints",
            &invocation.request_id,
            entries,
        )
        .await?;
    ports
        .finish(&event.run, &event.token, Stage::Endpoints)
        .await?;
    let mut reason = format!(
        "the {} site took over; every stage was done and read back",
        run.target
    );
    if !missing.is_empty() {
        reason.push_str(&format!(
            " (the pointers in {} follow when that region answers)",
            missing.join(", ")
        ));
    }
    // Everything is switched all the same: machines that listen must be told by hand.
    if let Err(failure) = &told {
        reason.push_str(&format!("; MACHINES WERE NOT TOLD: {failure}"));
    }
    let follow = [
        keys::active_site(&plan.name),
        keys::active_workspace_url(&plan.name),
        keys::active_warehouse(&plan.name, "WAREHOUSE"),
    ];
    let step = Move {
        plan,
        from: run.from,
        target: run.target,
        urls: &urls,
    };
    Ok(Answer {
        answer: Switched::Switched,
        reason: with_open_routes(reason, &open),
        notice: Some(step.finished(&follow, &warehouses)),
    })
}

/// The workspace URLs as people set them in the control region now: a URL that was wrong when the run began may be corrected. One
/// that cannot be read is as the run froze it.
async fn current_urls(ports: &Ports, run: &RunDocument) -> BTreeMap<SiteLabel, String> {
    let mut urls = run.evidence.workspace_urls.clone();
    for (site, url) in &mut urls {
        match sites::workspace_url(ports, *site).await {
            Ok(now) => *url = now.as_str().to_owned(),
            Err(failure) => {
                tracing::warn!(%site, name = %failure.name, message = %failure.message, "the URL as the run froze it is published");
            }
        }
    }
    urls
}

/// Publishes to machines which site is active. Called after the pointers say so.
async fn announce(
    ports: &Ports,
    run: &RunDocument,
    urls: &BTreeMap<SiteLabel, String>,
) -> Result<(), Failure> {
    let news = ActiveSite {
        plan: run.plan.clone(),
        run: run.run.clone(),
        mode: run.mode,
        from: run.from,
        to: run.target,
        epoch: ports.state().await?.epoch,
        committed_at: run.committed_at,
        workspace_url: urls.get(&run.target).cloned().unwrap_or_default(),
    };
    ports.announce_active_site(&news).await
}

/// The baseline's warehouses as they are called at the target: their HTTP paths by name.
async fn add_warehouses(
    ports: &Ports,
    plan: &Plan,
    run: &RunDocument,
    pointers: &mut Pointers,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut paths = BTreeMap::new();
    if !plan.kinds.contains(&Kind::Warehouse) {
        return Ok(paths);
    }
    let baseline = ports.baseline(&run.baseline().digest).await?;
    let workspace = connect_to(
        ports,
        plan,
        run.target,
        sites::frozen_url(run, run.target)?,
        Role::Observer,
        Purpose::Run,
    )
    .await?;
    let target = read_inventory(
        &workspace,
        run.target,
        &[Kind::Warehouse],
        Depth::Whole,
        ports.now(),
    )
    .await
    .map_err(|e| failure_at(run.target, &e))?;
    let theirs = target.by_key();
    for warehouse in baseline.inventory.of_kind(Kind::Warehouse) {
        if let Some([twin]) = theirs
            .get(&(Kind::Warehouse, warehouse.key.as_str()))
            .map(Vec::as_slice)
        {
            let path = pointers.add_warehouse(plan, &warehouse.name, &twin.id);
            paths.insert(warehouse.name.clone(), path);
        }
    }
    Ok(paths)
}
