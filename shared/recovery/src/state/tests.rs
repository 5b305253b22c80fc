//! The transitions of the state, and what holds in whatever order they come.

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn run(name: &str) -> (RunId, RunToken) {
    (RunId::new(name), RunToken::new(format!("arn:{name}")))
}

#[test]
fn a_second_run_cannot_take_the_lock_and_a_zombie_cannot_commit() {
    let mut state = State::initial(PlanName::new("p"));
    let (a, ta) = run("a");
    let (b, tb) = run("b");
    state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
    state.take_lock(&a, &ta, Mode::Failover, at(2)).unwrap();
    assert!(matches!(
        state.take_lock(&b, &tb, Mode::Failover, at(3)),
        Err(Refusal::Locked { .. })
    ));
    assert!(state.release_lock(&a, &ta));
    state.take_lock(&b, &tb, Mode::Failover, at(4)).unwrap();
    assert!(state.commit(SiteLabel::Secondary, &a, &ta, at(5)).is_err());
    assert!(
        state
            .raise_fence(SiteLabel::Primary, &a, &ta, at(5))
            .is_err()
    );
    assert!(!state.release_lock(&a, &ta));
    assert_eq!(state.active_site, SiteLabel::Primary);
}

#[test]
fn a_resumed_run_takes_its_own_lock_over_and_its_old_execution_is_a_zombie() {
    let mut state = State::initial(PlanName::new("p"));
    let (a, ta) = run("a");
    let again = RunToken::new("arn:again");
    state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
    state
        .resume_lock(&a, &again, Mode::Failover, at(2))
        .unwrap();
    assert!(state.require_lock(&a, &ta).is_err());
    assert!(state.require_lock(&a, &again).is_ok());
    let (b, tb) = run("b");
    assert!(
        state.resume_lock(&b, &tb, Mode::Failover, at(3)).is_err(),
        "only its own"
    );
}

#[test]
fn a_failover_takes_the_lock_from_a_lesser_run_but_not_from_one_that_has_committed() {
    let (a, ta) = run("a");
    let (b, tb) = run("b");
    for lesser in [Mode::Drill, Mode::Switchover] {
        let mut state = State::initial(PlanName::new("p"));
        state.take_lock(&a, &ta, lesser, at(1)).unwrap();
        for planned in [Mode::Drill, Mode::Switchover] {
            let refused = state.take_lock(&b, &tb, planned, at(2));
            assert!(matches!(refused, Err(Refusal::Locked { .. })));
        }
        state.take_lock(&b, &tb, Mode::Failover, at(3)).unwrap();
        assert!(state.require_lock(&a, &ta).is_err(), "it is a zombie now");
    }
    let mut state = State::initial(PlanName::new("p"));
    state.take_lock(&a, &ta, Mode::Switchover, at(1)).unwrap();
    state
        .raise_fence(SiteLabel::Primary, &a, &ta, at(1))
        .unwrap();
    state.commit(SiteLabel::Secondary, &a, &ta, at(2)).unwrap();
    let refused = state.take_lock(&b, &tb, Mode::Failover, at(3));
    assert!(matches!(refused, Err(Refusal::Locked { .. })));
}

/// A failover to the secondary is over, the primary was seen quiet; a switchover home has the lock.
fn going_home() -> (State, RunId, RunToken) {
    let mut state = State::initial(PlanName::new("p"));
    let (a, ta) = run("a");
    state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
    state
        .raise_fence(SiteLabel::Primary, &a, &ta, at(1))
        .unwrap();
    state.commit(SiteLabel::Secondary, &a, &ta, at(2)).unwrap();
    state.release_lock(&a, &ta);
    state.unsettled = None;
    seen_quiet(&mut state, SiteLabel::Primary);
    let (home, token) = run("home");
    state
        .take_lock(&home, &token, Mode::Switchover, at(3))
        .unwrap();
    (state, home, token)
}

fn seen_quiet(state: &mut State, site: SiteLabel) {
    if let Some(fence) = state.fences.get_mut(&site) {
        fence.verified_at = Some(at(3));
    }
}

#[test]
fn the_targets_fence_is_lifted_only_when_the_site_that_is_left_was_seen_quiet() {
    let (mut state, home, token) = going_home();
    let lift = |state: &mut State, site| state.lift_in_run(site, &home, &token, at(4));
    let early = lift(&mut state, SiteLabel::Primary);
    assert!(matches!(early, Err(Refusal::NeverQuiet { .. })));
    state
        .raise_fence(SiteLabel::Secondary, &home, &token, at(4))
        .unwrap();
    let unverified = lift(&mut state, SiteLabel::Primary);
    assert!(matches!(unverified, Err(Refusal::NeverQuiet { .. })));
    seen_quiet(&mut state, SiteLabel::Secondary);
    let active = lift(&mut state, SiteLabel::Secondary);
    assert!(matches!(active, Err(Refusal::NeverQuiet { .. })));
    let done = lift(&mut state, SiteLabel::Primary);
    assert!(matches!(done, Ok(Some(Lifted::Done(_)))));
    assert_eq!(lift(&mut state, SiteLabel::Primary), Ok(None));
    state
        .commit(SiteLabel::Primary, &home, &token, at(5))
        .unwrap();
    let after = lift(&mut state, SiteLabel::Secondary);
    assert!(matches!(after, Ok(Some(Lifted::Done(_)))));
    assert!(state.fences.is_empty());
}

#[test]
fn replication_from_a_site_that_is_left_as_planned_flows_until_it_has_drained() {
    let (mut state, home, token) = going_home();
    let site = SiteLabel::Secondary;
    state.raise_fence(site, &home, &token, at(4)).unwrap();
    assert!(state.fences.get(&site).unwrap().drains);
    state.raise_fence(site, &home, &token, at(5)).unwrap();
    assert!(state.fences.get(&site).unwrap().drains, "a repeated call");
    let mut overtaken = state.clone();
    let (b, tb) = run("b");
    overtaken.take_lock(&b, &tb, Mode::Failover, at(6)).unwrap();
    overtaken.raise_fence(site, &b, &tb, at(6)).unwrap();
    assert!(!overtaken.fences.get(&site).unwrap().drains);
    state.end_drain(site, &home, &token).unwrap();
    state.raise_fence(site, &home, &token, at(7)).unwrap();
    assert!(!state.fences.get(&site).unwrap().drains);
}

#[test]
fn a_fence_on_a_site_never_seen_quiet_is_lifted_only_when_confirmed() {
    let mut state = State::initial(PlanName::new("p"));
    let (a, ta) = run("a");
    state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
    state
        .raise_fence(SiteLabel::Primary, &a, &ta, at(1))
        .unwrap();
    state.commit(SiteLabel::Secondary, &a, &ta, at(2)).unwrap();
    state.release_lock(&a, &ta);
    assert_eq!(
        state.lift_fence(SiteLabel::Primary, false, at(3)),
        Err(Refusal::NeverQuiet {
            site: SiteLabel::Primary
        })
    );
    assert!(state.lift_fence(SiteLabel::Primary, true, at(3)).is_ok());
}

#[test]
fn a_fence_is_lifted_only_when_no_pass_is_under_way_and_passes_make_room() {
    let mut state = State::initial(PlanName::new("p"));
    let (a, ta) = run("a");
    let site = SiteLabel::Primary;
    state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
    state.raise_fence(site, &a, &ta, at(1)).unwrap();
    state.release_lock(&a, &ta);
    state.hold_pass(site, "one", at(2), at(30)).unwrap();
    assert!(matches!(
        state.hold_pass(site, "two", at(3), at(31)),
        Err(Refusal::PassUnderWay { .. })
    ));
    assert_eq!(state.lift_fence(site, true, at(4)), Ok(Lifted::Waits));
    assert!(matches!(
        state.hold_pass(site, "one", at(5), at(35)),
        Err(Refusal::Lifting { .. })
    ));
    state.end_pass(site, "two");
    assert_eq!(state.lift_fence(site, true, at(6)), Ok(Lifted::Waits));
    let mut killed = state.clone();
    assert!(
        matches!(killed.lift_fence(site, true, at(31)), Ok(Lifted::Done(_))),
        "a pass that was killed runs out"
    );
    state.end_pass(site, "one");
    assert!(matches!(
        state.lift_fence(site, true, at(7)),
        Ok(Lifted::Done(_))
    ));
}

#[test]
fn a_hold_blocks_every_start_and_a_cool_down_none_of_a_person() {
    let mut state = State::initial(PlanName::new("p"));
    let (a, ta) = run("a");
    state.cool_down_until = Some(at(10));
    assert!(
        state
            .clone()
            .take_lock(&a, &ta, Mode::Failover, at(9))
            .is_ok()
    );
    state.hold = Some(Hold {
        who: "w".into(),
        why: "y".into(),
        since: at(1),
    });
    assert!(matches!(
        state.take_lock(&a, &ta, Mode::Failover, at(20)),
        Err(Refusal::Held { .. })
    ));
}

#[derive(Clone, Debug)]
enum Act {
    Take(u8, u8),
    Release(u8, u8),
    Fence(u8, u8),
    Commit(u8, u8),
    Lift,
}

fn act() -> impl Strategy<Value = Act> {
    let who = || (0u8..3, 0u8..2);
    prop_oneof![
        who().prop_map(|(r, t)| Act::Take(r, t)),
        who().prop_map(|(r, t)| Act::Release(r, t)),
        who().prop_map(|(r, t)| Act::Fence(r, t)),
        who().prop_map(|(r, t)| Act::Commit(r, t)),
        Just(Act::Lift),
    ]
}

proptest! {
    /// Whatever is tried in whatever order: only the holder changes anything, the epoch never falls and grows only
    /// with the active site's owner, and a fence disappears only by lifting.
    #[test]
    fn only_the_holder_changes_anything(acts in proptest::collection::vec(act(), 0..60)) {
        let mut state = State::initial(PlanName::new("p"));
        for (i, act) in acts.into_iter().enumerate() {
            let before = state.clone();
            let who = |r: u8, t: u8| (RunId::new(format!("r{r}")), RunToken::new(format!("r{r}-t{t}")));
            let now = at(i as i64);
            match act {
                Act::Take(r, t) => { let (r, t) = who(r, t); let _ = state.take_lock(&r, &t, Mode::Failover, now); }
                Act::Release(r, t) => { let (r, t) = who(r, t); state.release_lock(&r, &t); }
                Act::Fence(r, t) => { let (r, t) = who(r, t); let _ = state.raise_fence(SiteLabel::Primary, &r, &t, now); }
                Act::Commit(r, t) => {
                    let (r, t) = who(r, t);
                    let held = before.require_lock(&r, &t).is_ok();
                    let again = before.last_commit.as_ref().is_some_and(|c| c.run == r);
                    let done = state.commit(SiteLabel::Secondary, &r, &t, now).is_ok();
                    let fenced = before.fences.contains_key(&SiteLabel::Primary);
                    prop_assert_eq!(held && (fenced || again), done, "a commit needs the lock and the fence");
                }
                Act::Lift => {
                    let allowed = before.lock.is_none() && !before.fences.is_empty();
                    prop_assert_eq!(state.lift_fence(SiteLabel::Primary, true, now).is_ok(), allowed);
                    continue;
                }
            }
            prop_assert!(state.epoch >= before.epoch);
            prop_assert!(before.fences.keys().all(|site| state.fences.contains_key(site)));
            if let (Some(old), Some(new)) = (&before.lock, &state.lock) {
                prop_assert_eq!(&old.token, &new.token, "the lock changed hands without being released");
            }
        }
    }
}
