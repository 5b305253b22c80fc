//! The promises of merging and lifting, over policies of any shape.

#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::policy::{LARGEST_POLICY, Lifted, Merged, PolicyProblem, lifted, merged};
use super::{Denial, PolicyReading};
use crate::site::{PlanName, RoleArn};

fn plan() -> PlanName {
    PlanName::new("lake-house")
}

fn denial(roles: &[&str]) -> Denial {
    let roles: Vec<RoleArn> = roles
        .iter()
        .map(|name| RoleArn::new(format!("arn:aws:iam::123456789012:role/{name}")))
        .collect();
    Denial::new(&plan(), "lake", &roles)
}

fn written(merged: Merged) -> String {
    match merged {
        Merged::Write { text, .. } => text,
        Merged::InForce => panic!("nothing to write"),
    }
}

fn lift(text: &str) -> Option<String> {
    match lifted(Some(text), &plan()).unwrap() {
        Lifted::Write(text) => Some(text),
        Lifted::Delete => None,
        Lifted::Absent => panic!("our statement was not there"),
    }
}

/// Any JSON, numbers included that no f64 holds.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        "-?[1-9][0-9]{0,24}(\\.[0-9]{1,3})?",
        any::<String>().prop_map(|s| Value::from(s).to_string()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(", "))),
            prop::collection::vec(("[A-Za-z]{1,6}", inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> = fields
                    .iter()
                    .enumerate()
                    .map(|(i, (k, v))| format!("\"{k}{i}\": {v}"))
                    .collect();
                format!("{{{}}}", fields.join(" ,"))
            }),
        ]
    })
}

/// A foreign statement: any object, with a Sid of its own or none, in the order of its fields.
fn statement() -> impl Strategy<Value = String> {
    let sid = prop_oneof![
        Just(None),
        "[A-Za-z0-9]{1,12}".prop_map(Some),
        Just(Some("DatabricksDrReplicationFence".to_owned()))
    ];
    (
        sid,
        prop::collection::vec(("[A-Z][a-z]{2,8}", any_json()), 1..4),
    )
        .prop_map(|(sid, fields)| {
            let mut texts: Vec<String> = fields
                .iter()
                .enumerate()
                .map(|(i, (k, v))| format!("\"{k}{i}\":{v}"))
                .collect();
            texts.extend(sid.map(|sid| format!("\"Sid\":\"{sid}\"")));
            format!("{{{}}}", texts.join(","))
        })
}

/// A whole policy as S3 may hold it: no spaces between fields and statements.
fn policy() -> impl Strategy<Value = String> {
    (
        prop::collection::vec(statement(), 1..4),
        any::<bool>(),
        prop::collection::vec(("[A-Z][a-z]{2,6}", any_json()), 0..3),
        0..3_usize,
    )
        .prop_map(|(statements, list, others, at)| {
            let field = match statements.as_slice() {
                [only] if !list => format!("\"Statement\":{only}"),
                _ => format!("\"Statement\":[{}]", statements.join(",")),
            };
            let mut fields: Vec<String> = others
                .iter()
                .enumerate()
                .map(|(i, (k, v))| format!("\"{k}{i}\":{v}"))
                .collect();
            fields.insert(at.min(fields.len()), field);
            format!("{{{}}}", fields.join(","))
        })
}

fn statements(text: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(text).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

proptest! {
    #[test]
    fn what_is_merged_and_lifted_is_the_original_to_the_byte(text in policy()) {
        let ours = denial(&["a", "b"]);
        let fenced = written(merged(Some(&text), &ours).unwrap());
        prop_assert_eq!(lift(&fenced), Some(text));
    }

    #[test]
    fn merging_again_changes_nothing(text in policy()) {
        let ours = denial(&["a"]);
        let fenced = written(merged(Some(&text), &ours).unwrap());
        prop_assert_eq!(merged(Some(&fenced), &ours).unwrap(), Merged::InForce);
        prop_assert!(PolicyReading::new(Some(fenced), jiff::Timestamp::UNIX_EPOCH).denies(&ours));
        prop_assert!(!PolicyReading::new(Some(text), jiff::Timestamp::UNIX_EPOCH).denies(&ours));
    }

    #[test]
    fn foreign_statements_stay_byte_for_byte_and_in_order(text in policy(), more in statement()) {
        let ours = denial(&["a"]);
        let fenced = written(merged(Some(&text), &ours).unwrap());
        let before: Value = serde_json::from_str(&text).unwrap();
        let mut kept = statements(&fenced);
        let last = kept.pop().unwrap();
        prop_assert!(ours.owns(&last));
        let foreign = match &before["Statement"] {
            Value::Array(list) => list.clone(),
            alone => vec![alone.clone()],
        };
        prop_assert_eq!(&kept, &foreign);
        // Somebody adds a statement behind ours while the fence stands: it stays when ours goes.
        let ours_text = last.to_string();
        let grown = fenced.replace(&ours_text, &format!("{ours_text},{more}"));
        let rest = lift(&grown).unwrap();
        prop_assert!(rest.contains(&more));
        let mut wanted = foreign;
        wanted.push(serde_json::from_str(&more).unwrap());
        prop_assert_eq!(statements(&rest), wanted);
    }

    #[test]
    fn a_statement_of_ours_that_was_altered_is_repaired_where_it_stands(text in policy(), effect in "Allow|Deny", extra in any_json()) {
        let ours = denial(&["a"]);
        let fenced = written(merged(Some(&text), &ours).unwrap());
        let mut policy: Value = serde_json::from_str(&fenced).unwrap();
        let last = policy["Statement"].as_array_mut().unwrap().last_mut().unwrap();
        last["Effect"] = json!(effect);
        last["NotAction"] = serde_json::from_str(&extra).unwrap_or(Value::Null);
        let altered = policy.to_string();
        let Merged::Write { text: repaired, repairs } = merged(Some(&altered), &ours).unwrap() else {
            panic!("an altered statement counts as in force");
        };
        prop_assert!(repairs);
        prop_assert_eq!(merged(Some(&repaired), &ours).unwrap(), Merged::InForce);
        prop_assert_eq!(statements(&repaired).len(), statements(&fenced).len());
    }

    #[test]
    fn nothing_that_is_no_policy_is_ever_written_over(text in any_json()) {
        prop_assert!(matches!(merged(Some(&text), &denial(&["a"])), Err(PolicyProblem::Malformed(_))));
        prop_assert!(matches!(lifted(Some(&text), &plan()), Err(PolicyProblem::Malformed(_))));
    }
}

#[test]
fn a_bucket_without_a_policy_has_none_again() {
    let fenced = written(merged(None, &denial(&["a"])).unwrap());
    assert_eq!(lift(&fenced), None);
    assert_eq!(lifted(None, &plan()).unwrap(), Lifted::Absent);
}

#[test]
fn what_s3_gives_back_in_another_form_is_in_force() {
    let ours = denial(&["a"]);
    let mut policy: Value = serde_json::from_str(&written(merged(None, &ours).unwrap())).unwrap();
    let statement = &mut policy["Statement"][0];
    statement["Principal"] = json!({"AWS": ["*"]});
    statement["Resource"] = json!([statement["Resource"]]);
    statement["Action"].as_array_mut().unwrap().reverse();
    assert_eq!(
        merged(Some(&policy.to_string()), &ours).unwrap(),
        Merged::InForce
    );
}

#[test]
fn another_plans_statement_and_another_role_are_not_ours() {
    let other = PlanName::new("lake");
    let theirs = Denial::new(
        &other,
        "lake",
        &[RoleArn::new("arn:aws:iam::123456789012:role/a")],
    );
    let fenced = written(merged(None, &theirs).unwrap());
    assert_eq!(lifted(Some(&fenced), &plan()).unwrap(), Lifted::Absent);
    let both = written(merged(Some(&fenced), &denial(&["a"])).unwrap());
    assert_eq!(lift(&both), Some(fenced));
    // A role that the plan names later is denied from the next pass on.
    assert!(matches!(
        merged(Some(&both), &denial(&["a", "b"])).unwrap(),
        Merged::Write { repairs: true, .. }
    ));
}

#[test]
fn a_policy_that_would_be_too_large_is_not_written() {
    let sids: Vec<Value> = (0..200)
        .map(|n| json!({"Sid": format!("Statement{n:080}"), "Effect": "Allow"}))
        .collect();
    let text = json!({"Version": "2012-10-17", "Statement": sids}).to_string();
    assert!(text.len() < LARGEST_POLICY + 4000);
    assert!(
        matches!(merged(Some(&text), &denial(&["a"])), Err(PolicyProblem::TooLarge { size }) if size > LARGEST_POLICY)
    );
}
