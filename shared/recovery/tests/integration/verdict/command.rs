//! `verdict DIR`: lines, order and exit status.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::examples;

fn verdict(dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    command.arg(dir).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn one_line_per_case_sorted_by_name() {
    let output = verdict(&examples());
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = lines(&output);
    assert_eq!(lines.len(), fs::read_dir(examples()).unwrap().count());
    assert!(lines.is_sorted_by_key(|line| line["file"].as_str().unwrap()));
    for line in lines {
        let fields: Vec<_> = line
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut wanted = ["file", "verdict", "actionable", "why_not", "evidence"];
        wanted.sort_unstable();
        let mut fields = fields;
        fields.sort_unstable();
        assert_eq!(fields, wanted);
    }
}

#[test]
fn a_malformed_case_is_reported_and_the_others_are_judged() {
    let dir = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(examples().join("all-well.json")).unwrap();
    fs::write(
        dir.path().join("a.json"),
        good.replacen("\"at\": \"", "\"at\": \"x", 1),
    )
    .unwrap();
    fs::write(dir.path().join("b.json"), &good).unwrap();
    fs::write(dir.path().join("notes.txt"), "not a case").unwrap();
    let output = verdict(dir.path());
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["file"], "b.json");
    assert!(
        stderr(&output).starts_with("a.json: observations[0].at: "),
        "{}",
        stderr(&output)
    );
    assert_eq!(stderr(&output).lines().count(), 1);
}

#[test]
fn a_case_that_differs_shows_what_was_expected() {
    let dir = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(examples().join("all-well.json")).unwrap();
    let expect = "\"expect\": {\"verdict\": \"Healthy\", \"actionable\": false}";
    assert!(good.contains(expect));
    let wrong = |expect_instead: &str| {
        fs::write(
            dir.path().join("a.json"),
            good.replace(expect, expect_instead),
        )
        .unwrap();
        verdict(dir.path())
    };
    let output = wrong("\"expect\": {\"verdict\": \"Degraded\", \"actionable\": false}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output)[0]["expected"]["verdict"], "Degraded");
    assert_eq!(lines(&output)[0]["verdict"], "Healthy");
    let output = wrong("\"expect\": {\"verdict\": \"Healthy\", \"actionable\": true}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output)[0]["expected"]["actionable"], true);
    let output = wrong("\"expect\": null");
    assert!(output.status.success());
    assert_eq!(lines(&output)[0].get("expected"), None);
}

#[test]
fn nothing_to_judge_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for (path, word) in [
        (dir.path().to_owned(), "no .json file"),
        (dir.path().join("absent"), "absent"),
    ] {
        let output = verdict(&path);
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
}
