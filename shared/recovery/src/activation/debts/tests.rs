use serde_json::{Value, json};

use super::*;
use crate::act::Act;
use crate::activation::{Aim, work};

const JOBS: [Kind; 1] = [Kind::Job];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn site(label: SiteLabel, second: i64, jobs: &[Value]) -> Inventory {
    let jobs = jobs.iter().map(|job| job.as_object().unwrap().clone());
    Inventory {
        site: label,
        read_at: at(second),
        resources: jobs
            .map(|raw| Resource::new(Kind::Job, raw).unwrap())
            .collect(),
        runs: vec![],
    }
}

fn job(id: i64, name: &str, status: &str, cron: &str, runs: i64) -> Value {
    let schedule =
        json!({"quartz_cron_expression": cron, "timezone_id": "UTC", "pause_status": status});
    json!({"job_id": id, "settings": {"name": name, "schedule": schedule, "max_concurrent_runs": runs}})
}

const NIGHTLY: &str = "0 0 3 * * ?";

/// What a run left that could bring up one of two jobs at the secondary.
fn owed(phase: Phase) -> (Inventory, Vec<Debt>) {
    let record = site(
        SiteLabel::Primary,
        1,
        &[
            job(1, "up", "UNPAUSED", NIGHTLY, 5),
            job(2, "late", "UNPAUSED", NIGHTLY, 5),
            job(3, "asleep", "PAUSED", NIGHTLY, 1),
        ],
    );
    let target = site(
        SiteLabel::Secondary,
        2,
        &[
            job(11, "up", "UNPAUSED", NIGHTLY, 5),
            job(12, "late", "PAUSED", NIGHTLY, 1),
            job(13, "asleep", "PAUSED", NIGHTLY, 1),
        ],
    );
    let todo = work(phase, Aim::TakeOver, &JOBS, &[], (&record).into(), &target);
    let unfinished = todo.unfinished().into_iter().collect();
    let run = RunId::new("r");
    let debts = left_over(
        phase,
        &JOBS,
        (&record).into(),
        Some(&target),
        &run,
        &unfinished,
        at(3),
    );
    (target, debts)
}

#[test]
fn what_is_owed_is_restored_on_the_way_home_and_by_a_reset_though_the_record_lacks_it() {
    for (phase, field, wanted) in [
        (
            Phase::Schedules,
            "/schedule/pause_status",
            json!("UNPAUSED"),
        ),
        (Phase::JobConcurrency, "/max_concurrent_runs", json!(5)),
    ] {
        let (recorded, debts) = owed(phase);
        let names: Vec<&str> = debts.iter().map(|d| d.original.name.as_str()).collect();
        assert_eq!(names, ["late"], "{phase}");
        // At home all of them are paused; at the site itself the object is found by its id.
        let home = site(
            SiteLabel::Primary,
            4,
            &[job(2, "late", "PAUSED", NIGHTLY, 1)],
        );
        for target in [&home, &recorded] {
            let with = Record {
                inventory: &recorded,
                debts: &debts,
            };
            let steps = work(phase, Aim::TakeOver, &JOBS, &[], with, target).steps;
            let [step] = steps.as_slice() else {
                panic!("{phase}: {steps:?}")
            };
            let Act::UpdateJob { updates, .. } = &step.act else {
                panic!("{step:?}")
            };
            assert_eq!(json!(updates[0]).pointer(field), Some(&wanted));
            let without = work(phase, Aim::TakeOver, &JOBS, &[], (&recorded).into(), target);
            assert!(without.is_done(), "{phase}: forgotten");
        }
    }
}

#[test]
fn what_a_person_has_brought_up_in_another_way_is_restored_as_it_was_recorded() {
    let (_, debts) = owed(Phase::Schedules);
    let recorded = site(
        SiteLabel::Secondary,
        4,
        &[job(12, "late", "UNPAUSED", "0 0 5 * * ?", 1)],
    );
    let home = site(
        SiteLabel::Primary,
        5,
        &[job(2, "late", "PAUSED", NIGHTLY, 1)],
    );
    let with = Record {
        inventory: &recorded,
        debts: &debts,
    };
    let steps = work(Phase::Schedules, Aim::TakeOver, &JOBS, &[], with, &home).steps;
    let Act::UpdateJob { updates, .. } = &steps[0].act else {
        panic!("{steps:?}")
    };
    assert_eq!(
        updates[0]["schedule"]["quartz_cron_expression"],
        "0 0 5 * * ?"
    );
}

#[test]
fn a_reading_of_the_site_after_the_run_settles_what_is_up_and_nothing_else() {
    let debts = || Debts {
        debts: owed(Phase::Schedules).1,
        ..Debts::none(SiteLabel::Secondary)
    };
    let excluded = {
        let mut job = job(12, "late", "PAUSED", NIGHTLY, 1);
        job["settings"]["tags"] = json!({"dr-mode": "excluded"});
        job
    };
    for (what, second, jobs, settled) in [
        (
            "paused",
            9,
            vec![job(12, "late", "PAUSED", NIGHTLY, 1)],
            false,
        ),
        ("gone", 9, vec![], false),
        (
            "twice",
            9,
            vec![
                job(12, "late", "UNPAUSED", NIGHTLY, 1),
                job(14, "late", "PAUSED", NIGHTLY, 1),
            ],
            false,
        ),
        (
            "read before the run",
            3,
            vec![job(12, "late", "UNPAUSED", NIGHTLY, 1)],
            false,
        ),
        ("up", 9, vec![job(12, "late", "UNPAUSED", NIGHTLY, 1)], true),
        (
            "up at another hour",
            9,
            vec![job(12, "late", "UNPAUSED", "0 0 5 * * ?", 1)],
            true,
        ),
        ("taken out of our hands", 9, vec![excluded], true),
    ] {
        let (standing, gone) = debts().settle(&site(SiteLabel::Secondary, second, &jobs));
        assert_eq!(
            (standing.debts.len(), gone.debts.len()),
            if settled { (0, 1) } else { (1, 0) },
            "{what}"
        );
    }
}

#[test]
fn what_the_target_does_not_hold_is_owed_too_and_nothing_that_is_not_ours() {
    let mut spared = job(2, "spared", "UNPAUSED", NIGHTLY, 1);
    spared["settings"]["tags"] = json!({"dr-mode": "active-active"});
    let record = site(
        SiteLabel::Primary,
        1,
        &[
            job(1, "missing", "UNPAUSED", NIGHTLY, 1),
            spared,
            job(3, "asleep", "PAUSED", NIGHTLY, 1),
        ],
    );
    let target = site(SiteLabel::Secondary, 2, &[]);
    let (run, none) = (RunId::new("r"), BTreeSet::new());
    for target in [Some(&target), None] {
        let left = left_over(
            Phase::Schedules,
            &JOBS,
            (&record).into(),
            target,
            &run,
            &none,
            at(3),
        );
        let names: Vec<&str> = left.iter().map(|d| d.original.name.as_str()).collect();
        assert_eq!(names, ["missing"]);
    }
}

#[test]
fn a_debt_that_a_later_run_cannot_bring_up_either_keeps_its_age_and_one_of_an_unprotected_kind_stays()
 {
    let (recorded, debts) = owed(Phase::Schedules);
    let home = site(
        SiteLabel::Primary,
        4,
        &[
            job(1, "up", "UNPAUSED", NIGHTLY, 5),
            job(2, "late", "PAUSED", NIGHTLY, 1),
        ],
    );
    let record = Record {
        inventory: &recorded,
        debts: &debts,
    };
    let late = home.resources.iter().filter(|r| r.name == "late");
    let unfinished = late.map(Resource::subject).collect();
    let later = RunId::new("later");
    let left = left_over(
        Phase::Schedules,
        &JOBS,
        record,
        Some(&home),
        &later,
        &unfinished,
        at(9),
    );
    let [debt] = left.as_slice() else {
        panic!("{left:?}")
    };
    assert_eq!(
        (debt.run.as_str(), debt.since, debt.noted_at),
        ("r", at(3), at(9))
    );
    let left = left_over(
        Phase::Schedules,
        &[Kind::Pipeline],
        record,
        Some(&home),
        &later,
        &BTreeSet::new(),
        at(9),
    );
    assert_eq!(left, debts, "the plan may protect it again");
}

#[test]
fn people_give_up_by_name_only_what_is_owed() {
    let debts = Debts {
        debts: owed(Phase::Schedules).1,
        ..Debts::none(SiteLabel::Secondary)
    };
    let refused = debts
        .clone()
        .give_up(Kind::Job, &["late".to_owned(), "other".to_owned()])
        .unwrap_err();
    assert!(refused.contains("other"), "{refused}");
    assert!(
        debts
            .give_up(Kind::Job, &["late".to_owned()])
            .unwrap()
            .debts
            .is_empty()
    );
}

#[test]
fn what_a_newer_version_added_survives_a_change_by_this_one() {
    let debts = Debts {
        debts: owed(Phase::Schedules).1,
        ..Debts::none(SiteLabel::Secondary)
    };
    let mut raw = json!(debts);
    raw["added"] = json!(1);
    raw["debts"][0]["added"] = json!(2);
    let read: Debts = serde_json::from_value(raw.clone()).unwrap();
    let (standing, _) = read.settle(&site(SiteLabel::Secondary, 9, &[]));
    assert_eq!(json!(standing), raw);
}

/// What is being deleted at the target is as good as missing there, and ends no older debt.
#[test]
fn what_the_target_is_deleting_is_owed() {
    let warehouse = |label: SiteLabel, state: &str| {
        let raw = json!({"id": "w", "name": "bi", "state": state});
        let resource = Resource::new(Kind::Warehouse, raw.as_object().unwrap().clone());
        Inventory {
            site: label,
            read_at: at(1),
            resources: vec![resource.unwrap()],
            runs: vec![],
        }
    };
    let record = warehouse(SiteLabel::Primary, "RUNNING");
    let kinds = [Kind::Warehouse];
    let run = RunId::new("r");
    let left = |record: Record<'_>, state: &str| {
        let target = warehouse(SiteLabel::Secondary, state);
        let none = BTreeSet::new();
        left_over(
            Phase::Compute,
            &kinds,
            record,
            Some(&target),
            &run,
            &none,
            at(3),
        )
    };
    let debts = left((&record).into(), "DELETING");
    assert_eq!(debts.len(), 1);
    assert_eq!(left((&record).into(), "RUNNING"), []);
    let stopped = warehouse(SiteLabel::Secondary, "STOPPED");
    let owing = Record {
        inventory: &stopped,
        debts: &debts,
    };
    assert_eq!(
        left(owing, "DELETING").len(),
        1,
        "an older debt ends by a reading that shows it up"
    );
    assert_eq!(left(owing, "RUNNING"), []);
}
