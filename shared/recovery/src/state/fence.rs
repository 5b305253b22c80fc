//! Standing fences: a fact until lifted on purpose, worked on by one pass at a time.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Refusal, State};
use crate::reset::Reset;
use crate::run::{Mode, RunDocument};
use crate::site::{RunId, RunToken, SiteLabel};

/// A standing fence: a fact until lifted on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The run that raised it.
    pub run: RunId,
    /// Since when.
    pub since: Timestamp,
    /// Since when every reading has found the site quiet; none from the first reading that shows something live.
    pub verified_at: Option<Timestamp>,
    /// The newest reading that found everything quiet. Only a fresh one proves anything: see [`Fence::is_quiet`].
    #[serde(default)]
    pub quiet: Option<QuietReading>,
    /// Since when every attempt of every pass was met with silence.
    pub unreachable_since: Option<Timestamp>,
    /// Since when no attempt of any pass has succeeded, at least one of them answered by a refusal that serves nobody (5xx, 429, 401, 403).
    #[serde(default)]
    pub refusing_since: Option<Timestamp>,
    /// How the run left the site, if it went on although the site was not quiet.
    #[serde(default)]
    pub left_as: Option<FenceGap>,
    /// The pass that is under way.
    #[serde(default)]
    pub pass: Option<Pass>,
    /// Whether replication from the site still flows: a switchover waits for what a quiet site wrote last. Nothing may be written at the
    /// target meanwhile.
    #[serde(default)]
    pub drains: bool,
    /// The start of the quiet time (`verified_at`) whose writes have all arrived. If the site has woken since, `verified_at` differs, and
    /// replication must drain anew before it is denied.
    #[serde(default)]
    pub drained_since: Option<Timestamp>,
    /// Since when an operator waits for the pass to end, to lift the fence.
    #[serde(default)]
    pub lifting_since: Option<Timestamp>,
}

/// A reading of the whole site that found nothing live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietReading {
    /// When it began: what started later it cannot have seen.
    pub began_at: Timestamp,
    /// When it was over.
    pub ended_at: Timestamp,
}

/// What keeps a fence from being verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FenceGap {
    /// The site is silent: nothing came back from it.
    Unreachable,
    /// It answers, and serves nobody: nothing but 5xx, 429, 401, 403.
    Refusing,
    /// Some calls succeed: part of it could not be read, or is still live.
    HalfDead,
}

impl fmt::Display for FenceGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable",
            Self::Refusing => "refusing",
            Self::HalfDead => "half-dead",
        })
    }
}

/// What one pass found out about the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteCondition {
    /// Everything was read and nothing is live.
    Quiet(QuietReading),
    /// It answers, and is not known to be quiet.
    Answering,
    /// No attempt succeeded, and some were refused.
    Refusing,
    /// Nothing came back from it.
    Silent,
}

/// The watch reads each fenced site this often (the schedule of `ShutdownSiteFunction` in the template).
pub const WATCH_PERIOD: SignedDuration = SignedDuration::from_secs(60);
/// No proof of quiet is older than this, however long a reading of the site takes.
const OLDEST_PROOF: SignedDuration = SignedDuration::from_mins(15);

impl QuietReading {
    /// Whether it still proves that the site is quiet: its start is no older than two watch periods, or twice as long as it took,
    /// whichever is longer, and at most 15 minutes.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let took = self.ended_at.duration_since(self.began_at);
        let limit = (WATCH_PERIOD * 2).max(took * 2).min(OLDEST_PROOF);
        now.duration_since(self.began_at) <= limit
    }
}

/// On what ground a fence is lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiftGround {
    /// A fresh reading shows the site quiet; checked within the swap.
    FreshReading,
    /// This very decision accepted by name that the site was not seen quiet.
    AcceptedOverride,
}

/// A pass of fencing that is under way. It renews this while it works; one that was killed leaves it to run out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
            quiet: None,
            unreachable_since: None,
            refusing_since: None,
            left_as: None,
            pass: None,
            drains: false,
            drained_since: None,
            lifting_since: None,
        }
    }

    /// The same fence raised again: nothing is known of the site any more.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::raised(self.run.clone(), self.since)
    }

    /// Whether a fresh reading proves that the site is quiet.
    #[must_use]
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        self.verified_at.is_some() && self.quiet.is_some_and(|quiet| quiet.is_fresh(now))
    }

    /// A reading found everything quiet.
    pub fn note_quiet(&mut self, reading: QuietReading) {
        self.verified_at.get_or_insert(reading.ended_at);
        self.quiet = Some(reading);
        self.unreachable_since = None;
        self.refusing_since = None;
    }

    /// Notes what a pass found out. One success ends both silence and refusal; a silent pass does not end a refusal.
    pub fn note_condition(&mut self, condition: SiteCondition, now: Timestamp) {
        if let SiteCondition::Quiet(reading) = condition {
            return self.note_quiet(reading);
        }
        self.retract_quiet();
        match condition {
            SiteCondition::Silent => {
                self.unreachable_since.get_or_insert(now);
            }
            SiteCondition::Refusing => {
                self.unreachable_since = None;
                self.refusing_since.get_or_insert(now);
            }
            SiteCondition::Answering | SiteCondition::Quiet(_) => {
                self.unreachable_since = None;
                self.refusing_since = None;
            }
        }
    }

    /// Something at the site has answered: it is neither silent nor refusing, whatever else is found.
    pub fn note_answer(&mut self) {
        self.unreachable_since = None;
        self.refusing_since = None;
    }

    /// Nothing proves any more that the site is quiet: a reading showed something live, or a pass failed.
    pub fn retract_quiet(&mut self) {
        self.verified_at = None;
        self.quiet = None;
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
    Done(Box<Fence>),
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
        if fence.run != *run {
            fence.drained_since = None;
        }
        fence.run = run.clone();
        // A failover that has taken over waits for nothing.
        fence.drains &= waits;
        Ok(())
    }

    /// Everything that the site wrote before `quiet_since` has arrived. Returns whether that is all: if something woke meanwhile, the
    /// site has written since, and what it wrote is waited for anew. Replication still flows; see [`State::stop_replication`].
    ///
    /// # Errors
    /// [`Refusal::LockLost`], [`Refusal::NoFence`].
    pub fn end_drain(
        &mut self,
        site: SiteLabel,
        run: &RunId,
        token: &RunToken,
        quiet_since: Timestamp,
    ) -> Result<bool, Refusal> {
        self.require_lock(run, token)?;
        let fence = self.fences.get_mut(&site);
        let fence = fence.ok_or(Refusal::NoFence { site })?;
        let is_all = fence.verified_at == Some(quiet_since);
        if is_all {
            fence.drained_since = Some(quiet_since);
        }
        Ok(is_all)
    }

    /// The site was read as quiet by the run: from now on replication from it is denied, if it has drained and nothing woke since.
    /// Returns whether that is so; if not, the run waits for what was written last. `is_denied`: the buckets deny it already, by their own
    /// word, so that nothing can drain any more.
    ///
    /// # Errors
    /// [`Refusal::LockLost`], [`Refusal::NoFence`].
    pub fn stop_replication(
        &mut self,
        site: SiteLabel,
        run: &RunId,
        token: &RunToken,
        is_denied: bool,
    ) -> Result<bool, Refusal> {
        self.require_lock(run, token)?;
        let fence = self.fences.get_mut(&site);
        let fence = fence.ok_or(Refusal::NoFence { site })?;
        let has_drained = fence.verified_at.is_some() && fence.verified_at == fence.drained_since;
        // A run that stopped between this and the denial finds what woke meanwhile, and drains that too.
        fence.drains = !has_drained && !is_denied;
        Ok(!fence.drains)
    }

    /// Notes that the run goes on although the site is not quiet; `None` if it is.
    ///
    /// # Errors
    /// [`Refusal::LockLost`], [`Refusal::NoFence`].
    pub fn leave_as(
        &mut self,
        site: SiteLabel,
        run: &RunId,
        token: &RunToken,
        gap: Option<FenceGap>,
    ) -> Result<(), Refusal> {
        self.require_lock(run, token)?;
        let fence = self.fences.get_mut(&site);
        fence.ok_or(Refusal::NoFence { site })?.left_as = gap;
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

    /// Lifts a fence: an act of its own, by an operator. The ground is checked here, within the swap. While a pass is under
    /// way the answer is [`Lifted::Waits`]: the pass stops, and the operator asks again.
    ///
    /// # Errors
    /// [`Refusal::Locked`] while a run is under way, [`Refusal::NoFence`] if none stands, [`Refusal::NeverQuiet`].
    pub fn lift_fence(
        &mut self,
        site: SiteLabel,
        ground: LiftGround,
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
        if !active && ground == LiftGround::FreshReading && !fence.is_quiet(now) {
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
        if self.active_site == site || !fence.is_quiet(now) {
            return Err(Refusal::NeverQuiet { site });
        }
        let committed = self.last_commit.as_ref().is_some_and(|c| c.run == *run);
        let other = site.other();
        let quiet = |fence: &Fence| fence.run == *run && fence.is_quiet(now);
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

    /// The operator gives up waiting: passes go on at once.
    pub fn stop_lifting(&mut self, site: SiteLabel) {
        if let Some(fence) = self.fences.get_mut(&site) {
            fence.lifting_since = None;
        }
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
        fence
            .map(Box::new)
            .map(Lifted::Done)
            .ok_or(Refusal::NoFence { site })
    }
}
