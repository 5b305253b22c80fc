//! Reading a plan: every problem at once, each with the path of the field and what is allowed there.

use std::collections::BTreeSet;
use std::fmt;

use super::{PLAN_FORMAT, Plan, Seconds};
use crate::kind::Kind;
use crate::site::{Region, SiteLabel};

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanProblem {
    /// Dotted path of the field, for example `detection.policy.quorum`.
    pub path: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// The plan was refused. Nothing may be done on it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the plan is refused: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct PlanError {
    /// Never empty.
    pub problems: Vec<PlanProblem>,
}

impl PlanError {
    fn one(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            problems: vec![PlanProblem {
                path: path.into(),
                problem: problem.into(),
            }],
        }
    }
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// All problems of the plan, or the one at which it could not be read.
    pub fn parse(json: &[u8]) -> Result<Self, PlanError> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let plan: Self = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
            PlanError::one(readable_path(&e.path().to_string()), e.inner().to_string())
        })?;
        reader
            .end()
            .map_err(|e| PlanError::one("plan.json", e.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(&self) -> Result<(), PlanError> {
        let mut found = Problems::default();
        if self.format_version != PLAN_FORMAT {
            found.add(
                "format_version",
                format!(
                    "is {}; this version reads {PLAN_FORMAT}",
                    self.format_version
                ),
            );
        }
        let name = self.name.as_str();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 21 || !name.chars().all(plain) || name.starts_with('-') {
            found.add(
                "name",
                format!("is {name:?}; allowed are 1 to 21 of a-z, 0-9 and '-', not first"),
            );
        }
        self.check_sites(&mut found);
        self.check_detection(&mut found);
        self.check_data_sets(&mut found);
        self.check_fences(&mut found);
        self.check_access_points(&mut found);
        self.check_readiness(&mut found);
        self.check_data_sources(&mut found);
        self.check_validation(&mut found);
        self.check_policies(&mut found);
        self.check_decision(&mut found);
        found.into_result()
    }

    fn check_sites(&self, found: &mut Problems) {
        found.region("control_region", &self.control_region);
        for label in SiteLabel::ALL {
            let site = self.sites.get(label);
            found.region(&format!("sites.{label}.region"), &site.region);
            let id = site.workspace_id.as_str();
            if id.parse::<u64>().map_or(true, |id| id == 0) {
                found.add(
                    format!("sites.{label}.workspace_id"),
                    format!("is {id:?}; allowed is the workspace's number as text, as in the ?o= of its URL"),
                );
            }
        }
        if self.sites.primary.region == self.sites.secondary.region {
            found.add(
                "sites.secondary.region",
                "is the primary's region; a region cannot stand in for itself",
            );
        }
        if self.sites.primary.workspace_id == self.sites.secondary.workspace_id {
            found.add("sites.secondary.workspace_id", "is the primary's workspace");
        }
        if self.control_region == self.sites.primary.region {
            found.add("control_region", "is the primary's region; it must survive the primary's disaster: use a third region or the secondary's");
        }
        if self.kinds.is_empty() {
            found.add("kinds", "is empty; name at least one kind");
        }
        let unique: BTreeSet<_> = self.kinds.iter().collect();
        if unique.len() != self.kinds.len() {
            found.add("kinds", "names a kind twice");
        }
    }

    fn check_detection(&self, found: &mut Problems) {
        let detection = &self.detection;
        let policy = &detection.policy;
        for (field, value) in [
            ("window", policy.window),
            ("confirmations", policy.confirmations),
            ("quorum", policy.quorum),
            ("freshness_seconds", policy.freshness_seconds),
        ] {
            if value == 0 {
                found.add(
                    format!("detection.policy.{field}"),
                    "is 0; allowed is 1 or more",
                );
            }
        }
        if policy.confirmations > policy.window {
            found.add(
                "detection.policy.confirmations",
                format!(
                    "is {}, but only the last {} signals are looked at; allowed is 1 to {0}",
                    policy.confirmations, policy.window
                ),
            );
        }
        if policy.window > 100 {
            found.add(
                "detection.policy.window",
                "allowed is 1 to 100: no more signals are stored",
            );
        }
        for vantage in &detection.vantages {
            found.region("detection.vantages", vantage);
        }
        let vantages: BTreeSet<&Region> = detection.vantages.iter().collect();
        if vantages.len() != detection.vantages.len() {
            found.add("detection.vantages", "names a region twice");
        }
        if !vantages.contains(&self.control_region) {
            found.add(
                "detection.vantages",
                "lacks the control region, which computes the verdict",
            );
        }
        for label in SiteLabel::ALL {
            let outside = vantages
                .iter()
                .filter(|region| ***region != self.sites.get(label).region)
                .count();
            if policy.quorum as usize > outside {
                found.add(
                    "detection.policy.quorum",
                    format!("is {}, but only {outside} of the vantages lie outside the {label}'s own region; it could never be met", policy.quorum),
                );
            }
        }
        found.positive(
            "detection.probe_timeout_seconds",
            detection.probe_timeout_seconds,
        );
        if detection.latency_objective_ms == 0 {
            found.add(
                "detection.latency_objective_ms",
                "is 0; allowed is 1 or more",
            );
        }
        self.check_probes(found);
    }

    fn check_policies(&self, found: &mut Problems) {
        for (path, value) in [
            ("objectives.rto_seconds", self.objectives.rto_seconds),
            ("objectives.rpo_seconds", self.objectives.rpo_seconds),
            ("baseline.max_age_seconds", self.baseline.max_age_seconds),
            (
                "approval.expires_after_seconds",
                self.approval.expires_after_seconds,
            ),
            (
                "approval.remind_every_seconds",
                self.approval.remind_every_seconds,
            ),
            (
                "approval.escalate_after_seconds",
                self.approval.escalate_after_seconds,
            ),
            ("approval.poll_seconds", self.approval.poll_seconds),
            ("fence.poll_seconds", self.fence.poll_seconds),
            (
                "fence.give_up_after_seconds",
                self.fence.give_up_after_seconds,
            ),
            (
                "fence.call_timeout_seconds",
                self.fence.call_timeout_seconds,
            ),
            ("activation.poll_seconds", self.activation.poll_seconds),
            (
                "activation.give_up_after_seconds",
                self.activation.give_up_after_seconds,
            ),
        ] {
            found.positive(path, value);
        }
        let healthy = self.planned.healthy_seconds;
        if healthy.0 > 3600 {
            // The signals of the last two hours are at hand.
            found.add(
                "planned.healthy_seconds",
                format!("is {}; allowed are 0 to 3600", healthy.0),
            );
        }
        // Each look at the decision costs the execution about nine of its 25,000 events.
        let looks = self.approval.expires_after_seconds.0 / self.approval.poll_seconds.0.max(1);
        if looks > 2000 {
            found.add(
                "approval.poll_seconds",
                format!("{looks} looks until the request expires are more than an execution's history holds; allowed are 2000"),
            );
        }
        if self.approval.expires_after_seconds.0 > 86_400 {
            found.add(
                "approval.expires_after_seconds",
                "allowed is up to a day (86400): the execution itself ends after two",
            );
        }
        if !(1..=5).contains(&self.approval.required_approvals) {
            found.add(
                "approval.required_approvals",
                format!("is {}; allowed is 1 to 5", self.approval.required_approvals),
            );
        }
        if !(1..=5).contains(&self.fence.approvals_when_half_dead) {
            found.add(
                "fence.approvals_when_half_dead",
                format!(
                    "is {}; allowed is 1 to 5",
                    self.fence.approvals_when_half_dead
                ),
            );
        }
        for (i, named) in self.baseline.permissions.iter().enumerate() {
            if named.kind == Kind::DashboardSchedule {
                let field = format!("baseline.permissions[{i}].kind");
                found.add(&field, "a schedule has no permissions of its own");
            }
        }
        if self.baseline.max_live_loss_percent.0 > 100 {
            found.add("baseline.max_live_loss_percent", "allowed is 0 to 100");
        }
    }
}

/// `serde_path_to_error` says `.` for the document itself.
fn readable_path(path: &str) -> String {
    if path == "." {
        "plan.json".to_owned()
    } else {
        path.to_owned()
    }
}

#[derive(Default)]
pub(super) struct Problems(Vec<PlanProblem>);

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        self.0.push(PlanProblem {
            path: path.into(),
            problem: problem.into(),
        });
    }

    pub(super) fn positive(&mut self, path: &str, value: Seconds) {
        if value.0 == 0 {
            self.add(path, "is 0; allowed is 1 second or more");
        }
    }

    pub(super) fn bucket(&mut self, path: &str, bucket: &str) {
        let plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(plain) {
            self.add(path, format!("{bucket:?} is no bucket name"));
        }
    }

    fn region(&mut self, path: &str, region: &Region) {
        let text = region.as_str();
        let parts: Vec<&str> = text.split('-').collect();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let numbered = parts
            .last()
            .is_some_and(|last| !last.is_empty() && last.chars().all(|c| c.is_ascii_digit()));
        if parts.len() < 3 || !numbered || !text.chars().all(plain) {
            self.add(
                path,
                format!("{text:?} is no AWS region; an example is us-east-1"),
            );
        }
    }

    fn into_result(self) -> Result<(), PlanError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(PlanError { problems: self.0 })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn example() -> Value {
        serde_json::from_str(include_str!("../../../../infra/plan.example.json")).unwrap()
    }

    fn problems(change: impl FnOnce(&mut Value)) -> String {
        let mut plan = example();
        change(&mut plan);
        match Plan::parse(plan.to_string().as_bytes()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_example_is_accepted() {
        assert_eq!(problems(|_| ()), "");
    }

    #[test]
    fn a_bad_plan_is_refused_with_the_path_of_the_field_and_what_is_allowed() {
        type Change = fn(&mut Value);
        let table: [(&str, Change, &str); 13] = [
            (
                "nobody to approve",
                |p| p["approval"]["required_approvals"] = json!(0),
                "approval.required_approvals: is 0; allowed is 1 to 5",
            ),
            (
                "unknown field",
                |p| p["fence"]["pol_seconds"] = json!(1),
                "fence.pol_seconds: unknown field `pol_seconds`, expected one of `poll_seconds`",
            ),
            (
                "missing site",
                |p| {
                    p["sites"].as_object_mut().unwrap().remove("secondary");
                },
                "sites: missing field `secondary`",
            ),
            (
                "objective of 0",
                |p| p["objectives"]["rpo_seconds"] = json!(0),
                "objectives.rpo_seconds: is 0; allowed is 1 second or more",
            ),
            (
                "kind nobody knows",
                |p| p["kinds"][0] = json!("lakehouse"),
                "kinds[0]: unknown variant `lakehouse`, expected one of",
            ),
            (
                "quorum never met",
                |p| p["detection"]["policy"]["quorum"] = json!(3),
                "detection.policy.quorum: is 3, but only",
            ),
            (
                "window below confirmations",
                |p| p["detection"]["policy"]["confirmations"] = json!(9),
                "detection.policy.confirmations: is 9",
            ),
            (
                "same region",
                |p| p["sites"]["secondary"]["region"] = p["sites"]["primary"]["region"].clone(),
                "sites.secondary.region: is the primary's region",
            ),
            (
                "control in the primary's region",
                |p| p["control_region"] = p["sites"]["primary"]["region"].clone(),
                "control_region: is the primary's region",
            ),
            (
                "negative time",
                |p| p["fence"]["poll_seconds"] = json!(-1),
                "fence.poll_seconds: invalid value",
            ),
            (
                "workspace id is a name",
                |p| p["sites"]["primary"]["workspace_id"] = json!("prod"),
                "sites.primary.workspace_id: is \"prod\"",
            ),
            (
                "duplicate data set",
                |p| {
                    let d = p["data_sets"][0].clone();
                    p["data_sets"].as_array_mut().unwrap().push(d);
                },
                "stands twice",
            ),
            (
                "newer format",
                |p| p["format_version"] = json!(2),
                "format_version: is 2; this version reads 1",
            ),
        ];
        for (name, change, expected) in table {
            let text = problems(change);
            assert!(
                text.contains(expected),
                "{name}: {text:?} lacks {expected:?}"
            );
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let text = problems(|p| {
            p["objectives"]["rto_seconds"] = json!(0);
            p["name"] = json!("Has Spaces");
        });
        assert!(
            text.contains("objectives.rto_seconds") && text.contains("name:"),
            "{text}"
        );
    }

    #[test]
    fn text_after_the_plan_is_refused() {
        let text = format!("{} {{}}", example());
        assert!(Plan::parse(text.as_bytes()).is_err());
    }
}
