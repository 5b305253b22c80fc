//! Decisions, and the one rule by which they count. Every door uses it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::standing::Standing;
use super::{APPROVAL_FORMAT, ApprovalId, Override, Question, Request};
use crate::site::{ContentDigest, RunId};

/// The longest name of a person, characters.
const LONGEST_WHO: usize = 200;
/// The longest reason, characters.
const LONGEST_WHY: usize = 1800;

/// The two decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// Go on.
    Approve,
    /// Do not.
    Decline,
}

/// The way by which a decision came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "door", rename_all = "snake_case")]
pub enum Door {
    /// The page: whoever has the link. The name is what was typed.
    Page {
        /// The caller's address.
        ip: String,
        /// The browser, as it calls itself.
        user_agent: String,
    },
    /// A plain `lambda invoke`: somebody with the IAM permission. Lambda does not tell who; the name is what was typed.
    Invoke {
        /// The invocation's id: CloudTrail knows who it was, if data events are on.
        request: String,
    },
    /// The function URL that asks for a signature: AWS says who it was.
    Iam {
        /// The ARN of the principal.
        principal: String,
    },
    /// The plan decides by itself (automatic failover).
    Plan,
}

impl Door {
    /// The person that AWS vouches for, if it does.
    #[must_use]
    pub fn proven(&self) -> Option<&str> {
        match self {
            Self::Iam { principal } => Some(principal),
            Self::Page { .. } | Self::Invoke { .. } | Self::Plan => None,
        }
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Page { ip, .. } => format!("on the page, from {ip}"),
            Self::Invoke { .. } => "by command line".to_owned(),
            Self::Iam { principal } => format!("as {principal}"),
            Self::Plan => "by the plan".to_owned(),
        }
    }
}

/// One person's decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// The decision.
    pub decision: Choice,
    /// Who decided: the name that was typed.
    pub who: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// By which door.
    pub via: Door,
    /// What the approver took upon himself.
    pub accepted: Vec<Override>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// As many people as the request needs have approved.
    Approved,
    /// One has declined.
    Declined,
}

/// `runs/<run>/decisions/<id>.json`: every decision on one request, in order. Changed by compare-and-swap only; after the end
/// nothing is added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decisions {
    /// Always [`APPROVAL_FORMAT`].
    pub format_version: u32,
    /// The run.
    pub run: RunId,
    /// The request.
    pub id: ApprovalId,
    /// What was asked.
    pub question: Question,
    /// What was decided upon.
    pub digest: ContentDigest,
    /// How many people must approve.
    pub required_approvals: u32,
    /// The decisions.
    pub decisions: Vec<Decision>,
}

impl Decisions {
    /// None yet.
    #[must_use]
    pub fn none(request: &Request) -> Self {
        Self {
            format_version: APPROVAL_FORMAT,
            run: request.run.clone(),
            id: request.id.clone(),
            question: request.question.clone(),
            digest: request.digest.clone(),
            required_approvals: request.required_approvals,
            decisions: Vec::new(),
        }
    }

    /// How many different people have approved. [`record`] lets each in once.
    #[must_use]
    pub fn approvals(&self) -> u32 {
        let count = self
            .decisions
            .iter()
            .filter(|d| d.decision == Choice::Approve)
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// How the request ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        let by_plan = self.decisions.iter().any(|d| d.via == Door::Plan);
        if self.decisions.iter().any(|d| d.decision == Choice::Decline) {
            Some(End::Declined)
        } else if by_plan || self.approvals() >= self.required_approvals.max(1) {
            Some(End::Approved)
        } else {
            None
        }
    }

    /// The decision that ended the request.
    #[must_use]
    pub fn last(&self) -> Option<&Decision> {
        self.end().and_then(|_| self.decisions.last())
    }

    /// Everything that every approver accepted, if the request was approved.
    #[must_use]
    pub fn accepted(&self) -> Vec<Override> {
        let by_all = |accepted: &Override| {
            let mut decisions = self.decisions.iter();
            decisions.all(|decision| decision.accepted.contains(accepted))
        };
        match (self.end(), self.decisions.first()) {
            (Some(End::Approved), Some(first)) => {
                let accepted = first.accepted.iter().filter(|one| by_all(one));
                accepted.cloned().collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What somebody wants to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The decision.
    pub decision: Choice,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// By which door.
    pub via: Door,
    /// What he takes upon himself.
    pub accepted: Vec<Override>,
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It counts.
    Recorded {
        /// How the request ended by it; none if more people must approve.
        end: Option<End>,
        /// How many have approved now.
        approvals: u32,
        /// How many must.
        required: u32,
    },
    /// The request has ended before, by this decision.
    AlreadyDecided(Box<Decision>),
    /// This person has approved before; another one must.
    SamePerson,
    /// Nobody can approve any more since this moment.
    Expired(Timestamp),
    /// A newer request was sent, since what would happen has changed.
    Replaced,
    /// The run does not wait for this any more; in words.
    RunGone(String),
    /// It may not be decided like this; in words.
    Refused(String),
}

/// Adds a decision, if it counts. With one required approval the first decision is the only one. With more, only principals that
/// AWS vouches for count as approvers, each once: a typed name proves nobody. A decline counts by any door.
#[must_use]
pub fn record(
    request: &Request,
    decisions: &mut Decisions,
    standing: &Standing,
    wish: Wish,
    now: Timestamp,
) -> Receipt {
    if *standing == Standing::Replaced {
        return Receipt::Replaced;
    }
    if let Some(last) = decisions.last() {
        return Receipt::AlreadyDecided(Box::new(last.clone()));
    }
    if let Standing::Gone(why) = standing {
        return Receipt::RunGone(why.clone());
    }
    if now >= request.expires_at {
        return Receipt::Expired(request.expires_at);
    }
    if let Err(reason) = may(request, &wish) {
        return Receipt::Refused(reason);
    }
    if wish.decision == Choice::Approve {
        let again = decisions.decisions.iter().any(|d| {
            d.decision == Choice::Approve
                && d.via.proven().is_some()
                && d.via.proven() == wish.via.proven()
        });
        if again {
            return Receipt::SamePerson;
        }
    }
    decisions.decisions.push(Decision {
        decision: wish.decision,
        who: wish.who.trim().to_owned(),
        why: wish.why.trim().to_owned(),
        at: now,
        via: wish.via,
        accepted: match wish.decision {
            Choice::Approve => wish.accepted,
            Choice::Decline => Vec::new(),
        },
    });
    Receipt::Recorded {
        end: decisions.end(),
        approvals: decisions.approvals(),
        required: request.required_approvals.max(1),
    }
}

fn may(request: &Request, wish: &Wish) -> Result<(), String> {
    for (field, text, longest) in [
        ("who", &wish.who, LONGEST_WHO),
        ("why", &wish.why, LONGEST_WHY),
    ] {
        if text.trim().is_empty() {
            return Err(format!("{field} must say something"));
        }
        if text.chars().count() > longest {
            return Err(format!("{field} is longer than {longest} characters"));
        }
    }
    if wish.who.chars().any(char::is_control) {
        return Err("who is one line of text".to_owned());
    }
    if wish.decision == Choice::Decline {
        return Ok(());
    }
    if wish.via == Door::Plan {
        return if request.overrides.is_empty() && request.question == Question::Start {
            Ok(())
        } else {
            Err("the plan decides nothing that a person must take upon himself".to_owned())
        };
    }
    if request.required_approvals > 1 && wish.via.proven().is_none() {
        return Err(format!(
            "this plan asks for {} people whom AWS knows by name; a typed name is none: approve through the function URL of \
             operate, with a signed request (runbook, \"Doors\"). To decline, any door will do",
            request.required_approvals
        ));
    }
    let is_named =
        |one: &&Override| request.overrides.contains(one) || request.offers.contains(one);
    if let Some(other) = wish.accepted.iter().find(|one| !is_named(one)) {
        return Err(format!("the request does not ask for this: {other}"));
    }
    match request
        .overrides
        .iter()
        .find(|needed| !wish.accepted.contains(needed))
    {
        Some(needed) => Err(format!("who approves must accept by name: {needed}")),
        None => Ok(()),
    }
}
