//! Records what the active site runs; refuses to learn from a sick, fenced or half-paused site.

use aws::documents::Change;
use aws::notices::{Audience, Notice};
use aws::{Failure, Invocation, Ports, keys, metrics};
use recovery::baseline::{
    BASELINE_FORMAT, Baseline, BaselinePointer, CaptureVerdict, judge_capture, may_capture,
};
use recovery::plan::Plan;
use recovery::site::ContentDigest;
use serde::{Deserialize, Serialize};
use sites::{Depth, Purpose, Role, connect, failure_at, read_inventory};

/// What starts the function.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Always true: the schedule says so.
    pub scheduled: bool,
}

/// What became of the capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "answer")]
pub enum Answer {
    /// It is the baseline.
    Captured {
        /// Its name.
        digest: ContentDigest,
        /// Objects in it.
        objects: usize,
    },
    /// Nothing was read: this is not a site to learn from now.
    Refused {
        /// Why.
        reason: String,
    },
    /// It was kept aside; the good one stays.
    Candidate {
        /// Its name.
        digest: ContentDigest,
        /// Why.
        reason: String,
    },
}

/// One capture.
///
/// # Errors
/// `InvalidPlan`, `CredentialRefused`, `SiteUnreachable`, or what the store said.
pub async fn handle(_: Event, ports: &Ports, _: &Invocation) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    if let Err(reason) = allowed(ports, &plan).await? {
        return Ok(Answer::Refused { reason });
    }
    let state = ports.state().await?;
    let site = state.active_site;
    let workspace = connect(ports, &plan, site, Role::Observer, Purpose::Background).await?;
    // A swapped URL must not teach us another workspace.
    workspace
        .verified()
        .await
        .map_err(|e| failure_at(site, &e))?;
    let now = ports.now();
    let inventory = read_inventory(&workspace, site, &plan.kinds, Depth::Whole, now)
        .await
        .map_err(|e| failure_at(site, &e))?;
    let captured = Baseline {
        format_version: BASELINE_FORMAT,
        epoch: state.epoch,
        inventory,
    };
    // A run may have begun, or the site have fallen sick, while it was read.
    if let Err(reason) = allowed(ports, &plan).await? {
        return Ok(Answer::Refused { reason });
    }
    let current = match ports.baseline_pointer().await? {
        Some(pointer) => Some(ports.baseline(&pointer.digest).await?),
        None => None,
    };
    let digest = ports.store_baseline(&captured).await?;
    match judge_capture(current.as_ref(), &captured, plan.baseline) {
        CaptureVerdict::Accept => accept(ports, &plan, &captured, digest).await,
        CaptureVerdict::Candidate { reason } => set_aside(ports, &plan, digest, reason).await,
    }
}

async fn allowed(ports: &Ports, plan: &Plan) -> Result<Result<(), String>, Failure> {
    let state = ports.state().await?;
    let verdict = ports.judgement(plan, state.active_site).await?.verdict;
    Ok(may_capture(&state, state.active_site, verdict))
}

async fn accept(
    ports: &Ports,
    plan: &Plan,
    captured: &Baseline,
    digest: ContentDigest,
) -> Result<Answer, Failure> {
    let objects = captured.inventory.resources.len();
    let pointer = BaselinePointer {
        format_version: BASELINE_FORMAT,
        digest: digest.clone(),
        site: captured.inventory.site,
        captured_at: captured.inventory.read_at,
        live: captured.inventory.live_counts(),
        objects,
    };
    ports
        .change(keys::BASELINE, |stored: &mut Option<BaselinePointer>| {
            // A slower capture must not replace a newer one.
            if stored
                .as_ref()
                .is_some_and(|s| s.captured_at > pointer.captured_at)
            {
                return Ok(Change::Keep(()));
            }
            *stored = Some(pointer.clone());
            Ok(Change::Write(()))
        })
        .await?;
    metrics::emit(
        &plan.name,
        &[("Site", captured.inventory.site.as_str())],
        &[("BaselineObjects", objects as f64, "Count")],
        ports.now(),
    );
    Ok(Answer::Captured { digest, objects })
}

/// Keeps the capture under its digest and reports it once: the pointer to the candidate changes only with its content.
async fn set_aside(
    ports: &Ports,
    plan: &Plan,
    digest: ContentDigest,
    reason: String,
) -> Result<Answer, Failure> {
    let new = ports
        .change(
            keys::BASELINE_CANDIDATE,
            |stored: &mut Option<ContentDigest>| {
                if stored.as_ref() == Some(&digest) {
                    return Ok(Change::Keep(false));
                }
                *stored = Some(digest.clone());
                Ok(Change::Write(true))
            },
        )
        .await?;
    if new {
        ports
            .notices
            .publish(Notice {
                audience: Audience::Managers,
                subject: format!("[{}] a baseline was not accepted", plan.name),
                message: format!(
                    "{reason}.\nThe last good baseline stays. If the change is meant, delete baselines/current.json in the \
                     state bucket: the next capture is then accepted.\nCandidate: {}\n",
                    keys::baseline(&digest)
                ),
            })
            .await?;
    }
    Ok(Answer::Candidate { digest, reason })
}
