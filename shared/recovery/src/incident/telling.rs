//! Telling people once, although functions die and overlap: claim, send, note. Who dies after the claim lets it run out, and the
//! next one sends: people may be told twice, never not at all.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A function that has claimed a message and not noted it by then is dead: the probe's own limit is 55 s.
const CLAIM_LASTS: SignedDuration = SignedDuration::from_secs(55);

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telling {
    /// When a function last set out to send it.
    pub claimed_at: Timestamp,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
}

impl Telling {
    /// The claim of whoever may send the message now; none if it was sent or another function is about to.
    #[must_use]
    pub fn claim(before: Option<&Self>, now: Timestamp) -> Option<Self> {
        let free = before.is_none_or(|telling| {
            telling.sent_at.is_none() && now.duration_since(telling.claimed_at) >= CLAIM_LASTS
        });
        free.then_some(Self {
            claimed_at: now,
            sent_at: None,
        })
    }

    /// The same, sent.
    #[must_use]
    pub const fn sent(self, now: Timestamp) -> Self {
        Self {
            sent_at: Some(now),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_claimed_by_one_and_again_if_that_one_died() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = Telling::claim(None, at(0)).unwrap();
        assert_eq!(Telling::claim(Some(&first), at(54)), None);
        assert!(Telling::claim(Some(&first), at(55)).is_some());
        let sent = first.sent(at(1));
        assert_eq!(Telling::claim(Some(&sent), at(1000)), None);
    }
}
