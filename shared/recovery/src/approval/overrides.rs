//! What an approver takes upon himself by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Seconds;
use crate::site::SiteLabel;
use crate::verdict::Verdict;

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
        /// It is unknown since the proof goes on: who accepts that accepts that it stays unknown, and no number above the objective.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        provisional: bool,
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
                ..
            } => write!(
                f,
                "{name}: {loss} s of data are lost, above the objective of {objective_seconds} s"
            ),
            Self::LossAboveObjective {
                name,
                loss_seconds: None,
                objective_seconds,
                provisional,
            } => write!(
                f,
                "{name}: nobody knows {}how much data is lost (objective {objective_seconds} s){}",
                if *provisional { "yet " } else { "" },
                if *provisional {
                    "; a number above the objective is asked anew"
                } else {
                    ""
                }
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
                    name,
                    loss_seconds,
                    provisional,
                    ..
                },
                Self::LossAboveObjective {
                    name: needed_name,
                    loss_seconds: needed_loss,
                    ..
                },
            ) => {
                let is_covered = if *provisional {
                    needed_loss.is_none()
                } else {
                    within(*loss_seconds, *needed_loss, tolerance)
                };
                name == needed_name && is_covered
            }
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
pub(super) fn within(shown: Option<i64>, now: Option<i64>, tolerance: Seconds) -> bool {
    match (shown, now) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(shown), Some(now)) => now <= shown.saturating_add(i64::from(tolerance.0)),
    }
}
