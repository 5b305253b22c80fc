use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::site::SiteLabel;

fn site(label: SiteLabel, resources: &[(Kind, Value)], runs: &[Value]) -> Inventory {
    Inventory {
        site: label,
        read_at: Timestamp::UNIX_EPOCH,
        resources: resources
            .iter()
            .map(|(kind, raw)| Resource::new(*kind, raw.as_object().unwrap().clone()).unwrap())
            .collect(),
        runs: runs
            .iter()
            .map(|raw| ActiveRun::new(raw.as_object().unwrap()).unwrap())
            .collect(),
    }
}

fn job(id: i64, settings: Value) -> (Kind, Value) {
    (Kind::Job, json!({"job_id": id, "settings": settings}))
}

fn job_work(phase: Phase, original: Value, twin: Value) -> PhaseWork {
    take_over(
        phase,
        &site(SiteLabel::Primary, &[job(1, original)], &[]),
        &site(SiteLabel::Secondary, &[job(2, twin)], &[]),
    )
}

fn take_over(phase: Phase, baseline: &Inventory, target: &Inventory) -> PhaseWork {
    work(
        phase,
        Aim::TakeOver,
        &Kind::ALL,
        &[],
        baseline.into(),
        target,
    )
}

fn update_of(work: &PhaseWork) -> Value {
    match &work.steps[..] {
        [
            ActivationStep {
                act: Act::UpdateJob { job_id: 2, updates },
                ..
            },
        ] => {
            let fields = updates.iter().flat_map(|u| u.clone());
            Value::Object(fields.collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_paused_in_the_baseline_is_never_unpaused_and_is_paused_if_it_was_live() {
    let schedule = |status: &str| json!({"name": "j", "schedule": {"quartz_cron_expression": "0 0 9 * * ?", "timezone_id": "UTC", "pause_status": status}});
    assert!(job_work(Phase::Schedules, schedule("PAUSED"), schedule("PAUSED")).is_done());
    let work = job_work(Phase::Schedules, schedule("PAUSED"), schedule("UNPAUSED"));
    assert_eq!(update_of(&work)["schedule"]["pause_status"], "PAUSED");
    let work = job_work(Phase::Schedules, schedule("UNPAUSED"), schedule("PAUSED"));
    assert_eq!(update_of(&work)["schedule"]["pause_status"], "UNPAUSED");
}

#[test]
fn a_place_that_the_baseline_does_not_know_is_paused_at_the_target() {
    let work = job_work(
        Phase::Schedules,
        json!({"name": "j"}),
        json!({"name": "j", "trigger": {"periodic": {"interval": 1, "unit": "DAYS"}}}),
    );
    assert_eq!(
        update_of(&work),
        json!({"trigger": {"periodic": {"interval": 1, "unit": "DAYS"}, "pause_status": "PAUSED"}})
    );
}

#[test]
fn unknown_fields_come_along_and_the_target_keeps_its_own_bucket() {
    let trigger = |url: &str, status: &str| json!({"name": "j", "trigger": {"file_arrival": {"url": url}, "pause_status": status, "new": {"x": 1}}});
    let work = job_work(
        Phase::Schedules,
        trigger("s3://east/in", "UNPAUSED"),
        trigger("s3://west/in", "PAUSED"),
    );
    assert_eq!(
        update_of(&work),
        json!({"trigger": {"file_arrival": {"url": "s3://west/in"}, "pause_status": "UNPAUSED", "new": {"x": 1}}})
    );
}

#[test]
fn triggers_are_sent_alone() {
    let both = |status: &str| json!({"name": "j", "triggers": [{"periodic": {"interval": 1}, "pause_status": status}], "continuous": {"pause_status": status}});
    let work = job_work(Phase::Schedules, both("UNPAUSED"), both("PAUSED"));
    let Act::UpdateJob { updates, .. } = &work.steps[0].act else {
        panic!()
    };
    assert_eq!(
        json!(updates),
        json!([
            {"continuous": {"pause_status": "UNPAUSED"}},
            {"triggers": [{"periodic": {"interval": 1}, "pause_status": "UNPAUSED"}]}
        ])
    );
}

#[test]
fn at_one_site_objects_are_known_by_id_so_that_equal_names_do_no_harm() {
    let record = site(
        SiteLabel::Primary,
        &[
            job(
                1,
                json!({"name": "j", "continuous": {"pause_status": "UNPAUSED"}}),
            ),
            job(
                2,
                json!({"name": "j", "continuous": {"pause_status": "PAUSED"}}),
            ),
        ],
        &[],
    );
    let now = site(
        SiteLabel::Primary,
        &[
            job(
                1,
                json!({"name": "j", "continuous": {"pause_status": "PAUSED"}}),
            ),
            job(
                2,
                json!({"name": "j", "continuous": {"pause_status": "PAUSED"}}),
            ),
        ],
        &[],
    );
    let work = take_over(Phase::Schedules, &record, &now);
    assert_eq!(
        update_of(&{
            let mut one = work.clone();
            for step in &mut one.steps {
                if let Act::UpdateJob { job_id, .. } = &mut step.act {
                    assert_eq!(*job_id, 1);
                    *job_id = 2;
                }
            }
            one
        }),
        json!({"continuous": {"pause_status": "UNPAUSED"}})
    );
    assert_eq!(work.listed, []);
}

#[test]
fn a_site_that_is_put_back_as_recorded_loses_what_was_not_live() {
    let cluster = |state: &str| {
        (
            Kind::Cluster,
            json!({"cluster_id": "c", "cluster_name": "c", "state": state}),
        )
    };
    let (record, now) = (
        site(SiteLabel::Secondary, &[cluster("TERMINATED")], &[]),
        site(SiteLabel::Secondary, &[cluster("RUNNING")], &[]),
    );
    let work = work(
        Phase::Compute,
        Aim::AsRecorded,
        &Kind::ALL,
        &[],
        (&record).into(),
        &now,
    );
    assert_eq!(
        work.steps[0].act,
        Act::TerminateCluster { id: "c".to_owned() }
    );
    assert!(take_over(Phase::Compute, &record, &now).is_done());
}

#[test]
fn a_wave_opens_when_the_one_before_is_confirmed_or_has_had_its_share_of_time() {
    let names = |names: &[&str]| Wave {
        name: "w".to_owned(),
        names: names.iter().map(ToString::to_string).collect(),
        tag: None,
    };
    let waves = [names(&["ingest *"]), names(&["*report"])];
    let jobs = |status: &str| {
        let job = |id: i64, name: &str| {
            job(
                id,
                json!({"name": name, "continuous": {"pause_status": status}}),
            )
        };
        [job(1, "ingest a"), job(2, "daily report"), job(3, "other")]
    };
    let work = work(
        Phase::Schedules,
        Aim::TakeOver,
        &Kind::ALL,
        &waves,
        (&site(SiteLabel::Primary, &jobs("UNPAUSED"), &[])).into(),
        &site(SiteLabel::Secondary, &jobs("PAUSED"), &[]),
    );
    let wave: Vec<usize> = work.steps.iter().map(|s| s.wave).collect();
    assert_eq!(wave, [0, 1, 2]);
    let open = |refused: &[&Subject], seconds: u64| {
        let refused = refused.iter().map(|s| (*s).clone()).collect();
        let time = Duration::from_secs;
        work.open_wave(&refused, waves.len(), time(seconds), time(30))
    };
    assert_eq!(open(&[], 0), 0);
    assert_eq!(
        open(&[&work.steps[0].subject], 0),
        1,
        "what was refused holds nothing up"
    );
    assert_eq!(open(&[], 10), 1);
    assert_eq!(open(&[], 20), 2);
}

#[test]
fn an_ambiguous_or_missing_live_object_is_listed_and_not_guessed() {
    let live = json!({"name": "j", "continuous": {}});
    let baseline = site(SiteLabel::Primary, &[job(1, live.clone())], &[]);
    let twice = site(
        SiteLabel::Secondary,
        &[job(2, json!({"name": "j"})), job(3, json!({"name": "j"}))],
        &[],
    );
    let nothing = site(SiteLabel::Secondary, &[], &[]);
    for target in [twice, nothing] {
        let work = take_over(Phase::Schedules, &baseline, &target);
        assert!(work.steps.is_empty());
        assert_eq!(work.listed.len(), 1);
    }
}

#[test]
fn interrupted_runs_start_again_only_where_the_job_asks_for_it() {
    let baseline = site(
        SiteLabel::Primary,
        &[
            job(1, json!({"name": "a", "tags": {"dr-rerun": "always"}})),
            job(2, json!({"name": "b"})),
        ],
        &[
            json!({"run_id": 10, "job_id": 1}),
            json!({"run_id": 20, "job_id": 2}),
            json!({"run_id": 30}),
        ],
    );
    let target = site(
        SiteLabel::Secondary,
        &[job(5, json!({"name": "a"})), job(6, json!({"name": "b"}))],
        &[],
    );
    let work = take_over(Phase::OneTimeRuns, &baseline, &target);
    let acts: Vec<_> = work.steps.iter().map(|s| s.act.clone()).collect();
    assert_eq!(
        acts,
        [Act::RunJob {
            job_id: 5,
            interrupted: 10
        }]
    );
    assert_eq!(work.listed.len(), 2);
}

#[test]
fn compute_waits_for_what_is_on_its_way_and_leaves_the_rest() {
    let cluster = |id: &str, name: &str, state: &str| {
        (
            Kind::Cluster,
            json!({"cluster_id": id, "cluster_name": name, "state": state}),
        )
    };
    let baseline = site(
        SiteLabel::Primary,
        &[
            cluster("1", "a", "RUNNING"),
            cluster("2", "b", "RUNNING"),
            cluster("3", "c", "TERMINATED"),
        ],
        &[],
    );
    let target = site(
        SiteLabel::Secondary,
        &[
            cluster("4", "a", "TERMINATED"),
            cluster("5", "b", "PENDING"),
            cluster("6", "c", "TERMINATED"),
        ],
        &[],
    );
    let work = take_over(Phase::Compute, &baseline, &target);
    assert_eq!(work.steps.len(), 1);
    assert_eq!(work.waiting.len(), 1);
    assert!(!work.is_done());
}

fn setting() -> impl Strategy<Value = Option<Value>> {
    proptest::option::of(
        (0u8..3, any::<bool>(), "[a-z]{0,3}").prop_map(|(status, odd, text)| {
            let mut value = json!({"quartz_cron_expression": text});
            match status {
                0 => value["pause_status"] = json!("PAUSED"),
                1 => value["pause_status"] = json!("UNPAUSED"),
                _ => {}
            }
            if odd {
                value["odd"] = json!({"a": [1, null]});
            }
            value
        }),
    )
}

fn settings() -> impl Strategy<Value = Value> {
    (
        setting(),
        setting(),
        setting(),
        proptest::option::of(proptest::collection::vec(setting(), 0..3)),
    )
        .prop_map(|(s, t, c, list)| {
            let mut object = json!({"name": "j"});
            for (field, value) in [("schedule", s), ("trigger", t), ("continuous", c)] {
                if let Some(value) = value {
                    object[field] = value;
                }
            }
            if let Some(list) = list {
                object["triggers"] = Value::Array(list.into_iter().flatten().collect());
            }
            object
        })
}

proptest! {
    /// Applying the steps ends, and then exactly the places that were live in the baseline are live.
    #[test]
    fn restoring_ends_with_exactly_the_live_places_of_the_baseline(original in settings(), twin in settings()) {
        let mut twin = twin;
        for round in 0.. {
            prop_assert!(round < 4, "does not end");
            let work = job_work(Phase::Schedules, original.clone(), twin.clone());
            if work.is_done() { break; }
            for (field, value) in update_of(&work).as_object().unwrap() {
                twin[field] = value.clone();
            }
        }
        let live = |settings: &Value| live_places(json!({"settings": settings}).as_object().unwrap());
        prop_assert_eq!(live(&original), live(&twin));
    }
}
