//! `state.json`: which site is active, who holds the lock, which fences stand. Pure transitions; the caller writes the
//! result by compare-and-swap and starts again from a fresh read when it lost.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

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
    /// An operator's order to bring a site back to what was recorded of it. A run that begins ends it.
    #[serde(default)]
    pub reset: Option<Reset>,
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

/// Why a transition was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// A hold blocks every start.
    #[error(
        "a hold by {who} since {since} blocks every start ({why}); release it with operate `release`"
    )]
    Held {
        /// Who set the hold.
        who: String,
        /// Why.
        why: String,
        /// Since when.
        since: Timestamp,
    },
    /// Another run is under way.
    #[error(
        "run {run} holds the lock since {since}; wait for it, or end it with operate `abandon`"
    )]
    Locked {
        /// The run.
        run: RunId,
        /// Since when.
        since: Timestamp,
    },
    /// The caller is not, or no longer, the holder of the lock.
    #[error("run {run} does not hold the lock with this token; its execution must stop acting")]
    LockLost {
        /// The caller's run.
        run: RunId,
    },
    /// There is no fence to lift or to work on.
    #[error("no fence stands on the {site} site")]
    NoFence {
        /// The site.
        site: SiteLabel,
    },
    /// The site that would be left is not fenced, or the one that would become active is.
    #[error("the {from} site is not fenced or the {target} site is; nothing may be committed")]
    NotFenced {
        /// The site that would be left.
        from: SiteLabel,
        /// The site that would become active.
        target: SiteLabel,
    },
    /// The state changed since the run looked at it.
    #[error(
        "the {active} site is active in epoch {epoch} now, or a fence stands on the target; start again"
    )]
    Changed {
        /// The active site.
        active: SiteLabel,
        /// The epoch.
        epoch: Epoch,
    },
    /// Another pass is at the site.
    #[error("another pass is at the {site} site, until {until} at the latest")]
    PassUnderWay {
        /// The site.
        site: SiteLabel,
        /// When it is over at the latest.
        until: Timestamp,
    },
    /// A fence stands on the site.
    #[error("a fence stands on the {site} site; lift it first with operate `unfence`")]
    Fenced {
        /// The site.
        site: SiteLabel,
    },
    /// An order to reset a site stands.
    #[error("the {site} site is being reset since {since}; wait until it is done")]
    Resetting {
        /// The site.
        site: SiteLabel,
        /// Since when.
        since: Timestamp,
    },
    /// The order is gone.
    #[error("the order {id} stands no more: it was done, or a run has begun")]
    NoReset {
        /// The order.
        id: RunId,
    },
    /// An operator is lifting the fence.
    #[error("an operator is lifting the fence on the {site} site")]
    Lifting {
        /// The site.
        site: SiteLabel,
    },
    /// The fenced site was never seen quiet, so that lifting its fence could make two active sites.
    #[error(
        "the {site} site was never seen quiet and is not the active one: without its fence both sites may run; to lift it all the same add \"confirm\" with the plan's name"
    )]
    NeverQuiet {
        /// The site.
        site: SiteLabel,
    },
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
            reset: None,
        }
    }

    /// Takes the lock. Asking again with the same run and token changes nothing, so a lost answer does no harm.
    ///
    /// # Errors
    /// [`Refusal::Held`] or [`Refusal::Locked`].
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
            return Err(Refusal::Locked {
                run: lock.run.clone(),
                since: lock.taken_at,
            });
        }
        if let Some(hold) = &self.hold {
            return Err(Refusal::Held {
                who: hold.who.clone(),
                why: hold.why.clone(),
                since: hold.since,
            });
        }
        self.reset = None;
        self.lock = Some(Lock {
            run: run.clone(),
            token: token.clone(),
            mode,
            taken_at: now,
        });
        Ok(())
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
    /// fenced.
    ///
    /// # Errors
    /// [`Refusal::Changed`].
    pub fn require_unchanged(&self, from: SiteLabel, epoch: Epoch) -> Result<(), Refusal> {
        if self.active_site == from
            && self.epoch == epoch
            && !self.fences.contains_key(&from.other())
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(name: &str) -> (RunId, RunToken) {
        (RunId::new(name), RunToken::new(format!("arn:{name}")))
    }

    #[test]
    fn a_second_run_cannot_take_the_lock_and_a_zombie_cannot_commit() {
        let mut state = State::initial(PlanName::new("p"));
        let (a, ta) = run("a");
        let (b, tb) = run("b");
        state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
        state.take_lock(&a, &ta, Mode::Failover, at(2)).unwrap();
        assert!(matches!(
            state.take_lock(&b, &tb, Mode::Failover, at(3)),
            Err(Refusal::Locked { .. })
        ));
        assert!(state.release_lock(&a, &ta));
        state.take_lock(&b, &tb, Mode::Failover, at(4)).unwrap();
        assert!(state.commit(SiteLabel::Secondary, &a, &ta, at(5)).is_err());
        assert!(
            state
                .raise_fence(SiteLabel::Primary, &a, &ta, at(5))
                .is_err()
        );
        assert!(!state.release_lock(&a, &ta));
        assert_eq!(state.active_site, SiteLabel::Primary);
    }

    #[test]
    fn a_resumed_run_takes_its_own_lock_over_and_its_old_execution_is_a_zombie() {
        let mut state = State::initial(PlanName::new("p"));
        let (a, ta) = run("a");
        let again = RunToken::new("arn:again");
        state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
        state
            .resume_lock(&a, &again, Mode::Failover, at(2))
            .unwrap();
        assert!(state.require_lock(&a, &ta).is_err());
        assert!(state.require_lock(&a, &again).is_ok());
        let (b, tb) = run("b");
        assert!(
            state.resume_lock(&b, &tb, Mode::Failover, at(3)).is_err(),
            "only its own"
        );
    }

    #[test]
    fn a_fence_on_a_site_never_seen_quiet_is_lifted_only_when_confirmed() {
        let mut state = State::initial(PlanName::new("p"));
        let (a, ta) = run("a");
        state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
        state
            .raise_fence(SiteLabel::Primary, &a, &ta, at(1))
            .unwrap();
        state.commit(SiteLabel::Secondary, &a, &ta, at(2)).unwrap();
        state.release_lock(&a, &ta);
        assert_eq!(
            state.lift_fence(SiteLabel::Primary, false, at(3)),
            Err(Refusal::NeverQuiet {
                site: SiteLabel::Primary
            })
        );
        assert!(state.lift_fence(SiteLabel::Primary, true, at(3)).is_ok());
    }

    #[test]
    fn a_fence_is_lifted_only_when_no_pass_is_under_way_and_passes_make_room() {
        let mut state = State::initial(PlanName::new("p"));
        let (a, ta) = run("a");
        let site = SiteLabel::Primary;
        state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
        state.raise_fence(site, &a, &ta, at(1)).unwrap();
        state.release_lock(&a, &ta);
        state.hold_pass(site, "one", at(2), at(30)).unwrap();
        assert!(matches!(
            state.hold_pass(site, "two", at(3), at(31)),
            Err(Refusal::PassUnderWay { .. })
        ));
        assert_eq!(state.lift_fence(site, true, at(4)), Ok(Lifted::Waits));
        assert!(matches!(
            state.hold_pass(site, "one", at(5), at(35)),
            Err(Refusal::Lifting { .. })
        ));
        state.end_pass(site, "two");
        assert_eq!(state.lift_fence(site, true, at(6)), Ok(Lifted::Waits));
        let mut killed = state.clone();
        assert!(
            matches!(killed.lift_fence(site, true, at(31)), Ok(Lifted::Done(_))),
            "a pass that was killed runs out"
        );
        state.end_pass(site, "one");
        assert!(matches!(
            state.lift_fence(site, true, at(7)),
            Ok(Lifted::Done(_))
        ));
    }

    #[test]
    fn a_hold_blocks_every_start_and_a_cool_down_none_of_a_person() {
        let mut state = State::initial(PlanName::new("p"));
        let (a, ta) = run("a");
        state.cool_down_until = Some(at(10));
        assert!(
            state
                .clone()
                .take_lock(&a, &ta, Mode::Failover, at(9))
                .is_ok()
        );
        state.hold = Some(Hold {
            who: "w".into(),
            why: "y".into(),
            since: at(1),
        });
        assert!(matches!(
            state.take_lock(&a, &ta, Mode::Failover, at(20)),
            Err(Refusal::Held { .. })
        ));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Take(u8, u8),
        Release(u8, u8),
        Fence(u8, u8),
        Commit(u8, u8),
        Lift,
    }

    fn act() -> impl Strategy<Value = Act> {
        let who = || (0u8..3, 0u8..2);
        prop_oneof![
            who().prop_map(|(r, t)| Act::Take(r, t)),
            who().prop_map(|(r, t)| Act::Release(r, t)),
            who().prop_map(|(r, t)| Act::Fence(r, t)),
            who().prop_map(|(r, t)| Act::Commit(r, t)),
            Just(Act::Lift),
        ]
    }

    proptest! {
        /// Whatever is tried in whatever order: only the holder changes anything, the epoch never falls and grows only
        /// with the active site's owner, and a fence disappears only by lifting.
        #[test]
        fn only_the_holder_changes_anything(acts in proptest::collection::vec(act(), 0..60)) {
            let mut state = State::initial(PlanName::new("p"));
            for (i, act) in acts.into_iter().enumerate() {
                let before = state.clone();
                let who = |r: u8, t: u8| (RunId::new(format!("r{r}")), RunToken::new(format!("r{r}-t{t}")));
                let now = at(i as i64);
                match act {
                    Act::Take(r, t) => { let (r, t) = who(r, t); let _ = state.take_lock(&r, &t, Mode::Failover, now); }
                    Act::Release(r, t) => { let (r, t) = who(r, t); state.release_lock(&r, &t); }
                    Act::Fence(r, t) => { let (r, t) = who(r, t); let _ = state.raise_fence(SiteLabel::Primary, &r, &t, now); }
                    Act::Commit(r, t) => {
                        let (r, t) = who(r, t);
                        let held = before.require_lock(&r, &t).is_ok();
                        let again = before.last_commit.as_ref().is_some_and(|c| c.run == r);
                        let done = state.commit(SiteLabel::Secondary, &r, &t, now).is_ok();
                        let fenced = before.fences.contains_key(&SiteLabel::Primary);
                        prop_assert_eq!(held && (fenced || again), done, "a commit needs the lock and the fence");
                    }
                    Act::Lift => {
                        let allowed = before.lock.is_none() && !before.fences.is_empty();
                        prop_assert_eq!(state.lift_fence(SiteLabel::Primary, true, now).is_ok(), allowed);
                        continue;
                    }
                }
                prop_assert!(state.epoch >= before.epoch);
                prop_assert!(before.fences.keys().all(|site| state.fences.contains_key(site)));
                if let (Some(old), Some(new)) = (&before.lock, &state.lock) {
                    prop_assert_eq!(&old.token, &new.token, "the lock changed hands without being released");
                }
            }
        }
    }
}
