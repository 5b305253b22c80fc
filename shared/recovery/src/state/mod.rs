//! `state.json`: which site is active, who holds the lock, which fences stand. Pure transitions; the caller writes the
//! result by compare-and-swap and starts again from a fresh read when it lost.

mod debts;
mod ends;
mod fence;
mod promotion;
mod refusal;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::ends::{EndedTokens, RunEnd};
pub use self::fence::{
    Fence, FenceGap, LiftGround, Lifted, Pass, QuietReading, SiteCondition, WATCH_PERIOD,
};
pub use self::promotion::Promotion;
pub use self::refusal::Refusal;
use crate::activation::debts::DebtsPointer;
use crate::reset::Reset;
use crate::run::{Mode, Outcome};
use crate::site::{Epoch, PlanName, RunId, RunToken, SiteLabel};

/// The version of the state's format that this code reads and writes.
pub const STATE_FORMAT: u32 = 1;

/// No writer makes the state longer than this, bytes; readers take any length. Every function reads it every few seconds.
pub const LARGEST_STATE: usize = 64 * 1024;

/// The shared truth of one plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// It ends with the run's completion, or when an operator vouches for the active site (`vouch`).
    #[serde(default)]
    pub unsettled: Option<RunId>,
    /// What runs could not bring up, and nobody has given up: the list lies beside.
    #[serde(default)]
    pub debts: Option<DebtsPointer>,
    /// The run that made the site active and has not completed, whoever was vouched for since: what it leaves owed is not in `debts` yet.
    #[serde(default)]
    pub owing: Option<RunId>,
    /// The orders to bring a site back to what was recorded of it. A failover that begins ends them; any other run waits.
    #[serde(default)]
    pub resets: BTreeMap<SiteLabel, Reset>,
    /// The failover whose target is to stay the home of the active role, until all that belongs to it is done.
    #[serde(default)]
    pub promotion: Option<Promotion>,
    /// The home of the active role: a switchover away from it is a move, one towards it a failback.
    #[serde(default = "home_at_first")]
    pub home: SiteLabel,
    /// Tokens that act no more.
    #[serde(default)]
    pub ended_tokens: EndedTokens,
    /// How the newest attempts of runs ended, oldest first.
    #[serde(default)]
    pub ends: Vec<RunEnd>,
    /// Names the write that made this version. A writer whose answer was lost finds its own name here, and does not repeat its change.
    #[serde(default)]
    pub swap: Option<String>,
}

/// The right to change things, held by one run through one execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub fn initial(plan: PlanName) -> Self {
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
            debts: None,
            owing: None,
            resets: BTreeMap::new(),
            promotion: None,
            home: home_at_first(),
            ended_tokens: EndedTokens::default(),
            ends: Vec::new(),
            swap: None,
        }
    }

    /// What is under way, one line each: an upgrade that needs rest waits for all of it.
    #[must_use]
    pub fn under_way(&self) -> Vec<String> {
        let lock = self.lock.iter();
        let lock = lock.map(|lock| format!("run {} holds the lock", lock.run));
        let fences = self.fences.keys();
        let fences = fences.map(|site| format!("a fence stands on the {site} site"));
        let resets = self.resets.keys();
        let resets = resets.map(|site| format!("the {site} site is being reset"));
        lock.chain(fences).chain(resets).collect()
    }

    /// Takes the lock. Asking again with the same run and token changes nothing, so a lost answer does no harm. A failover takes it
    /// from a lesser run, whose functions then refuse to act; that ends as `Preempted`.
    ///
    /// # Errors
    /// [`Refusal::LockLost`] for an execution that has ended: its function may be slow and alive. [`Refusal::Held`], [`Refusal::Locked`]; [`Refusal::Resetting`] if a run that can wait finds a site being reset.
    pub fn take_lock(
        &mut self,
        run: &RunId,
        token: &RunToken,
        mode: Mode,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.ended_tokens.contains(token) {
            return Err(Refusal::LockLost { run: run.clone() });
        }
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
        if let Some(lesser) = self.lock.take() {
            let reason = format!("run {run} took the lock");
            self.record_end(&lesser.run, &lesser.token, Outcome::Preempted, &reason, now);
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

    /// Takes the lock for a run that is resumed. `read` is the token that the caller read from the run: only a lock of that very
    /// attempt is taken over, so that a slow resume cannot take it from a newer one. The older execution is a zombie from then on.
    ///
    /// # Errors
    /// As [`State::take_lock`]; [`Refusal::Locked`] too if another attempt of the run has the lock.
    pub fn resume_lock(
        &mut self,
        run: &RunId,
        token: &RunToken,
        read: &RunToken,
        mode: Mode,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.ended_tokens.contains(token) {
            return Err(Refusal::LockLost { run: run.clone() });
        }
        let before = self.clone();
        if self
            .lock
            .as_ref()
            .is_some_and(|lock| lock.run == *run && lock.token == *read && read != token)
        {
            self.lock = None;
        }
        let taken = self.take_lock(run, token, mode, now);
        match taken {
            Ok(()) if read != token => self.end_token(read, now),
            Ok(()) => {}
            Err(_) => *self = before,
        }
        taken
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

    /// The one transition that makes `target` the active site and grows the epoch. Asking again for the same run changes
    /// nothing. `epoch` is the one in which the run began. Returns the commit that stands.
    ///
    /// # Errors
    /// [`Refusal::LockLost`]; [`Refusal::Changed`] if something was committed since the run began; [`Refusal::NotFenced`] unless the site that is left is fenced and the target is not.
    pub fn commit(
        &mut self,
        target: SiteLabel,
        run: &RunId,
        token: &RunToken,
        epoch: Epoch,
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
        if self.epoch != epoch || self.active_site != from {
            return Err(Refusal::Changed {
                active: self.active_site,
                epoch: self.epoch,
            });
        }
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
        self.owing = Some(run.clone());
        Ok(commit)
    }
}

#[cfg(test)]
mod tests;
