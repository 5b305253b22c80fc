use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::replication::{REPLICATION_FORMAT, Standing};
use crate::site::{GroupName, SiteLabel};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn plan(objectives: &[u32], grouped: bool) -> Plan {
    let mut plan: Value =
        serde_json::from_str(include_str!("../../../../infra/plan.example.json")).unwrap();
    plan["data_sets"] = objectives
        .iter()
        .enumerate()
        .map(|(i, objective)| {
            json!({"type": "delta", "name": format!("set{i}"), "holds": "Table", "rpo_seconds": objective, "locations": {
                "primary": {"bucket": "one", "prefix": format!("{i}")}, "secondary": {"bucket": "two", "prefix": format!("{i}")}}})
        })
        .collect();
    plan["groups"] = if grouped {
        json!([{"name": "together", "members": ["set0", "set1"], "rpo_seconds": 100}])
    } else {
        json!([])
    };
    Plan::parse(plan.to_string().as_bytes()).unwrap()
}

fn set(name: &str, point: Option<i64>) -> DataSetStatus {
    DataSetStatus {
        name: DataSetName::new(name),
        recovery_point: point.map(at),
        basis: point.map(|_| Basis::Proof),
        proven_point: point.map(at),
        last_known: None,
        metrics: None,
        tables: None,
        objective_seconds: 0,
        standing: Standing::default(),
        problems: vec![],
    }
}

fn status(data_sets: Vec<DataSetStatus>) -> ReplicationStatus {
    ReplicationStatus {
        format_version: REPLICATION_FORMAT,
        measured_at: at(1000),
        from: SiteLabel::Primary,
        data_sets,
        groups: vec![GroupStatus {
            name: GroupName::new("together"),
            members: vec![DataSetName::new("set0"), DataSetName::new("set1")],
            recovery_point: Some(at(900)),
            basis: Some(Basis::Proof),
            proven_point: Some(at(900)),
            last_known: Some(LastKnown {
                read_at: Some(at(950)),
            }),
            objective_seconds: 100,
            standing: Standing::default(),
            problems: vec![],
        }],
    }
}

#[test]
fn every_data_set_and_group_is_told_the_worst_first() {
    let plan = plan(&[100, 1000, 100], true);
    let status = status(vec![
        set("set1", Some(500)),
        set("set0", Some(990)),
        set("removed", None),
    ]);
    let losses = predicted_losses(&plan, Some(&status), at(1000));
    let told: Vec<_> = losses
        .iter()
        .map(|l| (l.name.as_str(), l.loss_seconds, l.level))
        .collect();
    assert_eq!(
        told,
        [
            ("set2", None, LagLevel::Unknown),
            ("together", Some(100), LagLevel::Critical),
            ("set1", Some(500), LagLevel::Fine),
            ("set0", Some(10), LagLevel::Fine),
        ]
    );
    assert_eq!(losses[0].notes, ["it was never measured"]);
    assert!(losses[1].source_is_last_known && losses[1].notes[0].contains("cannot be read"));
    assert!(losses[0].is_above_objective() && !losses[1].is_above_objective());
}

#[test]
fn without_any_measurement_all_is_unknown() {
    let losses = predicted_losses(&plan(&[100, 100], true), None, at(1000));
    assert_eq!(losses.len(), 3);
    assert!(losses.iter().all(|l| l.level == LagLevel::Unknown));
}

#[test]
fn the_status_of_a_group_with_other_members_is_of_another_group() {
    let mut plan = plan(&[100, 100, 100], true);
    plan.groups[0].members.push(DataSetName::new("set2"));
    let status = status(vec![]);
    let losses = predicted_losses(&plan, Some(&status), at(1000));
    assert!(losses.iter().all(|l| l.loss_seconds.is_none()));
}

#[test]
fn the_frozen_loss_stays_unless_a_newer_one_is_worse() {
    let plan = plan(&[100, 100, 100, 100], false);
    let measured = |points: [Option<i64>; 4]| {
        let sets = points.into_iter().enumerate();
        let sets = sets
            .map(|(i, point)| set(&format!("set{i}"), point))
            .collect();
        predicted_losses(&plan, Some(&status(sets)), at(1000))
    };
    let frozen = measured([Some(500), Some(500), Some(500), None]);
    let newest = measured([Some(400), Some(600), None, Some(999)]);
    let losses = worse_of(frozen, &newest);
    let told: Vec<_> = losses
        .iter()
        .map(|l| (l.name.as_str(), l.loss_seconds))
        .collect();
    assert_eq!(
        told,
        [
            ("set2", None),
            ("set3", None),
            ("set0", Some(600)),
            ("set1", Some(500))
        ]
    );
    assert_eq!(worse_of(losses.clone(), &[]), losses);
}

proptest! {
    #[test]
    fn nothing_of_the_plan_is_left_out_and_the_order_is_by_badness(
        sets in proptest::collection::vec((1u32..5000, proptest::option::of(0i64..5000), any::<bool>()), 2..12),
        moment in 0i64..10_000,
    ) {
        let objectives: Vec<u32> = sets.iter().map(|(objective, _, _)| *objective).collect();
        let plan = plan(&objectives, true);
        let measured = sets.iter().enumerate().filter(|(_, (_, _, there))| *there);
        let status = status(measured.map(|(i, (_, point, _))| set(&format!("set{i}"), *point)).collect());
        let losses = predicted_losses(&plan, Some(&status), at(moment));
        let mut names: Vec<_> = losses.iter().map(|l| l.name.clone()).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), sets.len() + 1);
        for pair in losses.windows(2) {
            prop_assert!(pair[0].level >= pair[1].level);
        }
        for (i, (_, point, there)) in sets.iter().enumerate() {
            let loss = losses.iter().find(|l| l.name == format!("set{i}")).unwrap();
            let known = if *there { point.map(|p| (moment - p).max(0)) } else { None };
            prop_assert_eq!(loss.loss_seconds, known);
            prop_assert_eq!(loss.level == LagLevel::Unknown, known.is_none());
        }
    }
}
