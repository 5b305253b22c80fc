//! Compares the standby with the baseline: on a schedule, and in every run before the approval and after the fence.

use std::collections::BTreeMap;

use aws::{Failure, Invocation, Ports, keys, metrics};
use jiff::Timestamp;
use recovery::baseline::{Baseline, BaselinePointer};
use recovery::failure::FailureName;
use recovery::inventory::Inventory;
use recovery::kind::Object;
use recovery::permissions::difference;
use recovery::plan::Plan;
use recovery::readiness::{Readiness, ReadinessAnswer, compare};
use recovery::run::Stage;
use recovery::site::{RunId, RunToken, SiteLabel};
use serde::{Deserialize, Serialize};
use sites::{
    Depth, Purpose, Role, connect, failure_at, permissions_key, read_inventory, read_permissions,
};

/// What starts the function.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase", deny_unknown_fields)]
pub enum Event {
    /// By the schedule.
    Scheduled,
    /// In a run, as evidence before the approval.
    Target {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
    /// In a run, after the fence.
    Recheck {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether anything blocks.
    pub answer: ReadinessAnswer,
    /// The summary in one sentence.
    pub reason: String,
}

/// `readiness/status.json` and `runs/<id>/readiness-<phase>.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadinessDocument {
    /// Always 1.
    pub format_version: u32,
    /// When the standby was read.
    pub checked_at: Timestamp,
    /// The standby.
    pub site: SiteLabel,
    /// What was found.
    pub readiness: Readiness,
}

/// One comparison.
///
/// # Errors
/// `LockLost`, `NoBaseline`, `SiteUnreachable`, `CredentialRefused`, `WrongWorkspace`, or what the store said.
pub async fn handle(event: Event, ports: &Ports, _: &Invocation) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    match event {
        Event::Scheduled => scheduled(ports, &plan).await,
        Event::Target { run, token } => in_run(ports, &plan, &run, &token, Stage::Readiness).await,
        Event::Recheck { run, token } => in_run(ports, &plan, &run, &token, Stage::Recheck).await,
    }
}

async fn scheduled(ports: &Ports, plan: &Plan) -> Result<Answer, Failure> {
    let state = ports.state().await?;
    let pointer = ports
        .baseline_pointer()
        .await?
        .filter(|p| p.site == state.active_site)
        .ok_or_else(|| {
            Failure::new(
                FailureName::NoBaseline,
                "there is no baseline of the active site to compare with yet",
            )
        })?;
    let document = check(ports, plan, &pointer, Purpose::Background).await?;
    ports.put(keys::READINESS, &document).await?;
    let blocking = document
        .readiness
        .findings
        .iter()
        .filter(|f| f.blocking)
        .count();
    metrics::emit(
        &plan.name,
        &[("Site", document.site.as_str())],
        &[
            (
                "ReadinessPresent",
                document.readiness.present as f64,
                "Count",
            ),
            ("ReadinessBlocking", blocking as f64, "Count"),
        ],
        ports.now(),
    );
    Ok(answer(&document))
}

async fn in_run(
    ports: &Ports,
    plan: &Plan,
    run: &RunId,
    token: &RunToken,
    stage: Stage,
) -> Result<Answer, Failure> {
    let document = ports.enter(run, token, stage).await?;
    let mut result = check(ports, plan, &document.evidence.baseline, Purpose::Run).await?;
    if stage == Stage::Recheck {
        // Whoever approved accepted losses by name and number; what was not accepted may not be lost.
        for loss in ports.unaccepted_losses(plan, &document).await? {
            let blocker = format!("not accepted by the approval: {loss}");
            result.readiness.blockers.push(blocker);
        }
    } else {
        let losses = ports.losses(plan, &document).await?;
        let above = losses.iter().filter(|loss| loss.is_above_objective());
        result.readiness.notes.extend(above.map(|loss| {
            format!(
                "{}: {} of data would be lost, above the objective of {} s; the approver must accept it",
                loss.name,
                loss.in_words(),
                loss.objective_seconds.0
            )
        }));
    }
    let name = if stage == Stage::Recheck {
        "readiness-recheck.json"
    } else {
        "readiness.json"
    };
    ports.put(&keys::of_run(run, name), &result).await?;
    let answer = answer(&result);
    if answer.answer == ReadinessAnswer::Ready {
        ports.finish(run, token, stage).await?;
    }
    Ok(answer)
}

async fn check(
    ports: &Ports,
    plan: &Plan,
    pointer: &BaselinePointer,
    purpose: Purpose,
) -> Result<ReadinessDocument, Failure> {
    let baseline = ports.baseline(&pointer.digest).await?;
    let site = pointer.site.other();
    let workspace = connect(ports, plan, site, Role::Observer, purpose).await?;
    // The standby must be the workspace that the plan means, or the comparison is of something else.
    workspace
        .verified()
        .await
        .map_err(|e| failure_at(site, &e))?;
    let now = ports.now();
    let inventory = read_inventory(&workspace, site, &plan.kinds, Depth::Whole, now)
        .await
        .map_err(|e| failure_at(site, &e))?;
    let mut readiness = compare(&plan.kinds, &baseline.inventory, &inventory);
    let theirs = read_permissions(&workspace, &inventory, &plan.baseline.permissions)
        .await
        .map_err(|e| failure_at(site, &e))?;
    readiness
        .notes
        .extend(permissions_differ(&baseline, &inventory, &theirs));
    let age = now.duration_since(pointer.captured_at);
    if age > plan.baseline.max_age_seconds.signed() {
        readiness.notes.push(format!(
            "the baseline is {} s old, more than the plan's {} s",
            age.as_secs(),
            plan.baseline.max_age_seconds.0
        ));
    }
    Ok(ReadinessDocument {
        format_version: 1,
        checked_at: now,
        site,
        readiness,
    })
}

/// Objects on which the standby grants other permissions than the baseline.
fn permissions_differ(
    baseline: &Baseline,
    standby: &Inventory,
    theirs: &BTreeMap<String, Object>,
) -> Vec<String> {
    let twins = standby.by_key();
    let mut notes = Vec::new();
    for original in &baseline.inventory.resources {
        let Some(ours) = baseline.permissions.get(&permissions_key(original)) else {
            continue;
        };
        let Some([twin]) = twins
            .get(&(original.kind, original.key.as_str()))
            .map(Vec::as_slice)
        else {
            continue;
        };
        let theirs = theirs.get(&permissions_key(twin));
        if let Some(how) = theirs.and_then(|theirs| difference(ours, theirs)) {
            let (kind, name) = (original.kind, &original.name);
            notes.push(format!(
                "permissions of {kind} \"{name}\" differ: the standby {how}"
            ));
        }
    }
    notes
}

fn answer(document: &ReadinessDocument) -> Answer {
    Answer {
        answer: document.readiness.answer(),
        reason: format!(
            "the {} site: {}",
            document.site,
            document.readiness.summary()
        ),
    }
}
