use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::plan::Plan;
use crate::run::{Outcome, RunDocument};
use crate::site::{PlanName, RunId, SiteLabel};
use crate::state::{Fence, State};
use crate::verdict::Verdict;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn plan(required: u32) -> Plan {
    let mut plan = Plan::parse(include_bytes!("../../../../infra/plan.example.json")).unwrap();
    plan.approval = serde_json::from_value(json!({
        "expires_after_seconds": 100, "remind_every_seconds": 20, "escalate_after_seconds": 50,
        "poll_seconds": 1, "on_expiry": "Decline", "required_approvals": required, "loss_tolerance_seconds": 60,
    }))
    .unwrap();
    plan
}

pub(super) fn run(actionable: bool) -> RunDocument {
    serde_json::from_value(json!({
        "format_version": 1, "run": "r", "plan": "lakehouse", "mode": "failover", "attempt": 1, "token": "t", "epoch": 0,
        "from": "primary", "target": "secondary", "begun_at": at(0),
        "evidence": {
            "verdict": if actionable { "ControlPlaneDown" } else { "Suspect" }, "actionable": actionable,
            "failing_since": at(0), "signals": [], "replication": null, "workspace_urls": {},
            "baseline": {"format_version": 1, "digest": "d", "site": "primary", "captured_at": at(0), "live": {}, "objects": 0},
        },
        "stages": [], "committed_at": null, "outcome": null, "reason": null, "closed_at": null, "told_at": null,
    }))
    .unwrap()
}

pub(super) fn loss(seconds: Option<i64>) -> Vec<Loss> {
    vec![Loss {
        name: "lake".into(),
        loss_seconds: seconds,
        objective_seconds: 900,
    }]
}

fn id(number: u128) -> ApprovalId {
    ApprovalId::from_bits(number)
}

/// A request that asks for nothing beyond the plan's rules.
pub(super) fn request(number: u128) -> Request {
    let (plan, run) = (plan(1), run(true));
    Asked::start(&plan, &run, loss(Some(10))).request(id(number), at(0))
}

fn wish(decision: Choice, via: Door, accepted: Vec<Override>) -> Wish {
    Wish {
        decision,
        who: "Ada".into(),
        why: "because".into(),
        via,
        accepted,
    }
}

fn page() -> Door {
    Door::Page {
        ip: "192.0.2.1".into(),
        user_agent: "browser".into(),
    }
}

fn iam(name: &str) -> Door {
    Door::Iam {
        principal: format!("arn:aws:sts::1:assumed-role/on-call/{name}"),
    }
}

fn decide(request: &Request, decisions: &mut Decisions, wish: Wish, second: i64) -> Receipt {
    record(request, decisions, &Standing::Open, wish, at(second))
}

#[test]
fn it_asks_once_reminds_escalates_and_expires() {
    let (plan, run) = (plan(1), run(true));
    let asked = Asked::start(&plan, &run, loss(Some(10)));
    let Step::Open { request, void } = next(&asked, None, None, id(1), at(0)) else {
        panic!()
    };
    assert_eq!(void, None);
    assert_eq!(request.expires_at, at(100));
    let step = |request: &Request, second| next(&asked, Some(request), None, id(2), at(second));
    let tell = |request: &Request, second, expected| {
        let Step::Tell(telling, request) = step(request, second) else {
            panic!("nothing was told at {second}")
        };
        assert_eq!(telling, expected);
        request
    };
    let unsent = request;
    let request = tell(&unsent, 3, Telling::Ask);
    assert_eq!(request.id, id(1));
    assert_eq!(
        tell(&unsent, 4, Telling::Ask).id,
        id(1),
        "a crash asks again, under the same id"
    );
    let pending = Step::Answer(ApprovalAnswer::Pending);
    assert_eq!(step(&request, 5), pending);
    let request = tell(&request, 20, Telling::Remind);
    assert_eq!(step(&request, 39), pending);
    let request = tell(&request, 50, Telling::Escalate);
    tell(&request, 51, Telling::Remind);
    assert_eq!(step(&request, 100), Step::Answer(ApprovalAnswer::Expired));
}

#[test]
fn what_is_asked_is_void_when_it_changes_beyond_the_limit() {
    let (plan, run) = (plan(1), run(true));
    let asked = |seconds| Asked::start(&plan, &run, loss(seconds));
    let request = asked(Some(100)).request(id(1), at(0));
    for (now, stands) in [
        (Some(90), true),
        (Some(160), true),
        (Some(161), false),
        (None, false),
    ] {
        assert_eq!(asked(now).still(&request).is_ok(), stands, "{now:?}");
    }
    let unknown = asked(None).request(id(1), at(0));
    assert!(
        asked(Some(10_000)).still(&unknown).is_ok(),
        "who accepts that nobody knows accepts any number"
    );
    let near = asked(Some(890)).request(id(1), at(0));
    assert!(
        asked(Some(910)).still(&near).is_err(),
        "within the tolerance, but now above the objective, which nobody has accepted"
    );
    let above = asked(Some(910)).request(id(1), at(0));
    assert!(asked(Some(960)).still(&above).is_ok());
    let mut other = plan.clone();
    other.fence.poll_seconds = crate::plan::Seconds(99);
    assert!(
        Asked::start(&other, &run, loss(Some(100)))
            .still(&request)
            .is_err()
    );
    let mut resumed = run.clone();
    resumed.attempt = 2;
    assert!(
        Asked::start(&plan, &resumed, loss(Some(100)))
            .still(&request)
            .is_err()
    );
    let mut baseline = run.clone();
    baseline.evidence.baseline.digest = crate::site::ContentDigest::of(b"another");
    let moved = Asked::start(&plan, &baseline, loss(Some(100)));
    let Step::Open {
        void,
        request: fresh,
    } = next(&moved, Some(&request), None, id(2), at(1))
    else {
        panic!()
    };
    assert!(void.is_some());
    assert_eq!(fresh.id, id(2));
}

#[test]
fn an_approval_of_something_else_is_none_of_this() {
    let (plan, run) = (plan(1), run(true));
    let asked = Asked::start(&plan, &run, loss(Some(10)));
    let mut request = asked.request(id(1), at(0));
    request.sent_at = Some(at(0));
    let mut decisions = Decisions::none(&request);
    let receipt = decide(
        &request,
        &mut decisions,
        wish(Choice::Approve, page(), vec![]),
        99,
    );
    assert!(matches!(
        receipt,
        Receipt::Recorded {
            end: Some(End::Approved),
            ..
        }
    ));
    let answer = |d: &Decisions| next(&asked, Some(&request), Some(d), id(9), at(500));
    assert_eq!(answer(&decisions), Step::Answer(ApprovalAnswer::Approved));
    let mut other = decisions.clone();
    other.id = id(2);
    assert_eq!(answer(&other), Step::Answer(ApprovalAnswer::Expired));
    other = decisions.clone();
    other.digest = crate::site::ContentDigest::of(b"other");
    assert_eq!(answer(&other), Step::Answer(ApprovalAnswer::Expired));
    other = decisions;
    other.decisions[0].at = at(100);
    assert_eq!(
        answer(&other),
        Step::Answer(ApprovalAnswer::Expired),
        "too late"
    );
}

#[test]
fn the_first_decision_is_the_only_one_and_late_ones_are_told_why() {
    let (plan, run) = (plan(1), run(true));
    let request = Asked::start(&plan, &run, loss(Some(10))).request(id(1), at(0));
    let approve = || wish(Choice::Approve, page(), vec![]);
    let mut decisions = Decisions::none(&request);
    assert_eq!(
        decide(&request, &mut decisions, approve(), 100),
        Receipt::Expired(at(100))
    );
    for standing in [Standing::Replaced, Standing::Gone("over".into())] {
        let receipt = record(&request, &mut decisions, &standing, approve(), at(1));
        assert!(
            matches!(receipt, Receipt::Replaced | Receipt::RunGone(_)),
            "{receipt:?}"
        );
    }
    assert!(decisions.decisions.is_empty());
    decide(
        &request,
        &mut decisions,
        wish(Choice::Decline, page(), vec![]),
        1,
    );
    assert_eq!(decisions.end(), Some(End::Declined));
    assert!(matches!(
        decide(&request, &mut decisions, approve(), 2),
        Receipt::AlreadyDecided(d) if d.decision == Choice::Decline
    ));
    assert_eq!(decisions.decisions.len(), 1);
}

#[test]
fn what_goes_beyond_the_rules_is_accepted_by_name_or_not_at_all() {
    let (plan, run) = (plan(1), run(false));
    let request = Asked::start(&plan, &run, loss(None)).request(id(1), at(0));
    assert_eq!(
        request.overrides,
        [
            Override::NotActionable {
                verdict: Some(Verdict::Suspect)
            },
            Override::LossAboveObjective {
                name: "lake".into(),
                loss_seconds: None,
                objective_seconds: 900,
                provisional: false,
            },
        ]
    );
    let mut decisions = Decisions::none(&request);
    for accepted in [vec![], vec![request.overrides[0].clone()]] {
        let receipt = decide(
            &request,
            &mut decisions,
            wish(Choice::Approve, page(), accepted),
            1,
        );
        assert!(matches!(receipt, Receipt::Refused(_)), "{receipt:?}");
    }
    let receipt = decide(
        &request,
        &mut decisions,
        wish(Choice::Approve, Door::Plan, request.overrides.clone()),
        1,
    );
    assert!(
        matches!(receipt, Receipt::Refused(_)),
        "the plan takes nothing upon itself"
    );
    decide(
        &request,
        &mut decisions,
        wish(Choice::Approve, page(), request.overrides.clone()),
        1,
    );
    assert_eq!(decisions.accepted(), request.overrides);
}

#[test]
fn with_more_than_one_approver_only_proven_people_count_and_each_once() {
    let (plan, run) = (plan(2), run(true));
    let request = Asked::start(&plan, &run, loss(Some(1))).request(id(1), at(0));
    let mut decisions = Decisions::none(&request);
    let invoke = Door::Invoke {
        request: "x".into(),
    };
    for door in [page(), invoke.clone()] {
        let receipt = decide(
            &request,
            &mut decisions,
            wish(Choice::Approve, door, vec![]),
            1,
        );
        assert!(matches!(receipt, Receipt::Refused(_)), "{receipt:?}");
    }
    let approve = |name| wish(Choice::Approve, iam(name), vec![]);
    assert_eq!(
        decide(&request, &mut decisions, approve("ada"), 1),
        Receipt::Recorded {
            end: None,
            approvals: 1,
            required: 2
        }
    );
    assert_eq!(
        decide(&request, &mut decisions, approve("ada"), 2),
        Receipt::SamePerson
    );
    let mut declined = decisions.clone();
    decide(
        &request,
        &mut declined,
        wish(Choice::Decline, invoke, vec![]),
        3,
    );
    assert_eq!(
        declined.end(),
        Some(End::Declined),
        "one decline ends it, by any door"
    );
    decide(&request, &mut decisions, approve("grace"), 3);
    assert_eq!(decisions.end(), Some(End::Approved));
    assert!(matches!(
        decide(
            &request,
            &mut decisions,
            wish(Choice::Decline, page(), vec![]),
            4
        ),
        Receipt::AlreadyDecided(_)
    ));
}

#[test]
fn who_and_why_say_something_and_fit() {
    let (plan, run) = (plan(1), run(true));
    let request = Asked::start(&plan, &run, vec![]).request(id(1), at(0));
    for (who, why) in [
        (" ", "y"),
        ("w", "\n"),
        ("a\nSubject: b", "y"),
        (&"w".repeat(201), "y"),
        ("w", &"y".repeat(1801)),
    ] {
        let mut decisions = Decisions::none(&request);
        let wish = Wish {
            who: who.into(),
            why: why.into(),
            ..wish(Choice::Decline, page(), vec![])
        };
        assert!(
            matches!(
                decide(&request, &mut decisions, wish, 1),
                Receipt::Refused(_)
            ),
            "{who:?} {why:?}"
        );
    }
}

#[test]
fn a_decision_for_what_is_gone_is_told_so() {
    let plan = plan(1);
    let mut run = run(true);
    let mut state = State::initial(PlanName::new("lakehouse"));
    let start = Asked::start(&plan, &run, vec![]).request(id(1), at(0));
    assert_eq!(standing(&id(1), &start, &run, &state), Standing::Open);
    assert_eq!(standing(&id(2), &start, &run, &state), Standing::Replaced);
    run.outcome = Some(Outcome::ValidationFailed);
    assert!(
        matches!(standing(&id(1), &start, &run, &state), Standing::Gone(why) if why.contains("ValidationFailed"))
    );
    let checks = BTreeSet::from(["sign in".to_owned()]);
    let validation = Asked::validation(&plan, &run, checks).request(id(3), at(0));
    assert_eq!(standing(&id(3), &validation, &run, &state), Standing::Open);
    let fence = Fence::raised(RunId::new("r"), at(5));
    let unfence =
        Asked::unfence(&plan, &run, SiteLabel::Primary, &fence, false, at(6)).request(id(4), at(6));
    assert_eq!(
        unfence.overrides,
        [Override::NeverQuiet {
            site: SiteLabel::Primary
        }]
    );
    assert!(matches!(
        standing(&id(4), &unfence, &run, &state),
        Standing::Gone(_)
    ));
    state.fences.insert(SiteLabel::Primary, fence);
    assert_eq!(standing(&id(4), &unfence, &run, &state), Standing::Open);
    run.attempt = 2;
    run.outcome = None;
    assert!(matches!(
        standing(&id(3), &validation, &run, &state),
        Standing::Gone(_)
    ));
}

#[test]
fn the_acceptance_of_failed_checks_outlives_the_attempt_and_covers_no_other_check() {
    let plan = plan(1);
    let mut run = run(true);
    let checks = |names: &[&str]| {
        names
            .iter()
            .map(|n| (*n).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let accepted = Asked::validation(&plan, &run, checks(&["a", "b"])).request(id(1), at(0));
    run.attempt = 2;
    let covers = |names: &[&str]| {
        let needed = Override::ValidationFailed {
            checks: checks(names),
        };
        accepted
            .overrides
            .iter()
            .any(|o| o.covers(&needed, plan.approval.loss_tolerance_seconds))
    };
    assert!(covers(&["a", "b"]) && covers(&["a"]));
    assert!(!covers(&["a", "c"]));
    let again = Asked::validation(&plan, &run, checks(&["a", "b"]));
    assert!(again.still(&accepted).is_ok());
}

#[test]
fn an_id_that_could_leave_its_folder_is_none() {
    let bits = u128::MAX - 1;
    let text = ApprovalId::from_bits(bits).to_string();
    assert_eq!(
        ApprovalId::parse(&text).unwrap(),
        ApprovalId::from_bits(bits)
    );
    for bad in ["", "../state", &"A".repeat(32), &"a".repeat(33), "é"] {
        assert!(ApprovalId::parse(bad).is_err(), "{bad:?}");
        assert!(serde_json::from_value::<ApprovalId>(json!(bad)).is_err());
    }
}

#[test]
fn views_are_counted_and_bounded() {
    let mut views = Views::none(RunId::new("r"), id(1));
    for second in 0..300 {
        views.add(View {
            at: at(second),
            ip: "i".into(),
            user_agent: "u".into(),
        });
    }
    assert_eq!((views.count, views.views.len()), (300, 200));
    assert_eq!(views.views[199].at, at(299));
}

proptest! {
    /// Whatever arrives by whatever door in whatever order: a decline ends it, no more approve than must, nobody twice, and
    /// after the end nothing is added.
    #[test]
    fn exactly_as_many_decisions_count_as_must(
        required in 1u32..=5,
        wishes in proptest::collection::vec((any::<bool>(), 0u8..8), 0..40),
    ) {
        let (plan, run) = (plan(required), run(true));
        let request = Asked::start(&plan, &run, loss(Some(1))).request(id(1), at(0));
        let mut decisions = Decisions::none(&request);
        for (approve, person) in wishes {
            let ended = decisions.end().is_some();
            let before = decisions.clone();
            let decision = if approve { Choice::Approve } else { Choice::Decline };
            let via = if person == 0 { page() } else { iam(&person.to_string()) };
            let receipt = decide(&request, &mut decisions, wish(decision, via, vec![]), 1);
            let recorded = matches!(receipt, Receipt::Recorded { .. });
            prop_assert!(!(ended && recorded));
            prop_assert_eq!(!recorded, before == decisions);
        }
        let approvals = decisions.approvals();
        prop_assert!(approvals <= required);
        let mut people: Vec<_> = decisions.decisions.iter().filter(|d| d.decision == Choice::Approve).map(|d| d.via.clone()).collect();
        people.dedup();
        prop_assert_eq!(people.len(), approvals as usize);
        prop_assert!(decisions.decisions.iter().filter(|d| d.decision == Choice::Decline).count() <= 1);
    }
}
