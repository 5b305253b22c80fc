//! What is promised of the data: people are shown the loss that the report tells, and both follow from what had arrived.

use std::collections::{BTreeMap, BTreeSet};

use recovery::replication::HeldBackDocument;
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

/// What must hold of the list that the way home makes: it names each of these objects, tells those whose sending would replace
/// something, and names nothing else. `manifests` are both of them, `there` is the bucket of the objects.
#[must_use]
pub fn held_back_violations(
    listing: Option<&HeldBackDocument>,
    manifests: &[String; 2],
    held: &BTreeMap<String, bool>,
    there: &str,
    report: Option<&Report>,
) -> Vec<String> {
    let Some(listing) = listing else {
        return vec!["what the fence held back was not listed".to_owned()];
    };
    let mut found = Vec::new();
    if !held.values().any(|overwrites| *overwrites) || held.values().all(|overwrites| *overwrites) {
        found.push("too little was held back to prove the list of it".to_owned());
    }
    if !listing.complete || listing.data_sets.iter().any(|set| set.problem.is_some()) {
        found.push(format!(
            "the list of what was held back is not complete: {:?}",
            listing.data_sets
        ));
    }
    let named: Vec<(&str, bool)> = listing
        .data_sets
        .iter()
        .flat_map(|set| &set.first)
        .map(|object| (object.key.as_str(), object.overwrites))
        .collect();
    let mut sorted = named.clone();
    sorted.sort_unstable();
    let wanted: Vec<(&str, bool)> = held.iter().map(|(key, o)| (key.as_str(), *o)).collect();
    if sorted != wanted {
        found.push(format!("held back is {wanted:?}, listed is {named:?}"));
    }
    for (manifest, overwrites) in manifests.iter().zip([false, true]) {
        // A drill's keys have nothing to encode but blanks.
        let lines = wanted.iter().filter(|(_, o)| *o == overwrites);
        let lines: BTreeSet<String> = lines
            .map(|(key, _)| format!("{there},{}", key.replace(' ', "%20")))
            .collect();
        let written: BTreeSet<String> = manifest.lines().map(str::to_owned).collect();
        if lines != written || manifest.lines().count() != written.len() {
            found.push(format!(
                "a manifest should be {lines:?} and is {manifest:?}"
            ));
        }
    }
    let told = report.and_then(|r| r.held_back.as_ref());
    let count = u64::try_from(held.len()).unwrap_or(u64::MAX);
    let is_left = report.is_some_and(|r| {
        let mut lines = r.left_to_do.iter();
        lines.any(|line| line.contains("held-back.csv"))
    });
    if told.map(|t| t.objects) != Some(count) || !is_left {
        found.push(format!(
            "the report does not leave {count} held back objects to people: {told:?}"
        ));
    }
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
    fn a_list_that_names_more_or_less_than_was_held_back_is_a_broken_promise() {
        let held = BTreeMap::from([("a b".to_owned(), false), ("c".to_owned(), true)]);
        let object = |key: &str, overwrites: bool| json!({"key": key, "size": 1, "modified": "2026-03-01T00:00:00Z", "overwrites": overwrites});
        let listing = |complete: bool, objects: Value| -> HeldBackDocument {
            serde_json::from_value(json!({
                "format_version": 1, "run": "r", "attempt": 1, "looked_at": "2026-03-02T00:00:00Z", "site": "primary",
                "fenced_since": "2026-03-01T00:00:00Z", "since": "2026-02-28T00:00:00Z", "complete": complete,
                "data_sets": [{"name": "lake", "bucket": "one", "prefix": "", "count": 2, "bytes": 2, "overwrites": 1,
                    "complete": complete, "problem": null, "first": objects}],
            }))
            .unwrap()
        };
        let mut told = report();
        told.held_back = Some(listing(true, json!([])).summary(
            "d".into(),
            Some("runs/r/repair/held-back.csv".into()),
            None,
        ));
        told.left_to_do = vec!["see runs/r/repair/held-back.csv".to_owned()];
        let both = json!([object("a b", false), object("c", true)]);
        let good = ["one,a%20b\n".to_owned(), "one,c\n".to_owned()];
        let judge =
            |listing: Option<&HeldBackDocument>, manifests: &[String; 2], report: &Report| {
                held_back_violations(listing, manifests, &held, "one", Some(report)).len()
            };
        let right = listing(true, both.clone());
        assert_eq!(judge(Some(&right), &good, &told), 0);
        assert_eq!(judge(None, &good, &told), 1);
        assert_eq!(judge(Some(&listing(false, both)), &good, &told), 1);
        let other = [
            json!([object("a b", false)]),
            json!([object("a b", true), object("c", true)]),
            json!([object("a b", false), object("c", true), object("d", false)]),
            json!([
                object("a b", false),
                object("a b", false),
                object("c", true)
            ]),
        ];
        for other in other {
            assert_eq!(judge(Some(&listing(true, other)), &good, &told), 1);
        }
        for other in ["", "one,a b\n", "two,a%20b\n", "one,a%20b\none,a%20b\n"] {
            let manifests = [other.to_owned(), good[1].clone()];
            assert_eq!(judge(Some(&right), &manifests, &told), 1, "{other:?}");
        }
        assert_eq!(judge(Some(&right), &good, &report()), 1);
        let none = held_back_violations(
            Some(&listing(true, json!([]))),
            &[String::new(), String::new()],
            &BTreeMap::new(),
            "one",
            None,
        );
        assert_eq!(none.len(), 2, "{none:?}");
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
