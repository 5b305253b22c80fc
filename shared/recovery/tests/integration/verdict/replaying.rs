//! `verdict --replay`, from files as they come from the state bucket.

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use recovery::signals::Signals;
use recovery::site::SiteLabel;
use recovery::verdict::{DownCause, Observation, Outcome, Probe, Signal, Vantage};
use serde_json::{Value, json};

fn minute(number: i64) -> Timestamp {
    let zero: Timestamp = "2026-05-04T00:00:00Z".parse().unwrap();
    zero + SignedDuration::from_mins(number)
}

/// Two hours and a half by two vantages: down from minute 30 to 49, and for three minutes at 100.
fn store(dir: &Path) {
    let plan = include_str!("../../../../../infra/plan.example.json");
    let mut plan: Value = serde_json::from_str(plan).unwrap();
    plan["detection"]["vantages"] = json!(["us-west-2", "eu-west-1"]);
    plan["detection"]["policy"]["quorum"] = json!(2);
    fs::write(dir.join("plan.json"), plan.to_string()).unwrap();
    for vantage in ["us-west-2", "eu-west-1"] {
        let seen = |number: i64| {
            let down = (30..50).contains(&number) || (100..103).contains(&number);
            let outcome = if down {
                Outcome::from(DownCause::ConnectTimeout)
            } else {
                Outcome::Healthy
            };
            Observation {
                at: minute(number),
                vantage: Vantage::new(vantage),
                site: SiteLabel::Primary,
                signals: vec![Signal::new(Probe::ControlPlaneApi, outcome)],
            }
        };
        let past = Signals {
            observations: (0..60).map(seen).collect(),
            ..Signals::default()
        };
        // The newest document overlaps with what was put aside.
        let newest = Signals {
            observations: (40..150).map(seen).collect(),
            ..Signals::default()
        };
        let hours = dir.join("history").join(vantage);
        fs::create_dir_all(&hours).unwrap();
        let text = serde_json::to_string(&past).unwrap();
        fs::write(hours.join("2026-05-04T00:00:00Z.json"), text).unwrap();
        let text = serde_json::to_string(&newest).unwrap();
        fs::write(dir.join(format!("{vantage}.json")), text).unwrap();
    }
    let real = json!([{"name": "the outage", "site": "primary", "began": minute(30), "ended": minute(50)}]);
    fs::write(dir.join("incidents.json"), real.to_string()).unwrap();
}

fn replay(dir: &Path, settings: &[&str]) -> (bool, Vec<Value>) {
    let output = Command::new(env!("CARGO_BIN_EXE_verdict"))
        .arg("--replay")
        .arg(dir)
        .args(settings)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    assert!(!lines.is_empty(), "{error}");
    (output.status.success(), lines)
}

#[test]
fn other_settings_tell_what_they_would_have_missed_delayed_or_raised() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let (good, lines) = replay(dir.path(), &[]);
    assert!(!good, "three minutes at 100 are called a disaster");
    assert_eq!(lines[0]["incident"], "the outage");
    assert_eq!(lines[0]["fate"], "Noticed");
    assert_eq!(lines[0]["noticed_after_seconds"], 120);
    assert_eq!(lines[1]["false_alert"], "ControlPlaneDown");
    assert_eq!(lines[1]["plan_too"], true);
    assert_eq!(lines[2]["observations"], 300, "each once");
    assert_eq!(lines[2]["false_alerts"], 1);

    let (good, lines) = replay(dir.path(), &["--grace", "300"]);
    assert!(good, "{lines:?}");
    assert_eq!(lines[0]["noticed_after_seconds"], 300);
    assert_eq!(lines[0]["plan_noticed_after_seconds"], 120);
    assert_eq!(lines[1]["false_alerts"], 0);
    assert_eq!(lines[1]["plan_false_alerts"], 1);

    let (good, lines) = replay(dir.path(), &["--grace", "300", "--late-after", "200"]);
    assert!(!good);
    assert_eq!(lines[0]["fate"], "Late");
    assert_eq!(lines[0]["plan_fate"], "Noticed");

    let (good, lines) = replay(dir.path(), &["--quorum", "3"]);
    assert!(!good);
    assert_eq!(lines[0]["fate"], "Missed");
}

#[test]
fn settings_without_a_replay_are_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_verdict"))
        .args([".", "--quorum", "2"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--replay"));
}
