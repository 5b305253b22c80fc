use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn record(failed: Option<i64>, log: Option<i64>, source: Option<i64>) -> TableRecord {
    TableRecord {
        failed: failed.map(|second| Failed {
            at: at(second),
            why: format!("at {second}"),
        }),
        log: log.map(|second| StoredLog {
            at: at(second),
            point: at(second),
        }),
        source: source.map(|second| SourceState {
            version: 1,
            timestamp_ms: None,
            observed_at_ms: second * 1000,
        }),
        ..TableRecord::default()
    }
}

fn book(found: Option<i64>, tables: &[(String, TableRecord)]) -> TableBook {
    TableBook {
        found_at: found.map(at),
        tables: tables.iter().cloned().collect(),
        ..TableBook::empty(SiteLabel::Primary)
    }
}

#[test]
fn the_newer_list_of_tables_counts_and_keeps_what_is_known_of_them() {
    let known = record(Some(5), Some(5), Some(5));
    let mut ours = book(
        Some(10),
        &[("a".into(), known.clone()), ("b".into(), known.clone())],
    );
    let theirs = book(
        Some(20),
        &[
            ("b".into(), TableRecord::default()),
            ("c".into(), TableRecord::default()),
        ],
    );
    ours.merge(&theirs);
    assert_eq!(ours.tables.keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(ours.tables["b"], known);
}

#[test]
fn a_refusal_ends_what_was_known_and_a_silent_storage_does_not() {
    let proven = StoredProof {
        at: at(1),
        behind_log_ms: None,
        history_to_ms: None,
        point: serde_json::from_value(serde_json::json!({
            "latest_version": 1, "latest_timestamp_ms": 1, "recovery_version": 1, "recovery_timestamp_ms": 1,
            "recovery_timestamp_from": "file", "loss_ms": 0, "missing_at_latest": 0, "files_at_latest": 1,
            "missing_examples": [], "replica_log_version": 1, "missing_at_replica_log": 0, "readable_now": true,
            "blocked_by": [], "readable_version": 1, "has_txn": false, "source": "read", "notes": [], "source_state": null,
            "list_requests": 1,
        }))
        .unwrap(),
    };
    let silent = delta_recovery::Error::StorageUnreadable {
        location: "l".into(),
        object: "o".into(),
        reason: "no answer".into(),
    };
    let refused = delta_recovery::Error::CatalogManaged {
        location: "l".into(),
        feature: "f".into(),
    };
    for (error, kept) in [(silent, true), (refused, false)] {
        let mut record = TableRecord {
            proof: Some(proven.clone()),
            ..TableRecord::default()
        };
        record.note(at(2), Err(error));
        assert_eq!(record.proof.is_some(), kept);
        assert_eq!(record.tried_at(), Some(at(2)));
        assert_eq!(record.facts("t").point().is_some(), kept);
    }
}

fn records() -> impl Strategy<Value = TableRecord> {
    let second = || proptest::option::of(0i64..50);
    (second(), second(), second()).prop_map(|(failed, log, source)| record(failed, log, source))
}

fn books() -> impl Strategy<Value = TableBook> {
    let tables = proptest::collection::vec(("[a-d]", records()), 0..5);
    (proptest::option::of(0i64..50), tables).prop_map(|(found, tables)| book(found, &tables))
}

proptest! {
    /// Whoever writes last, the newest finding of each table stays.
    #[test]
    fn no_newer_finding_is_lost(one in books(), two in books()) {
        let mut merged = one.clone();
        merged.merge(&two);
        prop_assert_eq!(merged.found_at, one.found_at.max(two.found_at));
        for (path, record) in &merged.tables {
            let sides = [one.tables.get(path), two.tables.get(path)];
            let newest = |what: &dyn Fn(&TableRecord) -> Option<i64>| sides.into_iter().flatten().filter_map(what).max();
            let tried = |r: &TableRecord| r.tried_at().map(|t| t.as_second());
            let log = |r: &TableRecord| r.log.map(|l| l.at.as_second());
            let source = |r: &TableRecord| r.source.map(|s| s.observed_at_ms);
            prop_assert_eq!(tried(record), newest(&tried));
            prop_assert_eq!(log(record), newest(&log));
            prop_assert_eq!(source(record), newest(&source));
        }
        let mut again = merged.clone();
        again.merge(&two);
        prop_assert_eq!(again, merged);
    }
}
