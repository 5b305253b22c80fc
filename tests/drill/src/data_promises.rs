//! What is promised of the data: people are shown the loss that the report tells, and both follow from what had arrived.

use std::collections::{BTreeMap, BTreeSet};

use recovery::report::Report;
use recovery::run::{Mode, Stage};
use serde_json::Value;

use crate::lake::Delivery;

/// What must hold when S3 goes on with what was pending: the standby takes none of it, and its tables are as they were.
#[must_use]
pub fn delivery_violations(
    delivery: &Delivery,
    before: &BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
) -> Vec<String> {
    let mut found: Vec<String> = delivery
        .arrived
        .iter()
        .map(|object| format!("{object} was replicated to the standby after the switch"))
        .collect();
    if delivery.arrived.is_empty() && delivery.refused.is_empty() {
        found.push(
            "nothing was held back, so nothing was proven of the replication fence".to_owned(),
        );
    }
    let changed = before.keys().chain(after.keys()).collect::<BTreeSet<_>>();
    let changed = changed
        .into_iter()
        .filter(|key| before.get(*key) != after.get(*key));
    found.extend(changed.map(|key| format!("{key} changed at the standby after the switch")));
    found
}

/// Broken promises. `request` and `points` are documents of the run, `arrived` what the world copied.
#[must_use]
pub fn violations(
    request: Option<&Value>,
    points: Option<&Value>,
    arrived: &BTreeMap<String, Option<u64>>,
    report: &Report,
) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(shown) = request.and_then(|r| r["losses"].as_array()) {
        if shown.is_empty() {
            found.push("the request for approval shows no loss at all".to_owned());
        }
        for loss in shown {
            let name = loss["name"].as_str().unwrap_or_default();
            let told = report.rpo.get(name).copied().flatten();
            if told != loss["loss_seconds"].as_i64() {
                found.push(format!(
                    "the request predicted a loss of {} s for {name}, the report says {told:?}",
                    loss["loss_seconds"]
                ));
            }
        }
    }
    let measured = report
        .stages
        .iter()
        .any(|s| s.stage == Stage::RecoveryPoints && s.finished);
    // Only a disaster ends replication; else it goes on while the run measures.
    if measured && report.mode == Mode::Failover {
        for (table, version) in arrived {
            let proven = points
                .and_then(|p| {
                    p.pointer(&format!("/data_sets/sales/{table}/found/recovery_version"))
                })
                .and_then(Value::as_u64);
            if proven != *version {
                found.push(format!(
                    "table {table} is complete at the standby up to version {version:?}, the run says {proven:?}"
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Report {
        serde_json::from_value(json!({
            "format_version": 1, "run": "r", "plan": "p", "mode": "failover", "attempts": 1, "outcome": "Completed",
            "reason": "", "from": "primary", "target": "secondary", "verdict": null, "failing_since": null,
            "begun_at": "2026-03-01T00:00:00Z", "committed_at": null, "closed_at": "2026-03-01T00:00:00Z",
            "stages": [{"stage": "RecoveryPoints", "seconds": 1.0, "finished": true}], "rto_seconds": null,
            "rpo": {"sales": 7, "lake": null}, "fenced": {}, "restored": {}, "unverified": [], "listed": [],
            "decisions": [], "next": "",
        }))
        .unwrap()
    }

    #[test]
    fn what_arrives_or_changes_after_the_switch_is_a_broken_promise_and_so_is_a_proof_of_nothing() {
        let table = |text: &str| BTreeMap::from([("log".to_owned(), text.as_bytes().to_vec())]);
        let objects = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let judge = |arrived: &[&str], refused: &[&str], after: &str| {
            let delivery = Delivery {
                arrived: objects(arrived),
                refused: objects(refused),
            };
            delivery_violations(&delivery, &table("own"), &table(after)).len()
        };
        assert_eq!(judge(&[], &["log"], "own"), 0);
        assert_eq!(judge(&["log"], &[], "own"), 1);
        assert_eq!(judge(&["log"], &[], "late"), 2);
        assert_eq!(judge(&[], &["log"], "late"), 1);
        assert_eq!(judge(&[], &[], "own"), 1);
    }

    #[test]
    fn another_loss_than_was_shown_and_another_version_than_arrived_are_broken_promises() {
        let losses = |sales: Value, lake: Value| json!({"losses": [{"name": "sales", "loss_seconds": sales}, {"name": "lake", "loss_seconds": lake}]});
        let points =
            json!({"data_sets": {"sales": {"orders": {"found": {"recovery_version": 4}}}}});
        let arrived = BTreeMap::from([("orders".to_owned(), Some(4))]);
        let judge = |request: &Value, arrived: &BTreeMap<String, Option<u64>>| {
            violations(Some(request), Some(&points), arrived, &report()).len()
        };
        assert_eq!(judge(&losses(json!(7), json!(null)), &arrived), 0);
        assert_eq!(judge(&losses(json!(6), json!(null)), &arrived), 1);
        assert_eq!(judge(&losses(json!(7), json!(1)), &arrived), 1);
        assert_eq!(judge(&json!({"losses": []}), &arrived), 1);
        for other in [Some(3), Some(5), None] {
            let arrived = BTreeMap::from([("orders".to_owned(), other)]);
            assert_eq!(judge(&losses(json!(7), json!(null)), &arrived), 1);
        }
    }
}
