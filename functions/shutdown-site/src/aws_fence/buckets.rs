//! The replication fence: the target's buckets deny the old site's replication roles.

use aws::{Failure, keys};
use futures::future::join_all;
use jiff::Timestamp;
use recovery::aws_fence::{
    AwsFence, BucketFence, Denial, HeldBucket, Merged, PolicyReading, merged,
};
use recovery::failure::FailureName;
use recovery::ledger::{Entry, EntryStatus, Verified};
use recovery::site::{DataSetName, Region};

use super::{AwsPass, By, Held, entry};

/// The stage in the ledger.
pub(super) const STAGE: &str = "ReplicationFence";
/// Writes in one pass until the reading shows the statement. S3 may show an older policy for a moment, and somebody else may
/// write at the same time.
const ATTEMPTS: u32 = 3;
const BUCKET: &str = "bucket";

/// What a pass did at one bucket.
struct Worked {
    fence: BucketFence,
    repaired: bool,
}

impl AwsPass<'_> {
    /// Makes every bucket deny the replication roles of the fenced site, and reads it back. Calls only the region of the
    /// other site.
    ///
    /// # Errors
    /// `LockLost`, `InvalidEvent` if the fence does not stand, or what the store said. What S3 says is a status.
    pub(crate) async fn hold_buckets(&self) -> Result<Held, Failure> {
        let wanted = self.plan.buckets_to_fence(self.site);
        self.list_what_is_spared().await?;
        if wanted.buckets.is_empty() || self.drains().await? {
            return Ok(Held::default());
        }
        self.require_right().await?;
        let (run, now) = (self.run, self.now());
        let fence = self
            .remember(|fence| {
                fence.raise(run, now);
                fence.clone()
            })
            .await?;
        let region = &self.plan.sites.get(self.site.other()).region;
        let work = wanted.buckets.iter().map(|(bucket, sets)| {
            let denial = Denial::new(&self.plan.name, bucket, wanted.roles);
            let fence = &fence;
            async move {
                let left = self.invocation.left();
                let work = self.hold_bucket(fence, region, bucket, &denial, sets);
                let worked = tokio::time::timeout(left, work).await;
                let worked = worked.unwrap_or_else(|_| {
                    Ok(Worked {
                        fence: BucketFence::Pending("time was up".to_owned()),
                        repaired: false,
                    })
                });
                worked.map(|worked| ((*bucket).to_owned(), worked))
            }
        });
        let mut held = Held::default();
        for worked in join_all(work).await {
            let (bucket, worked) = worked?;
            if worked.repaired {
                held.repaired.push(bucket.clone());
            }
            held.buckets.insert(bucket, worked.fence);
        }
        self.remember(|fence| note(fence, &held)).await?;
        self.tell(&held).await?;
        Ok(held)
    }

    async fn hold_bucket(
        &self,
        before: &AwsFence,
        region: &Region,
        bucket: &str,
        denial: &Denial,
        sets: &[&DataSetName],
    ) -> Result<Worked, Failure> {
        let policies = &self.fences.policies;
        let known = before.buckets.get(bucket).and_then(|b| b.verified_at);
        let (mut attempted, mut repaired) = (None, false);
        // S3 may show an older policy for a moment: what was verified is read twice before it is called altered.
        let mut may_be_stale = known.is_some();
        for attempt in 0..=ATTEMPTS {
            let began = self.now();
            let reading = match policies.get(region, bucket).await {
                Ok(text) => PolicyReading::new(text, began),
                Err(failure) => {
                    let fence = outcome(&failure, sets);
                    return Ok(Worked { fence, repaired });
                }
            };
            let (text, repairs) = match merged(reading.text(), denial) {
                Ok(Merged::InForce) => {
                    let fence = self
                        .verified(before, bucket, denial, &reading, attempted, known)
                        .await?;
                    return Ok(Worked { fence, repaired });
                }
                Ok(Merged::Write { text, repairs }) => (text, repairs),
                Err(problem) => {
                    let fence = BucketFence::Impossible(advice(&problem.to_string(), sets));
                    return Ok(Worked { fence, repaired });
                }
            };
            if std::mem::take(&mut may_be_stale) {
                continue;
            }
            if attempt == ATTEMPTS {
                break;
            }
            repaired |= attempted.is_none() && (repairs || known.is_some());
            self.about_to_write(region, bucket, &reading).await?;
            attempted = Some(self.now());
            let status = match policies.put(region, bucket, &text).await {
                Ok(()) => EntryStatus::Acknowledged,
                Err(failure) => {
                    let error = failure.to_string();
                    self.log(bucket, EntryStatus::Failed { error }).await?;
                    match outcome(&failure, sets) {
                        // The answer may be what was lost: the next reading tells.
                        BucketFence::Pending(_) => continue,
                        fence => return Ok(Worked { fence, repaired }),
                    }
                }
            };
            self.log(bucket, status).await?;
        }
        let why = "its policy does not show the deny statement yet".to_owned();
        let fence = BucketFence::Pending(why);
        Ok(Worked { fence, repaired })
    }

    /// What must be known before a policy is changed: that we may, that we are about to, and what was there.
    async fn about_to_write(
        &self,
        region: &Region,
        bucket: &str,
        reading: &PolicyReading,
    ) -> Result<(), Failure> {
        let first = self
            .remember(|fence| {
                let held = HeldBucket {
                    region: region.clone(),
                    verified_at: None,
                };
                fence.buckets.insert(bucket.to_owned(), held).is_none()
            })
            .await?;
        if first && let Some(text) = reading.text() {
            // For a person who has to put it back by hand. Kept as S3 gave it.
            let millisecond = reading.began().as_millisecond();
            let key = keys::bucket_policy_before(self.run, bucket, millisecond);
            let text = text.as_bytes().to_vec();
            self.ports.store.create(&key, text).await?;
        }
        self.log(bucket, EntryStatus::Attempted).await?;
        self.require_right().await
    }

    async fn verified(
        &self,
        before: &AwsFence,
        bucket: &str,
        denial: &Denial,
        reading: &PolicyReading,
        attempted: Option<Timestamp>,
        known: Option<Timestamp>,
    ) -> Result<BucketFence, Failure> {
        if !before.trusts(reading.began()) {
            let why = "the fence was lifted a moment ago, and that may still be under way";
            return Ok(BucketFence::Pending(why.to_owned()));
        }
        let Some(proof) = Verified::by_policy(reading, attempted, |r| r.denies(denial)) else {
            let why = "it was read before it was written".to_owned();
            return Ok(BucketFence::Pending(why));
        };
        if attempted.is_some() || known.is_none() {
            let read_at = proof.clone();
            self.log(bucket, EntryStatus::Verified { read_at }).await?;
        }
        Ok(BucketFence::Verified(proof))
    }

    /// Data sets that nothing fences are listed in the ledger, once, with the reason.
    async fn list_what_is_spared(&self) -> Result<(), Failure> {
        if matches!(self.by, By::Watch) {
            return Ok(());
        }
        let exempt = &self.plan.replication_fence.exempt;
        let mut spared: Vec<(&str, String)> = exempt
            .iter()
            .map(|e| {
                (
                    e.data_set.as_str(),
                    format!("exempt from the replication fence by the plan: {}", e.why),
                )
            })
            .collect();
        if self.plan.replication_fence.roles.of(self.site).is_empty() {
            let why = format!(
                "the plan names no role that replicates away from the {} site",
                self.site
            );
            let rest = self
                .plan
                .data_sets
                .iter()
                .filter(|set| !self.plan.is_exempt(set));
            spared.extend(rest.map(|set| (set.name().as_str(), why.clone())));
        }
        if spared.is_empty() {
            return Ok(());
        }
        let run = self.run;
        let news = self
            .remember(|fence| {
                let of_run = |what: &str| format!("{what} in {run}");
                let mut news = Vec::new();
                for (name, why) in &spared {
                    if fence.news(&of_run(name), Some(why)) {
                        news.push((*name, why.clone()));
                    }
                }
                news
            })
            .await?;
        let now = self.now();
        let entries: Vec<Entry> = news
            .into_iter()
            .map(|(name, reason)| {
                entry(
                    "data_set",
                    name,
                    "spare",
                    now,
                    EntryStatus::Listed { reason },
                )
            })
            .collect();
        self.write(STAGE, entries).await
    }

    async fn log(&self, bucket: &str, status: EntryStatus) -> Result<(), Failure> {
        let line = entry(BUCKET, bucket, "deny replication", self.now(), status);
        self.write(STAGE, vec![line]).await
    }
}

/// What was found becomes what is known.
fn note(fence: &mut AwsFence, held: &Held) {
    for (bucket, found) in &held.buckets {
        if let Some(known) = fence.buckets.get_mut(bucket) {
            match found {
                BucketFence::Verified(proof) => {
                    known.verified_at.get_or_insert(proof.read_at());
                }
                BucketFence::Pending(_) | BucketFence::Impossible(_) => known.verified_at = None,
            }
        }
    }
}

/// What a refused or lost call means for the fence.
fn outcome(failure: &Failure, sets: &[&DataSetName]) -> BucketFence {
    let words = failure.message.clone();
    match failure.name {
        FailureName::Transient | FailureName::Throttled | FailureName::Conflict => {
            BucketFence::Pending(words)
        }
        _ => BucketFence::Impossible(advice(&words, sets)),
    }
}

fn advice(problem: &str, sets: &[&DataSetName]) -> String {
    let names: Vec<&str> = sets.iter().map(|name| name.as_str()).collect();
    format!(
        "{problem}. Repair it and resume; or, if nothing that arrives late can do harm, put {} into replication_fence.exempt of the plan with the reason, and resume",
        names.join(", ")
    )
}
