//! Single rules, at their edges.

use recovery::verdict::{
    DegradedCause, DownCause, Judgement, Observation, Outcome, Policy, Reading, Status,
    UnknownCause, Verdict, judge,
};

use super::{cases, examples, now, policy, seen};

const API: &str = "control-plane-api";

fn judged(observations: &[Observation], policy: &Policy) -> Judgement {
    judge(observations, policy, now()).unwrap()
}

fn down() -> Outcome {
    DownCause::ConnectTimeout.into()
}

fn unknown() -> Outcome {
    UnknownCause::ProbeError.into()
}

fn slow() -> Outcome {
    DegradedCause::Slow.into()
}

/// One vantage, one probe, one signal a minute; the newest, last one is 10 seconds old.
fn series(probe: &str, outcomes: &[Outcome]) -> Vec<Observation> {
    (0..)
        .zip(outcomes.iter().rev())
        .map(|(age, outcome)| seen(10 + 60 * age, "a", &[(probe, outcome.clone())]))
        .collect()
}

fn reading(outcomes: &[Outcome], policy: &Policy) -> Reading {
    judged(&series(API, outcomes), policy).probes[0].readings[0].reading
}

/// Every vantage sees the same three times, long enough ago.
fn everywhere(vantages: &[&str], signals: &[(&str, Outcome)]) -> Vec<Observation> {
    vantages
        .iter()
        .flat_map(|vantage| [10, 70, 130].map(|ago| seen(ago, vantage, signals)))
        .collect()
}

#[test]
fn a_vantage_is_fresh_up_to_and_including_the_limit() {
    let at = |ago| judged(&[seen(ago, "a", &[(API, Outcome::Healthy)])], &policy()).verdict;
    assert_eq!(at(180), Verdict::Healthy);
    assert_eq!(at(181), Verdict::Inconclusive);
}

/// Two vantages that have stopped reporting neither vote nor count.
#[test]
fn a_stale_vantage_is_not_counted() {
    let mut observations = everywhere(&["a"], &[(API, down())]);
    observations.extend(["b", "c"].map(|stale| seen(181, stale, &[(API, Outcome::Healthy)])));
    let judgement = judged(&observations, &policy());
    assert_eq!(judgement.verdict, Verdict::ControlPlaneDown);
    assert_eq!(judgement.fresh.len(), 1);
    assert_eq!(judgement.stale.len(), 2);
}

#[test]
fn the_run_must_be_as_old_as_the_grace_and_confirmed() {
    use Outcome::Healthy;
    let graced = |grace_seconds| Policy {
        grace_seconds,
        ..policy()
    };
    let three = [Healthy, down(), down(), down()];
    assert_eq!(reading(&three, &graced(130)), Reading::Down);
    assert_eq!(reading(&three, &graced(131)), Reading::Failing);
    assert_eq!(
        reading(&[Healthy, down(), down()], &graced(0)),
        Reading::Failing
    );
    // Unknown breaks the run, but not the count; so does one success.
    assert_eq!(
        reading(&[down(), down(), unknown(), down()], &graced(10)),
        Reading::Down
    );
    assert_eq!(
        reading(&[down(), down(), unknown(), down()], &graced(11)),
        Reading::Failing
    );
    assert_eq!(
        reading(&[down(), down(), Healthy, down()], &graced(10)),
        Reading::Down
    );
    // The run may be longer than the window.
    let long = vec![down(); 8];
    assert_eq!(reading(&long, &graced(430)), Reading::Down);
    assert_eq!(reading(&long, &graced(431)), Reading::Failing);
}

#[test]
fn the_window_holds_known_signals_only() {
    let narrow = Policy {
        window: 3,
        grace_seconds: 0,
        ..policy()
    };
    let spread = [down(), unknown(), down(), unknown(), unknown(), down()];
    assert_eq!(reading(&spread, &narrow), Reading::Down);
    let healed = [down(), down(), Outcome::Healthy, down()];
    assert_eq!(reading(&healed, &narrow), Reading::Failing);
}

#[test]
fn three_changes_are_flapping() {
    use Outcome::Healthy;
    let loose = Policy {
        confirmations: 1,
        grace_seconds: 0,
        ..policy()
    };
    assert_eq!(reading(&[down(), Healthy, down()], &loose), Reading::Down);
    assert_eq!(
        reading(&[Healthy, down(), Healthy, down()], &loose),
        Reading::Flapping
    );
    assert_eq!(
        reading(&[down(), Healthy, down(), Healthy], &loose),
        Reading::Flapping
    );
    // Degraded is not Down, and Unknown is no change.
    assert_eq!(
        reading(&[Healthy, down(), slow(), down()], &loose),
        Reading::Flapping
    );
    assert_eq!(
        reading(&[Healthy, down(), unknown(), down()], &loose),
        Reading::Down
    );
    assert_eq!(
        reading(&[Healthy, down(), Healthy, unknown()], &loose),
        Reading::Unknown
    );
}

#[test]
fn degraded_counts_down_too() {
    assert_eq!(
        reading(&[down(), slow(), slow()], &policy()),
        Reading::Degraded
    );
    assert_eq!(
        reading(&[Outcome::Healthy, slow(), slow()], &policy()),
        Reading::Healthy
    );
    assert_eq!(
        reading(&[slow(), slow(), slow(), Outcome::Healthy], &policy()),
        Reading::Healthy
    );
}

#[test]
fn an_old_newest_signal_is_unknown_though_the_vantage_is_fresh() {
    let mut observations = vec![seen(10, "a", &[("status-page", Outcome::Healthy)])];
    observations.extend([181, 241, 301].map(|ago| seen(ago, "a", &[(API, down())])));
    let judgement = judged(&observations, &policy());
    assert_eq!(judgement.layers.control_plane, Status::Unknown);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
}

#[test]
fn a_quorum_must_also_be_a_majority_of_those_that_carry_the_probe() {
    let two = Policy {
        quorum: 2,
        ..policy()
    };
    let with = |others: &[&str], outcome: Outcome| {
        let mut observations = everywhere(&["a", "b"], &[(API, down())]);
        observations.extend(everywhere(others, &[(API, outcome)]));
        judged(&observations, &two).verdict
    };
    assert_eq!(with(&["c"], Outcome::Healthy), Verdict::ControlPlaneDown);
    assert_eq!(with(&["c", "d"], Outcome::Healthy), Verdict::Degraded);
    assert_eq!(with(&["c", "d"], unknown()), Verdict::Degraded);
    // Those that do not carry it have no vote.
    let mut observations = everywhere(&["a", "b"], &[(API, down())]);
    observations.extend(everywhere(
        &["c", "d"],
        &[("object-store", Outcome::Healthy)],
    ));
    assert_eq!(
        judged(&observations, &two).verdict,
        Verdict::ControlPlaneDown
    );
}

#[test]
fn sign_in_jobs_and_kpis_are_capped() {
    let verdict = |signals: &[(&str, Outcome)]| judged(&everywhere(&["a"], signals), &policy());
    let healthy = Outcome::Healthy;
    let alone = verdict(&[(API, healthy.clone()), ("sign-in", down())]);
    assert_eq!(alone.verdict, Verdict::Degraded);
    assert!(
        alone.why_not[0].contains("control-plane-api is not"),
        "{:?}",
        alone.why_not
    );
    // Without any word of the API too.
    assert_eq!(verdict(&[("sign-in", down())]).verdict, Verdict::Degraded);
    let both = verdict(&[(API, down()), ("sign-in", down())]);
    assert!(both.probes.iter().all(|p| p.counts_as == Status::Down));
    for probe in ["job-success", "kpi", "kpi:orders"] {
        let alone = verdict(&[
            (API, healthy.clone()),
            ("sql-canary", healthy.clone()),
            (probe, down()),
        ]);
        assert_eq!(alone.verdict, Verdict::Degraded, "{probe}");
    }
    for canary in ["sql-canary", "cluster-canary"] {
        let both = verdict(&[
            (API, healthy.clone()),
            (canary, down()),
            ("job-success", down()),
        ]);
        assert_eq!(both.verdict, Verdict::ComputeDown, "{canary}");
        let jobs = both
            .probes
            .iter()
            .find(|p| p.probe.to_string() == "job-success")
            .unwrap();
        assert_eq!(jobs.counts_as, Status::Down);
    }
}

#[test]
fn compute_is_unknown_behind_a_control_plane_that_is_down() {
    let judgement = judged(
        &everywhere(&["a"], &[(API, down()), ("sql-canary", down())]),
        &policy(),
    );
    assert_eq!(judgement.verdict, Verdict::ControlPlaneDown);
    assert_eq!(judgement.layers.compute, Status::Unknown);
}

#[test]
fn a_cut_off_observation_says_nothing_of_the_site() {
    let references = |outcome: Outcome| {
        everywhere(
            &["a"],
            &[
                (API, down()),
                ("reference:x", outcome),
                ("reference:y", down()),
            ],
        )
    };
    assert_eq!(
        judged(&references(down()), &policy()).verdict,
        Verdict::ProbeIsolated
    );
    assert_eq!(
        judged(&references(unknown()), &policy()).verdict,
        Verdict::ProbeIsolated
    );
    assert_eq!(
        judged(&references(slow()), &policy()).verdict,
        Verdict::ControlPlaneDown
    );
    assert_eq!(
        judged(&references(Outcome::Healthy), &policy()).verdict,
        Verdict::ControlPlaneDown
    );
}

/// A vantage that has lost its own network since confirms nothing, not even when a later, thin observation hides that.
#[test]
fn what_was_seen_before_a_cut_off_confirms_nothing() {
    let mut observations: Vec<_> = [60, 120, 180]
        .map(|ago| seen(ago, "a", &[(API, down())]))
        .into();
    assert_eq!(
        judged(&observations, &policy()).verdict,
        Verdict::ControlPlaneDown
    );
    observations.push(seen(30, "a", &[("reference", down())]));
    assert_eq!(
        judged(&observations, &policy()).verdict,
        Verdict::ProbeIsolated
    );
    observations.push(seen(10, "a", &[("status-page", unknown())]));
    let judgement = judged(&observations, &policy());
    assert_eq!(judgement.verdict, Verdict::Suspect);
    assert!(
        judgement
            .why_not
            .iter()
            .any(|why| why.contains("the prober's own network fails"))
    );
}

#[test]
fn refusals_need_the_quorum_of_vantages_that_are_not_isolated() {
    let two = Policy {
        quorum: 2,
        ..policy()
    };
    let verdict = |a: UnknownCause, b: UnknownCause| {
        let mut observations = everywhere(&["a"], &[(API, a.into())]);
        observations.extend(everywhere(&["b"], &[("sign-in", b.into())]));
        judged(&observations, &two).verdict
    };
    use UnknownCause as Why;
    assert_eq!(
        verdict(Why::Unauthenticated, Why::Forbidden),
        Verdict::CredentialProblem
    );
    assert_eq!(verdict(Why::Throttled, Why::Throttled), Verdict::Throttled);
    assert_eq!(
        verdict(Why::NameNotFound, Why::NotConfigured),
        Verdict::Misconfigured
    );
    assert_eq!(
        verdict(Why::TlsRejected, Why::PrivateLinkBlocked),
        Verdict::Misconfigured
    );
    assert_eq!(
        verdict(Why::Forbidden, Why::Throttled),
        Verdict::Inconclusive
    );
    assert_eq!(
        verdict(Why::Forbidden, Why::WarehouseCold),
        Verdict::Inconclusive
    );
    // The second vantage is cut off now, or was when it was refused.
    let mut observations = everywhere(&["a"], &[(API, Why::Forbidden.into())]);
    observations.extend(everywhere(
        &["b"],
        &[(API, Why::Forbidden.into()), ("reference", down())],
    ));
    assert_eq!(judged(&observations, &two).verdict, Verdict::Inconclusive);
    let mut observations = everywhere(&["a", "b"], &[(API, Why::Forbidden.into())]);
    assert_eq!(
        judged(&observations, &two).verdict,
        Verdict::CredentialProblem
    );
    observations.push(seen(5, "b", &[("reference", down())]));
    assert_eq!(judged(&observations, &two).verdict, Verdict::Inconclusive);
    // It was refused too long ago.
    let mut observations = everywhere(&["a"], &[(API, Why::Forbidden.into())]);
    observations.push(seen(181, "b", &[(API, Why::Forbidden.into())]));
    observations.push(seen(10, "b", &[("status-page", Outcome::Healthy)]));
    assert_eq!(judged(&observations, &two).verdict, Verdict::Inconclusive);
    // The control plane is known to work.
    let signals = [(API, Outcome::Healthy), ("sign-in", Why::Forbidden.into())];
    let observations = everywhere(&["a", "b"], &signals);
    assert_eq!(judged(&observations, &two).verdict, Verdict::Healthy);
}

#[test]
fn a_verdict_that_rests_on_lost_names_says_so() {
    let rests = |name: &str| {
        let cases = cases(&examples());
        let (_, case) = cases.iter().find(|(file, _)| file == name).unwrap();
        case.judge().unwrap().rests_on_name_lost
    };
    assert!(rests("name-lost.json"));
    assert!(!rests("control-plane-503.json"));
    // One lost name among timeouts that suffice by themselves.
    let mut observations = everywhere(&["a"], &[(API, down())]);
    observations.push(seen(190, "a", &[(API, DownCause::NameLost.into())]));
    assert!(!judged(&observations, &policy()).rests_on_name_lost);
}

#[test]
fn reasons_come_in_words_and_numbers() {
    let two = Policy {
        quorum: 2,
        ..policy()
    };
    let mut observations = everywhere(&["b"], &[(API, Outcome::Healthy)]);
    observations.extend([20, 80].map(|ago| seen(ago, "a", &[(API, down())])));
    let judgement = judged(&observations, &two);
    assert_eq!(
        judgement.why_not,
        [
            "control-plane-api: Down at 0 of 2 vantages",
            "control-plane-api at a: 2 of 3 confirmations",
            "control-plane-api at a: first failure 80 s ago, grace 120 s",
        ]
    );
    assert_eq!(
        judgement.since,
        Some(now() - jiff::SignedDuration::from_secs(80))
    );
    observations.push(seen(140, "a", &[(API, down())]));
    assert_eq!(
        judged(&observations, &two).why_not,
        ["control-plane-api: Down at 1 of 2 vantages"]
    );
    let isolated = everywhere(&["a"], &[(API, down()), ("reference", down())]);
    assert!(judged(&isolated, &two).why_not[0].contains("the prober's own network fails"));
    let evidence = judged(&observations, &policy()).evidence;
    assert!(
        evidence.contains(
            &"control-plane-api at a: Down, newest Down (ConnectTimeout) 20 s ago; of the last 3 known 3 Down, \
              0 Degraded; first failure 2026-05-04T02:27:40Z, 140 s ago"
                .to_owned()
        ),
        "{evidence:#?}"
    );
}
