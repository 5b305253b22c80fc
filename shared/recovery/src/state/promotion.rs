//! A promotion: the target of a failover stays the home of the active role. It is unfinished until the old site stands by and the
//! stack runs in a region that is not the active site's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Lifted, Refusal, State};
use crate::reset::Reset;
use crate::site::SiteLabel;

/// A promotion that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The new home.
    pub home: SiteLabel,
    /// Who ordered it.
    pub who: String,
    /// Why.
    pub why: String,
    /// When.
    pub ordered_at: Timestamp,
    /// When the old site was ordered to be prepared as the standby. Not before its fence has seen it quiet.
    pub preparing_since: Option<Timestamp>,
}

impl State {
    /// Orders that the active site stays the home. Asking again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::Locked`] while a run is under way, [`Refusal::AtHome`] if the active site is the home.
    pub fn promote(&mut self, who: &str, why: &str, now: Timestamp) -> Result<Promotion, Refusal> {
        if let Some(lock) = &self.lock {
            return Err(Refusal::Locked {
                run: lock.run.clone(),
                since: lock.taken_at,
            });
        }
        let home = self.active_site;
        if home == self.home {
            return Err(Refusal::AtHome { site: home });
        }
        let ordered = self
            .promotion
            .take()
            .filter(|p| p.home == home)
            .unwrap_or_else(|| Promotion {
                home,
                who: who.to_owned(),
                why: why.to_owned(),
                ordered_at: now,
                preparing_since: None,
            });
        self.promotion = Some(ordered.clone());
        Ok(ordered)
    }

    /// The promotion that stands. One whose home is no longer the active site has been overtaken, and counts no more.
    #[must_use]
    pub fn standing_promotion(&self) -> Option<&Promotion> {
        self.promotion
            .as_ref()
            .filter(|p| p.home == self.active_site && self.lock.is_none())
    }

    /// Prepares the old site as the standby, once its fence has seen it quiet: lifts the fence and puts the order in one step. Says
    /// whether it is under way; a pass of the fence may have to end first, and a site that has not returned is waited for.
    ///
    /// # Errors
    /// [`Refusal::Resetting`] while another order stands.
    pub fn prepare_standby(&mut self, order: Reset, now: Timestamp) -> Result<bool, Refusal> {
        if self.standing_promotion().is_none() {
            return Ok(false);
        }
        if let Some(other) = self.resets.get(&order.site) {
            return Err(other.stands());
        }
        if let Some(fence) = self.fences.get(&order.site) {
            let quiet = fence.is_quiet(now);
            if !quiet || self.take_fence(order.site, now)? == Lifted::Waits {
                return Ok(false);
            }
        }
        self.resets.insert(order.site, order);
        if let Some(promotion) = &mut self.promotion {
            promotion.preparing_since = Some(now);
        }
        Ok(true)
    }

    /// Ends the promotion if all that belongs to it is done: `control_is_right` says whether the stack runs elsewhere than the active
    /// site. Returns it when it has ended.
    pub fn finish_promotion(&mut self, control_is_right: bool) -> Option<Promotion> {
        let promotion = self.standing_promotion()?.clone();
        let old = promotion.home.other();
        let stands_by = promotion.preparing_since.is_some()
            && !self.fences.contains_key(&old)
            && !self.resets.contains_key(&old);
        if !stands_by || !control_is_right {
            return None;
        }
        self.home = promotion.home;
        self.promotion.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Mode, Outcome};
    use crate::site::{ContentDigest, Epoch, PlanName, RunId, RunToken};
    use crate::state::QuietReading;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// After a failover from the primary.
    fn moved() -> State {
        let mut state = State::initial(PlanName::new("p"));
        let (run, token) = (RunId::new("r"), RunToken::new("t"));
        state
            .take_lock(&run, &token, Mode::Failover, at(0))
            .unwrap();
        state
            .raise_fence(SiteLabel::Primary, &run, &token, at(1))
            .unwrap();
        state
            .commit(SiteLabel::Secondary, &run, &token, Epoch::first(), at(2))
            .unwrap();
        state.end_attempt(&run, &token, Outcome::Completed, "", at(2));
        state
    }

    fn order() -> Reset {
        Reset {
            id: RunId::new("promotion"),
            site: SiteLabel::Primary,
            record: ContentDigest::of(b"x"),
            who: "w".to_owned(),
            why: "y".to_owned(),
            ordered_at: at(3),
            brings_up_owed: false,
            pass: None,
        }
    }

    #[test]
    fn a_promotion_waits_for_the_old_site_and_for_the_control_region() {
        let mut state = moved();
        assert!(state.finish_promotion(true).is_none(), "nobody ordered one");
        state.promote("w", "y", at(3)).unwrap();
        assert_eq!(state.promote("v", "z", at(9)).unwrap().who, "w");
        assert_eq!(state.prepare_standby(order(), at(4)), Ok(false));
        assert!(state.fences.contains_key(&SiteLabel::Primary), "not quiet");
        if let Some(fence) = state.fences.get_mut(&SiteLabel::Primary) {
            fence.note_quiet(QuietReading {
                began_at: at(5),
                ended_at: at(5),
            });
        }
        state
            .hold_pass(SiteLabel::Primary, "watch", at(5), at(30))
            .unwrap();
        assert_eq!(state.prepare_standby(order(), at(6)), Ok(false));
        state.end_pass(SiteLabel::Primary, "watch");
        assert_eq!(state.prepare_standby(order(), at(7)), Ok(true));
        assert!(state.finish_promotion(true).is_none(), "not as recorded");
        state.end_reset(&order().id, true).unwrap();
        assert!(state.finish_promotion(false).is_none(), "control region");
        assert_eq!(state.home, SiteLabel::Primary);
        assert!(state.finish_promotion(true).is_some());
        assert_eq!(state.home, SiteLabel::Secondary);
        assert!(matches!(
            state.promote("w", "y", at(8)),
            Err(Refusal::AtHome { .. })
        ));
    }

    #[test]
    fn a_site_at_home_is_not_promoted() {
        let mut state = State::initial(PlanName::new("p"));
        assert!(matches!(
            state.promote("w", "y", at(1)),
            Err(Refusal::AtHome { .. })
        ));
    }
}
