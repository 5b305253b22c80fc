//! Leaving a site that is neither quiet nor silent: only if somebody has accepted exactly that.

use aws::{Failure, Ports, keys};
use recovery::approval::{ApprovalAnswer, Asked, Decisions, Door, Override, Question};
use recovery::aws_fence::{AwsFence, BucketFence};
use recovery::fence::FenceAnswer;
use recovery::plan::Plan;
use recovery::run::{RunDocument, Stage};
use recovery::state::{Fence, FenceGap};

use crate::aws_fence::Held;
use crate::finding::Found;

/// What a pass found, and what people may be asked about it.
pub(crate) struct Asking<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) plan: &'a Plan,
    pub(crate) run: &'a RunDocument,
    pub(crate) fence: &'a Fence,
    pub(crate) gap: FenceGap,
    pub(crate) found: &'a Found,
    pub(crate) held: &'a Held,
}

impl Asking<'_> {
    /// Goes on if this was accepted by name, before or now; asks if it was not. The fence works on while people decide.
    pub(crate) async fn accepted_or_asked(&self) -> Result<(FenceAnswer, String), Failure> {
        let Some(needed) = self.needed() else {
            return Ok((FenceAnswer::Continue, "another pass looks again".to_owned()));
        };
        let tolerance = self.plan.approval.loss_tolerance_seconds;
        let accepted = self.ports.accepted_overrides(self.run).await?;
        if accepted.iter().any(|one| one.covers(&needed, tolerance)) {
            return Ok((FenceAnswer::Proceed, format!("accepted by name: {needed}")));
        }
        if self.gap == FenceGap::Refusing && self.plan_may_leave().await? {
            let why = "the plan approved this run, replication from the site is denied and its roles carry the deny policy";
            return Ok((FenceAnswer::Proceed, why.to_owned()));
        }
        let asked = Asked::fence(self.plan, self.run, self.fence, needed);
        // What is asked may change with each pass, and each change asks anew: that must end, too.
        let now = self.ports.now();
        let began = self.run.entered_at(Stage::Fence, now);
        let longest = self.plan.fence.give_up_after_seconds.signed()
            + self.plan.approval.expires_after_seconds.signed() * 2;
        if now.duration_since(began) >= longest {
            let why = "what people were asked to accept went on changing until time was up";
            return Ok((FenceAnswer::FenceUnverified, why.to_owned()));
        }
        let poll = self.ports.poll_decision(&asked).await?;
        let answer = match poll.answer {
            ApprovalAnswer::Approved => FenceAnswer::Proceed,
            ApprovalAnswer::Pending | ApprovalAnswer::Proving | ApprovalAnswer::Void => {
                FenceAnswer::Continue
            }
            ApprovalAnswer::Declined | ApprovalAnswer::Expired => FenceAnswer::FenceUnverified,
        };
        Ok((answer, format!("people are asked: {}", poll.reason)))
    }

    /// What must be accepted. A pass that found nothing out has nothing to show.
    fn needed(&self) -> Option<Override> {
        let site = self.run.from;
        match (self.gap, self.found) {
            (FenceGap::Refusing, _) => Some(Override::SiteRefuses { site }),
            (FenceGap::HalfDead, Found::NotQuiet(remains)) => Some(remains.as_override(site)),
            (FenceGap::HalfDead | FenceGap::Unreachable, _) => None,
        }
    }

    /// Whether the plan approved the start by itself and nothing that the site still writes can arrive: every bucket denies its
    /// replication, and its roles carry the deny policy.
    async fn plan_may_leave(&self) -> Result<bool, Failure> {
        let (run, site) = (&self.run.run, self.run.from);
        let roles = self.plan.roles_to_fence(site);
        let is_verified = |bucket: &BucketFence| matches!(bucket, BucketFence::Verified(_));
        if roles.is_empty()
            || self.held.buckets.is_empty()
            || !self.held.buckets.values().all(is_verified)
        {
            return Ok(false);
        }
        let Some(start) = self.ports.request(run, &Question::Start).await? else {
            return Ok(false);
        };
        let decisions = self.ports.decisions_on(&start).await?;
        let by_plan = decisions
            .as_ref()
            .and_then(Decisions::last)
            .is_some_and(|last| last.via == Door::Plan);
        if !by_plan {
            return Ok(false);
        }
        let held: Option<AwsFence> = self.ports.read(&keys::aws_fence(site)).await?;
        Ok(held.is_some_and(|held| {
            roles.iter().all(|role| {
                let held = held.roles.get(role);
                held.is_some_and(|held| held.applied_at.is_some())
            })
        }))
    }
}
