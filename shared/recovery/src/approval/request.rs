//! What is asked, and what the answer is bound to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{APPROVAL_FORMAT, Forecast};
use crate::plan::{Plan, Seconds};
use crate::replication::PredictedLoss;
use crate::run::{Mode, RunDocument};
use crate::site::{ContentDigest, RunId, SiteLabel};
use crate::state::Fence;
use crate::verdict::Verdict;

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

/// What the approver takes upon himself beyond the plan's rules. Each stands in the request by name, and is accepted by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "override", rename_all = "snake_case")]
pub enum Override {
    /// The verdict is no grounds for a failover.
    NotActionable {
        /// The verdict; none if the signals could not be judged.
        verdict: Option<Verdict>,
    },
    /// More data is lost than the objective allows, or nobody knows how much.
    LossAboveObjective {
        /// The data set or group.
        name: String,
        /// Seconds of data; `None`: unknown.
        loss_seconds: Option<i64>,
        /// The objective.
        objective_seconds: i64,
    },
    /// The site that is left was never recorded since it became active: the target becomes what it was before it failed itself.
    OlderRecord {
        /// The site that was recorded, the target.
        site: SiteLabel,
        /// When.
        captured_at: Timestamp,
    },
    /// Checks of the target failed.
    ValidationFailed {
        /// Their names.
        checks: BTreeSet<String>,
    },
    /// The fenced site answers nothing but refusals (5xx, 429, 401, 403): nobody knows what runs there.
    SiteRefuses {
        /// The site.
        site: SiteLabel,
    },
    /// The fenced site answers, but part of it could not be read or is still live: both sites may run these.
    FenceIncomplete {
        /// The site.
        site: SiteLabel,
        /// Kinds of which not all could be read.
        unread: BTreeSet<String>,
        /// Objects that were live in the last reading, ids by kind.
        live: BTreeMap<String, BTreeSet<String>>,
    },
    /// Objects do not start at the target. They are left behind and stay a debt.
    LeftBehind {
        /// The target.
        site: SiteLabel,
        /// Ids by kind, as the target names them.
        objects: BTreeMap<String, BTreeSet<String>>,
        /// Their names, the first few, for people.
        names: Vec<String>,
    },
    /// No fresh reading shows the fenced site quiet, and it is not the active one: without its fence both may run.
    NeverQuiet {
        /// The site.
        site: SiteLabel,
    },
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotActionable { verdict } => {
                let verdict = verdict.map_or_else(|| "none".to_owned(), |v| v.to_string());
                write!(f, "the verdict ({verdict}) does not call for a failover")
            }
            Self::LossAboveObjective {
                name,
                loss_seconds: Some(loss),
                objective_seconds,
            } => write!(
                f,
                "{name}: {loss} s of data are lost, above the objective of {objective_seconds} s"
            ),
            Self::LossAboveObjective {
                name,
                loss_seconds: None,
                objective_seconds,
            } => write!(
                f,
                "{name}: nobody knows how much data is lost (objective {objective_seconds} s)"
            ),
            Self::OlderRecord { site, captured_at } => write!(
                f,
                "nothing was recorded at the site that is left: the {site} site becomes what it was itself at {captured_at}, and what was changed since is not restored"
            ),
            Self::ValidationFailed { checks } => {
                let names: Vec<&str> = checks.iter().map(String::as_str).collect();
                write!(f, "failed checks of the target: {}", names.join("; "))
            }
            Self::SiteRefuses { site } => write!(
                f,
                "the {site} site answers nothing but refusals: it cannot be fenced, and what runs there may still write"
            ),
            Self::FenceIncomplete { site, unread, live } => {
                write!(f, "the {site} site is left although")?;
                let kinds: Vec<&str> = unread.iter().map(String::as_str).collect();
                if !kinds.is_empty() {
                    write!(f, " these kinds could not be read: {}", kinds.join(", "))?;
                }
                if !live.is_empty() {
                    let and = if kinds.is_empty() { "" } else { ";" };
                    write!(f, "{and} these are still live: {}", ids_by_kind(live))?;
                }
                Ok(())
            }
            Self::LeftBehind {
                site,
                objects,
                names,
            } => write!(
                f,
                "the {site} site takes over without {}: {}",
                ids_by_kind(objects),
                names.join(", ")
            ),
            Self::NeverQuiet { site } => write!(
                f,
                "no fresh reading shows the {site} site quiet: without its fence both sites may run"
            ),
        }
    }
}

impl Override {
    /// Its name in documents and commands.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotActionable { .. } => "not_actionable",
            Self::LossAboveObjective { .. } => "loss_above_objective",
            Self::OlderRecord { .. } => "older_record",
            Self::ValidationFailed { .. } => "validation_failed",
            Self::SiteRefuses { .. } => "site_refuses",
            Self::FenceIncomplete { .. } => "fence_incomplete",
            Self::LeftBehind { .. } => "left_behind",
            Self::NeverQuiet { .. } => "never_quiet",
        }
    }

    /// Whether accepting this covers `needed`: the same thing, and a loss that grew by no more than the tolerance.
    #[must_use]
    pub fn covers(&self, needed: &Self, tolerance: Seconds) -> bool {
        match (self, needed) {
            (
                Self::LossAboveObjective {
                    name, loss_seconds, ..
                },
                Self::LossAboveObjective {
                    name: needed_name,
                    loss_seconds: needed_loss,
                    ..
                },
            ) => name == needed_name && within(*loss_seconds, *needed_loss, tolerance),
            (
                Self::ValidationFailed { checks },
                Self::ValidationFailed {
                    checks: needed_checks,
                },
            ) => needed_checks.is_subset(checks),
            (
                Self::FenceIncomplete { site, unread, live },
                Self::FenceIncomplete {
                    site: needed_site,
                    unread: needed_unread,
                    live: needed_live,
                },
            ) => {
                site == needed_site
                    && needed_unread.is_subset(unread)
                    && holds_all(live, needed_live)
            }
            (
                Self::LeftBehind { site, objects, .. },
                Self::LeftBehind {
                    site: needed_site,
                    objects: needed_objects,
                    ..
                },
            ) => site == needed_site && holds_all(objects, needed_objects),
            (accepted, needed) => accepted == needed,
        }
    }
}

/// The most ids of one kind that a text names.
const MOST_IDS: usize = 10;

fn ids_by_kind(objects: &BTreeMap<String, BTreeSet<String>>) -> String {
    let kinds = objects.iter().map(|(kind, ids)| {
        let first: Vec<&str> = ids.iter().take(MOST_IDS).map(String::as_str).collect();
        let more = ids.len().saturating_sub(MOST_IDS);
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        format!("{} {kind} ({}{more})", ids.len(), first.join(", "))
    });
    kinds.collect::<Vec<String>>().join(", ")
}

/// Whether every object of `needed` stands in `accepted`.
fn holds_all(
    accepted: &BTreeMap<String, BTreeSet<String>>,
    needed: &BTreeMap<String, BTreeSet<String>>,
) -> bool {
    needed.iter().all(|(kind, ids)| {
        ids.is_empty()
            || accepted
                .get(kind)
                .is_some_and(|accepted| ids.is_subset(accepted))
    })
}

/// Whether a loss that was shown still stands for the one known now. Unknown covers all: who accepts that nobody knows, accepts
/// any number.
fn within(shown: Option<i64>, now: Option<i64>, tolerance: Seconds) -> bool {
    match (shown, now) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(shown), Some(now)) => now <= shown.saturating_add(i64::from(tolerance.0)),
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
