//! How executions end. An ended token acts no more, whatever a function that still runs believes; how a run ended is recorded in the
//! same compare-and-swap that frees its lock, so that no run is both ended and able to commit.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Refusal, State};
use crate::run::Outcome;
use crate::site::{ContentDigest, RunId, RunToken};

/// An ended token is kept for at least this long: a function of its execution may still run.
const KEEP_TOKENS_FOR: SignedDuration = SignedDuration::from_hours(24);
/// And at least so many are kept, however old.
const KEEP_TOKENS: usize = 200;
/// But never more than these, whatever starts and ends executions: the state has a bound of its own.
const MOST_TOKENS: usize = 400;
/// Ends of runs that are kept; older ones stand in `runs/<id>/run.json`.
const MOST_ENDS: usize = 20;
/// Characters of a reason that the state keeps; the report keeps all.
const LONGEST_REASON: usize = 300;

/// The tokens that have ended, as short digests, each with the time of its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndedTokens(BTreeMap<String, Timestamp>);

impl EndedTokens {
    /// Whether this token has ended.
    #[must_use]
    pub fn contains(&self, token: &RunToken) -> bool {
        self.0.contains_key(&short(token))
    }

    fn add(&mut self, token: &RunToken, now: Timestamp) {
        self.0.entry(short(token)).or_insert(now);
        let mut by_age: Vec<(Timestamp, String)> =
            self.0.iter().map(|(k, at)| (*at, k.clone())).collect();
        by_age.sort();
        let surplus = by_age.len().saturating_sub(KEEP_TOKENS);
        let over = by_age.len().saturating_sub(MOST_TOKENS);
        for (place, (at, token)) in by_age.iter().enumerate().take(surplus) {
            if place < over || now.duration_since(*at) >= KEEP_TOKENS_FOR {
                self.0.remove(token);
            }
        }
    }
}

/// 16 digits are enough to tell a few hundred tokens apart, and keep the state small.
fn short(token: &RunToken) -> String {
    let digest = ContentDigest::of(token.as_str().as_bytes());
    digest.as_str().chars().take(16).collect()
}

/// How one attempt of a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The run.
    pub run: RunId,
    /// The execution that acted for it.
    pub token: RunToken,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, shortened.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl State {
    /// How the attempt of this token ended, if it has.
    #[must_use]
    pub fn end_of(&self, token: &RunToken) -> Option<&RunEnd> {
        self.ends.iter().find(|end| end.token == *token)
    }

    /// Ends one attempt: its token ends; if it holds the lock, the lock is free and the outcome recorded. An attempt that lost the
    /// lock before has been ended by whoever took it; its outcome stands. Returns whether the lock was held.
    pub fn end_attempt(
        &mut self,
        run: &RunId,
        token: &RunToken,
        outcome: Outcome,
        reason: &str,
        now: Timestamp,
    ) -> bool {
        self.ended_tokens.add(token, now);
        let held = self
            .lock
            .as_ref()
            .is_some_and(|lock| lock.run == *run && lock.token == *token);
        if held {
            self.lock = None;
            self.record_end(run, token, outcome, reason, now);
        }
        held
    }

    /// Abandons a run that has not committed, in one step: its token ends, its lock is free, its outcome is `Abandoned`. Asking again
    /// changes nothing. Returns whether the lock was held.
    ///
    /// # Errors
    /// [`Refusal::Committed`]: a commit cannot be taken back, the way back is a switchover. [`Refusal::Completed`]. [`Refusal::LockLost`] if another attempt
    /// than the one that was read acts for the run by now.
    pub fn abandon(
        &mut self,
        run: &RunId,
        token: &RunToken,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        if self.last_commit.as_ref().is_some_and(|c| c.run == *run) {
            return Err(Refusal::Committed { run: run.clone() });
        }
        let ended = self.end_of(token).map(|end| end.outcome);
        if ended == Some(Outcome::Completed) {
            return Err(Refusal::Completed { run: run.clone() });
        }
        if self
            .lock
            .as_ref()
            .is_some_and(|lock| lock.run == *run && lock.token != *token)
        {
            return Err(Refusal::LockLost { run: run.clone() });
        }
        if self.end_attempt(run, token, Outcome::Abandoned, reason, now) {
            return Ok(true);
        }
        if ended != Some(Outcome::Abandoned) {
            self.ends.retain(|end| end.token != *token);
            self.record_end(run, token, Outcome::Abandoned, reason, now);
        }
        Ok(false)
    }

    pub(super) fn record_end(
        &mut self,
        run: &RunId,
        token: &RunToken,
        outcome: Outcome,
        reason: &str,
        now: Timestamp,
    ) {
        self.ended_tokens.add(token, now);
        if self.end_of(token).is_some() {
            return;
        }
        self.ends.push(RunEnd {
            run: run.clone(),
            token: token.clone(),
            outcome,
            reason: reason.chars().take(LONGEST_REASON).collect(),
            at: now,
        });
        let surplus = self.ends.len().saturating_sub(MOST_ENDS);
        self.ends.drain(..surplus);
    }

    pub(super) fn end_token(&mut self, token: &RunToken, now: Timestamp) {
        self.ended_tokens.add(token, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Mode;
    use crate::site::{PlanName, SiteLabel};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn young_tokens_and_the_newest_200_are_kept_within_a_bound() {
        let mut tokens = EndedTokens::default();
        let token = |n: i64| RunToken::new(format!("arn:{n}"));
        for n in 0..1000 {
            tokens.add(&token(n), at(n));
        }
        assert_eq!(tokens.0.len(), MOST_TOKENS, "all are young");
        tokens.add(&token(1000), at(1000 + 48 * 3600));
        assert_eq!(tokens.0.len(), KEEP_TOKENS);
        assert!(tokens.contains(&token(1000)) && tokens.contains(&token(999)));
        assert!(!tokens.contains(&token(600)));
    }

    #[test]
    fn a_state_with_all_that_it_may_hold_is_below_its_bound() {
        let mut state = State::initial(PlanName::new("p".repeat(40)));
        let long = "x".repeat(80);
        for n in 0..1000 {
            let (run, token) = (
                RunId::new(format!("{long}{n}")),
                RunToken::new(format!(
                    "arn:aws:states:us-west-2:123456789012:execution:databricks-dr-{long}:{long}{n}"
                )),
            );
            state
                .take_lock(&run, &token, Mode::Switchover, at(n))
                .unwrap();
            for site in SiteLabel::ALL {
                state.raise_fence(site, &run, &token, at(n)).unwrap();
            }
            assert!(state.end_attempt(&run, &token, Outcome::Stopped, &long.repeat(50), at(n)));
        }
        let size = serde_json::to_vec_pretty(&state).unwrap().len();
        assert!(size < crate::state::LARGEST_STATE, "{size} bytes");
    }
}
