//! What a drill ends with: one JSON object for machines, one table for people.

use std::collections::BTreeMap;
use std::path::PathBuf;

use recovery::run::Outcome;
use serde::Serialize;

use crate::way_home::Second;

/// The result of a drill.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The scenario.
    pub scenario: String,
    /// The named outcome of the run.
    pub outcome: Outcome,
    /// In one sentence.
    pub reason: String,
    /// The verdict at the beginning of the run.
    pub verdict: Option<String>,
    /// Promises that were broken; empty when all held.
    pub violations: Vec<String>,
    /// Objects that differ from what the scenario promises at its end.
    pub parity_differences: Vec<String>,
    /// Seconds by stage.
    pub stages: BTreeMap<String, f64>,
    /// The order of the stages, for the table.
    #[serde(skip)]
    pub order: Vec<String>,
    /// From the beginning of the failure until the endpoints were switched.
    pub rto_seconds: Option<f64>,
    /// Seconds of data lost, by data set; `null` is unknown.
    pub rpo: BTreeMap<String, Option<i64>>,
    /// What was fenced, by kind.
    pub fenced: BTreeMap<String, usize>,
    /// What was restored, by kind.
    pub restored: BTreeMap<String, usize>,
    /// Runs that started at the old site although the other one was active.
    pub runs_through_fence: usize,
    /// What the run after the first one came to, if the scenario has two.
    pub second: Option<Second>,
    /// What to do next.
    pub next: Option<String>,
    /// Where the report lies.
    pub report: Option<PathBuf>,
    /// The request logs of both workspaces.
    pub recordings: Vec<PathBuf>,
}

impl Summary {
    /// Whether the promise of the command held.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.outcome == Outcome::Completed
            && self.violations.is_empty()
            && self.parity_differences.is_empty()
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut lines = vec![
            String::new(),
            format!("{}: {}", self.outcome.as_str(), self.reason),
            String::new(),
            format!("  {:<18} {:>9}", "stage", "seconds"),
        ];
        for stage in &self.order {
            if let Some(seconds) = self.stages.get(stage) {
                lines.push(format!("  {stage:<18} {seconds:>9.2}"));
            }
        }
        lines.push(String::new());
        let counts = |map: &BTreeMap<String, usize>| -> String {
            if map.is_empty() {
                return "nothing".to_owned();
            }
            map.iter()
                .map(|(kind, n)| format!("{n} {kind}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut row = |name: &str, value: String| lines.push(format!("  {name:<22} {value}"));
        row(
            "verdict",
            self.verdict.clone().unwrap_or_else(|| "none".to_owned()),
        );
        row(
            "RTO",
            self.rto_seconds
                .map_or_else(|| "not reached".to_owned(), |s| format!("{s:.1} s")),
        );
        for (name, loss) in &self.rpo {
            row(
                &format!("RPO of {name}"),
                loss.map_or_else(|| "unknown".to_owned(), |s| format!("{s} s")),
            );
        }
        row("fenced, verified", counts(&self.fenced));
        row("restored, verified", counts(&self.restored));
        row(
            "runs through the fence",
            self.runs_through_fence.to_string(),
        );
        if let Some(report) = &self.report {
            row("report", report.display().to_string());
        }
        if let Some(next) = &self.next {
            row("next", next.clone());
        }
        if let Some(second) = &self.second {
            let took: f64 = second.stages.iter().map(|(_, seconds)| seconds).sum();
            row(
                second.mode.as_str(),
                format!(
                    "{}, {took:.1} s: {}",
                    second.outcome.as_str(),
                    second.reason
                ),
            );
            if let Some(path) = &second.report {
                row("its report", path.display().to_string());
            }
        }
        for (title, list) in [
            ("broken promises", &self.violations),
            ("differences", &self.parity_differences),
        ] {
            let count = if list.is_empty() {
                "none".to_owned()
            } else {
                list.len().to_string()
            };
            lines.push(format!("  {title:<22} {count}"));
            lines_of(&mut lines, list);
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

fn lines_of(lines: &mut Vec<String>, list: &[String]) {
    lines.extend(list.iter().take(20).map(|text| format!("    - {text}")));
    if list.len() > 20 {
        lines.push(format!("    - … and {} more (see --json)", list.len() - 20));
    }
}
