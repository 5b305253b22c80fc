//! The rules of a comparison, one object at a time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::inventory::{Inventory, Resource};
use crate::kind::Kind;
use crate::plan::Plan;
use crate::site::SiteLabel;

fn plan() -> Plan {
    Plan::parse(include_bytes!("../../../../infra/plan.example.json")).unwrap()
}

fn site(site: SiteLabel, objects: &[(Kind, Value)]) -> Inventory {
    let resource = |(kind, raw): &(Kind, Value)| {
        Resource::new(*kind, raw.as_object().unwrap().clone()).unwrap()
    };
    Inventory {
        site,
        read_at: Timestamp::UNIX_EPOCH,
        resources: objects.iter().map(resource).collect(),
        runs: vec![],
    }
}

/// Seven days after 1970, in seconds.
const NOW: i64 = 604_800;

fn compared(
    plan: &Plan,
    active: &[(Kind, Value)],
    standby: &[(Kind, Value)],
    before: Option<&Readiness>,
) -> Readiness {
    let (active, standby) = (
        site(SiteLabel::Primary, active),
        site(SiteLabel::Secondary, standby),
    );
    let (permissions, names) = (BTreeMap::new(), BTreeMap::new());
    let held = |inventory| Held {
        inventory,
        permissions: &permissions,
        names: &names,
    };
    let offered = Offered {
        spark_versions: ["16.4.x-scala2.12".to_owned()].into(),
        node_types: ["m5d.large".to_owned()].into(),
    };
    compare(&Comparison {
        plan,
        active: held(&active),
        standby: held(&standby),
        offered: Some(&offered),
        not_compared: &[],
        before,
        now: Timestamp::from_second(NOW).unwrap(),
    })
}

fn job(id: i64, settings: Value) -> (Kind, Value) {
    (
        Kind::Job,
        json!({"job_id": id, "created_time": 0, "settings": settings}),
    )
}

fn cluster(id: &str, state: &str, more: Value) -> (Kind, Value) {
    let mut raw = json!({"cluster_id": id, "cluster_name": "c", "state": state});
    raw.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    (Kind::Cluster, raw)
}

/// The only finding.
fn only(readiness: &Readiness) -> &Finding {
    assert_eq!(readiness.findings.len(), 1, "{readiness:?}");
    &readiness.findings[0]
}

#[test]
fn each_difference_has_its_status_and_blocks_or_not() {
    let paused = |name: &str| json!({"name": name, "schedule": {"quartz_cron_expression": "0 0 3 * * ?", "pause_status": "PAUSED"}});
    let live =
        |name: &str| json!({"name": name, "schedule": {"quartz_cron_expression": "0 0 3 * * ?"}});
    let both = json!({"name": "a", "continuous": {}, "tags": {"dr-mode": "active-active"}});
    let running = cluster("1", "RUNNING", json!({"node_type_id": "i3.xlarge"}));
    let stopped = cluster("2", "TERMINATED", json!({"node_type_id": "i3.xlarge"}));
    let pinned = |id: &str| {
        cluster(
            id,
            "TERMINATED",
            json!({"aws_attributes": {"zone_id": "us-east-2a"}}),
        )
    };
    use ReadinessStatus::{Ambiguous, Drifted, Extra, Failed, InSync, Missing, Unsupported};
    type Objects = Vec<(Kind, Value)>;
    type Expected = Option<(ReadinessStatus, bool)>;
    let cases: [(&str, Objects, Objects, Expected); 14] = [
        (
            "alike but for what a standby pauses",
            vec![job(1, live("a"))],
            vec![job(9, paused("a"))],
            None,
        ),
        (
            "absent",
            vec![job(1, paused("a"))],
            vec![],
            Some((Missing, true)),
        ),
        (
            "fires at both",
            vec![job(1, live("a"))],
            vec![job(9, live("a"))],
            Some((Drifted, true)),
        ),
        (
            "fires at both on purpose",
            vec![job(1, both.clone())],
            vec![job(9, both)],
            None,
        ),
        (
            "fires at the standby only",
            vec![],
            vec![job(9, live("a"))],
            Some((Extra, false)),
        ),
        (
            "a live name twice",
            vec![job(1, live("a"))],
            vec![job(8, paused("a")), job(9, paused("a"))],
            Some((Ambiguous, true)),
        ),
        (
            "a quiet name twice",
            vec![job(1, paused("a"))],
            vec![job(8, paused("a")), job(9, paused("a"))],
            Some((Ambiguous, false)),
        ),
        (
            "another field",
            vec![job(1, json!({"name": "a", "timeout_seconds": 5}))],
            vec![job(9, json!({"name": "a"}))],
            Some((Drifted, false)),
        ),
        (
            "a zero more",
            vec![job(1, json!({"name": "a", "timeout_seconds": 0}))],
            vec![job(9, json!({"name": "a", "webhook_notifications": {}}))],
            None,
        ),
        (
            "a field that people do not set",
            vec![job(1, json!({"name": "a"}))],
            vec![(
                Kind::Job,
                json!({"job_id": 9, "run_as_user_name": "x", "settings": {"name": "a"}}),
            )],
            None,
        ),
        (
            "needed and not offered",
            vec![running],
            vec![stopped.clone()],
            Some((Unsupported, true)),
        ),
        (
            "not offered and not needed",
            vec![stopped.clone()],
            vec![cluster(
                "3",
                "TERMINATED",
                json!({"node_type_id": "i3.xlarge"}),
            )],
            Some((Unsupported, false)),
        ),
        (
            "bound to a zone",
            vec![pinned("1")],
            vec![pinned("2")],
            Some((InSync, false)),
        ),
        (
            "broken",
            vec![cluster("1", "RUNNING", json!({}))],
            vec![cluster("2", "ERROR", json!({}))],
            Some((Failed, false)),
        ),
    ];
    for (name, active, standby, expected) in cases {
        let readiness = compared(&plan(), &active, &standby, None);
        let found = readiness.findings.first().map(|f| (f.status, f.blocking));
        assert_eq!(found, expected, "{name}: {readiness:?}");
        let ready = expected.is_none_or(|(_, blocks)| !blocks);
        assert_eq!(
            readiness.answer() == ReadinessAnswer::Ready,
            ready,
            "{name}"
        );
    }
}

#[test]
fn references_are_compared_by_name_and_words_by_the_plan() {
    let mut plan = plan();
    plan.readiness.mapping = serde_json::from_value(json!({
        "node_types": [{"primary": "i3.xlarge", "secondary": "m5d.large"}],
        "buckets": [{"primary": "lake", "secondary": "lake-2"}]
    }))
    .unwrap();
    let estate = |job_id: i64, pool: &str, node: &str, bucket: &str, cluster_id: &str| {
        vec![
            (
                Kind::InstancePool,
                json!({"instance_pool_id": pool, "instance_pool_name": "p", "node_type_id": node}),
            ),
            cluster(cluster_id, "TERMINATED", json!({"instance_pool_id": pool})),
            job(
                job_id,
                json!({"name": "a", "tasks": [{"task_key": "t", "existing_cluster_id": cluster_id, "spark_python_task": {"python_file": format!("s3://{bucket}/x.py")}}]}),
            ),
            job(
                job_id + 1,
                json!({"name": "b", "tasks": [{"task_key": "t", "run_job_task": {"job_id": job_id}}]}),
            ),
        ]
    };
    let active = estate(1, "p1", "i3.xlarge", "lake", "c1");
    let standby = estate(10, "p2", "m5d.large", "lake-2", "c2");
    let readiness = compared(&plan, &active, &standby, None);
    assert_eq!(readiness.findings, []);
    assert_eq!(readiness.count(ReadinessStatus::InSync), 4);

    let elsewhere = estate(10, "p2", "m5d.large", "lake", "c2");
    let readiness = compared(&plan, &active, &elsewhere, None);
    let finding = only(&readiness);
    assert_eq!(
        finding.differences,
        [Difference {
            path: "settings.tasks[t].spark_python_task.python_file".to_owned(),
            active: Some("s3://lake-2/x.py".into()),
            standby: Some("s3://lake/x.py".into()),
        }]
    );
    plan.readiness.mapping.ignore = serde_json::from_value(json!([
        {"kind": "job", "path": "settings.tasks[].spark_python_task"}
    ]))
    .unwrap();
    assert_eq!(compared(&plan, &active, &elsewhere, None).findings, []);
}

#[test]
fn what_came_up_a_moment_ago_lags_and_later_it_has_drifted() {
    let mut plan = plan();
    let (old, new) = (
        [job(1, json!({"name": "a", "timeout_seconds": 5}))],
        [job(9, json!({"name": "a", "timeout_seconds": 9}))],
    );
    // Nobody looked before: it may always have been so.
    let first = compared(&plan, &old, &new, None);
    assert_eq!(only(&first).status, ReadinessStatus::Drifted);
    assert_eq!(only(&first).since, None);
    // The check before found it alike.
    let alike = compared(&plan, &old, &old, None);
    let second = compared(&plan, &old, &new, Some(&alike));
    assert_eq!(only(&second).status, ReadinessStatus::Lagging);
    assert_eq!(only(&second).since, Timestamp::from_second(NOW).ok());
    // It stays so for longer than the plan allows.
    let mut long_ago = second.clone();
    let since = Timestamp::from_second(NOW).unwrap() - SignedDuration::from_hours(2);
    long_ago.findings[0].since = Some(since);
    let third = compared(&plan, &old, &new, Some(&long_ago));
    assert_eq!(only(&third).status, ReadinessStatus::Drifted);
    assert_eq!(only(&third).since, Some(since));
    // By the platform's own word the object is new: it lags, and is not there all the same.
    let born = (NOW - 10) * 1000;
    let newborn = (
        Kind::Job,
        json!({"job_id": 1, "created_time": born, "settings": {"name": "a"}}),
    );
    let missing = compared(&plan, std::slice::from_ref(&newborn), &[], None);
    assert_eq!(only(&missing).status, ReadinessStatus::Lagging);
    assert!(only(&missing).blocking);
    plan.readiness.accepted = serde_json::from_value(json!([
        {"kind": "job", "names": ["a*"], "statuses": ["LAGGING"], "why": "deployed within the hour"}
    ]))
    .unwrap();
    let accepted = compared(&plan, &[newborn], &[], None);
    assert!(!only(&accepted).blocking);
    assert_eq!(
        only(&accepted).accepted.as_deref(),
        Some("deployed within the hour")
    );
}

#[test]
fn the_summary_counts_and_names_what_blocks() {
    let readiness = compared(
        &plan(),
        &[job(1, json!({"name": "a"})), job(2, json!({"name": "b"}))],
        &[job(9, json!({"name": "a"}))],
        None,
    );
    assert_eq!(
        readiness.summary(),
        "objects: 1 IN_SYNC, 1 MISSING; 1 block: job \"b\" (MISSING)"
    );
    let numbers = readiness.in_numbers();
    assert_eq!((numbers.blocking, numbers.blockers), (1, 0));
    let text = serde_json::to_string(&readiness).unwrap();
    assert_eq!(serde_json::from_str::<Readiness>(&text).unwrap(), readiness);
}

/// JSON as settings are: objects, lists, and values that say something.
fn settings() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[a-z]{1,6}".prop_map(Value::from),
        (1_i64..1000).prop_map(Value::from),
        Just(Value::from(true)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Value::from),
            prop::collection::btree_map("[a-m]{1,3}", inner, 1..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place of a leaf.
fn leaves(at: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => object
            .iter()
            .for_each(|(name, value)| leaves(&format!("{at}/{name}"), value, found)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(index, value)| leaves(&format!("{at}/{index}"), value, found)),
        _ => found.push(at.to_owned()),
    }
}

proptest! {
    #[test]
    fn nothing_differs_from_itself_and_one_changed_leaf_is_one_difference(value in settings(), pick in any::<prop::sample::Index>()) {
        let nothing = |_: &str| false;
        prop_assert_eq!(differences(&value, &value, &nothing), vec![]);
        let mut places = Vec::new();
        leaves("", &value, &mut places);
        let place = &places[pick.index(places.len())];
        let mut changed = value.clone();
        *changed.pointer_mut(place).unwrap() = Value::from("CHANGED");
        let found = differences(&value, &changed, &nothing);
        prop_assert_eq!(found.len(), 1, "{:?}", found);
        prop_assert_eq!(&found[0].standby, &Some(Value::from("CHANGED")));
        prop_assert_eq!(&found[0].active, &value.pointer(place).cloned());
        // And the other way round.
        let back = differences(&changed, &value, &nothing);
        prop_assert_eq!(&back[0].path, &found[0].path);
    }
}
