//! A small estate whose figures can be counted by hand.

use serde_json::{Value, json};

use super::*;
use crate::act::Lane;
use crate::site::SiteLabel;

fn now() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

/// The documented rates of jobs and runs; 10 a second for the rest.
fn rates() -> Rates {
    Rates::new(|_| 600, 1200, 95)
}

fn plan() -> Plan {
    serde_json::from_str(include_str!("../../../../infra/plan.example.json")).unwrap()
}

fn estate(document: &Value) -> Estate {
    Estate::of(document, SiteLabel::Primary, now()).unwrap()
}

fn job(id: i64, name: &str, cron: &str) -> Value {
    json!({"job_id": id, "settings": {"name": name, "schedule": {"quartz_cron_expression": cron, "timezone_id": "UTC", "pause_status": "UNPAUSED"}}})
}

fn rehearsal(document: &Value, standby: &Value) -> Rehearsal {
    let (estate, standby) = (estate(document), estate(standby));
    rehearse(
        &estate,
        &standby,
        &plan(),
        &rates(),
        Assumptions::default(),
        now(),
    )
}

fn jobs(count: i64) -> Value {
    let all: Vec<Value> = (1..=count)
        .map(|i| job(i, &format!("job {i}"), "0 0 9 * * ?"))
        .collect();
    json!({"jobs": all})
}

#[test]
fn twelve_thousand_jobs_take_twenty_one_minutes_at_the_documented_rate() {
    let whole = rehearsal(&jobs(12_000), &json!({}));
    let lane = whole
        .fence
        .iter()
        .find(|l| l.lane == format!("{:?}", Lane::Jobs))
        .unwrap();
    assert_eq!(lane.requests, 12_000);
    // 12,000 at 9.5 a second.
    assert!(
        (lane.seconds - 12_000.0 / 9.5).abs() < 0.01,
        "{}",
        lane.seconds
    );
    // 120 pages before and after.
    assert!((whole.fence_seconds - lane.seconds - 2.0 * 60.0).abs() < 0.01);
    assert!(whole.rto_reachable_seconds > whole.rto_dark_seconds);
}

#[test]
fn a_run_waits_for_the_pause_of_its_job() {
    let mut document = jobs(95);
    let last = json!({"run_id": 7, "job_id": 95, "run_name": "r", "status": {"state": "RUNNING"}});
    document["runs"] = json!([last]);
    let whole = rehearsal(&document, &json!({}));
    let runs = whole
        .fence
        .iter()
        .find(|l| l.lane == format!("{:?}", Lane::Runs))
        .unwrap();
    // All fire at the same time, so the pause of the last one comes after 10 s; its run needs one more turn.
    assert!(
        (runs.seconds - (10.0 + 1.0 / 9.5)).abs() < 0.01,
        "{}",
        runs.seconds
    );
}

#[test]
fn the_activation_counts_what_really_differs_at_the_standby() {
    let paused = |count: i64| {
        let mut document = jobs(count);
        for job in document["jobs"].as_array_mut().unwrap() {
            job["settings"]["schedule"]["pause_status"] = json!("PAUSED");
        }
        document
    };
    let schedules = |whole: &Rehearsal| {
        let part = whole.parts.iter().find(|p| p.name == "schedules").unwrap();
        part.dark_seconds
    };
    let prepared = rehearsal(&jobs(190), &paused(190));
    // 190 at 9.5 a second, and two readings of two pages.
    assert!(
        (schedules(&prepared) - (20.0 + 2.0)).abs() < 0.01,
        "{}",
        schedules(&prepared)
    );
    let nothing_to_do = rehearsal(&paused(190), &paused(190));
    assert!((schedules(&nothing_to_do) - 1.0).abs() < 0.01);
}

#[test]
fn what_stands_in_the_way_is_named() {
    let mut twin = job(2, "twice", "0 0 9 * * ?");
    twin["settings"]["job_clusters"] =
        json!([{"new_cluster": {"aws_attributes": {"zone_id": "us-east-1a"}}}]);
    let mut both = job(4, "stream", "0 0 9 * * ?");
    both["settings"]["tags"] = json!({"dr-mode": "active-active"});
    let mut spared = job(5, "spared", "0 0 9 * * ?");
    spared["settings"]["tags"] = json!({"dr-mode": "excluded"});
    let document = json!({
        "jobs": [job(1, "twice", "0 0 9 * * ?"), twin, job(3, "odd", "every day"), both, spared],
        "clusters": [
            {"cluster_id": "a", "cluster_name": "auto", "state": "RUNNING", "aws_attributes": {"zone_id": "auto"}},
            {"cluster_id": "b", "cluster_name": "pinned", "state": "TERMINATED", "aws_attributes": {"zone_id": "us-east-1b"}}],
        "dashboards": [{"dashboard_id": "d", "display_name": "sales", "schedules": [
            {"schedule_id": "s", "display_name": "daily", "pause_status": "UNPAUSED", "cron_schedule": {"quartz_cron_expression": "0 0 99 * * ?", "timezone_id": "UTC"}}]}],
        "serving_endpoints": [{"name": "churn"}],
    });
    let live = json!({"jobs": [job(9, "odd", "0 0 9 * * ?")]});
    let found = rehearsal(&document, &live).findings;
    assert_eq!(found.ambiguous.len(), 1);
    assert_eq!(
        (found.ambiguous[0].times, found.ambiguous[0].blocks),
        (2, true)
    );
    let zones: Vec<&str> = found.zone_pinned.iter().map(|p| p.zone.as_str()).collect();
    assert_eq!(zones, ["us-east-1b", "us-east-1a"]);
    let unreadable: Vec<&str> = found
        .unreadable_schedules
        .iter()
        .map(|u| u.subject.name.as_str())
        .collect();
    assert_eq!(unreadable, ["odd", "sales/daily"]);
    let names =
        |all: &[crate::inventory::Subject]| all.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found.live_at_both), ["stream"]);
    assert_eq!(names(&found.split), ["odd"]);
    assert_eq!(names(&found.excluded), ["spared"]);
    assert_eq!(found.not_fenceable.len(), 1);
    let words = rehearsal(&document, &live).in_words();
    for part in [
        "RTO, predicted",
        "us-east-1b",
        "stands 2 times, BLOCKS",
        "every day UTC",
        "split brain: 1",
        "Assumed",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn a_document_that_is_no_inventory_is_refused_by_its_key() {
    let refused = Estate::of(&json!({"jobs": {"a": 1}}), SiteLabel::Primary, now()).unwrap_err();
    assert!(refused.to_string().contains("jobs"), "{refused}");
}
