//! Lifting: whatever a fence that no longer stands has left in AWS is taken back, until a reading proves that it is gone.
//! It goes by what was remembered and not by the plan, which may have changed since.

use std::time::Duration;

use aws::fences::{Detached, Fences};
use aws::{Failure, Invocation, Ports, keys};
use recovery::aws_fence::{AwsFence, HeldBucket, Lifted, PolicyReading, lifted};
use recovery::failure::FailureName;
use recovery::ledger::{EntryStatus, Verified};
use recovery::plan::Plan;
use recovery::site::{RoleArn, SiteLabel};
use recovery::state::Refusal;
use serde::Serialize;

use super::tell::tell_lifted;
use super::{entry, remember};

/// The stage in the ledger.
const STAGE: &str = "Unfence";
/// Writes in one pass until the reading shows that the statement is gone.
const ATTEMPTS: u32 = 3;
/// No role is waited for longer than this.
const LIMIT: Duration = Duration::from_secs(12);

/// What is left in AWS of a fence that was lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lifting {
    /// The site that was fenced.
    pub site: SiteLabel,
    /// Buckets and roles that may still deny; looked at again in the next pass.
    pub left: Vec<String>,
}

/// One pass over every fence that no longer stands.
///
/// # Errors
/// What the store said. What S3 and IAM say is told and tried again.
pub(super) async fn all(
    ports: &Ports,
    fences: &Fences,
    plan: &Plan,
    invocation: &Invocation,
) -> Result<Vec<Lifting>, Failure> {
    let mut found = Vec::new();
    for site in SiteLabel::ALL {
        let Some(held) = ports.read::<AwsFence>(&keys::aws_fence(site)).await? else {
            continue;
        };
        if held.holds_nothing() || ports.state().await?.fences.contains_key(&site) {
            continue;
        }
        let now = ports.now();
        let held = remember(ports, site, &held.run, |fence| {
            fence.lift(now);
            fence.clone()
        })
        .await?;
        let pass = Lift {
            ports,
            fences,
            plan,
            invocation,
            held: &held,
        };
        match pass.work().await {
            Ok(lifting) => found.push(lifting),
            // The fence was raised again meanwhile.
            Err(failure) if failure.name == FailureName::Blocked => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(found)
}

struct Lift<'a> {
    ports: &'a Ports,
    fences: &'a Fences,
    plan: &'a Plan,
    invocation: &'a Invocation,
    held: &'a AwsFence,
}

/// What a pass found of one bucket or role.
enum Left {
    /// Proven gone, and nobody can put it back.
    Nothing,
    /// Gone now; a pass that has not seen yet that the fence is lifted may put it back.
    Watched,
    /// Still there.
    There(String),
}

impl Lift<'_> {
    async fn work(&self) -> Result<Lifting, Failure> {
        let (mut gone, mut left, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (bucket, at) in &self.held.buckets {
            match self.lift_bucket(bucket, at).await? {
                Left::Nothing => gone.push(bucket.clone()),
                Left::Watched => left.push(bucket.clone()),
                Left::There(problem) => {
                    left.push(bucket.clone());
                    problems.push((bucket.clone(), problem));
                }
            }
        }
        for role in self.held.roles.keys() {
            match self.lift_role(role).await? {
                Left::Nothing => gone.push(role.to_string()),
                Left::Watched => left.push(role.to_string()),
                Left::There(problem) => {
                    left.push(role.to_string());
                    problems.push((role.to_string(), problem));
                }
            }
        }
        let site = self.held.site;
        let news = remember(self.ports, site, &self.held.run, |fence| {
            if fence.lifting_since.is_some() {
                fence.buckets.retain(|bucket, _| !gone.contains(bucket));
                fence
                    .roles
                    .retain(|role, _| !gone.contains(&role.to_string()));
            }
            if fence.holds_nothing() {
                fence.told.clear();
            }
            let mut news = Vec::new();
            for (what, problem) in &problems {
                if fence.news(what, Some(problem)) {
                    news.push(format!("{what}: {problem}"));
                }
            }
            news
        })
        .await?;
        tell_lifted(self.ports, site, &gone, &left, &news).await?;
        Ok(Lifting { site, left })
    }

    async fn lift_bucket(&self, bucket: &str, at: &HeldBucket) -> Result<Left, Failure> {
        let policies = &self.fences.policies;
        let mut attempted = None;
        for attempt in 0..=ATTEMPTS {
            let began = self.ports.now();
            let reading = match policies.get(&at.region, bucket).await {
                Ok(text) => PolicyReading::new(text, began),
                Err(failure) => return Ok(Left::There(failure.message)),
            };
            let change = match lifted(reading.text(), &self.plan.name) {
                Ok(Lifted::Absent) => {
                    let name = &self.plan.name;
                    let proof = Verified::by_policy(&reading, attempted, |r| r.is_free_of(name));
                    if let (Some(read_at), true) = (proof, attempted.is_some()) {
                        self.log("bucket", bucket, EntryStatus::Verified { read_at })
                            .await?;
                    }
                    return Ok(self.gone_at(began));
                }
                Ok(change) => change,
                Err(problem) => return Ok(Left::There(problem.to_string())),
            };
            if attempt == ATTEMPTS {
                break;
            }
            self.log("bucket", bucket, EntryStatus::Attempted).await?;
            self.require_no_fence().await?;
            attempted = Some(self.ports.now());
            let result = match &change {
                Lifted::Write(text) => policies.put(&at.region, bucket, text).await,
                Lifted::Delete | Lifted::Absent => policies.delete(&at.region, bucket).await,
            };
            if let Err(failure) = result {
                let error = failure.message;
                self.log("bucket", bucket, EntryStatus::Failed { error })
                    .await?;
            }
        }
        Ok(Left::There(
            "its policy still shows the deny statement".to_owned(),
        ))
    }

    async fn lift_role(&self, role: &RoleArn) -> Result<Left, Failure> {
        self.require_no_fence().await?;
        let began = self.ports.now();
        let detached = tokio::time::timeout(LIMIT, self.fences.roles.detach(role)).await;
        let (left, status) = match detached {
            // Only the answer that there was nothing to detach proves that it is gone.
            Ok(Ok(Detached::Before)) => return Ok(self.gone_at(began)),
            Ok(Ok(Detached::Now)) => (Left::Watched, EntryStatus::Acknowledged),
            Ok(Err(failure)) => {
                let error = failure.message;
                (Left::There(error.clone()), EntryStatus::Failed { error })
            }
            Err(_) => {
                let error = format!("IAM gave no answer within {} s", LIMIT.as_secs());
                (Left::There(error.clone()), EntryStatus::Failed { error })
            }
        };
        self.log("role", role.as_str(), status).await?;
        Ok(left)
    }

    fn gone_at(&self, began: jiff::Timestamp) -> Left {
        if self.held.is_gone_at(began) {
            Left::Nothing
        } else {
            Left::Watched
        }
    }

    async fn require_no_fence(&self) -> Result<(), Failure> {
        let state = self.ports.state().await?;
        match state.fences.get(&self.held.site) {
            None => Ok(()),
            Some(fence) => Err(Refusal::Locked {
                run: fence.run.clone(),
                since: fence.since,
            }
            .into()),
        }
    }

    async fn log(&self, kind: &str, id: &str, status: EntryStatus) -> Result<(), Failure> {
        let line = entry(kind, id, "lift", self.ports.now(), status);
        let (run, site) = (&self.held.run, self.held.site);
        let request = &self.invocation.request_id;
        self.ports
            .add_to_ledger(run, site, STAGE, request, vec![line])
            .await
    }
}
