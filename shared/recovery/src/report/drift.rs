//! Where the target differs from the baseline, as the run's own readiness documents say it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most objects that a report names for each look.
const MOST: usize = 200;
/// The most fields that it names of an object.
const MOST_FIELDS: usize = 20;

/// One object that is not as in the baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// Which look it was: before the approval, or after the fence.
    pub when: String,
    /// The object's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What readiness calls it, for example `MISSING`.
    pub status: String,
    /// Whether it kept the run from going on.
    pub blocking: bool,
    /// The fields that differ.
    pub fields: Vec<String>,
}

impl Drift {
    /// The findings of a stored readiness. What is not understood is left out: a report must not fail for it.
    #[must_use]
    pub fn of(when: &str, readiness: &Value) -> Vec<Self> {
        let findings = readiness.get("findings").and_then(Value::as_array);
        let one = |finding: &Value| {
            let text = |pointer| finding.pointer(pointer).and_then(Value::as_str);
            let differences = finding.get("differences").and_then(Value::as_array);
            Some(Self {
                when: when.to_owned(),
                kind: text("/subject/kind")?.to_owned(),
                name: text("/subject/name")?.to_owned(),
                status: text("/status")?.to_owned(),
                blocking: finding.get("blocking").and_then(Value::as_bool)?,
                fields: differences
                    .into_iter()
                    .flatten()
                    .filter_map(|d| d.get("path")?.as_str().map(str::to_owned))
                    .take(MOST_FIELDS)
                    .collect(),
            })
        };
        let all = findings.into_iter().flatten();
        all.filter_map(one).take(MOST).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::readiness::{Finding, ReadinessStatus};

    #[test]
    fn what_readiness_writes_is_understood_with_and_without_fields() {
        let finding: Finding = serde_json::from_value(json!({
            "subject": {"kind": "job", "id": "1", "name": "a"}, "status": "MISSING", "blocking": true,
        }))
        .unwrap();
        assert_eq!(finding.status, ReadinessStatus::Missing);
        let mut stored = json!({"findings": [finding, {"nonsense": 1}]});
        stored["findings"][0]["differences"] = json!([{"path": "settings.tasks[0].new_cluster"}]);
        let found = Drift::of("before the approval", &stored);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (
                found[0].name.as_str(),
                found[0].status.as_str(),
                found[0].blocking
            ),
            ("a", "MISSING", true)
        );
        assert_eq!(found[0].fields, ["settings.tasks[0].new_cluster"]);
    }
}
