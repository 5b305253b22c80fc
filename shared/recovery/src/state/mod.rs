//! `state.json`: which site is active, who holds the lock, which fences stand. Pure transitions; the caller writes the
//! result by compare-and-swap and starts again from a fresh read when it lost.

mod fence;
mod promotion;
mod refusal;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::fence::{Fence, Lifted, Pass};
pub use self::promotion::Promotion;
pub use self::refusal::Refusal;
use crate::reset::Reset;
use crate::run::Mode;
use crate::site::{Epoch, PlanName, RunId, RunToken, SiteLabel};

/// The version of the state's format that this code reads and writes.
pub const STATE_FORMAT: u32 = 1;

/// The shared truth of one plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Always [`STATE_FORMAT`].
    pub format_version: u32,
    /// The plan this state belongs to.
    pub plan: PlanName,
    /// The site that has the active role.
    pub active_site: SiteLabel,
    /// Grows at every commit.
    pub epoch: Epoch,
    /// The run that may change things now.
    pub lock: Option<Lock>,
    /// The fences that stand. Only an operator lifts one.
    pub fences: BTreeMap<SiteLabel, Fence>,
    /// The switch that blocks every start.
    pub hold: Option<Hold>,
    /// Until then nothing starts by itself. A cool-down is not a lock.
    pub cool_down_until: Option<Timestamp>,
    /// The newest commit.
    pub last_commit: Option<Commit>,
    /// The run that has begun to change sites and has not completed. While it stands, no site is a model to learn from.
    /// It ends with the run's completion, or when an operator vouches for the active site (`acknowledge`).
    #[serde(default)]
    pub unsettled: Option<RunId>,
    /// The orders to bring a site back to what was recorded of it. A failover that begins ends them; any other run waits.
    #[serde(default)]
    pub resets: BTreeMap<SiteLabel, Reset>,
    /// The failover whose target is to stay the home of the active role, until all that belongs to it is done.
    #[serde(default)]
    pub promotion: Option<Promotion>,
    /// The home of the active role: a switchover away from it is a move, one towards it a failback.
    #[serde(default = "home_at_first")]
    pub home: SiteLabel,
}

/// The right to change things, held by one run through one execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The run.
    pub run: RunId,
    /// The execution that acts for it.
    pub token: RunToken,
    /// What the run does.
    pub mode: Mode,
    /// Since when.
    pub taken_at: Timestamp,
}

/// An operator's "do not start anything".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Who set it.
    pub who: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// A commit: the compare-and-swap that made a site the active one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The run that committed.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
}

/// Where a plan begins.
const fn home_at_first() -> SiteLabel {
    SiteLabel::Primary
}

impl State {
    /// The state of a plan that never failed over.
    #[must_use]
    pub const fn initial(plan: PlanName) -> Self {
        Self {
            format_version: STATE_FORMAT,
            plan,
            active_site: SiteLabel::Primary,
            epoch: Epoch::first(),
            lock: None,
            fences: BTreeMap::new(),
            hold: None,
            cool_down_until: None,
            last_commit: None,
            unsettled: None,
            resets: BTreeMap::new(),
            promotion: None,
            home: home_at_first(),
        }
    }

    /// Takes the lock. Asking again with the same run and token changes nothing, so a lost answer does no harm. A failover takes it
    /// from a lesser run, whose functions then refuse to act; that ends as `Preempted`.
    ///
    /// # Errors
    /// [`Refusal::Held`], [`Refusal::Locked`]; [`Refusal::Resetting`] if a run that can wait finds a site being reset.
    pub fn take_lock(
        &mut self,
        run: &RunId,
        token: &RunToken,
        mode: Mode,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if let Some(lock) = &self.lock {
            if lock.run == *run && lock.token == *token {
                return Ok(());
            }
            if !self.gives_way(lock, mode) {
                return Err(Refusal::Locked {
                    run: lock.run.clone(),
                    since: lock.taken_at,
                });
            }
        }
        if let Some(hold) = &self.hold {
            return Err(Refusal::Held {
                who: hold.who.clone(),
                why: hold.why.clone(),
                since: hold.since,
            });
        }
        if mode == Mode::Failover {
            self.resets.clear();
        } else if let Some(order) = self.resets.values().next() {
            return Err(order.stands());
        }
        self.lock = Some(Lock {
            run: run.clone(),
            token: token.clone(),
            mode,
            taken_at: now,
        });
        Ok(())
    }

    /// Whether the run that holds this lock must make room for one of this mode: what has committed never does.
    #[must_use]
    pub fn gives_way(&self, lock: &Lock, mode: Mode) -> bool {
        let committed = self.last_commit.as_ref().is_some_and(|c| c.run == lock.run);
        mode == Mode::Failover && lock.mode != Mode::Failover && !committed
    }

    /// Takes the lock for a run that is resumed. A lock of the same run is taken over: its older execution is a zombie
    /// from then on.
    ///
    /// # Errors
    /// [`Refusal::Held`] or [`Refusal::Locked`].
    pub fn resume_lock(
        &mut self,
        run: &RunId,
        token: &RunToken,
        mode: Mode,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self
            .lock
            .as_ref()
            .is_some_and(|lock| lock.run == *run && lock.token != *token)
        {
            self.lock = None;
        }
        self.take_lock(run, token, mode, now)
    }

    /// Whether a run that leaves `from` in `epoch` may still do so: nothing was committed since, and its target is not
    /// fenced. A switchover lifts the fence on its target itself, once the site that it leaves is quiet.
    ///
    /// # Errors
    /// [`Refusal::Changed`].
    pub fn require_unchanged(
        &self,
        from: SiteLabel,
        epoch: Epoch,
        mode: Mode,
    ) -> Result<(), Refusal> {
        let lifts = mode == Mode::Switchover;
        if self.active_site == from
            && self.epoch == epoch
            && (lifts || !self.fences.contains_key(&from.other()))
        {
            Ok(())
        } else {
            Err(Refusal::Changed {
                active: self.active_site,
                epoch: self.epoch,
            })
        }
    }

    /// Whether this execution still may act for this run.
    ///
    /// # Errors
    /// [`Refusal::LockLost`].
    pub fn require_lock(&self, run: &RunId, token: &RunToken) -> Result<(), Refusal> {
        match &self.lock {
            Some(lock) if lock.run == *run && lock.token == *token => Ok(()),
            _ => Err(Refusal::LockLost { run: run.clone() }),
        }
    }

    /// Gives the lock back if this execution holds it; else nothing changes. Says whether it did.
    pub fn release_lock(&mut self, run: &RunId, token: &RunToken) -> bool {
        let held = self.require_lock(run, token).is_ok();
        if held {
            self.lock = None;
        }
        held
    }

    /// The one transition that makes `target` the active site and grows the epoch. Asking again for the same run changes
    /// nothing. Returns the commit that stands.
    ///
    /// # Errors
    /// [`Refusal::LockLost`]; [`Refusal::NotFenced`] unless the site that is left is fenced and the target is not.
    pub fn commit(
        &mut self,
        target: SiteLabel,
        run: &RunId,
        token: &RunToken,
        now: Timestamp,
    ) -> Result<Commit, Refusal> {
        self.require_lock(run, token)?;
        if let Some(done) = &self.last_commit
            && done.run == *run
            && self.active_site == target
        {
            return Ok(done.clone());
        }
        let from = target.other();
        if !self.fences.contains_key(&from) || self.fences.contains_key(&target) {
            return Err(Refusal::NotFenced { from, target });
        }
        let commit = Commit {
            run: run.clone(),
            at: now,
        };
        self.active_site = target;
        self.epoch = self.epoch.next();
        self.last_commit = Some(commit.clone());
        Ok(commit)
    }
}

#[cfg(test)]
mod tests;
