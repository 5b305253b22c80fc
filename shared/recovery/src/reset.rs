//! Bringing a site back to what was recorded of it: the active one after an abandoned run, a standby into its posture. An order
//! of an operator, worked off until a reading shows that nothing differs.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::activation::Phase;
use crate::inventory::{Inventory, Resource, Subject};
use crate::kind::{DrMode, Kind};
use crate::site::{ContentDigest, RunId, RunToken, SiteLabel};
use crate::state::{Pass, Refusal, State};

/// The state machine's answer when a run brings a site into its recorded posture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StandbyAnswer {
    /// A reading shows that nothing differs.
    AsRecorded,
    /// Call again.
    Continue,
    /// Not all could be brought back, or there is no record; the reason says what is left to people.
    Left,
}

/// A standing order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Names its ledger: `runs/<id>/ledger/Reset/`.
    pub id: RunId,
    /// The site that is brought back.
    pub site: SiteLabel,
    /// What it is brought back to: a baseline that was captured from this very site.
    pub record: ContentDigest,
    /// Who ordered it.
    pub who: String,
    /// Why.
    pub why: String,
    /// When.
    pub ordered_at: Timestamp,
    /// Whether what runs could not bring up there is brought up too: a person asks for it. An order that a run puts only undoes.
    #[serde(default)]
    pub brings_up_owed: bool,
    /// The pass that is under way.
    #[serde(default)]
    pub pass: Option<Pass>,
}

impl Reset {
    /// The refusal of what must wait for it.
    #[must_use]
    pub fn stands(&self) -> Refusal {
        Refusal::Resetting {
            site: self.site,
            since: self.ordered_at,
        }
    }

    /// Whether there has been time enough: what still differs then is left to people.
    #[must_use]
    pub fn is_late(&self, now: Timestamp, patience: SignedDuration) -> bool {
        now.duration_since(self.ordered_at) >= patience
    }
}

/// The order in which a site is brought back. At the active site what starts work comes last; at a standby it goes first.
#[must_use]
pub const fn phases(site_is_active: bool) -> [Phase; 4] {
    if site_is_active {
        [
            Phase::Pools,
            Phase::Compute,
            Phase::JobConcurrency,
            Phase::Schedules,
        ]
    } else {
        [
            Phase::Schedules,
            Phase::JobConcurrency,
            Phase::Compute,
            Phase::Pools,
        ]
    }
}

/// What the record has live and the site no longer holds: nothing can bring it back but a person. A record of the other site knows
/// its objects by key.
#[must_use]
pub fn gone(kinds: &[Kind], record: &Inventory, site: &Inventory) -> Vec<Subject> {
    let same_site = record.site == site.site;
    let identity = |r: &Resource| {
        let text = if same_site { &r.id } else { &r.key };
        (r.kind, text.clone())
    };
    let there: BTreeSet<(Kind, String)> = site.resources.iter().map(identity).collect();
    record
        .resources
        .iter()
        .filter(|r| kinds.contains(&r.kind) && r.mode() == DrMode::ActivePassive && r.is_live())
        .filter(|r| !there.contains(&identity(r)))
        .map(Resource::subject)
        .collect()
}

impl State {
    /// Puts an order.
    ///
    /// # Errors
    /// [`Refusal::Locked`] while a run is under way, [`Refusal::Fenced`] while a fence stands on the site, since it would undo
    /// the work, [`Refusal::Resetting`] while another order stands.
    pub fn order_reset(&mut self, order: Reset) -> Result<(), Refusal> {
        if let Some(lock) = &self.lock {
            return Err(Refusal::Locked {
                run: lock.run.clone(),
                since: lock.taken_at,
            });
        }
        self.put_order(order)
    }

    /// Puts an order as the run that holds the lock. Asking again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::LockLost`], [`Refusal::Fenced`], [`Refusal::Resetting`] while another order stands.
    pub fn order_reset_in_run(&mut self, order: Reset, token: &RunToken) -> Result<(), Refusal> {
        self.require_lock(&order.id, token)?;
        self.put_order(order)
    }

    fn put_order(&mut self, order: Reset) -> Result<(), Refusal> {
        if self.fences.contains_key(&order.site) {
            return Err(Refusal::Fenced { site: order.site });
        }
        match self.resets.get(&order.site) {
            Some(same) if same.id == order.id => Ok(()),
            Some(other) => Err(other.stands()),
            None => {
                self.resets.insert(order.site, order);
                Ok(())
            }
        }
    }

    /// Begins a pass over the standing order, or goes on with it until then.
    ///
    /// # Errors
    /// [`Refusal::NoReset`] if the order is gone, as when a run has begun, [`Refusal::PassUnderWay`].
    pub fn hold_reset(
        &mut self,
        id: &RunId,
        request: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(order) = self.resets.values_mut().find(|order| order.id == *id) else {
            return Err(Refusal::NoReset { id: id.clone() });
        };
        let other = order.pass.as_ref().filter(|p| p.request != request);
        if let Some(other) = other.filter(|pass| pass.until > now) {
            return Err(Refusal::PassUnderWay {
                site: order.site,
                until: other.until,
            });
        }
        order.pass = Some(Pass {
            request: request.to_owned(),
            until,
        });
        Ok(())
    }

    /// Ends a pass, if it is the one that is under way.
    pub fn end_reset_pass(&mut self, request: &str) {
        for order in self.resets.values_mut() {
            if order.pass.as_ref().is_some_and(|p| p.request == request) {
                order.pass = None;
            }
        }
    }

    /// Ends an order. `as_recorded`: a reading shows that nothing differs, so the active site is again one to learn from.
    ///
    /// # Errors
    /// [`Refusal::NoReset`].
    pub fn end_reset(&mut self, id: &RunId, as_recorded: bool) -> Result<Reset, Refusal> {
        let site = self.resets.values().find(|order| order.id == *id);
        let site = site.map(|order| order.site);
        let Some(order) = site.and_then(|site| self.resets.remove(&site)) else {
            return Err(Refusal::NoReset { id: id.clone() });
        };
        if as_recorded && order.site == self.active_site {
            self.unsettled = None;
        }
        Ok(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Mode;
    use crate::site::PlanName;
    use crate::state::Fence;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn order(site: SiteLabel) -> Reset {
        Reset {
            id: RunId::new("reset-1"),
            site,
            record: ContentDigest::of(b"x"),
            who: "Ada".to_owned(),
            why: "the run was abandoned".to_owned(),
            ordered_at: at(0),
            brings_up_owed: false,
            pass: None,
        }
    }

    #[test]
    fn a_run_or_a_fence_refuses_an_order_and_a_run_ends_one() {
        let mut state = State::initial(PlanName::new("p"));
        let (run, token) = (RunId::new("r"), RunToken::new("t"));
        state
            .take_lock(&run, &token, Mode::Failover, at(0))
            .unwrap();
        let refused = state.order_reset(order(SiteLabel::Primary));
        assert!(matches!(refused, Err(Refusal::Locked { .. })));
        state.end_attempt(&run, &token, crate::run::Outcome::Stopped, "", at(0));
        let token = RunToken::new("t2");
        let fence = Fence::raised(run.clone(), at(0));
        state.fences.insert(SiteLabel::Primary, fence);
        let refused = state.order_reset(order(SiteLabel::Primary));
        assert!(matches!(refused, Err(Refusal::Fenced { .. })));
        state.order_reset(order(SiteLabel::Secondary)).unwrap();
        let again = state.order_reset(order(SiteLabel::Secondary));
        assert_eq!(again, Ok(()), "its answer was lost");
        let other = Reset {
            id: RunId::new("reset-2"),
            ..order(SiteLabel::Secondary)
        };
        let refused = state.order_reset(other);
        assert!(matches!(refused, Err(Refusal::Resetting { .. })));
        let planned = state.take_lock(&run, &token, Mode::Switchover, at(1));
        assert!(matches!(planned, Err(Refusal::Resetting { .. })));
        state
            .take_lock(&run, &token, Mode::Failover, at(1))
            .unwrap();
        let id = RunId::new("reset-1");
        let pass = state.hold_reset(&id, "a", at(2), at(20));
        assert!(
            matches!(pass, Err(Refusal::NoReset { .. })),
            "a run goes first"
        );
    }

    #[test]
    fn one_pass_at_a_time_and_a_killed_one_runs_out() {
        let mut state = State::initial(PlanName::new("p"));
        state.order_reset(order(SiteLabel::Primary)).unwrap();
        let id = RunId::new("reset-1");
        state.hold_reset(&id, "a", at(1), at(20)).unwrap();
        state.hold_reset(&id, "a", at(5), at(25)).unwrap();
        let other = state.hold_reset(&id, "b", at(24), at(44));
        assert!(matches!(other, Err(Refusal::PassUnderWay { .. })));
        state.hold_reset(&id, "b", at(25), at(45)).unwrap();
        state.end_reset_pass("a");
        let order = state.resets.get(&SiteLabel::Primary).unwrap();
        assert!(order.pass.is_some());
    }

    #[test]
    fn only_the_active_site_as_recorded_is_settled() {
        for (site, as_recorded, settled) in [
            (SiteLabel::Primary, true, true),
            (SiteLabel::Primary, false, false),
            (SiteLabel::Secondary, true, false),
        ] {
            let mut state = State::initial(PlanName::new("p"));
            state.unsettled = Some(RunId::new("r"));
            state.order_reset(order(site)).unwrap();
            let id = RunId::new("reset-1");
            state.end_reset(&id, as_recorded).unwrap();
            assert_eq!(state.unsettled.is_none(), settled);
            assert!(state.end_reset(&id, true).is_err());
        }
    }
}
