//! What a fence has written into AWS: remembered before it is written, forgotten only when it is proven gone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fence::FenceAnswer;
use crate::ledger::Verified;
use crate::site::{Region, RoleArn, RunId, SiteLabel};

/// The version of `fences/<site>.json`.
pub const AWS_FENCE_FORMAT: u32 = 1;

/// A pass asks the state before each write, and no write lasts longer than this. So a pass that still believes in a fence
/// that was lifted, or the other way round, has done its last harm after this time; only a reading later than that counts.
pub const LINGER: SignedDuration = SignedDuration::from_secs(30);

/// `fences/<site>.json`: what the fence of a site holds in AWS. It outlives the fence until all of it is lifted, and does
/// not depend on what the plan says by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsFence {
    /// Always [`AWS_FENCE_FORMAT`].
    pub format_version: u32,
    /// The fenced site.
    pub site: SiteLabel,
    /// The run whose ledger tells of it.
    pub run: RunId,
    /// Since when it is being lifted.
    pub lifting_since: Option<Timestamp>,
    /// It was raised while it was being lifted: readings before this prove nothing.
    pub trusted_after: Option<Timestamp>,
    /// The buckets into whose policies our statement was written, or may have been.
    pub buckets: BTreeMap<String, HeldBucket>,
    /// The roles to which the deny policy was attached, or may have been.
    pub roles: BTreeMap<RoleArn, HeldRole>,
    /// What people were told of and must act on, by bucket or role. Told once.
    #[serde(default)]
    pub told: BTreeMap<String, String>,
}

/// One bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBucket {
    /// Its region.
    pub region: Region,
    /// Since when every reading found our statement in force.
    pub verified_at: Option<Timestamp>,
}

/// One role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRole {
    /// When it was last tried.
    pub tried_at: Timestamp,
    /// When IAM accepted it.
    pub applied_at: Option<Timestamp>,
}

impl AwsFence {
    /// A fence that holds nothing yet.
    #[must_use]
    pub const fn new(site: SiteLabel, run: RunId) -> Self {
        Self {
            format_version: AWS_FENCE_FORMAT,
            site,
            run,
            lifting_since: None,
            trusted_after: None,
            buckets: BTreeMap::new(),
            roles: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// The fence stands, for this run.
    pub fn raise(&mut self, run: &RunId, now: Timestamp) {
        self.run = run.clone();
        if self.lifting_since.take().is_some() {
            // Whoever was lifting may not have seen yet that the fence stands again.
            self.trusted_after = now.checked_add(LINGER).ok();
        }
    }

    /// The fence no longer stands. Says since when.
    pub fn lift(&mut self, now: Timestamp) -> Timestamp {
        *self.lifting_since.get_or_insert(now)
    }

    /// Whether a reading that began then proves that our statement stays.
    #[must_use]
    pub fn trusts(&self, began: Timestamp) -> bool {
        self.trusted_after.is_none_or(|after| began >= after)
    }

    /// Whether a reading that began then proves that our statement stays away.
    #[must_use]
    pub fn is_gone_at(&self, began: Timestamp) -> bool {
        self.lifting_since
            .is_some_and(|since| began.duration_since(since) >= LINGER)
    }

    /// Whether nothing is left of it.
    #[must_use]
    pub fn holds_nothing(&self) -> bool {
        self.buckets.is_empty() && self.roles.is_empty()
    }

    /// Notes a problem that a person must act on. Says whether it is news.
    pub fn news(&mut self, what: &str, problem: Option<&str>) -> bool {
        match problem {
            Some(problem) => {
                self.told
                    .insert(what.to_owned(), problem.to_owned())
                    .as_deref()
                    != Some(problem)
            }
            None => {
                self.told.remove(what);
                false
            }
        }
    }
}

/// How a bucket stands after a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketFence {
    /// It denies the roles, by a reading.
    Verified(Verified),
    /// Not yet: the next pass goes on.
    Pending(String),
    /// Not without a person: S3 refuses, or the policy has no room or no sense.
    Impossible(String),
}

impl BucketFence {
    /// In words; none if it holds.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Verified(_) => None,
            Self::Pending(why) | Self::Impossible(why) => Some(why),
        }
    }
}

/// The answer of a run's pass over workspace and buckets: nothing may write at the target before every bucket denies the
/// old site's replication. What a person must repair ends the run at once, what may pass ends it when the plan's patience
/// does (`patience_is_over`).
#[must_use]
pub fn answer_with<'a>(
    workspace: FenceAnswer,
    buckets: impl IntoIterator<Item = &'a BucketFence>,
    patience_is_over: bool,
) -> FenceAnswer {
    let mut pending = false;
    for bucket in buckets {
        match bucket {
            BucketFence::Verified(_) => {}
            BucketFence::Pending(_) => pending = true,
            BucketFence::Impossible(_) => return FenceAnswer::FenceUnverified,
        }
    }
    match workspace {
        FenceAnswer::Proceed | FenceAnswer::Continue if pending && patience_is_over => {
            FenceAnswer::FenceUnverified
        }
        FenceAnswer::Proceed if pending => FenceAnswer::Continue,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws_fence::{Denial, Merged, PolicyReading, merged};
    use crate::site::PlanName;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn verified() -> BucketFence {
        let roles = [RoleArn::new("arn:aws:iam::123456789012:role/r")];
        let denial = Denial::new(&PlanName::new("p"), "b", &roles);
        let Ok(Merged::Write { text, .. }) = merged(None, &denial) else {
            panic!()
        };
        let reading = PolicyReading::new(Some(text), at(1));
        BucketFence::Verified(Verified::by_policy(&reading, None, |r| r.denies(&denial)).unwrap())
    }

    #[test]
    fn nothing_writes_at_the_target_before_every_bucket_is_verified() {
        use FenceAnswer::{Continue, FenceUnverified, Proceed};
        let pending = BucketFence::Pending("slow".into());
        let impossible = BucketFence::Impossible("403".into());
        for (workspace, buckets, over, expected) in [
            (Proceed, vec![], false, Proceed),
            (Proceed, vec![verified()], true, Proceed),
            (Proceed, vec![verified(), pending.clone()], false, Continue),
            (Proceed, vec![pending.clone()], true, FenceUnverified),
            (Continue, vec![pending.clone()], true, FenceUnverified),
            (Continue, vec![verified()], true, Continue),
            (Continue, vec![impossible.clone()], false, FenceUnverified),
            (
                Proceed,
                vec![verified(), impossible],
                false,
                FenceUnverified,
            ),
            (FenceUnverified, vec![verified()], false, FenceUnverified),
        ] {
            assert_eq!(
                answer_with(workspace, &buckets, over),
                expected,
                "{workspace:?} {buckets:?} {over}"
            );
        }
    }

    #[test]
    fn a_fence_raised_while_it_was_lifted_is_believed_only_when_the_lifter_is_done() {
        let mut fence = AwsFence::new(SiteLabel::Primary, RunId::new("a"));
        fence.raise(&RunId::new("a"), at(0));
        assert!(fence.trusts(at(0)));
        assert_eq!(fence.lift(at(10)), at(10));
        assert_eq!(fence.lift(at(20)), at(10));
        assert!(!fence.is_gone_at(at(39)) && fence.is_gone_at(at(40)));
        fence.raise(&RunId::new("b"), at(50));
        assert!(!fence.trusts(at(79)) && fence.trusts(at(80)));
        assert!(!fence.is_gone_at(at(1000)));
    }

    #[test]
    fn a_problem_is_news_once_until_it_is_gone() {
        let mut fence = AwsFence::new(SiteLabel::Primary, RunId::new("a"));
        assert!(fence.news("b", Some("x")));
        assert!(!fence.news("b", Some("x")));
        assert!(fence.news("b", Some("y")));
        assert!(!fence.news("b", None));
        assert!(fence.news("b", Some("y")));
    }
}
