//! What is asked, and what the answer is bound to.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::overrides::within;
use super::{APPROVAL_FORMAT, Forecast, Override};
use crate::plan::Plan;
use crate::replication::PredictedLoss;
use crate::run::{Mode, RunDocument};
use crate::site::{ContentDigest, RunId, SiteLabel};
use crate::state::Fence;

/// The opaque name of one request: 128 random bits as 32 hexadecimal digits. It says nothing of the run, and alone it opens
/// nothing: the page also wants the link's signature, the command line an IAM permission.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct ApprovalId(String);

impl ApprovalId {
    /// The id of these random bits.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// Reads an id.
    ///
    /// # Errors
    /// The reason, if the text is not 32 lower-case hexadecimal digits and so cannot be part of a key in the store.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if text.len() == 32 && text.chars().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a request's id has 32 digits of 0-9 and a-f".to_owned())
        }
    }

    /// Its 32 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ApprovalId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<ApprovalId> for String {
    fn from(id: ApprovalId) -> Self {
        id.0
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What people are asked. One mechanism serves all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// May the run begin to change things?
    Start,
    /// May the run go on although these checks of the target failed?
    Validation {
        /// The names of the failed checks.
        checks: BTreeSet<String>,
    },
    /// May the run go on although the fenced site is not quiet?
    Fence {
        /// The fenced site.
        site: SiteLabel,
        /// Since when the fence stands: a later fence is another one.
        since: Timestamp,
    },
    /// May the run go on without these objects, which do not start at the target?
    Compute {
        /// The target.
        site: SiteLabel,
    },
    /// May this fence be lifted?
    Unfence {
        /// The fenced site.
        site: SiteLabel,
        /// Since when the fence stands: a later fence is another one.
        since: Timestamp,
    },
}

impl Question {
    /// Names the question within its run: at most one request of each name is open.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Validation { .. } => "validation",
            Self::Fence { .. } => "fence",
            Self::Compute { .. } => "compute",
            Self::Unfence {
                site: SiteLabel::Primary,
                ..
            } => "unfence-primary",
            Self::Unfence {
                site: SiteLabel::Secondary,
                ..
            } => "unfence-secondary",
        }
    }
}

/// The predicted loss of one data set or group, as it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The data set or group.
    pub name: String,
    /// Seconds of data; `None`: unknown, which is worse than a number.
    pub loss_seconds: Option<i64>,
    /// Its objective.
    pub objective_seconds: i64,
}

impl From<&PredictedLoss> for Loss {
    fn from(predicted: &PredictedLoss) -> Self {
        Self {
            name: predicted.name.clone(),
            loss_seconds: predicted.loss_seconds,
            objective_seconds: i64::from(predicted.objective_seconds.0),
        }
    }
}

impl Loss {
    /// Whether somebody must accept it by name.
    #[must_use]
    pub fn needs_override(&self) -> bool {
        self.loss_seconds
            .is_none_or(|loss| loss > self.objective_seconds)
    }
}

/// `runs/<id>/approvals/<question>.json`: what was asked, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Always [`APPROVAL_FORMAT`].
    pub format_version: u32,
    /// Names this request in links, commands and decisions.
    pub id: ApprovalId,
    /// The run.
    pub run: RunId,
    /// The attempt of the run that asked.
    pub attempt: u32,
    /// What is asked.
    pub question: Question,
    /// What an approver takes upon himself. Empty: nothing beyond the plan's rules.
    pub overrides: Vec<Override>,
    /// What an approver may accept beside, so that nobody need be asked again later. Whoever does not is asked when it comes to that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Override>,
    /// The losses as they were shown, worst first.
    pub losses: Vec<Loss>,
    /// How many different people must approve. One decline is always enough.
    pub required_approvals: u32,
    /// Binds the decision to what was shown.
    pub digest: ContentDigest,
    /// When it was asked first.
    pub asked_at: Timestamp,
    /// From this moment on nobody can approve.
    pub expires_at: Timestamp,
    /// When the first message went out; none if the function died before.
    pub sent_at: Option<Timestamp>,
    /// When the last reminder went out.
    pub reminded_at: Timestamp,
    /// When the escalation topic was told.
    pub escalated_at: Option<Timestamp>,
    /// Who was asked: the topics' subscribers, shortened.
    pub told: Vec<String>,
    /// How long it would take, as it was shown.
    #[serde(default)]
    pub forecast: Option<Forecast>,
}

/// `approvals/<id>.json`: leads from an opaque id to its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Always [`APPROVAL_FORMAT`].
    pub format_version: u32,
    /// The run.
    pub run: RunId,
    /// What is asked.
    pub question: Question,
}

impl Request {
    /// The document that leads here.
    #[must_use]
    pub fn address(&self) -> Address {
        Address {
            format_version: APPROVAL_FORMAT,
            run: self.run.clone(),
            question: self.question.clone(),
        }
    }
}

/// What would be asked now. The same things give the same digest.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The run, with its frozen baseline and its target.
    pub run: &'a RunDocument,
    /// The question.
    pub question: Question,
    /// What the approver would take upon himself.
    pub overrides: Vec<Override>,
    /// What the approver may accept beside.
    pub offers: Vec<Override>,
    /// The losses known now.
    pub losses: Vec<Loss>,
}

impl<'a> Asked<'a> {
    /// May the run start (or go on) to change things?
    #[must_use]
    pub fn start(plan: &'a Plan, run: &'a RunDocument, losses: Vec<Loss>) -> Self {
        let mut overrides = Vec::new();
        let is_proving = run.evidence.proof.is_some_and(|proof| proof.is_open());
        // A planned move needs no disaster.
        if run.mode == Mode::Failover && !run.evidence.actionable {
            overrides.push(Override::NotActionable {
                verdict: run.evidence.verdict,
            });
        }
        let baseline = &run.evidence.baseline;
        if baseline.site != run.from {
            overrides.push(Override::OlderRecord {
                site: baseline.site,
                captured_at: baseline.captured_at,
            });
        }
        overrides.extend(
            losses
                .iter()
                .filter(|loss| loss.needs_override())
                .map(|loss| Override::LossAboveObjective {
                    name: loss.name.clone(),
                    loss_seconds: loss.loss_seconds,
                    objective_seconds: loss.objective_seconds,
                    provisional: loss.loss_seconds.is_none() && is_proving,
                }),
        );
        let refuses = Override::SiteRefuses { site: run.from };
        Self {
            plan,
            run,
            question: Question::Start,
            overrides,
            offers: (run.mode == Mode::Failover)
                .then_some(refuses)
                .into_iter()
                .collect(),
            losses,
        }
    }

    /// May the run go on although the site that it leaves is not quiet? `gap` says what people accept.
    #[must_use]
    pub fn fence(plan: &'a Plan, run: &'a RunDocument, fence: &Fence, gap: Override) -> Self {
        Self {
            plan,
            run,
            question: Question::Fence {
                site: run.from,
                since: fence.since,
            },
            overrides: vec![gap],
            offers: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// May the run go on without these objects, which do not start at the target?
    #[must_use]
    pub fn compute(plan: &'a Plan, run: &'a RunDocument, left_behind: Override) -> Self {
        Self {
            plan,
            run,
            question: Question::Compute { site: run.target },
            overrides: vec![left_behind],
            offers: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// May the run go on although these checks failed?
    #[must_use]
    pub fn validation(plan: &'a Plan, run: &'a RunDocument, checks: BTreeSet<String>) -> Self {
        Self {
            plan,
            run,
            question: Question::Validation {
                checks: checks.clone(),
            },
            overrides: vec![Override::ValidationFailed { checks }],
            offers: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// May this fence be lifted at this moment? `active`: whether the fenced site is the active one.
    #[must_use]
    pub fn unfence(
        plan: &'a Plan,
        run: &'a RunDocument,
        site: SiteLabel,
        fence: &Fence,
        active: bool,
        now: Timestamp,
    ) -> Self {
        let never_quiet = !fence.is_quiet(now) && !active;
        Self {
            plan,
            run,
            question: Question::Unfence {
                site,
                since: fence.since,
            },
            overrides: never_quiet
                .then_some(Override::NeverQuiet { site })
                .into_iter()
                .collect(),
            offers: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// Whether the proof has ended and shows that nothing beyond the plan's rules is to be accepted, though the request says so: then the plan
    /// may decide by itself, if it may at all, on a request that says what is known now.
    #[must_use]
    pub fn is_within_the_rules_by_now(&self, request: &Request) -> bool {
        let has_ended = self.run.evidence.proof.is_some_and(|p| !p.is_open());
        let only_losses = |o: &Override| matches!(o, Override::LossAboveObjective { .. });
        self.plan.automatic_failover.is_some()
            && self.question == Question::Start
            && has_ended
            && self.overrides.is_empty()
            && !request.overrides.is_empty()
            && request.overrides.iter().all(only_losses)
    }

    /// How many different people must approve. To leave a site that answers may need more than everything else.
    #[must_use]
    pub fn required_approvals(&self) -> u32 {
        let always = self.plan.approval.required_approvals;
        let is_half_dead = |o: &Override| matches!(o, Override::FenceIncomplete { .. });
        if self.overrides.iter().any(is_half_dead) {
            always.max(self.plan.fence.approvals_when_half_dead)
        } else {
            always
        }
    }

    /// The digest that binds a decision to this, with these overrides.
    #[must_use]
    pub fn digest(&self, overrides: &[Override]) -> ContentDigest {
        let what = json!({
            "plan": self.plan,
            "run": self.run.run,
            // A question that outlives its attempt is bound to the run only: another attempt asks the others anew.
            "attempt": match self.question {
                Question::Start | Question::Fence { .. } | Question::Compute { .. } => Some(self.run.attempt),
                Question::Validation { .. } | Question::Unfence { .. } => None,
            },
            "target": self.run.target,
            "mode": self.run.mode,
            "baseline": self.run.evidence.baseline.digest,
            "question": self.question,
            "overrides": overrides,
            "required_approvals": self.required_approvals(),
        });
        ContentDigest::of(what.to_string().as_bytes())
    }

    /// The request for this.
    #[must_use]
    pub fn request(&self, id: ApprovalId, now: Timestamp) -> Request {
        let policy = self.plan.approval;
        Request {
            format_version: APPROVAL_FORMAT,
            id,
            run: self.run.run.clone(),
            attempt: self.run.attempt,
            question: self.question.clone(),
            overrides: self.overrides.clone(),
            offers: self.offers.clone(),
            losses: self.losses.clone(),
            required_approvals: self.required_approvals(),
            digest: self.digest(&self.overrides),
            asked_at: now,
            expires_at: now + policy.expires_after_seconds.signed(),
            sent_at: None,
            reminded_at: now,
            escalated_at: None,
            told: Vec::new(),
            forecast: None,
        }
    }

    /// Whether a request that was sent still asks for what would happen now, within the plan's tolerance.
    ///
    /// # Errors
    /// What has changed, in words: its decisions are void.
    pub fn still(&self, request: &Request) -> Result<(), String> {
        if self.digest(&request.overrides) != request.digest {
            return Err("the plan, the attempt, the target or the baseline has changed".to_owned());
        }
        let tolerance = self.plan.approval.loss_tolerance_seconds;
        for loss in &self.losses {
            let shown = request.losses.iter().find(|shown| shown.name == loss.name);
            let same = shown.map_or(!loss.needs_override(), |shown| {
                within(shown.loss_seconds, loss.loss_seconds, tolerance)
            });
            if !same {
                return Err(format!(
                    "the predicted loss of {} has grown by more than the plan's {} s",
                    loss.name, tolerance.0
                ));
            }
        }
        match self.overrides.iter().find(|needed| {
            !request
                .overrides
                .iter()
                .any(|o| o.covers(needed, tolerance))
        }) {
            Some(needed) => Err(format!("the request did not say: {needed}")),
            None => Ok(()),
        }
    }
}
