//! `runs/<id>/report.html`: one self-contained page for those who ask how it went.

use std::collections::BTreeMap;

use askama::Template;
use aws::Failure;
use jiff::Timestamp;
use recovery::approval::{Choice, Decision};
use recovery::report::Report;

use crate::chart;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    outcome: &'static str,
    completed: bool,
    verdict: String,
    rto: String,
    rpo: Vec<(String, String)>,
    phases: Vec<(&'static str, String)>,
    gantt: String,
    losses: String,
    kinds: Vec<KindRow>,
    begun: String,
    closed: String,
    /// What was left alone and why, with how often it stands in the report.
    listed: BTreeMap<String, usize>,
    decisions: Vec<DecisionRow>,
}

/// What was done to one kind of object.
struct KindRow {
    kind: String,
    fenced: usize,
    restored: usize,
}

/// One person's decision.
struct DecisionRow {
    at: String,
    who: String,
    what: &'static str,
    door: String,
    why: String,
    accepted: Vec<String>,
}

impl DecisionRow {
    fn of(decision: &Decision) -> Self {
        Self {
            at: moment(&decision.at),
            who: decision.who.clone(),
            what: match decision.decision {
                Choice::Approve => "approved",
                Choice::Decline => "declined",
            },
            door: decision.via.words(),
            why: decision.why.clone(),
            accepted: decision.accepted.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A moment to the second: people compare it with their watches.
pub(crate) fn moment(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The page of a report. Every text of people and of the workspaces is escaped.
pub(crate) fn render(report: &Report) -> Result<String, Failure> {
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (kind, count) in &report.fenced {
        kinds.entry(kind).or_default().0 = *count;
    }
    for (kind, count) in &report.restored {
        kinds.entry(kind).or_default().1 = *count;
    }
    let decisions = report.decisions.iter().flat_map(|d| &d.decisions);
    let page = Page {
        report,
        outcome: report.outcome.as_str(),
        completed: report.outcome == recovery::run::Outcome::Completed,
        verdict: report
            .verdict
            .map_or_else(|| "none".to_owned(), |v| v.to_string()),
        rto: report.rto_in_words(),
        rpo: report.rpo_in_words(),
        phases: report
            .clock
            .phases()
            .into_iter()
            .map(|(name, seconds)| {
                let words = seconds.map_or_else(|| "not seen".to_owned(), |s| format!("{s:.1} s"));
                (name, words)
            })
            .collect(),
        gantt: chart::gantt(report).map_err(Failure::internal)?,
        losses: chart::losses(report).map_err(Failure::internal)?,
        kinds: kinds
            .into_iter()
            .map(|(kind, (fenced, restored))| KindRow {
                kind: kind.to_owned(),
                fenced,
                restored,
            })
            .collect(),
        begun: moment(&report.begun_at),
        closed: moment(&report.closed_at),
        listed: report.listed.iter().fold(BTreeMap::new(), |mut all, item| {
            let what = format!(
                "{} {}: {}",
                item.subject.kind, item.subject.name, item.reason
            );
            *all.entry(what).or_default() += 1;
            all
        }),
        decisions: decisions.map(DecisionRow::of).collect(),
    };
    page.render()
        .map_err(|e| Failure::internal(format!("the report's page could not be made: {e}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn report() -> Value {
        json!({
            "format_version": 1, "run": "incident-1", "plan": "lakehouse", "mode": "failover", "attempts": 2,
            "outcome": "Completed", "reason": "done", "from": "primary", "target": "secondary", "verdict": "RegionDown",
            "failing_since": "2026-03-01T00:00:00Z", "begun_at": "2026-03-01T00:03:00Z",
            "committed_at": "2026-03-01T00:20:00Z", "closed_at": "2026-03-01T00:30:00Z",
            "stages": [{"stage": "Fence", "seconds": 61.5, "finished": true}],
            "timeline": [
                {"stage": "Fence", "attempt": 1, "started_at": "2026-03-01T00:05:00Z", "finished_at": null},
                {"stage": "Fence", "attempt": 2, "started_at": "2026-03-01T00:10:00Z", "finished_at": "2026-03-01T00:11:01Z"},
            ],
            "clock": {"detect": 180.0, "decide": 12.0, "fence": 61.5, "activate": 300.0, "validate": 20.0, "switch": 2.0},
            "compared": [{"stage": "Fence", "seconds": 61.5, "median": 40.0, "p75": 50.0, "runs": 3}],
            "rto_seconds": 1500.0, "rto_objective_seconds": 3600, "rpo": {"sales": 7, "lake": null, "ledger": 901},
            "rpo_objectives": {"sales": 900, "lake": 900, "ledger": 900}, "repair": null, "fenced": {"job": 12},
            "restored": {"job": 11, "cluster": 2}, "unverified": [{"kind": "job", "id": "1", "name": "late"}],
            "listed": [{"subject": {"kind": "run", "id": "1", "name": "a"}, "reason": "interrupted"},
                       {"subject": {"kind": "run", "id": "2", "name": "a"}, "reason": "interrupted"}],
            "decisions": [], "views": [], "acts": [{"at": "2026-03-01T00:06:00Z", "act": "hold", "who": "Ada", "why": "wait"}],
            "checks": [{"name": "sign in", "passed": false, "seconds": 0.25, "detail": "refused"}],
            "readiness": ["before the approval: 3 objects present"], "next": "nothing",
        })
    }

    fn page(report: &Value) -> String {
        render(&serde_json::from_value(report.clone()).unwrap()).unwrap()
    }

    #[test]
    fn the_page_shows_the_figures_of_the_report() {
        let page = page(&report());
        for figure in [
            "1500 s of 3600 s: met",
            "7 s of 900 s: met",
            "901 s of 900 s: MISSED",
            "UNKNOWN",
            "<td>fence</td><td class=\"n\">61.5 s</td>",
            "<td>job</td><td class=\"n\">12</td><td class=\"n\">11</td>",
            "40.0 s",
            "(2 times)",
            "not done",
            "Ada",
            "FAILED",
            "2026-03-01 00:30:00 UTC",
        ] {
            assert!(page.contains(figure), "the page lacks {figure}");
        }
        assert!(!page.contains("<script"), "the page needs no script");
        assert!(
            !page.contains("src=") && !page.contains("href="),
            "the page stands alone"
        );
    }

    #[test]
    fn names_and_reasons_cannot_become_markup() {
        let evil = "</svg><script>alert(1)</script>\"&";
        let mut report = report();
        for place in ["reason", "next"] {
            report[place] = json!(evil);
        }
        report["unverified"][0]["name"] = json!(evil);
        report["listed"][0]["reason"] = json!(evil);
        report["acts"][0]["who"] = json!(evil);
        report["checks"][0]["detail"] = json!(evil);
        report["rpo"] = json!({evil: 3});
        report["rpo_objectives"] = json!({evil: 9});
        let page = page(&report);
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("</svg>").count(), 2, "a name ended a chart");
    }

    #[test]
    fn a_run_that_never_got_anywhere_has_a_page_too() {
        let mut report = report();
        for (field, value) in [
            ("outcome", json!("Declined")),
            ("failing_since", Value::Null),
            ("verdict", Value::Null),
            ("rto_seconds", Value::Null),
            ("timeline", json!([])),
            ("rpo", json!({})),
            ("checks", json!([])),
            ("readiness", json!([])),
        ] {
            report[field] = value;
        }
        let page = page(&report);
        assert!(
            page.contains("Declined")
                && page.contains("not reached")
                && page.contains("nothing was measured")
        );
    }
}
