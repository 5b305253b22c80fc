//! `detection-scenarios`: plays every scenario and prints a table. The exit status is 0 only if every promise held.

use std::process::ExitCode;

use clap::Parser;
use detection::{DetectionError, Row, Scenario, play};
use futures::{StreamExt, stream};

/// Scenarios are mostly waiting for time-outs.
const AT_ONCE: usize = 4;

/// Plays the scenarios of detection: the probe function in two vantages against simulated sites, minute by minute on a clock that
/// is a number. Prints, for each: verdict, probes until the verdict, messages, pages, runs started.
#[derive(Parser)]
#[command(name = "detection-scenarios", version)]
struct Arguments {
    /// Only these.
    names: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    for name in &arguments.names {
        if !Scenario::ALL.iter().any(|scenario| scenario.name() == name) {
            eprintln!("there is no scenario {name}");
            return ExitCode::from(2);
        }
    }
    let wanted = Scenario::ALL
        .iter()
        .copied()
        .filter(|s| arguments.names.is_empty() || arguments.names.iter().any(|n| n == s.name()));
    println!(
        "{:<26} {:<18} {:>6} {:>8} {:>6} {:>5}  ",
        "scenario", "verdict", "probes", "notices", "pages", "runs"
    );
    let mut rows = stream::iter(wanted)
        .map(|scenario| async move { (scenario, play(scenario).await) })
        .buffered(AT_ONCE);
    let mut code = ExitCode::SUCCESS;
    while let Some((scenario, result)) = rows.next().await {
        if !print(scenario, result) {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Whether every promise held.
fn print(scenario: Scenario, result: Result<Row, DetectionError>) -> bool {
    let row = match result {
        Ok(row) => row,
        Err(error) => {
            println!("{:<26} could not be played: {error}", scenario.name());
            return false;
        }
    };
    let probes = row
        .probes
        .map_or_else(|| "-".to_owned(), |probes| probes.to_string());
    let broken = row.broken();
    let notes: Vec<String> = row
        .blocked
        .iter()
        .cloned()
        .chain(broken.iter().map(|broken| format!("BROKEN: {broken}")))
        .collect();
    println!(
        "{:<26} {:<18} {probes:>6} {:>8} {:>6} {:>5}  {}",
        scenario.name(),
        row.verdict.to_string(),
        row.managers,
        row.pages,
        row.runs,
        notes.join("; ")
    );
    broken.is_empty()
}
