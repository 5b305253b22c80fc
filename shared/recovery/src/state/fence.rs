//! Standing fences: a fact until lifted on purpose, worked on by one pass at a time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Refusal, State};
use crate::site::{RunId, RunToken, SiteLabel};

/// A standing fence: a fact until lifted on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fence {
    /// The run that raised it.
    pub run: RunId,
    /// Since when.
    pub since: Timestamp,
    /// When a pass first found everything quiet by reading the site.
    pub verified_at: Option<Timestamp>,
    /// Since when no pass has reached the site, if the last one did not.
    pub unreachable_since: Option<Timestamp>,
    /// The pass that is under way.
    #[serde(default)]
    pub pass: Option<Pass>,
    /// Since when an operator waits for the pass to end, to lift the fence.
    #[serde(default)]
    pub lifting_since: Option<Timestamp>,
}

/// A pass of fencing that is under way. It renews this while it works; one that was killed leaves it to run out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    /// The invocation.
    pub request: String,
    /// Until then it is believed to work.
    pub until: Timestamp,
}

/// An operator who has waited for so long has gone; passes go on.
const LIFTING_PATIENCE: SignedDuration = SignedDuration::from_secs(120);

impl Fence {
    /// A fence that is raised now.
    #[must_use]
    pub const fn raised(run: RunId, since: Timestamp) -> Self {
        Self {
            run,
            since,
            verified_at: None,
            unreachable_since: None,
            pass: None,
            lifting_since: None,
        }
    }

    fn other_pass(&self, request: &str, now: Timestamp) -> Option<&Pass> {
        self.pass
            .as_ref()
            .filter(|pass| pass.request != request && pass.until > now)
    }
}

/// What came of lifting a fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifted {
    /// This fence stood until now.
    Done(Fence),
    /// A pass is under way; ask again.
    Waits,
}

impl State {
    /// Makes the fence a fact. A fence that stands keeps its beginning and gets the newer run.
    ///
    /// # Errors
    /// [`Refusal::LockLost`].
    pub fn raise_fence(
        &mut self,
        site: SiteLabel,
        run: &RunId,
        token: &RunToken,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.require_lock(run, token)?;
        self.unsettled = Some(run.clone());
        self.fences
            .entry(site)
            .and_modify(|fence| fence.run = run.clone())
            .or_insert_with(|| Fence::raised(run.clone(), now));
        Ok(())
    }

    /// Begins a pass, or says that it goes on until then. While it stands no other pass begins and the fence is not lifted.
    ///
    /// # Errors
    /// [`Refusal::NoFence`], [`Refusal::PassUnderWay`], [`Refusal::Lifting`].
    pub fn hold_pass(
        &mut self,
        site: SiteLabel,
        request: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), Refusal> {
        let fence = self
            .fences
            .get_mut(&site)
            .ok_or(Refusal::NoFence { site })?;
        if fence
            .lifting_since
            .is_some_and(|since| now.duration_since(since) < LIFTING_PATIENCE)
        {
            return Err(Refusal::Lifting { site });
        }
        if let Some(other) = fence.other_pass(request, now) {
            let until = other.until;
            return Err(Refusal::PassUnderWay { site, until });
        }
        fence.pass = Some(Pass {
            request: request.to_owned(),
            until,
        });
        Ok(())
    }

    /// Ends a pass, if it is the one that is under way.
    pub fn end_pass(&mut self, site: SiteLabel, request: &str) {
        if let Some(fence) = self.fences.get_mut(&site)
            && fence.pass.as_ref().is_some_and(|p| p.request == request)
        {
            fence.pass = None;
        }
    }

    /// Lifts a fence: an act of its own, by an operator. `confirmed`: although the site was never seen quiet. While a pass is under
    /// way the answer is [`Lifted::Waits`]: the pass stops, and the operator asks again.
    ///
    /// # Errors
    /// [`Refusal::Locked`] while a run is under way, [`Refusal::NoFence`] if none stands, [`Refusal::NeverQuiet`].
    pub fn lift_fence(
        &mut self,
        site: SiteLabel,
        confirmed: bool,
        now: Timestamp,
    ) -> Result<Lifted, Refusal> {
        if let Some(lock) = &self.lock {
            return Err(Refusal::Locked {
                run: lock.run.clone(),
                since: lock.taken_at,
            });
        }
        let active = self.active_site == site;
        let fence = self
            .fences
            .get_mut(&site)
            .ok_or(Refusal::NoFence { site })?;
        if !active && fence.verified_at.is_none() && !confirmed {
            return Err(Refusal::NeverQuiet { site });
        }
        if fence.pass.as_ref().is_some_and(|pass| pass.until > now) {
            fence.lifting_since = Some(now);
            return Ok(Lifted::Waits);
        }
        let fence = self.fences.remove(&site);
        fence.map(Lifted::Done).ok_or(Refusal::NoFence { site })
    }
}
