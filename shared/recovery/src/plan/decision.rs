//! What follows from an actionable verdict: whom the vendor's support hears from, and whether the plan may decide by itself.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Problems;
use super::{Plan, Seconds};
use crate::verdict::Verdict;

/// Longest contact, characters.
const LONGEST_TEXT: usize = 200;
/// The most contacts.
const MOST_CONTACTS: usize = 10;

/// The vendor's support. An early line to them is worth having even before anyone decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Support {
    /// Whom to call or write to, one line each.
    pub contacts: Vec<String>,
    /// What the vendor knows you by: an account or contract number.
    #[serde(default)]
    pub account: Option<String>,
}

/// Automatic failover: if nobody has decided when its own grace is over, the plan approves by itself. It never does if the
/// recovery point is worse than an objective or unknown, if the verdict rests on a lost name, if the target is not `Healthy`,
/// during a hold, or where a person would have to take something upon himself. Until then anybody may decline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutomaticFailover {
    /// The failure must have lasted this long. More than `detection.policy.grace_seconds`.
    pub grace_seconds: Seconds,
    /// The verdicts that the plan may approve. Left out: `RegionDown` and `ControlPlaneDown`. A failover for one broken warehouse is
    /// not worth it, and a person may still start one.
    #[serde(
        default = "verdicts_by_default",
        skip_serializing_if = "are_by_default"
    )]
    pub verdicts: BTreeSet<Verdict>,
}

fn are_by_default(verdicts: &BTreeSet<Verdict>) -> bool {
    *verdicts == verdicts_by_default()
}

fn verdicts_by_default() -> BTreeSet<Verdict> {
    BTreeSet::from([Verdict::RegionDown, Verdict::ControlPlaneDown])
}

impl Plan {
    pub(super) fn check_decision(&self, found: &mut Problems) {
        if let Some(support) = &self.support {
            if !(1..=MOST_CONTACTS).contains(&support.contacts.len()) {
                found.add(
                    "support.contacts",
                    format!(
                        "are {}; allowed are 1 to {MOST_CONTACTS}",
                        support.contacts.len()
                    ),
                );
            }
            for text in support.contacts.iter().chain(&support.account) {
                let fit = !text.trim().is_empty()
                    && text.chars().count() <= LONGEST_TEXT
                    && !text.chars().any(char::is_control);
                if !fit {
                    found.add(
                        "support",
                        format!(
                            "holds {text:?}; allowed is one line of 1 to {LONGEST_TEXT} characters"
                        ),
                    );
                }
            }
        }
        let policy = &self.detection.policy;
        if let Some(automatic) = &self.automatic_failover {
            if automatic.grace_seconds.0 <= policy.grace_seconds {
                found.add(
                    "automatic_failover.grace_seconds",
                    format!(
                        "is {}; it must be longer than detection.policy.grace_seconds ({}), so that a person may decline first",
                        automatic.grace_seconds.0, policy.grace_seconds
                    ),
                );
            }
            if policy.quorum < 2 {
                found.add(
                    "automatic_failover",
                    "needs detection.policy.quorum 2 or more: one vantage alone must not move a workspace",
                );
            }
            if self.data_sets.is_empty() {
                found.add(
                    "automatic_failover",
                    "needs data_sets: without them nobody knows what would be lost",
                );
            }
            if self.detection.probes.references.is_empty() {
                found.add(
                    "automatic_failover",
                    "needs detection.probes.references: without them a prober that is cut off sees a dead site",
                );
            }
        }
        if self
            .detection
            .page_after
            .contains_key(&crate::verdict::Verdict::Healthy)
        {
            found.add(
                "detection.page_after.Healthy",
                "is not for paging; leave it out",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::plan::Plan;

    fn problems(change: impl FnOnce(&mut Value)) -> String {
        let example = include_str!("../../../../infra/plan.example.json");
        let mut plan: Value = serde_json::from_str(example).unwrap();
        change(&mut plan);
        Plan::parse(plan.to_string().as_bytes())
            .err()
            .map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn a_plan_decides_by_itself_only_with_several_vantages_references_and_more_patience() {
        let automatic = |plan: &mut Value, grace: u32| {
            plan["detection"]["vantages"] = json!(["us-west-2", "eu-west-1"]);
            plan["detection"]["policy"]["quorum"] = json!(2);
            plan["automatic_failover"] = json!({"grace_seconds": grace});
        };
        assert_eq!(problems(|plan| automatic(plan, 600)), "");
        assert!(problems(|plan| automatic(plan, 120)).contains("longer than"));
        let single = problems(|plan| {
            automatic(plan, 600);
            plan["detection"]["policy"]["quorum"] = json!(1);
        });
        assert!(single.contains("one vantage alone"), "{single}");
        let unknown = problems(|plan| {
            automatic(plan, 600);
            plan["data_sets"] = json!([]);
            plan["groups"] = json!([]);
        });
        assert!(unknown.contains("what would be lost"), "{unknown}");
        let blind = problems(|plan| {
            automatic(plan, 600);
            plan["detection"]["probes"]["references"] = json!([]);
        });
        assert!(blind.contains("cut off"), "{blind}");
    }

    #[test]
    fn support_and_paging_are_checked() {
        let fine = problems(|plan| {
            plan["support"] = json!({"contacts": ["+1 555 0100"], "account": "A-1"});
            plan["detection"]["page_after"] = json!({"Degraded": 60, "RegionDown": 0});
        });
        assert_eq!(fine, "");
        assert!(
            problems(|plan| plan["support"] = json!({"contacts": []})).contains("allowed are 1")
        );
        assert!(
            problems(|plan| plan["support"] = json!({"contacts": ["a\nb"]})).contains("one line")
        );
        let healthy = problems(|plan| plan["detection"]["page_after"] = json!({"Healthy": 1}));
        assert!(healthy.contains("leave it out"), "{healthy}");
        let unknown = problems(|plan| plan["detection"]["page_after"] = json!({"Dead": 1}));
        assert!(unknown.contains("page_after"), "{unknown}");
    }
}
