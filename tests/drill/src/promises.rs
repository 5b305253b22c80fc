//! What must never happen, judged from the simulators' own records and not from what our functions say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::live;
use crate::workspace::Event;

/// The facts that the promises are judged on.
pub struct Facts<'a> {
    /// The primary as the drill began.
    pub original: &'a Value,
    /// The primary at the end.
    pub primary: &'a Value,
    /// The standby at the end.
    pub secondary: &'a Value,
    /// The standby as the drill began.
    pub standby: &'a Value,
    /// The primary's record.
    pub primary_events: &'a [Event],
    /// The standby's record.
    pub secondary_events: &'a [Event],
    /// When the standby became the active site.
    pub committed_at_ms: Option<i64>,
    /// When the primary's fence was verified.
    pub fence_verified_at_ms: Option<i64>,
    /// When the primary could be reached again after it was away; none if it never was, or is still.
    pub returned_at_ms: Option<i64>,
}

/// A site that comes back is fenced by its watch, which looks each of the drill's minutes, within this, milliseconds, also on a busy machine.
const CAUGHT_WITHIN_MS: i64 = 60_000;

/// Objects that differ from what the scenario promises: after a completed failover the standby runs what the primary ran,
/// and no more; otherwise it is as it was.
#[must_use]
pub fn parity(facts: &Facts<'_>) -> Vec<String> {
    let committed = facts.committed_at_ms.is_some();
    let mut found = Vec::new();
    let wanted = if committed {
        live::places(facts.original)
    } else {
        live::places(facts.standby)
    };
    let actual = live::places(facts.secondary);
    for ((job, place), count) in &wanted {
        let there = actual
            .get(&(job.clone(), place.clone()))
            .copied()
            .unwrap_or(0);
        if there < *count {
            found.push(format!(
                "{place} of job \"{job}\" is not live at the standby"
            ));
        }
    }
    for ((job, place), count) in &actual {
        if *count
            > wanted
                .get(&(job.clone(), place.clone()))
                .copied()
                .unwrap_or(0)
        {
            found.push(format!(
                "{place} of job \"{job}\" is live at the standby and must not be"
            ));
        }
    }
    if committed {
        let (ours, theirs) = (
            live::concurrency(facts.original),
            live::concurrency(facts.secondary),
        );
        for (job, runs) in &ours {
            if theirs.get(job).is_some_and(|now| now != runs) {
                found.push(format!(
                    "max_concurrent_runs of job \"{job}\" is not {runs} at the standby"
                ));
            }
        }
        let (ours, theirs) = (
            live::compute(facts.original),
            live::compute(facts.secondary),
        );
        found.extend(
            ours.difference(&theirs)
                .map(|(kind, name)| format!("{kind} \"{name}\" is not up at the standby")),
        );
    }
    found
}

/// Broken promises.
#[must_use]
pub fn violations(facts: &Facts<'_>) -> Vec<String> {
    let mut found = Vec::new();
    early_runs(facts, &mut found);
    two_active_sites(facts, &mut found);
    if facts.fence_verified_at_ms.is_some() {
        for thing in live::alive(facts.primary) {
            found.push(format!(
                "the primary's fence was verified, and yet it has a live {thing}"
            ));
        }
    }
    found
}

/// Jobs that were live at both sites at once after a moment from which on only one may be.
#[must_use]
pub fn live_at_both(
    original: &Value,
    primary: &[Event],
    secondary: &[Event],
    after_ms: i64,
) -> Vec<String> {
    let mut found = Vec::new();
    overlaps(original, primary, secondary, after_ms, &mut found);
    found
}

/// Production runs that started at a site within a time in which it was not the active one.
#[must_use]
pub fn ran_between(
    original: &Value,
    events: &[Event],
    (from, to): (i64, i64),
    site: &str,
) -> Vec<String> {
    let bystanders = live::bystanders(original);
    events
        .iter()
        .filter(|e| e.kind == "run_started" && e.at_ms > from && e.at_ms < to)
        .filter(|e| !bystanders.contains(e.text("job_name")))
        .map(|e| {
            let job = e.text("job_name");
            format!("job \"{job}\" ran at the {site} while the other site was active")
        })
        .collect()
}

/// No production run starts at the standby before the commit.
fn early_runs(facts: &Facts<'_>, found: &mut Vec<String>) {
    let mut bystanders = live::bystanders(facts.original);
    // What was live at the standby from the beginning is not started by us.
    bystanders.extend(live::places(facts.standby).into_keys().map(|(job, _)| job));
    let commit = facts.committed_at_ms.unwrap_or(i64::MAX);
    for event in facts.secondary_events {
        if event.kind == "run_started"
            && event.at_ms < commit
            && !bystanders.contains(event.text("job_name"))
        {
            found.push(format!(
                "job \"{}\" ran at the standby before the commit",
                event.text("job_name")
            ));
        }
    }
}

/// No job is live at both sites at once from the commit on. What a site that was away keeps live it is stopped at soon after its return;
/// none of this is taken from our own documents but the moment of the commit.
fn two_active_sites(facts: &Facts<'_>, found: &mut Vec<String>) {
    let Some(committed) = facts.committed_at_ms else {
        return;
    };
    let caught = facts.returned_at_ms.map(|at| at + CAUGHT_WITHIN_MS);
    let alone = caught.unwrap_or(committed).max(committed);
    overlaps(
        facts.original,
        facts.primary_events,
        facts.secondary_events,
        alone,
        found,
    );
    // Nothing starts at the primary from the commit on; one that was away runs what it has until it is caught. Where our own documents say
    // earlier that it is quiet, it must be so.
    let quiet = facts
        .fence_verified_at_ms
        .unwrap_or(i64::MAX)
        .max(committed);
    let bystanders = live::bystanders(facts.original);
    for event in facts.primary_events {
        let job = event.text("job_name");
        if event.kind != "run_started" || bystanders.contains(job) {
            continue;
        }
        if event.at_ms > quiet {
            found.push(format!(
                "job \"{job}\" ran at the primary after its fence was verified"
            ));
        } else if event.at_ms > alone {
            found.push(format!(
                "job \"{job}\" ran at the primary after the other site had become active"
            ));
        }
    }
}

fn overlaps(
    original: &Value,
    primary: &[Event],
    secondary: &[Event],
    verified: i64,
    found: &mut Vec<String>,
) {
    let bystanders = live::bystanders(original);
    let ours = spans(primary);
    let theirs = spans(secondary);
    let mut told = BTreeSet::new();
    for (job, spans) in &ours {
        if bystanders.contains(job) {
            continue;
        }
        for (start, end) in spans {
            let (start, end) = ((*start).max(verified), *end);
            let overlaps = |&(from, to): &(i64, i64)| start < to && from < end;
            if start < end
                && theirs.get(job).is_some_and(|t| t.iter().any(overlaps))
                && told.insert(job)
            {
                found.push(format!(
                    "job \"{job}\" was live at both sites after the other one had become active"
                ));
            }
        }
    }
}

/// From when to when any place of a job was live, by name.
fn spans(events: &[Event]) -> BTreeMap<String, Vec<(i64, i64)>> {
    let mut open: BTreeMap<(String, String, String), i64> = BTreeMap::new();
    let mut spans: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    for event in events.iter().filter(|e| e.kind == "job_live") {
        let job = event.text("job_name").to_owned();
        let id = event
            .fields
            .get("job_id")
            .map(Value::to_string)
            .unwrap_or_default();
        let place = (job.clone(), id, event.text("place").to_owned());
        if event.fields.get("live").and_then(Value::as_bool) == Some(true) {
            open.entry(place).or_insert(event.at_ms);
        } else if let Some(start) = open.remove(&place) {
            spans.entry(job).or_default().push((start, event.at_ms));
        }
    }
    for ((job, _, _), start) in open {
        spans.entry(job).or_default().push((start, i64::MAX));
    }
    spans
}

/// Runs that started at the primary after the standby had become the active site.
#[must_use]
pub fn runs_through_fence(facts: &Facts<'_>) -> usize {
    let Some(commit) = facts.committed_at_ms else {
        return 0;
    };
    let bystanders = live::bystanders(facts.original);
    facts
        .primary_events
        .iter()
        .filter(|e| {
            e.kind == "run_started" && e.at_ms > commit && !bystanders.contains(e.text("job_name"))
        })
        .count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(at_ms: i64, kind: &str, fields: Value) -> Event {
        Event {
            at_ms,
            kind: kind.to_owned(),
            fields: fields.as_object().unwrap().clone(),
        }
    }

    fn job(status: &str) -> Value {
        json!({"jobs": [{"job_id": 1, "settings": {"name": "j", "schedule": {"pause_status": status}}}]})
    }

    struct Case {
        original: Value,
        primary: Value,
        secondary: Value,
        primary_events: Vec<Event>,
        secondary_events: Vec<Event>,
        returned_at_ms: Option<i64>,
    }

    fn good() -> Case {
        let live =
            |live: bool| json!({"job_name": "j", "job_id": 1, "place": "schedule", "live": live});
        Case {
            original: job("UNPAUSED"),
            primary: job("PAUSED"),
            secondary: job("UNPAUSED"),
            primary_events: vec![
                event(0, "job_live", live(true)),
                event(25, "job_live", live(false)),
            ],
            secondary_events: vec![
                event(40, "job_live", live(true)),
                event(45, "run_started", json!({"job_name": "j"})),
            ],
            returned_at_ms: None,
        }
    }

    fn judge(case: &Case) -> (Vec<String>, Vec<String>) {
        let facts = Facts {
            original: &case.original,
            primary: &case.primary,
            secondary: &case.secondary,
            standby: &job("PAUSED"),
            primary_events: &case.primary_events,
            secondary_events: &case.secondary_events,
            committed_at_ms: Some(30),
            fence_verified_at_ms: Some(60),
            returned_at_ms: case.returned_at_ms,
        };
        (violations(&facts), parity(&facts))
    }

    #[test]
    fn a_failover_that_kept_its_promises_has_no_violation() {
        assert_eq!(judge(&good()), (vec![], vec![]));
    }

    #[test]
    fn each_broken_promise_is_seen() {
        let mut early = good();
        early
            .secondary_events
            .insert(0, event(10, "run_started", json!({"job_name": "j"})));
        assert!(judge(&early).0[0].contains("before the commit"));

        let mut both = good();
        both.primary_events.pop();
        assert!(judge(&both).0[0].contains("live at both sites"));

        // Before our own documents say that the fence is verified.
        let mut early_overlap = good();
        early_overlap.primary_events[1].at_ms = 50;
        assert!(judge(&early_overlap).0[0].contains("live at both sites"));

        // It was away, came back and was caught.
        let mut caught = good();
        caught.primary_events[1].at_ms = 1000;
        caught.returned_at_ms = Some(900);
        assert_eq!(judge(&caught).0, Vec::<String>::new());
        caught.primary_events[1].at_ms = 900 + CAUGHT_WITHIN_MS + 1;
        assert!(judge(&caught).0[0].contains("live at both sites"));

        let mut ran = good();
        let started = event(70, "run_started", json!({"job_name": "j"}));
        ran.primary_events.push(started);
        assert!(judge(&ran).0[0].contains("after its fence was verified"));

        // Before our own documents say that the fence is verified.
        let mut through = good();
        let started = event(40, "run_started", json!({"job_name": "j"}));
        through.primary_events.push(started);
        assert!(judge(&through).0[0].contains("ran at the primary after the other site"));
        through.returned_at_ms = Some(35);
        assert_eq!(judge(&through).0, Vec::<String>::new(), "it was away");

        let mut awake = good();
        awake.primary = job("UNPAUSED");
        assert!(judge(&awake).0[0].contains("yet it has a live schedule"));

        let mut lost = good();
        lost.secondary = job("PAUSED");
        assert!(judge(&lost).1[0].contains("is not live at the standby"));

        let mut more = good();
        more.original = job("PAUSED");
        assert!(judge(&more).1[0].contains("must not be"));
    }
}
