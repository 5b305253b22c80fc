//! Ask, remind, escalate, expire: from the stored documents alone, so that it is the same after any crash.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ApprovalId, Asked, Decisions, End, Request};

/// What the state machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApprovalAnswer {
    /// Not decided yet.
    Pending,
    /// Not decided yet, and the proof of the recovery points goes on meanwhile.
    Proving,
    /// Approved in time, for exactly this.
    Approved,
    /// Declined.
    Declined,
    /// Not decided in time.
    Expired,
    /// What was asked is not what would happen now; it must be asked again.
    Void,
}

/// A message to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// The first.
    Ask,
    /// Another one to the same.
    Remind,
    /// To whom to wake when they do not answer.
    Escalate,
}

/// What the function does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this request, then look again.
    Open {
        /// The request.
        request: Box<Request>,
        /// Why an older one of the same attempt is void, if so.
        void: Option<String>,
    },
    /// Send this message; then write this request, which notes it. A function that dies in between tells twice, never not at all.
    Tell(Telling, Box<Request>),
    /// Only answer.
    Answer(ApprovalAnswer),
}

/// The next step. `fresh` names a request that must be opened.
#[must_use]
pub fn next(
    asked: &Asked<'_>,
    stored: Option<&Request>,
    decisions: Option<&Decisions>,
    fresh: ApprovalId,
    now: Timestamp,
) -> Step {
    let open = |void| Step::Open {
        request: Box::new(asked.request(fresh, now)),
        void,
    };
    let Some(request) = stored else {
        return open(None);
    };
    if let Err(changed) = asked.still(request) {
        return open((request.attempt == asked.run.attempt).then_some(changed));
    }
    if decisions.is_none() && asked.is_within_the_rules_by_now(request) {
        let changed = "the proof has ended, and no loss is above its objective any more";
        return open(Some(changed.to_owned()));
    }
    // A decision on another digest is none on this.
    let last = decisions
        .filter(|d| d.id == request.id && d.digest == request.digest)
        .and_then(|d| Some((d.end()?, d.last()?.at)));
    match last {
        Some((End::Declined, _)) => return Step::Answer(ApprovalAnswer::Declined),
        Some((End::Approved, at)) if at < request.expires_at => {
            return Step::Answer(ApprovalAnswer::Approved);
        }
        Some((End::Approved, _)) | None => {}
    }
    if now >= request.expires_at {
        return Step::Answer(ApprovalAnswer::Expired);
    }
    let tell = |telling, change: &dyn Fn(&mut Request)| {
        let mut request = request.clone();
        change(&mut request);
        Step::Tell(telling, Box::new(request))
    };
    let policy = asked.plan.approval;
    if request.sent_at.is_none() {
        tell(Telling::Ask, &|r| r.sent_at = Some(now))
    } else if request.escalated_at.is_none()
        && now >= request.asked_at + policy.escalate_after_seconds.signed()
    {
        tell(Telling::Escalate, &|r| r.escalated_at = Some(now))
    } else if now >= request.reminded_at + policy.remind_every_seconds.signed() {
        tell(Telling::Remind, &|r| r.reminded_at = now)
    } else {
        Step::Answer(ApprovalAnswer::Pending)
    }
}
