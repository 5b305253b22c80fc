//! What must hold whatever is observed.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;
use recovery::site::SiteLabel;
use recovery::verdict::{
    DegradedCause, DownCause, Observation, Outcome, Policy, Probe, Signal, UnknownCause, Vantage,
    Verdict, judge,
};

use super::{now, seen};

const PROBES: [&str; 11] = [
    "control-plane-api",
    "sign-in",
    "sql-canary",
    "cluster-canary",
    "job-success",
    "kpi:fresh",
    "object-store",
    "status-page",
    "aws-health",
    "reference:a",
    "reference:b",
];
const VANTAGES: [&str; 3] = ["eu-west-1", "us-east-2", "us-west-2"];
/// Observations lie on a grid of this many seconds before now.
const STEP: i64 = 30;
const STEPS: i64 = 12;

fn unknown() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(UnknownCause::ProbeError),
        Just(UnknownCause::Forbidden),
        Just(UnknownCause::Throttled),
        Just(UnknownCause::NameNotFound),
        Just(UnknownCause::Other("Gremlins".to_owned())),
    ]
    .prop_map(Outcome::from)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Healthy),
        6 => Just(Outcome::from(DownCause::ConnectTimeout)),
        1 => Just(Outcome::from(DownCause::NameLost)),
        1 => Just(Outcome::from(DegradedCause::Slow)),
        1 => unknown(),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    (1u32..6, 1u32..6, 0u32..150, 1u32..3, 20u32..200).prop_map(
        |(window, confirmations, grace_seconds, quorum, freshness_seconds)| Policy {
            window,
            confirmations: confirmations.min(window),
            grace_seconds,
            quorum,
            freshness_seconds,
        },
    )
}

/// Whether a vantage carries references, and whether its site mostly fails, is drawn once per observation.
fn observation(vantage: usize, step: i64) -> impl Strategy<Value = Observation> {
    let answers = prop_oneof![3 => Just("Healthy"), 1 => Just("Down"), 2 => Just("absent")];
    let probes = proptest::sample::subsequence(PROBES[..9].to_vec(), 0..=9);
    (answers, probes, proptest::collection::vec(outcome(), 9)).prop_map(
        move |(answers, probes, outcomes)| {
            let mut signals: Vec<_> = probes.into_iter().zip(outcomes).collect();
            match answers {
                "Healthy" => signals.push(("reference:a", Outcome::Healthy)),
                "Down" => signals.push(("reference:a", DownCause::ConnectTimeout.into())),
                _ => {}
            }
            seen(step * STEP, VANTAGES[vantage], &signals)
        },
    )
}

fn observations() -> impl Strategy<Value = Vec<Observation>> {
    let slots: Vec<(usize, i64)> = (0..VANTAGES.len())
        .flat_map(|vantage| (0..STEPS).map(move |step| (vantage, step)))
        .collect();
    proptest::sample::subsequence(slots, 0..=30).prop_flat_map(|slots| {
        slots
            .into_iter()
            .map(|(vantage, step)| observation(vantage, step))
            .collect::<Vec<_>>()
    })
}

/// Which `Unknown` is added: to an observation there is, or as one of its own.
#[derive(Clone, Debug)]
struct Addition {
    vantage: usize,
    step: i64,
    signals: Vec<(usize, Outcome)>,
}

fn additions() -> impl Strategy<Value = Vec<Addition>> {
    let signals = proptest::collection::vec((0..PROBES.len(), unknown()), 0..5);
    // A fourth vantage that was not there, and times between, before and after those there are.
    let addition =
        (0..=VANTAGES.len(), -1..=2 * STEPS, signals).prop_map(|(vantage, step, signals)| {
            Addition {
                vantage,
                step,
                signals,
            }
        });
    proptest::collection::vec(addition, 1..6)
}

/// Adds `Unknown` signals where their probe has none yet. A first reference is not added to an observation that has
/// signals but no reference: by rule 2 it would say something about these.
fn add(observations: &mut Vec<Observation>, addition: &Addition) {
    let vantage = Vantage::new(*VANTAGES.get(addition.vantage).unwrap_or(&"new"));
    let at = now() - SignedDuration::from_secs(addition.step * STEP / 2);
    let there = observations
        .iter()
        .position(|o| o.vantage == vantage && o.at == at);
    let index = there.unwrap_or_else(|| {
        observations.push(Observation {
            at,
            vantage,
            site: SiteLabel::Primary,
            signals: Vec::new(),
        });
        observations.len() - 1
    });
    let signals = &mut observations[index].signals;
    let references = there.is_none() || signals.iter().any(|signal| signal.probe.is_reference());
    let mut carried: BTreeSet<Probe> = signals.iter().map(|signal| signal.probe.clone()).collect();
    for (probe, outcome) in &addition.signals {
        let probe: Probe = PROBES[*probe].parse().unwrap();
        if (references || !probe.is_reference()) && carried.insert(probe.clone()) {
            signals.push(Signal::new(probe, outcome.clone()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_observations_changes_nothing(
        (ordered, shuffled) in observations().prop_flat_map(|o| (Just(o.clone()), Just(o).prop_shuffle())),
        policy in policy(),
        turn in 0usize..9,
    ) {
        let mut shuffled = shuffled;
        for observation in &mut shuffled {
            let turn = turn.min(observation.signals.len());
            observation.signals.rotate_left(turn);
        }
        prop_assert_eq!(judge(&ordered, &policy, now()), judge(&shuffled, &policy, now()));
    }

    /// Whatever one vantage sees, as long as no other sees anything `Down`.
    #[test]
    fn a_single_vantage_never_makes_a_site_down(
        observations in observations(), policy in policy(), alone in 0..VANTAGES.len(),
    ) {
        let mut observations = observations;
        for observation in &mut observations {
            if observation.vantage.as_str() != VANTAGES[alone] {
                for signal in &mut observation.signals {
                    if matches!(signal.outcome, Outcome::Down(_)) {
                        signal.outcome = Outcome::Healthy;
                    }
                }
            }
        }
        let policy = Policy { quorum: policy.quorum.max(2), ..policy };
        prop_assert!(!judge(&observations, &policy, now()).unwrap().actionable);
    }

    #[test]
    fn adding_unknown_never_makes_a_verdict_actionable(
        observations in observations(), policy in policy(), additions in additions(),
    ) {
        let before = judge(&observations, &policy, now()).unwrap();
        prop_assume!(!before.actionable);
        let mut more = observations;
        for addition in &additions {
            add(&mut more, addition);
        }
        let after = judge(&more, &policy, now()).unwrap();
        prop_assert!(!after.actionable, "{} became {}: {:#?}", before.verdict, after.verdict, after.evidence);
    }

    #[test]
    fn reasons_and_verdict_fit_together(observations in observations(), policy in policy()) {
        let judgement = judge(&observations, &policy, now()).unwrap();
        let reasons = !judgement.actionable && judgement.verdict != Verdict::Healthy;
        prop_assert_eq!(!judgement.why_not.is_empty(), reasons, "{:?}", judgement);
        prop_assert_eq!(judgement.actionable, judgement.verdict.is_actionable());
        prop_assert!(!judgement.actionable || judgement.since.is_some());
        prop_assert!(judgement.actionable || !judgement.rests_on_name_lost);
        prop_assert_eq!(
            judgement.fresh.len() + judgement.stale.len(),
            observations.iter().map(|o| &o.vantage).collect::<BTreeSet<_>>().len()
        );
    }
}
