//! Standing fences: a fact until lifted on purpose, worked on by one pass at a time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Refusal, State};
use crate::reset::Reset;
use crate::run::{Mode, RunDocument};
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
    /// Whether replication from the site still flows: a switchover waits for what a quiet site wrote last. Nothing may be written at the
    /// target meanwhile.
    #[serde(default)]
    pub drains: bool,
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
            drains: false,
            lifting_since: None,
        }
    }

    /// The same fence raised again: nothing is known of the site any more.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::raised(self.run.clone(), self.since)
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
        let waits = self
            .lock
            .as_ref()
            .is_some_and(|lock| lock.mode == Mode::Switchover);
        self.unsettled = Some(run.clone());
        let fence = self.fences.entry(site).or_insert_with(|| Fence {
            drains: waits,
            ..Fence::raised(run.clone(), now)
        });
        fence.run = run.clone();
        // A failover that has taken over waits for nothing.
        fence.drains &= waits;
        Ok(())
    }

    /// Everything that the site wrote has arrived: from now on replication from it is denied.
    ///
    /// # Errors
    /// [`Refusal::LockLost`], [`Refusal::NoFence`].
    pub fn end_drain(
        &mut self,
        site: SiteLabel,
        run: &RunId,
        token: &RunToken,
    ) -> Result<(), Refusal> {
        self.require_lock(run, token)?;
        let fence = self.fences.get_mut(&site);
        fence.ok_or(Refusal::NoFence { site })?.drains = false;
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
        let fence = self.fences.get(&site).ok_or(Refusal::NoFence { site })?;
        if !active && fence.verified_at.is_none() && !confirmed {
            return Err(Refusal::NeverQuiet { site });
        }
        self.take_fence(site, now)
    }

    /// Lifts the fence of a standby as an act of a run: a switchover's target once the site that it leaves was seen quiet, and that
    /// site once the switchover has committed. `None`: there is no fence.
    ///
    /// # Errors
    /// [`Refusal::LockLost`]; [`Refusal::NeverQuiet`] of the site that is not quiet, so that both sites might run.
    pub fn lift_in_run(
        &mut self,
        site: SiteLabel,
        run: &RunId,
        token: &RunToken,
        now: Timestamp,
    ) -> Result<Option<Lifted>, Refusal> {
        self.require_lock(run, token)?;
        let Some(fence) = self.fences.get(&site) else {
            return Ok(None);
        };
        if self.active_site == site || fence.verified_at.is_none() {
            return Err(Refusal::NeverQuiet { site });
        }
        let committed = self.last_commit.as_ref().is_some_and(|c| c.run == *run);
        let other = site.other();
        let quiet = |fence: &Fence| fence.run == *run && fence.verified_at.is_some();
        if !committed && !self.fences.get(&other).is_some_and(quiet) {
            return Err(Refusal::NeverQuiet { site: other });
        }
        self.take_fence(site, now).map(Some)
    }

    /// The way back of a run that has not committed and whose lock is free, in one step: the fence on the site that it leaves is lifted
    /// and that site ordered to become what was recorded of it; a fence that the run lifted on its target is raised again, else the
    /// target is ordered into its posture.
    ///
    /// # Errors
    /// [`Refusal::Locked`], [`Refusal::Changed`] if another site is active by now, [`Refusal::NoFence`] if the run's fence does not
    /// stand: then there is nothing to lead back from. [`Refusal::Resetting`] while another order stands.
    pub fn lead_back(
        &mut self,
        run: &RunDocument,
        orders: &[Reset],
        now: Timestamp,
    ) -> Result<Lifted, Refusal> {
        if let Some(lock) = &self.lock {
            return Err(Refusal::Locked {
                run: lock.run.clone(),
                since: lock.taken_at,
            });
        }
        let (site, target) = (run.from, run.target);
        if self.active_site != site {
            return Err(Refusal::Changed {
                active: self.active_site,
                epoch: self.epoch,
            });
        }
        if self.fences.get(&site).is_none_or(|f| f.run != run.run) {
            return Err(Refusal::NoFence { site });
        }
        let lifted = self.take_fence(site, now)?;
        if lifted == Lifted::Waits {
            return Ok(lifted);
        }
        if let Some(before) = &run.lifted {
            self.fences.entry(target).or_insert_with(|| before.again());
        }
        for order in orders {
            match self.order_reset(order.clone()) {
                // What the standing fence keeps quiet needs no order.
                Ok(()) | Err(Refusal::Fenced { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(lifted)
    }

    pub(super) fn take_fence(
        &mut self,
        site: SiteLabel,
        now: Timestamp,
    ) -> Result<Lifted, Refusal> {
        let fence = self
            .fences
            .get_mut(&site)
            .ok_or(Refusal::NoFence { site })?;
        if fence.pass.as_ref().is_some_and(|pass| pass.until > now) {
            fence.lifting_since = Some(now);
            return Ok(Lifted::Waits);
        }
        let fence = self.fences.remove(&site);
        fence.map(Lifted::Done).ok_or(Refusal::NoFence { site })
    }
}
