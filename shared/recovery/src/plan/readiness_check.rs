//! Checks of `readiness`.

use std::collections::BTreeSet;

use super::check::Problems;
use super::{Plan, Twin};

impl Plan {
    pub(super) fn check_readiness(&self, found: &mut Problems) {
        let mapping = &self.readiness.mapping;
        for (field, twins) in [
            ("node_types", &mapping.node_types),
            ("zones", &mapping.zones),
            ("instance_profiles", &mapping.instance_profiles),
            ("buckets", &mapping.buckets),
            ("words", &mapping.words),
        ] {
            check_twins(&format!("readiness.mapping.{field}"), twins, found);
        }
        for (index, ignored) in mapping.ignore.iter().enumerate() {
            if ignored.path.trim().is_empty() {
                found.add(
                    format!("readiness.mapping.ignore[{index}].path"),
                    "is empty; an object without any field is compared with nothing",
                );
            }
        }
        for (index, accepted) in self.readiness.accepted.iter().enumerate() {
            let path = format!("readiness.accepted[{index}]");
            if accepted.names.is_empty() {
                found.add(
                    format!("{path}.names"),
                    "is empty; name objects, or \"*\" for all of the kind",
                );
            }
            if accepted.statuses.is_empty() {
                found.add(
                    format!("{path}.statuses"),
                    "is empty; say what is accepted, as in [\"MISSING\"]",
                );
            }
            if accepted.why.trim().is_empty() {
                found.add(format!("{path}.why"), "is empty; say why that does no harm");
            }
        }
    }
}

/// Each name stands for one thing at each site, or the way back would not be the way there.
fn check_twins(path: &str, twins: &[Twin], found: &mut Problems) {
    let (mut primary, mut secondary) = (BTreeSet::new(), BTreeSet::new());
    for (index, twin) in twins.iter().enumerate() {
        for (site, name, seen) in [
            ("primary", &twin.primary, &mut primary),
            ("secondary", &twin.secondary, &mut secondary),
        ] {
            if name.trim().is_empty() {
                found.add(format!("{path}[{index}].{site}"), "is empty");
            } else if !seen.insert(name.as_str()) {
                found.add(
                    format!("{path}[{index}].{site}"),
                    format!("{name:?} stands twice; it can have one twin"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::ReadinessPolicy;

    #[test]
    fn what_has_two_twins_or_no_reason_is_named_with_its_path() {
        let policy: ReadinessPolicy = serde_json::from_value(json!({
            "mapping": {"zones": [
                {"primary": "us-east-1a", "secondary": "us-east-2a"},
                {"primary": "us-east-1b", "secondary": "us-east-2a"},
                {"primary": "", "secondary": "us-east-2c"}]},
            "accepted": [{"kind": "job", "names": ["*"], "statuses": ["MISSING"], "why": " "}]
        }))
        .unwrap();
        let example = include_bytes!("../../../../infra/plan.example.json");
        let mut plan = Plan::parse(example).unwrap();
        plan.readiness = policy;
        let problems = plan.check().unwrap_err().problems;
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "readiness.mapping.zones[1].secondary",
                "readiness.mapping.zones[2].primary",
                "readiness.accepted[0].why"
            ]
        );
    }
}
