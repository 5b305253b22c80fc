//! The verdict: fixtures, single rules, properties, malformed cases and the command.

mod causes;
mod command;
mod fixtures;
mod malformed;
mod properties;
mod replaying;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use recovery::site::SiteLabel;
use recovery::verdict::{Case, Observation, Outcome, Policy, Signal, Vantage};

fn now() -> Timestamp {
    "2026-05-04T02:30:00Z".parse().unwrap()
}

fn policy() -> Policy {
    Policy {
        window: 5,
        confirmations: 3,
        grace_seconds: 120,
        quorum: 1,
        freshness_seconds: 180,
    }
}

/// An observation of the primary site so many seconds ago; signals as `probe`, outcome.
fn seen(ago: i64, vantage: &str, signals: &[(&str, Outcome)]) -> Observation {
    Observation {
        at: now() - SignedDuration::from_secs(ago),
        vantage: Vantage::new(vantage),
        site: SiteLabel::Primary,
        signals: signals
            .iter()
            .map(|(probe, outcome)| Signal::new(probe.parse().unwrap(), outcome.clone()))
            .collect(),
    }
}

/// The case files of a directory of the crate, by name.
fn cases(dir: &Path) -> Vec<(String, Case)> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let case = Case::from_json(&fs::read(&path).unwrap());
            (
                name.clone(),
                case.unwrap_or_else(|error| panic!("{name}: {error}")),
            )
        })
        .collect()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/verdicts")
}

/// The cases that come with the specification, where they are at hand.
fn specified() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/verdicts");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: no cases in {}", dir.display());
    None
}
