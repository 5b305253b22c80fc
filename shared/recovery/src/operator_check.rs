//! Whether the operator may do what a fence does: found out by drills, remembered between them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::site::{RunId, SiteLabel};

/// Permissions are taken away without a word, so an older answer is told as old: a drill each month, and one that was left out.
const FRESH: SignedDuration = SignedDuration::from_hours(24 * 62);
/// Objects that are named in one sentence.
const MOST_NAMED: usize = 5;

/// `fences/<site>-operator.json`: what the last drill found of the operator's permissions at a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorCheck {
    /// Always 1.
    pub format_version: u32,
    /// The drill.
    pub run: RunId,
    /// When it was done.
    pub checked_at: Timestamp,
    /// Objects whose permission was read.
    pub objects: usize,
    /// Kind, id and name of what the operator may not manage.
    pub refused: BTreeSet<String>,
}

/// What readiness says of the operator's permissions at the active site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorFinding {
    /// A fence would leave something running.
    Blocker(String),
    /// Nobody knows, or not lately.
    Note(String),
}

impl OperatorFinding {
    /// Of the last check of a site; nothing if it is fresh and all was allowed.
    #[must_use]
    pub fn of(check: Option<&OperatorCheck>, site: SiteLabel, now: Timestamp) -> Option<Self> {
        let Some(check) = check else {
            return Some(Self::Note(format!(
                "whether the operator may fence the {site} site was never checked: a drill ({{\"mode\":\"drill\"}}) does that"
            )));
        };
        if !check.refused.is_empty() {
            let named: Vec<&str> = check
                .refused
                .iter()
                .take(MOST_NAMED)
                .map(String::as_str)
                .collect();
            return Some(Self::Blocker(format!(
                "the operator may not manage {} of {} objects of the {site} site that a fence must stop: {}; grant CAN_MANAGE and let a drill check it (all: runs/{}/fence-rehearsal.json)",
                check.refused.len(),
                check.objects,
                named.join(", "),
                check.run
            )));
        }
        (now.duration_since(check.checked_at) > FRESH).then(|| {
            Self::Note(format!(
                "whether the operator may fence the {site} site was last checked on {} by {}: a drill does it anew",
                check.checked_at.strftime("%F"),
                check.run
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(refused: &[&str]) -> OperatorCheck {
        OperatorCheck {
            format_version: 1,
            run: RunId::new("drill-1"),
            checked_at: "2027-01-01T05:00:00Z".parse().unwrap(),
            objects: 12,
            refused: refused.iter().map(|&r| r.to_owned()).collect(),
        }
    }

    fn at(check: Option<&OperatorCheck>, day: &str) -> Option<OperatorFinding> {
        let now = format!("{day}T05:00:00Z").parse().unwrap();
        OperatorFinding::of(check, SiteLabel::Primary, now)
    }

    #[test]
    fn what_the_operator_may_not_stop_blocks_until_a_drill_says_otherwise() {
        let found = at(Some(&check(&["job 7 \"load\""])), "2027-01-02");
        let Some(OperatorFinding::Blocker(words)) = found else {
            panic!("{found:?}")
        };
        assert!(
            words.contains("1 of 12 objects of the primary site"),
            "{words}"
        );
        assert!(words.contains("job 7 \"load\""), "{words}");
        assert!(
            words.contains("runs/drill-1/fence-rehearsal.json"),
            "{words}"
        );
        assert_eq!(at(Some(&check(&[])), "2027-01-02"), None);
    }

    #[test]
    fn a_check_that_is_old_or_was_never_made_is_told() {
        assert!(
            matches!(at(None, "2027-01-02"), Some(OperatorFinding::Note(w)) if w.contains("never"))
        );
        assert_eq!(at(Some(&check(&[])), "2027-03-04"), None);
        assert!(
            matches!(at(Some(&check(&[])), "2027-03-05"), Some(OperatorFinding::Note(w)) if w.contains("2027-01-01"))
        );
    }
}
