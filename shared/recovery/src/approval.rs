//! The approval: a document that a human writes and the state machine polls. No token exists that could leak.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::ApprovalPolicy;
use crate::site::{ContentDigest, RunId};

/// The version of the approval documents.
pub const APPROVAL_FORMAT: u32 = 1;

/// `runs/<id>/approval.json`: what was asked, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Always [`APPROVAL_FORMAT`].
    pub format_version: u32,
    /// The run.
    pub run: RunId,
    /// Binds the decision to what was shown.
    pub digest: ContentDigest,
    /// When it was asked first.
    pub asked_at: Timestamp,
    /// After this nobody can approve.
    pub expires_at: Timestamp,
    /// When the last reminder went out.
    pub reminded_at: Timestamp,
    /// When the escalation topic was told.
    pub escalated_at: Option<Timestamp>,
}

/// `runs/<id>/decisions/<digest>.json`: written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Always [`APPROVAL_FORMAT`].
    pub format_version: u32,
    /// The run.
    pub run: RunId,
    /// What was decided upon.
    pub digest: ContentDigest,
    /// The decision.
    pub decision: Choice,
    /// Who decided.
    pub who: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// The two decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// Go on.
    Approve,
    /// End the run.
    Decline,
}

/// What the state machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApprovalAnswer {
    /// Nobody has decided.
    Pending,
    /// Approved in time, for exactly this.
    Approved,
    /// Declined.
    Declined,
    /// Nobody decided in time.
    Expired,
    /// What was asked is not what would happen now; it must be asked again.
    Void,
}

/// What the function does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this request and send it.
    Ask(Request),
    /// Write this request and remind.
    Remind(Request),
    /// Write this request and tell the escalation topic.
    Escalate(Request),
    /// Only answer.
    Answer(ApprovalAnswer),
}

/// The next step, from the stored documents alone, so that it is the same after any crash.
#[must_use]
pub fn next(
    run: &RunId,
    digest: &ContentDigest,
    request: Option<&Request>,
    decision: Option<&Decision>,
    policy: ApprovalPolicy,
    now: Timestamp,
) -> Step {
    let Some(request) = request.filter(|r| r.digest == *digest) else {
        return Step::Ask(Request {
            format_version: APPROVAL_FORMAT,
            run: run.clone(),
            digest: digest.clone(),
            asked_at: now,
            expires_at: now + policy.expires_after_seconds.signed(),
            reminded_at: now,
            escalated_at: None,
        });
    };
    if let Some(decision) = decision.filter(|d| d.digest == *digest) {
        return Step::Answer(match decision.decision {
            Choice::Decline => ApprovalAnswer::Declined,
            Choice::Approve if decision.at < request.expires_at => ApprovalAnswer::Approved,
            Choice::Approve => ApprovalAnswer::Expired,
        });
    }
    if now >= request.expires_at {
        return Step::Answer(ApprovalAnswer::Expired);
    }
    if request.escalated_at.is_none()
        && now >= request.asked_at + policy.escalate_after_seconds.signed()
    {
        return Step::Escalate(Request {
            escalated_at: Some(now),
            ..request.clone()
        });
    }
    if now >= request.reminded_at + policy.remind_every_seconds.signed() {
        return Step::Remind(Request {
            reminded_at: now,
            ..request.clone()
        });
    }
    Step::Answer(ApprovalAnswer::Pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{OnExpiry, Seconds};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn step(
        request: Option<&Request>,
        decision: Option<&Decision>,
        digest: &str,
        now: i64,
    ) -> Step {
        let policy = ApprovalPolicy {
            expires_after_seconds: Seconds(100),
            remind_every_seconds: Seconds(20),
            escalate_after_seconds: Seconds(50),
            poll_seconds: Seconds(1),
            on_expiry: OnExpiry::Decline,
        };
        next(
            &RunId::new("r"),
            &ContentDigest::of(digest.as_bytes()),
            request,
            decision,
            policy,
            at(now),
        )
    }

    fn asked() -> Request {
        let Step::Ask(request) = step(None, None, "x", 0) else {
            panic!()
        };
        request
    }

    fn decision(choice: Choice, digest: &str, second: i64) -> Decision {
        Decision {
            format_version: APPROVAL_FORMAT,
            run: RunId::new("r"),
            digest: ContentDigest::of(digest.as_bytes()),
            decision: choice,
            who: "w".into(),
            why: "y".into(),
            at: at(second),
        }
    }

    #[test]
    fn it_asks_once_reminds_escalates_and_expires() {
        let request = asked();
        assert_eq!(
            step(Some(&request), None, "x", 5),
            Step::Answer(ApprovalAnswer::Pending)
        );
        let Step::Remind(request) = step(Some(&request), None, "x", 20) else {
            panic!()
        };
        assert_eq!(
            step(Some(&request), None, "x", 39),
            Step::Answer(ApprovalAnswer::Pending)
        );
        let Step::Escalate(request) = step(Some(&request), None, "x", 50) else {
            panic!()
        };
        assert!(matches!(
            step(Some(&request), None, "x", 51),
            Step::Remind(_)
        ));
        assert_eq!(
            step(Some(&request), None, "x", 100),
            Step::Answer(ApprovalAnswer::Expired)
        );
    }

    #[test]
    fn a_decision_counts_only_for_what_was_shown_and_in_time() {
        let request = asked();
        let answer =
            |d: &Decision, digest: &str, now: i64| step(Some(&request), Some(d), digest, now);
        assert_eq!(
            answer(&decision(Choice::Approve, "x", 99), "x", 99),
            Step::Answer(ApprovalAnswer::Approved)
        );
        assert_eq!(
            answer(&decision(Choice::Approve, "x", 99), "x", 500),
            Step::Answer(ApprovalAnswer::Approved)
        );
        assert_eq!(
            answer(&decision(Choice::Approve, "x", 100), "x", 101),
            Step::Answer(ApprovalAnswer::Expired)
        );
        assert_eq!(
            answer(&decision(Choice::Decline, "x", 1), "x", 2),
            Step::Answer(ApprovalAnswer::Declined)
        );
        assert!(
            matches!(
                answer(&decision(Choice::Approve, "x", 1), "y", 2),
                Step::Ask(_)
            ),
            "an approval of x is none of y"
        );
        assert_eq!(
            answer(&decision(Choice::Approve, "y", 1), "x", 2),
            Step::Answer(ApprovalAnswer::Pending)
        );
    }
}
