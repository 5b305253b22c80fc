//! `runs/<id>/report.html`: one self-contained page for those who ask how it went.

use std::collections::BTreeMap;

use askama::Template;
use aws::Failure;
use jiff::Timestamp;
use recovery::approval::{Choice, Decision};
use recovery::report::{Report, words};
use recovery::run::{Outcome, Stage};

use crate::chart;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    title: String,
    route: String,
    outcome: &'static str,
    completed: bool,
    verdict: String,
    rto: String,
    rto_objective: Option<String>,
    rto_verdict: &'static str,
    rto_class: &'static str,
    rpo: String,
    rpo_note: String,
    rpo_class: &'static str,
    restored: usize,
    through: String,
    through_note: &'static str,
    through_class: &'static str,
    quiet: String,
    waited: Option<String>,
    phases: Vec<PhaseRow>,
    gantt: String,
    losses: String,
    begun: String,
    closed: String,
    /// What was left alone and why, with how often it stands in the report.
    listed: Vec<(String, usize)>,
    more_listed: usize,
    decisions: Vec<DecisionRow>,
}

/// The most lines of what was left alone.
const MOST_LISTED: usize = 60;

/// One phase of the clock.
struct PhaseRow {
    name: &'static str,
    words: String,
    share: f64,
    holds: &'static str,
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

pub(crate) fn duration(seconds: &f64) -> String {
    words::duration(*seconds)
}

pub(crate) fn stage(stage: &Stage) -> String {
    words::stage(*stage)
}

pub(crate) fn kind(name: &str) -> String {
    words::kind(name)
}

pub(crate) fn loss(seconds: &Option<i64>) -> String {
    seconds.map_or_else(|| "unknown".to_owned(), words::seconds)
}

pub(crate) fn objective(seconds: &u32) -> String {
    words::seconds(i64::from(*seconds))
}

/// The page of a report. Every text of people and of the workspaces is escaped.
///
/// # Errors
/// `Internal`, if a chart or the page could not be made.
pub fn render(report: &Report) -> Result<String, Failure> {
    let (rto_verdict, rto_class) = match (report.rto_seconds, report.rto_objective_seconds) {
        (Some(rto), Some(objective)) if rto <= f64::from(objective) => ("met", "fine"),
        (Some(_), Some(_)) => ("MISSED", "off"),
        (None, _) => ("not reached", "off"),
        (Some(_), None) => ("", ""),
    };
    let (rpo, rpo_note, rpo_class) = worst_loss(report);
    let (through, through_note, through_class) = got_through(report);
    let listed = listed(report);
    let place = |site| match report.regions.get(&site) {
        Some(region) => format!("{site} ({region})"),
        None => format!("{site}"),
    };
    let page = Page {
        report,
        title: format!("{:?}", report.mode),
        route: format!("{} \u{2192} {}", place(report.from), place(report.target)),
        outcome: report.outcome.as_str(),
        completed: report.outcome == Outcome::Completed,
        verdict: report
            .verdict
            .map_or_else(|| "none".to_owned(), |v| v.to_string()),
        rto: report
            .rto_seconds
            .map_or_else(|| "not reached".to_owned(), words::duration),
        rto_objective: report.rto_objective_seconds.map(|o| objective(&o)),
        rto_verdict,
        rto_class,
        rpo,
        rpo_note,
        rpo_class,
        restored: report.restored.values().sum(),
        through,
        through_note,
        through_class,
        quiet: quiet(report),
        waited: report
            .stages
            .iter()
            .find(|s| s.stage == Stage::Approval)
            .map(|s| words::duration(s.seconds)),
        phases: phases(report),
        gantt: chart::gantt(report).map_err(Failure::internal)?,
        losses: chart::losses(report).map_err(Failure::internal)?,
        begun: moment(&report.begun_at),
        closed: moment(&report.closed_at),
        more_listed: listed.len().saturating_sub(MOST_LISTED),
        listed: listed.into_iter().take(MOST_LISTED).collect(),
        decisions: report
            .decisions
            .iter()
            .flat_map(|d| &d.decisions)
            .map(DecisionRow::of)
            .collect(),
    };
    page.render()
        .map_err(|e| Failure::internal(format!("the report's page could not be made: {e}")))
}

fn phases(report: &Report) -> Vec<PhaseRow> {
    let holds = |name| match name {
        "detect" => "from the first failed signal to the beginning of the run",
        "decide" => "evidence, recovery points, readiness, and people's answer",
        "fence" => "the old site is made quiet, the target is looked at again",
        "activate" => "pools, clusters, warehouses, concurrency, one-time runs, schedules",
        "validate" => "proof that the target works",
        _ => "the commit, pointers, URLs, access points",
    };
    let all: f64 = report.clock.phases().iter().filter_map(|(_, s)| *s).sum();
    report
        .clock
        .phases()
        .into_iter()
        .map(|(name, seconds)| PhaseRow {
            name,
            words: seconds.map_or_else(|| "not seen".to_owned(), words::duration),
            share: seconds.map_or(0.0, |s| s / all.max(0.001) * 100.0),
            holds: holds(name),
        })
        .collect()
}

/// The figure, what stands under it, and its class.
fn worst_loss(report: &Report) -> (String, String, &'static str) {
    let Some(worst) = report.data.first() else {
        return (
            "not measured".to_owned(),
            "no data set is in the plan".to_owned(),
            "",
        );
    };
    let missed = report.data.iter().filter(|set| !set.is_met()).count();
    let note = match missed {
        0 => format!(
            "{}; all {} within their objectives",
            worst.name,
            report.data.len()
        ),
        missed => format!(
            "{}; {missed} of {} above the objective or unknown",
            worst.name,
            report.data.len()
        ),
    };
    let class = if missed == 0 { "fine" } else { "off" };
    (loss(&worst.loss_seconds), note, class)
}

fn got_through(report: &Report) -> (String, &'static str, &'static str) {
    let through = &report.got_through;
    match (through.fenced_since, through.seen_quiet_at, through.runs) {
        (None, _, 0) => ("no fence".to_owned(), "nothing was fenced", ""),
        (Some(_), None, 0) => (
            "not known yet".to_owned(),
            "the old site does not answer; the fence goes on looking",
            "",
        ),
        (_, _, 0) => ("0 runs".to_owned(), "the old site was seen quiet", "fine"),
        (_, _, 1) => ("1 run".to_owned(), "found and cancelled", "off"),
        (_, _, runs) => (format!("{runs} runs"), "found and cancelled", "off"),
    }
}

fn quiet(report: &Report) -> String {
    let through = &report.got_through;
    match (through.fenced_since, through.seen_quiet_at) {
        (None, _) => "There was no fence on it.".to_owned(),
        (Some(since), None) => {
            let left = through
                .left_as
                .map_or_else(String::new, |gap| format!(" The run left it as {gap}."));
            format!(
                "It has been fenced since {} and has not been seen quiet: what ran there meanwhile is not known yet.{left} The fence is watched each minute, and its ledger goes on.",
                moment(&since)
            )
        }
        (Some(since), Some(seen)) => format!(
            "It was fenced at {} and first seen quiet at {}.",
            moment(&since),
            moment(&seen)
        ),
    }
}

fn listed(report: &Report) -> BTreeMap<String, usize> {
    report.listed.iter().fold(BTreeMap::new(), |mut all, item| {
        let what = format!(
            "{} {}: {}",
            words::kind(&item.subject.kind),
            item.subject.name,
            item.reason
        );
        *all.entry(what).or_default() += 1;
        all
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn report() -> Value {
        let mut report = json!({
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
            "rpo_objectives": {"sales": 900, "lake": 900, "ledger": 900},
            "data": [
                {"name": "lake", "group": false, "recovery_point": null, "loss_seconds": null, "objective_seconds": 900, "basis": "nothing was measured"},
                {"name": "ledger", "group": true, "recovery_point": "2026-02-28T23:44:59Z", "loss_seconds": 901, "objective_seconds": 900, "basis": "proof"},
                {"name": "sales", "group": false, "recovery_point": "2026-02-28T23:59:53Z", "loss_seconds": 7, "objective_seconds": 900, "basis": "proof"}],
            "ledger": [{"site": "primary", "kind": "job", "verified": 12, "applied": 0, "unverified": 1, "left_alone": 0}],
            "left_to_do": ["look at 2 runs left alone: interrupted"],
            "lessons": [{"number": 3, "run": "incident-0", "lesson": "more idle instances", "why": "pools were slow", "who": "Ada", "at": "2026-02-01T00:00:00Z"}],
            "drift": [{"when": "before the approval", "kind": "job", "name": "late", "status": "DRIFTED", "blocking": false, "fields": ["settings.tags"]}],
            "repair": null, "fenced": {"job": 12},
            "restored": {"job": 11, "cluster": 2}, "unverified": [{"kind": "job", "id": "1", "name": "late"}],
            "listed": [{"subject": {"kind": "run", "id": "1", "name": "a"}, "reason": "interrupted"},
                       {"subject": {"kind": "run", "id": "2", "name": "a"}, "reason": "interrupted"}],
            "decisions": [], "views": [], "acts": [{"at": "2026-03-01T00:06:00Z", "act": "hold", "who": "Ada", "why": "wait"}],
            "checks": [{"name": "sign in", "passed": false, "seconds": 0.25, "detail": "refused"}],
            "readiness": ["before the approval: 3 objects present"], "next": "nothing",
        });
        report["held_back"] = json!({"document": "runs/r/held-back.json", "manifest": "runs/r/repair/held-back.csv", "overwriting": null,
            "site": "primary", "objects": 2, "bytes": 2048, "overwrites": 0, "problems": ["lake: denied"]});
        report
    }

    fn page(report: &Value) -> String {
        render(&serde_json::from_value(report.clone()).unwrap()).unwrap()
    }

    #[test]
    fn the_page_shows_the_figures_of_the_report() {
        let page = page(&report());
        for figure in [
            ">25 min<",
            ">1 h<",
            "MISSED",
            "UNKNOWN",
            "data-at=\"/clock/fence\">1 min 02 s<",
            "data-at=\"/ledger/0/verified\">12<",
            "40.0 s",
            "look at 2 runs left alone: interrupted",
            "more idle instances",
            "(2 times)",
            "not done",
            "Ada",
            "FAILED",
            "2026-03-01 00:30:00 UTC",
            "2 objects (2.0 KiB) of the primary site never reached the secondary site",
            "NOT COMPLETE (runs/r/held-back.json): lake: denied",
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
        report["data"][2]["name"] = json!(evil);
        report["lessons"][0]["lesson"] = json!(evil);
        report["drift"][0]["name"] = json!(evil);
        report["held_back"]["problems"][0] = json!(evil);
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
            ("data", json!([])),
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
