//! The command: its line and its exit status.

use crate::made::{Change, Table};
use serde_json::Value;
use std::process::Command;

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_recovery-point"))
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn one_line_and_three_exit_statuses() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::write(folder.path(), &[Change::Add(2), Change::Add(1)]);
    let path = folder.path().to_str().unwrap();
    let (status, line) = run(&[path, path]);
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((status, line.lines().count()), (Some(0), 1));
    for (field, expected) in [
        ("latest_version", 2),
        ("recovery_version", 2),
        ("missing_at_latest", 0),
    ] {
        assert_eq!(answer[field], expected, "{field}");
    }
    assert_eq!(answer["readable_now"], true);
    assert_eq!(answer["recovery_timestamp_ms"], table.time(2));

    let (status, line) = run(&["/no/such/table", path]);
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (status, &answer["source"]),
        (Some(0), &Value::from("unreadable"))
    );

    let empty = tempfile::tempdir().unwrap();
    let nowhere = empty.path().to_str().unwrap();
    let (status, line) = run(&[nowhere, nowhere]);
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (status, &answer["refusal"]["name"]),
        (Some(1), &Value::from("NotATable"))
    );

    let (status, line) = run(&[path, nowhere]);
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (
            status,
            &answer["recovery_version"],
            &answer["missing_at_latest"]
        ),
        (Some(1), &Value::Null, &Value::from(3))
    );

    assert_eq!(run(&["gs://bucket/table", path]).0, Some(2));
    assert_eq!(run(&[path]).0, Some(2));
}
