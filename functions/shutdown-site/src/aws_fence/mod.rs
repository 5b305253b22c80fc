//! What a fence holds in AWS: the replication fence in the target's bucket policies, the hard fence on the old site's
//! roles. Level-triggered like the rest: raised while the fence stands, lifted when it does not.

mod buckets;
mod lift;
mod roles;
mod tell;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use aws::documents::Change;
use aws::fences::Fences;
use aws::{Failure, Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::aws_fence::{AwsFence, BucketFence};
use recovery::inventory::Subject;
use recovery::ledger::{Entry, EntryStatus};
use recovery::plan::Plan;
use recovery::site::{RunId, RunToken, SiteLabel};
use recovery::state::Refusal;
use serde::Serialize;

pub use self::lift::Lifting;

/// By what right something is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    /// The run holds the lock.
    Run(&'a RunToken),
    /// A fence stands.
    Watch,
}

/// Works on what the fence of one site holds in AWS.
pub(crate) struct AwsPass<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) fences: &'a Fences,
    pub(crate) plan: &'a Plan,
    /// The fenced site.
    pub(crate) site: SiteLabel,
    pub(crate) run: &'a RunId,
    pub(crate) by: By<'a>,
    pub(crate) invocation: &'a Invocation,
}

/// How the buckets stand after a pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) buckets: BTreeMap<String, BucketFence>,
    /// Buckets whose statement somebody had altered or removed.
    pub(crate) repaired: Vec<String>,
}

impl Held {
    /// Whether a person must act before this fence can hold.
    pub(crate) fn is_impossible(&self) -> bool {
        let mut buckets = self.buckets.values();
        buckets.any(|bucket| matches!(bucket, BucketFence::Impossible(_)))
    }

    pub(crate) fn words(&self) -> String {
        let problems: Vec<String> = self
            .buckets
            .iter()
            .filter_map(|(bucket, fence)| fence.problem().map(|p| format!("bucket {bucket}: {p}")))
            .collect();
        if problems.is_empty() {
            match self.buckets.len() {
                0 => "no bucket to fence against replication".to_owned(),
                n => format!("{n} buckets deny its replication, by their own word"),
            }
        } else {
            format!("NOT FENCED AGAINST REPLICATION: {}", problems.join("; "))
        }
    }
}

/// What the watch found in AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WatchedAws {
    /// The fenced site.
    pub site: SiteLabel,
    /// What was found, in words.
    pub found: String,
}

/// One pass over what standing fences hold in AWS, and over what lifted ones left there.
///
/// # Errors
/// The first failure; the others were worked on before it is told.
pub(crate) async fn watch(
    ports: &Ports,
    fences: &Fences,
    plan: &Plan,
    invocation: &Invocation,
) -> Result<(Vec<WatchedAws>, Vec<Lifting>), Failure> {
    let state = ports.state().await?;
    let (mut watched, mut failure) = (Vec::new(), None);
    for (site, fence) in &state.fences {
        let pass = AwsPass {
            ports,
            fences,
            plan,
            site: *site,
            run: &fence.run,
            by: By::Watch,
            invocation,
        };
        // Together, so that IAM, whose control plane may be in the failed region, does not keep S3 waiting.
        let (held, ()) = tokio::join!(pass.hold_buckets(), pass.hold_roles());
        match held {
            Ok(held) => watched.push(WatchedAws {
                site: *site,
                found: held.words(),
            }),
            // The fence was lifted meanwhile: what follows takes back what was written.
            Err(error) if error.name == recovery::failure::FailureName::InvalidEvent => {}
            Err(error) => failure = Some(error),
        }
    }
    match lift::all(ports, fences, plan, invocation).await {
        Ok(lifted) if failure.is_none() => Ok((watched, lifted)),
        Ok(_) => Err(failure.unwrap_or_else(|| Failure::internal("no failure was kept"))),
        Err(error) => Err(failure.unwrap_or(error)),
    }
}

impl AwsPass<'_> {
    /// Whether it may still write. Asked before each write.
    async fn require_right(&self) -> Result<(), Failure> {
        let state = match self.by {
            By::Run(token) => self.ports.require_lock(self.run, token).await?,
            By::Watch => self.ports.state().await?,
        };
        if state.fences.contains_key(&self.site) {
            Ok(())
        } else {
            Err(Refusal::NoFence { site: self.site }.into())
        }
    }

    /// Whether a switchover waits for what the site wrote last: replication from it must still flow.
    async fn drains(&self) -> Result<bool, Failure> {
        let state = self.ports.state().await?;
        Ok(state.fences.get(&self.site).is_some_and(|f| f.drains))
    }

    /// Whether every bucket denies the replication already, as far as is remembered: then nothing more can arrive.
    pub(crate) async fn denies_replication(&self) -> Result<bool, Failure> {
        let wanted = self.plan.buckets_to_fence(self.site);
        let held: Option<AwsFence> = self.ports.read(&keys::aws_fence(self.site)).await?;
        // What an earlier fence left there is being lifted, and says nothing of this one.
        let held = held.filter(|held| held.run == *self.run && held.lifting_since.is_none());
        let denies = |bucket: &&str| {
            held.as_ref().is_some_and(|held| {
                let held = held.buckets.get(*bucket);
                held.is_some_and(|held| held.verified_at.is_some())
            })
        };
        Ok(!wanted.buckets.is_empty() && wanted.buckets.keys().all(denies))
    }

    /// Changes what is remembered of this fence.
    async fn remember<R: Send>(
        &self,
        change: impl FnMut(&mut AwsFence) -> R + Send,
    ) -> Result<R, Failure> {
        remember(self.ports, self.site, self.run, change).await
    }

    async fn write(&self, stage: &str, entries: Vec<Entry>) -> Result<(), Failure> {
        let id = &self.invocation.request_id;
        let ports = self.ports;
        ports
            .add_to_ledger(self.run, self.site, stage, id, entries)
            .await
    }

    fn now(&self) -> Timestamp {
        self.ports.now()
    }
}

async fn remember<R: Send>(
    ports: &Ports,
    site: SiteLabel,
    run: &RunId,
    mut change: impl FnMut(&mut AwsFence) -> R + Send,
) -> Result<R, Failure> {
    ports
        .change(&keys::aws_fence(site), |stored: &mut Option<AwsFence>| {
            let before = stored.take();
            let mut fence = before
                .clone()
                .unwrap_or_else(|| AwsFence::new(site, run.clone()));
            let result = change(&mut fence);
            let same = before.as_ref() == Some(&fence);
            *stored = Some(fence);
            Ok(if same {
                Change::Keep(result)
            } else {
                Change::Write(result)
            })
        })
        .await
}

fn entry(kind: &str, id: &str, act: &str, at: Timestamp, status: EntryStatus) -> Entry {
    Entry {
        subject: Some(Subject {
            kind: kind.to_owned(),
            id: id.to_owned(),
            name: id.rsplit('/').next().unwrap_or(id).to_owned(),
        }),
        act: act.to_owned(),
        at,
        attempts: 1,
        status,
    }
}
