//! The transitions of the state, and what holds in whatever order they come.

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn run(name: &str) -> (RunId, RunToken) {
    (RunId::new(name), RunToken::new(format!("arn:{name}")))
}

fn ended(state: &mut State, run: &RunId, token: &RunToken) -> bool {
    state.end_attempt(run, token, Outcome::Stopped, "", at(9))
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
    assert!(ended(&mut state, &a, &ta));
    state.take_lock(&b, &tb, Mode::Failover, at(4)).unwrap();
    assert!(
        state
            .commit(SiteLabel::Secondary, &a, &ta, Epoch::first(), at(5))
            .is_err()
    );
    assert!(
        state
            .raise_fence(SiteLabel::Primary, &a, &ta, at(5))
            .is_err()
    );
    assert!(!ended(&mut state, &a, &ta));
    assert_eq!(state.active_site, SiteLabel::Primary);
}

#[test]
fn a_resumed_run_takes_its_own_lock_over_and_its_old_execution_is_a_zombie() {
    let mut state = State::initial(PlanName::new("p"));
    let (a, ta) = run("a");
    let again = RunToken::new("arn:again");
    state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
    state
        .resume_lock(&a, &again, &ta, Mode::Failover, at(2))
        .unwrap();
    assert!(state.require_lock(&a, &ta).is_err());
    assert!(state.require_lock(&a, &again).is_ok());
    let (b, tb) = run("b");
    assert!(
        state
            .resume_lock(&b, &tb, &tb, Mode::Failover, at(3))
            .is_err(),
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
    state
        .commit(SiteLabel::Secondary, &a, &ta, Epoch::first(), at(2))
        .unwrap();
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
    state
        .commit(SiteLabel::Secondary, &a, &ta, Epoch::first(), at(2))
        .unwrap();
    ended(&mut state, &a, &ta);
    state.unsettled = None;
    seen_quiet(&mut state, SiteLabel::Primary);
    let (home, token) = run("home");
    state
        .take_lock(&home, &token, Mode::Switchover, at(3))
        .unwrap();
    (state, home, token)
}

fn seen_quiet(state: &mut State, site: SiteLabel) {
    seen_quiet_at(state, site, at(3));
}

fn seen_quiet_at(state: &mut State, site: SiteLabel, moment: Timestamp) {
    if let Some(fence) = state.fences.get_mut(&site) {
        fence.note_quiet(QuietReading {
            began_at: moment,
            ended_at: moment,
        });
    }
}

fn seen_nothing_then_quiet(state: &mut State, site: SiteLabel, moment: Timestamp) {
    if let Some(fence) = state.fences.get_mut(&site) {
        fence.retract_quiet();
    }
    seen_quiet_at(state, site, moment);
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
        .commit(
            SiteLabel::Primary,
            &home,
            &token,
            Epoch::first().next(),
            at(5),
        )
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
    assert_eq!(
        state.end_drain(site, &home, &token, at(5)),
        Ok(false),
        "it was not quiet since then: what woke has written"
    );
    assert!(state.fences.get(&site).unwrap().drains);
    seen_quiet(&mut state, site);
    let stops = |state: &mut State| state.stop_replication(site, &home, &token, false);
    assert_eq!(stops(&mut state), Ok(false), "it has not drained");
    assert_eq!(state.end_drain(site, &home, &token, at(3)), Ok(true));
    assert!(
        state.fences.get(&site).unwrap().drains,
        "until the run has read the site once more"
    );
    let mut woken = state.clone();
    let fence = woken.fences.get_mut(&site).unwrap();
    fence.retract_quiet();
    assert_eq!(stops(&mut woken), Ok(false), "live again");
    seen_quiet_at(&mut woken, site, at(9));
    assert_eq!(stops(&mut woken), Ok(false), "quiet again, not drained");
    assert_eq!(woken.end_drain(site, &home, &token, at(9)), Ok(true));
    assert_eq!(stops(&mut woken), Ok(true));
    assert_eq!(stops(&mut state), Ok(true));
    state.raise_fence(site, &home, &token, at(7)).unwrap();
    assert!(!state.fences.get(&site).unwrap().drains);
    assert_eq!(stops(&mut state), Ok(true), "a repeated call");
    // The run stopped before a bucket denied anything, and something woke.
    seen_nothing_then_quiet(&mut state, site, at(12));
    let mut denied = state.clone();
    assert_eq!(stops(&mut state), Ok(false), "that must arrive, too");
    assert!(state.fences.get(&site).unwrap().drains);
    let stopped = denied.stop_replication(site, &home, &token, true);
    assert_eq!(stopped, Ok(true), "nothing can arrive any more");
}

#[test]
fn a_fence_on_a_site_never_seen_quiet_is_lifted_only_when_confirmed() {
    let mut state = State::initial(PlanName::new("p"));
    let (a, ta) = run("a");
    state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
    state
        .raise_fence(SiteLabel::Primary, &a, &ta, at(1))
        .unwrap();
    state
        .commit(SiteLabel::Secondary, &a, &ta, Epoch::first(), at(2))
        .unwrap();
    ended(&mut state, &a, &ta);
    assert_eq!(
        state.lift_fence(SiteLabel::Primary, LiftGround::FreshReading, at(3)),
        Err(Refusal::NeverQuiet {
            site: SiteLabel::Primary
        })
    );
    assert!(
        state
            .lift_fence(SiteLabel::Primary, LiftGround::AcceptedOverride, at(3))
            .is_ok()
    );
}

#[test]
fn a_fence_is_lifted_only_when_no_pass_is_under_way_and_passes_make_room() {
    let mut state = State::initial(PlanName::new("p"));
    let (a, ta) = run("a");
    let site = SiteLabel::Primary;
    state.take_lock(&a, &ta, Mode::Failover, at(1)).unwrap();
    state.raise_fence(site, &a, &ta, at(1)).unwrap();
    ended(&mut state, &a, &ta);
    state.hold_pass(site, "one", at(2), at(30)).unwrap();
    assert!(matches!(
        state.hold_pass(site, "two", at(3), at(31)),
        Err(Refusal::PassUnderWay { .. })
    ));
    assert_eq!(
        state.lift_fence(site, LiftGround::AcceptedOverride, at(4)),
        Ok(Lifted::Waits)
    );
    assert!(matches!(
        state.hold_pass(site, "one", at(5), at(35)),
        Err(Refusal::Lifting { .. })
    ));
    state.end_pass(site, "two");
    assert_eq!(
        state.lift_fence(site, LiftGround::AcceptedOverride, at(6)),
        Ok(Lifted::Waits)
    );
    let mut killed = state.clone();
    assert!(
        matches!(
            killed.lift_fence(site, LiftGround::AcceptedOverride, at(31)),
            Ok(Lifted::Done(_))
        ),
        "a pass that was killed runs out"
    );
    state.end_pass(site, "one");
    assert!(matches!(
        state.lift_fence(site, LiftGround::AcceptedOverride, at(7)),
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

/// Review finding 2b: a week after the last quiet reading its proof is worth nothing.
#[test]
fn an_old_reading_lifts_no_fence_and_a_live_one_takes_the_proof_back() {
    let (mut state, home, token) = going_home();
    let site = SiteLabel::Primary;
    let lift = |state: &State, now| {
        let mut state = state.clone();
        ended(&mut state, &home, &token);
        state.lift_fence(site, LiftGround::FreshReading, now)
    };
    assert!(matches!(lift(&state, at(3 + 120)), Ok(Lifted::Done(_))));
    let stale = lift(&state, at(3 + 121));
    assert_eq!(stale, Err(Refusal::NeverQuiet { site }));
    if let Some(fence) = state.fences.get_mut(&site) {
        fence.retract_quiet();
    }
    assert_eq!(lift(&state, at(4)), Err(Refusal::NeverQuiet { site }));
    // A reading that takes long is waited for, within 15 minutes.
    for (took, age, fresh) in [(300, 600, true), (300, 601, false), (1000, 901, false)] {
        let reading = QuietReading {
            began_at: at(0),
            ended_at: at(took),
        };
        assert_eq!(reading.is_fresh(at(age)), fresh, "{took} {age}");
    }
}

/// Review findings 5 and 6.
#[test]
fn an_ended_execution_takes_no_lock_and_an_abandoned_run_does_not_commit() {
    let mut state = State::initial(PlanName::new("p"));
    let (a, ta) = run("a");
    // Stopped before its BeginRun took the lock: close-run was faster.
    assert!(!ended(&mut state, &a, &ta));
    let late = state.take_lock(&a, &ta, Mode::Failover, at(10));
    assert!(matches!(late, Err(Refusal::LockLost { .. })));
    let (b, tb) = run("b");
    state.take_lock(&b, &tb, Mode::Failover, at(11)).unwrap();
    state
        .raise_fence(SiteLabel::Primary, &b, &tb, at(11))
        .unwrap();
    assert_eq!(state.abandon(&b, &tb, "typo", at(12)), Ok(true));
    assert_eq!(state.abandon(&b, &tb, "typo", at(13)), Ok(false), "again");
    assert_eq!(state.end_of(&tb).unwrap().outcome, Outcome::Abandoned);
    let zombie = state.commit(SiteLabel::Secondary, &b, &tb, Epoch::first(), at(14));
    assert!(matches!(zombie, Err(Refusal::LockLost { .. })));
    let again = RunToken::new("arn:b2");
    state
        .resume_lock(&b, &again, &tb, Mode::Failover, at(15))
        .unwrap();
    state
        .commit(SiteLabel::Secondary, &b, &again, Epoch::first(), at(16))
        .unwrap();
    let refused = state.abandon(&b, &again, "late", at(17));
    assert!(matches!(refused, Err(Refusal::Committed { .. })));
}

/// Review finding 6: a slow BeginRun of an older resume.
#[test]
fn a_resume_takes_over_only_the_attempt_that_it_has_read() {
    let mut state = State::initial(PlanName::new("p"));
    let (a, first) = run("a");
    let (second, third) = (RunToken::new("arn:2"), RunToken::new("arn:3"));
    state.take_lock(&a, &first, Mode::Failover, at(1)).unwrap();
    state
        .resume_lock(&a, &second, &first, Mode::Failover, at(2))
        .unwrap();
    let slow = state.resume_lock(&a, &third, &first, Mode::Failover, at(3));
    assert!(matches!(slow, Err(Refusal::Locked { .. })));
    assert!(state.require_lock(&a, &second).is_ok());
    let zombie = state.resume_lock(&a, &first, &second, Mode::Failover, at(4));
    assert!(matches!(zombie, Err(Refusal::LockLost { .. })));
    assert!(state.require_lock(&a, &second).is_ok(), "nothing was taken");
}

#[test]
fn a_commit_is_of_the_epoch_in_which_its_run_began() {
    let (mut state, home, token) = going_home();
    let site = SiteLabel::Secondary;
    state.raise_fence(site, &home, &token, at(4)).unwrap();
    seen_quiet(&mut state, site);
    state
        .lift_in_run(SiteLabel::Primary, &home, &token, at(4))
        .unwrap();
    let old = state.commit(SiteLabel::Primary, &home, &token, Epoch::first(), at(5));
    assert!(matches!(old, Err(Refusal::Changed { .. })));
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
                Act::Release(r, t) => { let (r, t) = who(r, t); ended(&mut state, &r, &t); }
                Act::Fence(r, t) => { let (r, t) = who(r, t); let _ = state.raise_fence(SiteLabel::Primary, &r, &t, now); }
                Act::Commit(r, t) => {
                    let (r, t) = who(r, t);
                    let held = before.require_lock(&r, &t).is_ok();
                    let again = before.last_commit.as_ref().is_some_and(|c| c.run == r);
                    let done = state.commit(SiteLabel::Secondary, &r, &t, Epoch::first(), now).is_ok();
                    let fenced = before.fences.contains_key(&SiteLabel::Primary);
                    let in_epoch = before.epoch == Epoch::first();
                    prop_assert_eq!(held && ((fenced && in_epoch) || again), done, "a commit needs the lock, the fence and its epoch");
                }
                Act::Lift => {
                    let allowed = before.lock.is_none() && !before.fences.is_empty();
                    prop_assert_eq!(state.lift_fence(SiteLabel::Primary, LiftGround::AcceptedOverride, now).is_ok(), allowed);
                    continue;
                }
            }
            prop_assert!(state.epoch >= before.epoch);
            let holder = state.lock.as_ref().map(|lock| &lock.token);
            prop_assert!(!holder.is_some_and(|t| state.ended_tokens.contains(t)), "an ended execution holds the lock");
            prop_assert!(before.fences.keys().all(|site| state.fences.contains_key(site)));
            if let (Some(old), Some(new)) = (&before.lock, &state.lock) {
                prop_assert_eq!(&old.token, &new.token, "the lock changed hands without being released");
            }
        }
    }
}
