//! Every case file comes to the verdict it expects.

use std::collections::BTreeSet;

use recovery::verdict::{Case, Observation, Verdict};

use super::{cases, examples, specified};

fn agree(cases: &[(String, Case)]) {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (file, case) in cases {
        let judgement = case.judge().unwrap();
        let expect = case.expect.unwrap();
        seen.insert(judgement.verdict);
        if !expect.is_met_by(&judgement) {
            wrong.push(format!(
                "{file}: {} instead of {expect:?}",
                judgement.verdict
            ));
        }
        let reasons = !judgement.actionable && judgement.verdict != Verdict::Healthy;
        assert_eq!(!judgement.why_not.is_empty(), reasons, "{file}");
        assert!(!judgement.evidence.is_empty(), "{file}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let all = BTreeSet::from(Verdict::ALL);
    assert_eq!(seen, all, "a verdict without a case");
}

#[test]
fn our_examples_agree() {
    agree(&cases(&examples()));
}

#[test]
fn the_specified_cases_agree() {
    if let Some(dir) = specified() {
        let cases = cases(&dir);
        assert!(cases.len() >= 52);
        agree(&cases);
    }
}

/// What is stored reads back as it was.
#[test]
fn observations_survive_json() {
    for (file, case) in cases(&examples()) {
        let json = serde_json::to_string(&case.observations).unwrap();
        let back: Vec<Observation> = serde_json::from_str(&json).unwrap();
        assert_eq!(back, case.observations, "{file}");
        let whole = serde_json::to_vec(&case).unwrap();
        assert_eq!(Case::from_json(&whole).unwrap(), case, "{file}");
    }
}
