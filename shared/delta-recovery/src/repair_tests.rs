use super::*;
use crate::report::{BlockerKind, SourceView};

fn point(open: Option<u64>, recovery: Option<u64>) -> RecoveryPoint {
    RecoveryPoint {
        latest_version: 12,
        latest_timestamp_ms: None,
        recovery_version: recovery,
        recovery_timestamp_ms: None,
        recovery_timestamp_from: None,
        loss_ms: None,
        missing_at_latest: None,
        files_at_latest: None,
        missing_examples: Vec::new(),
        replica_log_version: open,
        missing_at_replica_log: None,
        readable_now: open.is_some(),
        blocked_by: Vec::new(),
        readable_version: open,
        restore_blocked_by: Vec::new(),
        has_txn: false,
        source: SourceView::Unreadable,
        notes: Vec::new(),
        history: Vec::new(),
        source_state: None,
        list_requests: 1,
    }
}

fn table<'a>(name: &'a str, prefix: &'a str, point: &'a RecoveryPoint) -> StandbyTable<'a> {
    StandbyTable {
        name,
        bucket: "lake-west",
        prefix,
        region: "us-west-2",
        found: Ok(point),
        group_version: None,
    }
}

fn blocker(object: &str, aside: &[&str]) -> Blocker {
    Blocker {
        kind: BlockerKind::CommitGap,
        object: object.to_owned(),
        detail: "it is missing".to_owned(),
        repair: "move the later ones aside".to_owned(),
        move_aside: aside.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Lines that do something.
fn commands(script: &str) -> Vec<&str> {
    let comment = |line: &str| line.starts_with('#') || line.starts_with("--") || line.is_empty();
    script.lines().filter(|line| !comment(line)).collect()
}

#[test]
fn a_table_that_is_where_it_should_be_needs_nothing() {
    let whole = point(Some(9), Some(9));
    let scripts = repair_scripts("run-1", &[table("orders", "t/orders", &whole)]);
    assert!(scripts.is_empty());
    assert_eq!(commands(&scripts.shell), ["set -eu"]);
    assert!(commands(&scripts.sql).is_empty());
    assert!(scripts.sql.contains("No table is to be restored"));
}

#[test]
fn a_readable_table_ahead_of_its_data_is_restored() {
    let ahead = point(Some(12), Some(9));
    let scripts = repair_scripts("run-1", &[table("orders", "t/orders", &ahead)]);
    assert_eq!(
        commands(&scripts.sql),
        ["RESTORE TABLE delta.`s3://lake-west/t/orders` TO VERSION AS OF 9;"]
    );
    assert_eq!(
        (scripts.moved, scripts.restored, scripts.by_hand),
        (0, 1, 0)
    );
    assert!(!scripts.sql.contains("WARNING"));
}

#[test]
fn a_table_goes_back_with_its_group_and_never_forward() {
    let ahead = point(Some(12), Some(9));
    let grouped = |version| StandbyTable {
        group_version: Some(version),
        ..table("orders", "t/orders", &ahead)
    };
    let older = repair_scripts("run-1", &[grouped(7)]);
    assert!(older.sql.contains("AS OF 7;"), "{}", older.sql);
    assert!(older.sql.contains("the common version of its group"));
    let newer = repair_scripts("run-1", &[grouped(11)]);
    assert!(newer.sql.contains("AS OF 9;"), "{}", newer.sql);
}

#[test]
fn a_table_that_cannot_be_opened_has_its_objects_moved_and_is_then_restored() {
    let mut gap = point(Some(8), Some(6));
    gap.readable_now = false;
    gap.blocked_by = vec![
        blocker(
            "_delta_log/_last_checkpoint",
            &["_delta_log/_last_checkpoint"],
        ),
        blocker(
            "_delta_log/9.json",
            &["_delta_log/10.json", "_delta_log/11.json"],
        ),
    ];
    gap.restore_blocked_by = vec![blocker("_delta_log/5.parquet", &["_delta_log/5.parquet"])];
    let scripts = repair_scripts("run-1", &[table("orders", "t/orders", &gap)]);
    let moves = ["_last_checkpoint", "10.json", "11.json", "5.parquet"].map(|name| {
        format!(
            "aws s3 mv --region 'us-west-2' 's3://lake-west/t/orders/_delta_log/{name}' \
             's3://lake-west/databricks-dr-aside/run-1/t/orders/_delta_log/{name}'"
        )
    });
    assert_eq!(commands(&scripts.shell)[1..], moves);
    assert_eq!(commands(&scripts.sql).len(), 1);
    assert_eq!((scripts.moved, scripts.restored), (4, 1));

    // Older checkpoints stay where they are if nobody goes back to them.
    gap.recovery_version = Some(8);
    let scripts = repair_scripts("run-1", &[table("orders", "t/orders", &gap)]);
    assert_eq!((scripts.moved, scripts.restored), (3, 0));
}

#[test]
fn what_no_script_can_mend_is_said() {
    let nothing = point(Some(12), None);
    let mut closed = point(None, Some(4));
    closed.blocked_by = vec![blocker("_delta_log/0.json", &[])];
    let refused = StandbyTable {
        found: Err("it is managed by its catalog"),
        ..table("c", "t/c", &nothing)
    };
    let tables = [
        table("a", "t/a", &nothing),
        table("b", "t/b", &closed),
        refused,
    ];
    let scripts = repair_scripts("run-1", &tables);
    assert_eq!(
        (scripts.moved, scripts.restored, scripts.by_hand),
        (0, 0, 3)
    );
    for text in [
        "a: no version of it is complete",
        "b: BY HAND: version 4 is complete, but readers cannot open it",
        "b: BY HAND: _delta_log/0.json: it is missing",
        "c: no recovery point is known: it is managed by its catalog",
    ] {
        assert!(scripts.sql.contains(text), "{text}\n{}", scripts.sql);
    }
}

#[test]
fn restored_tables_of_streams_carry_a_warning() {
    let mut streamed = point(Some(12), Some(9));
    streamed.has_txn = true;
    let scripts = repair_scripts("run-1", &[table("orders", "t/orders", &streamed)]);
    assert_eq!(scripts.with_txn, 1);
    assert!(
        scripts
            .sql
            .contains("-- WARNING: streams write to this table")
    );
    // Nothing is undone, so no batch is skipped.
    streamed.recovery_version = Some(12);
    let scripts = repair_scripts("run-1", &[table("orders", "t/orders", &streamed)]);
    assert_eq!(scripts.with_txn, 0);
}

#[test]
fn odd_names_stay_one_word_or_are_left_to_a_person() {
    let mut ahead = point(Some(12), Some(9));
    ahead.blocked_by = vec![blocker("x", &["_delta_log/it's $HOME `id` \"x\".json"])];
    let scripts = repair_scripts("run-1", &[table("t", "a `b`; DROP/c'd -- e", &ahead)]);
    assert_eq!(
        commands(&scripts.sql),
        ["RESTORE TABLE delta.`s3://lake-west/a ``b``; DROP/c'd -- e` TO VERSION AS OF 9;"]
    );
    let object = r#"_delta_log/it'\''s $HOME `id` "x".json'"#;
    assert_eq!(
        commands(&scripts.shell)[1],
        format!(
            r"aws s3 mv --region 'us-west-2' 's3://lake-west/a `b`; DROP/c'\''d -- e/{object} 's3://lake-west/databricks-dr-aside/run-1/a `b`; DROP/c'\''d -- e/{object}"
        )
    );
    for prefix in ["a\nb", "a\u{1b}[2K", "a\u{202e}b", "x/${env:HOME}"] {
        let scripts = repair_scripts("run-1", &[table("t", prefix, &ahead)]);
        assert_eq!((scripts.moved, scripts.restored), (0, 0), "{prefix:?}");
        assert_eq!(scripts.by_hand, 1, "{prefix:?}");
    }
}

#[test]
fn no_name_leaves_its_comment() {
    let ahead = point(Some(12), Some(9));
    let name = "orders\nDROP TABLE x;\r\u{2028}--";
    let refused = StandbyTable {
        found: Err("a\nDROP TABLE y;"),
        ..table("z", "t/z", &ahead)
    };
    let scripts = repair_scripts("run\nrm -rf x", &[table(name, "t/orders", &ahead), refused]);
    // The run's name is odd too: nothing but comments is left.
    assert_eq!(commands(&scripts.shell), ["set -eu"]);
    assert!(commands(&scripts.sql).is_empty(), "{}", scripts.sql);
}

#[test]
fn a_table_may_be_a_whole_bucket() {
    let ahead = point(Some(12), Some(9));
    let scripts = repair_scripts("run-1", &[table("t", "", &ahead)]);
    assert!(
        scripts.sql.contains("delta.`s3://lake-west/` TO"),
        "{}",
        scripts.sql
    );
}

#[test]
fn the_order_of_the_tables_changes_nothing() {
    let (a, b) = (point(Some(12), Some(9)), point(Some(5), Some(3)));
    let (one, two) = (table("a", "t/a", &a), table("b", "t/b", &b));
    assert_eq!(
        repair_scripts("run-1", &[one, two]),
        repair_scripts("run-1", &[two, one])
    );
}
