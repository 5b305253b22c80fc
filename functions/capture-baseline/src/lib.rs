//! Records what the active site runs and how the standby stands by; refuses to learn from a sick, fenced or half-paused site.

mod posture;
mod run;

use aws::documents::Change;
use aws::notices::{Audience, Notice};
use aws::{Failure, Invocation, Ports, keys, metrics};
use recovery::baseline::{
    BASELINE_FORMAT, Baseline, BaselinePointer, Candidate, CaptureVerdict, judge_capture,
    may_capture,
};
use recovery::plan::Plan;
use recovery::run::CaptureAnswer;
use recovery::site::{ContentDigest, Epoch, RunId, RunToken, SiteLabel};
use serde::{Deserialize, Serialize};
use sites::{Purpose, Role, connect, failure_at, read_names, read_permissions, read_record};

/// What starts the function.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
pub enum Event {
    /// The schedule: both sites.
    Schedule,
    /// The state machine, in a switchover: the site that it leaves, just before the fence.
    Run {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To the logs.
    Scheduled(Captured),
    /// To the state machine.
    Run {
        /// Whether the site is recorded.
        answer: CaptureAnswer,
        /// In words.
        reason: String,
    },
}

/// What became of the capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "answer")]
pub enum Answer {
    /// It is the record that counts.
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

/// What became of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Captured {
    /// The active site: the baseline.
    pub active: Answer,
    /// The standby: its posture.
    pub standby: Answer,
}

/// One capture of each site.
///
/// # Errors
/// `InvalidPlan`, `CredentialRefused`, `SiteUnreachable`, or what the store said. What fails at the standby does not keep the
/// baseline from being captured.
pub async fn handle(event: Event, ports: &Ports, _: &Invocation) -> Result<Reply, Failure> {
    let plan = ports.plan().await?;
    match event {
        Event::Schedule => scheduled(ports, &plan).await.map(Reply::Scheduled),
        Event::Run { run, token } => {
            let (answer, reason) = run::capture(ports, &plan, &run, &token).await?;
            Ok(Reply::Run { answer, reason })
        }
    }
}

async fn scheduled(ports: &Ports, plan: &Plan) -> Result<Captured, Failure> {
    let active = active(ports, plan).await;
    let standby = posture::record(ports, plan).await;
    Ok(Captured {
        active: active?,
        standby: standby?,
    })
}

async fn active(ports: &Ports, plan: &Plan) -> Result<Answer, Failure> {
    if let Err(reason) = allowed(ports, plan).await? {
        return Ok(Answer::Refused { reason });
    }
    let state = ports.state().await?;
    let current = match ports.baseline_pointer().await? {
        Some(pointer) => Some(ports.baseline(&pointer.digest).await?),
        None => None,
    };
    let captured = read(
        ports,
        plan,
        state.active_site,
        state.epoch,
        current.as_ref(),
    )
    .await?;
    // A run may have begun, or the site have fallen sick, while it was read.
    if let Err(reason) = allowed(ports, plan).await? {
        return Ok(Answer::Refused { reason });
    }
    let digest = ports.store_baseline(&captured).await?;
    match judge_capture(current.as_ref(), &captured, &plan.baseline) {
        CaptureVerdict::Accept => {
            let objects = captured.inventory.resources.len();
            point(ports, keys::BASELINE, &captured.pointer(&digest)).await?;
            metrics::emit(
                &plan.name,
                &[("Site", captured.inventory.site.as_str())],
                &[("BaselineObjects", objects as f64, "Count")],
                ports.now(),
            );
            Ok(Answer::Captured { digest, objects })
        }
        CaptureVerdict::Candidate { reason } => {
            set_aside(ports, plan, captured.candidate(&digest), reason).await
        }
    }
}

/// Everything of a site, once it is known to be the one that the plan means. What `known` shows need not be asked for again.
async fn read(
    ports: &Ports,
    plan: &Plan,
    site: SiteLabel,
    epoch: Epoch,
    known: Option<&Baseline>,
) -> Result<Baseline, Failure> {
    let workspace = connect(ports, plan, site, Role::Observer, Purpose::Background).await?;
    // A swapped URL must not teach us another workspace.
    workspace
        .verified()
        .await
        .map_err(|e| failure_at(site, &e))?;
    let now = ports.now();
    let known = known.map(|known| &known.inventory);
    let inventory = read_record(&workspace, site, &plan.kinds, known, now)
        .await
        .map_err(|e| failure_at(site, &e))?;
    let permissions = read_permissions(&workspace, &inventory, &plan.baseline.permissions)
        .await
        .map_err(|e| failure_at(site, &e))?;
    let names = read_names(&workspace)
        .await
        .map_err(|e| failure_at(site, &e))?;
    Ok(Baseline {
        format_version: BASELINE_FORMAT,
        epoch,
        inventory,
        permissions,
        names,
    })
}

async fn allowed(ports: &Ports, plan: &Plan) -> Result<Result<(), String>, Failure> {
    let state = ports.state().await?;
    let verdict = ports.judgement(plan, state.active_site).await?.verdict;
    Ok(may_capture(&state, state.active_site, verdict))
}

/// Makes a stored record the one that counts, unless a newer one does.
async fn point(ports: &Ports, key: &str, pointer: &BaselinePointer) -> Result<(), Failure> {
    ports
        .change(key, |stored: &mut Option<BaselinePointer>| {
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
        .await
}

/// Keeps the capture under its digest and reports it once: the managers hear of it only when its content changes.
async fn set_aside(
    ports: &Ports,
    plan: &Plan,
    candidate: Candidate,
    reason: String,
) -> Result<Answer, Failure> {
    let digest = candidate.digest().clone();
    let new = ports
        .change(
            keys::BASELINE_CANDIDATE,
            |stored: &mut Option<Candidate>| {
                let is_known = stored.as_ref().map(Candidate::digest) == Some(&digest);
                if is_known && matches!(stored, Some(Candidate::Whole { .. })) {
                    return Ok(Change::Keep(false));
                }
                *stored = Some(candidate.clone());
                Ok(Change::Write(!is_known))
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
                    "{reason}.\nThe last good baseline stays, and a failover would restore it. If the change is meant, accept the new one \
                     with operate:\n{{\"act\":\"accept-baseline\",\"digest\":\"{}\",\"who\":\"YOUR NAME\",\"why\":\"REASON\"}}\n\
                     If not, bring the site back with operate `reset`.\nCandidate: {}\n",
                    digest.as_str(),
                    keys::baseline(&digest)
                ),
            })
            .await?;
    }
    Ok(Answer::Candidate { digest, reason })
}
