//! `validation`: what must hold at the target before the commit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Plan, Seconds};
use crate::kind::Kind;
use crate::plan::check::Problems;

/// The function itself has 600 s.
const LONGEST_STATEMENT: u32 = 540;
/// Each look costs the execution about nine of its 25,000 events.
const MOST_LOOKS: u32 = 1000;

/// What must hold at the target before the commit, beside sign-in, the workspace's id and one list for each kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidationPolicy {
    /// Statements that run at the target.
    #[serde(default)]
    pub statements: Vec<StatementCheck>,
    /// No single statement may take longer than this, a cold warehouse included.
    pub statement_timeout_seconds: Seconds,
    /// Objects that must grant at the target what they granted at the old site. `baseline.permissions` must record them.
    #[serde(default)]
    pub permissions: Vec<PermissionCheck>,
    /// Jobs that are run at the target and must succeed. They run before the commit: name only jobs that write no production data.
    #[serde(default)]
    pub canaries: Vec<CanaryJob>,
    /// A canary that has not ended so long after the stage began is cancelled and has failed.
    #[serde(default = "half_an_hour")]
    pub canary_timeout_seconds: Seconds,
    /// The target must stay green for so long. 0: once is enough.
    #[serde(default = "at_once")]
    pub soak_seconds: Seconds,
    /// The pause between two looks, while canaries run and the target soaks.
    #[serde(default = "a_quarter_of_a_minute")]
    pub poll_seconds: Seconds,
}

const fn half_an_hour() -> Seconds {
    Seconds(1800)
}

const fn at_once() -> Seconds {
    Seconds(0)
}

const fn a_quarter_of_a_minute() -> Seconds {
    Seconds(15)
}

const fn yes() -> bool {
    true
}

/// A statement that must succeed at the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatementCheck {
    /// The name of the warehouse that runs it. Running it starts the warehouse.
    pub warehouse: String,
    /// The statement.
    pub sql: String,
    /// The first value of the first row, as text, if it matters.
    #[serde(default)]
    pub expect: Option<String>,
    /// Whether the run stops if it fails.
    #[serde(default = "yes")]
    pub required: bool,
}

/// Objects whose permissions must be as at the old site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PermissionCheck {
    /// The kind.
    pub kind: Kind,
    /// Names; `*` stands for any characters.
    pub names: Vec<String>,
    /// Whether the run stops if they differ.
    #[serde(default = "yes")]
    pub required: bool,
}

/// A job that is run to see whether jobs run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryJob {
    /// Its name at the target.
    pub job: String,
    /// Whether the run stops if it fails.
    #[serde(default = "yes")]
    pub required: bool,
}

impl Plan {
    pub(super) fn check_validation(&self, found: &mut Problems) {
        let policy = &self.validation;
        for (field, seconds) in [
            (
                "statement_timeout_seconds",
                policy.statement_timeout_seconds,
            ),
            ("canary_timeout_seconds", policy.canary_timeout_seconds),
            ("poll_seconds", policy.poll_seconds),
        ] {
            found.positive(&format!("validation.{field}"), seconds);
        }
        if policy.statement_timeout_seconds.0 > LONGEST_STATEMENT {
            found.add(
                "validation.statement_timeout_seconds",
                format!("allowed is 1 to {LONGEST_STATEMENT}: the function itself has 600"),
            );
        }
        let longest = policy
            .canary_timeout_seconds
            .0
            .saturating_add(policy.soak_seconds.0);
        let looks = longest / policy.poll_seconds.0.max(1);
        if looks > MOST_LOOKS {
            found.add(
                "validation.poll_seconds",
                format!("{looks} looks until canaries and soak time are over are more than an execution's history holds; allowed are {MOST_LOOKS}"),
            );
        }
        for (index, check) in policy.statements.iter().enumerate() {
            for (field, text) in [("warehouse", &check.warehouse), ("sql", &check.sql)] {
                if text.trim().is_empty() {
                    found.add(
                        format!("validation.statements[{index}].{field}"),
                        "is empty",
                    );
                }
            }
        }
        for (index, check) in policy.permissions.iter().enumerate() {
            let path = format!("validation.permissions[{index}]");
            if check.names.is_empty() {
                found.add(format!("{path}.names"), "is empty; name objects");
            }
            if !self
                .baseline
                .permissions
                .iter()
                .any(|n| n.kind == check.kind)
            {
                found.add(
                    format!("{path}.kind"),
                    format!("no {} is in baseline.permissions, so nothing would be there to compare with", check.kind),
                );
            }
        }
        for (index, canary) in policy.canaries.iter().enumerate() {
            let path = format!("validation.canaries[{index}].job");
            let same = |other: &CanaryJob| other.job == canary.job;
            if canary.job.trim().is_empty() {
                found.add(path, "is empty");
            } else if policy.canaries.iter().take(index).any(same) {
                found.add(path, format!("{:?} stands twice", canary.job));
            }
        }
    }
}
