//! One function runs whole between any two requests of another, at every place.

use std::sync::Arc;

use aws::Ports;
use protocol::faulty::Faulty;
use recovery::run::Outcome;
use recovery::site::RunId;
use recovery::state::Commit;

use crate::world::{
    abandon, assert_one_truth, before_the_commit, begin, commit, lost, now, ready_to_commit,
    resume, run_id, stopped, token, world,
};

/// Calls `at(ports, n)` for the requests n = 0, 1, ... of a function until it makes no request n. `first` gets ports whose store lets
/// `second` run whole before request n.
macro_rules! at_every_request {
    ($ports:expr, $first:expr, $second:expr, $after:expr) => {
        for at in 0..200 {
            let ports: Ports = $ports.await;
            let other = ports.clone();
            let store = Faulty::interrupted(Arc::clone(&ports.store), at, async move {
                let _ = $second(&other).await;
            });
            let over = crate::world::over(&ports, Arc::<Faulty>::clone(&store));
            let _ = $first(&over).await;
            $after(ports, format!("before request {at}")).await;
            if !store.happened() {
                assert!(at > 3, "it makes more requests than {at}");
                break;
            }
        }
    };
}

/// Review finding 5: 7 of 60 seeds ended abandoned and committed, which nothing could resume.
#[tokio::test]
async fn an_abandoned_run_never_commits_and_a_committed_one_is_never_abandoned() {
    async fn after(ports: Ports, what: String) {
        let (state, run) = assert_one_truth(&ports, &what).await;
        let end = state.end_of(&token("run-1")).map(|end| end.outcome);
        assert_ne!(
            end == Some(Outcome::Abandoned),
            state.last_commit.is_some(),
            "{what}: exactly one of the two"
        );
        if state.last_commit.is_some() {
            // The way forward stays open.
            stopped(&ports, "run-1").await.unwrap();
            resume(&ports, "again").await.unwrap();
        } else {
            lost(&ports, "run-1").await.unwrap();
            let (_, run) = assert_one_truth(&ports, &what).await;
            assert_eq!(run.unwrap().outcome, Some(Outcome::Abandoned), "{what}");
        }
        drop(run);
    }
    at_every_request!(
        before_the_commit(),
        abandon,
        |p: &Ports| commit_owned(p.clone()),
        after
    );
    at_every_request!(
        before_the_commit(),
        |p: &Ports| commit_owned(p.clone()),
        |p: &Ports| abandon_owned(p.clone()),
        after
    );
}

/// The state remembers the newest commit and the newest ends only.
#[tokio::test]
async fn a_run_that_committed_before_the_newest_commit_is_not_abandoned_either() {
    let ports = before_the_commit().await;
    commit(&ports, "run-1").await.unwrap();
    stopped(&ports, "run-1").await.unwrap();
    let another = Commit {
        run: RunId::new("run-2"),
        at: now(),
    };
    ports
        .change_state(|state| {
            state.last_commit = Some(another.clone());
            state.ends.clear();
            Ok(())
        })
        .await
        .unwrap();
    let refused = abandon(&ports).await.unwrap_err();
    assert!(refused.message.contains("has committed"), "{refused}");
    let run = ports.run(&run_id()).await.unwrap();
    assert_ne!(run.outcome, Some(Outcome::Abandoned));
}

#[tokio::test]
async fn a_run_that_reached_its_end_is_not_abandoned() {
    let ports = world().await;
    begin(&ports).await.unwrap();
    let execution = token("run-1");
    ports
        .change_state(|state| {
            state.end_attempt(&run_id(), &execution, Outcome::Completed, "done", now());
            Ok(())
        })
        .await
        .unwrap();
    let refused = abandon(&ports).await.unwrap_err();
    assert!(refused.message.contains("is completed"), "{refused}");
    let state = ports.state().await.unwrap();
    let end = state.end_of(&execution).unwrap();
    assert_eq!(end.outcome, Outcome::Completed);
}

async fn commit_owned(ports: Ports) -> Result<(), aws::Failure> {
    commit(&ports, "run-1").await
}

async fn abandon_owned(ports: Ports) -> Result<(), aws::Failure> {
    abandon(&ports).await
}

async fn stopped_owned(ports: Ports) -> Result<(), aws::Failure> {
    stopped(&ports, "run-1").await
}

async fn begin_owned(ports: Ports) -> Result<(), aws::Failure> {
    begin(&ports).await
}

async fn resume_owned(ports: Ports, execution: &'static str) -> Result<(), aws::Failure> {
    resume(&ports, execution).await
}

/// Review finding 6: a BeginRun that goes on after its execution was stopped and closed took a lock that nobody ever freed.
#[tokio::test]
async fn an_execution_that_was_stopped_leaves_no_lock_behind() {
    async fn after(ports: Ports, what: String) {
        let (state, _) = assert_one_truth(&ports, &what).await;
        // The stop was closed while it began, or at its end: closing it again changes nothing.
        stopped(&ports, "run-1").await.unwrap();
        let (again, _) = assert_one_truth(&ports, &what).await;
        assert!(again.lock.is_none(), "{what}: {:?}", state.lock);
    }
    at_every_request!(
        world(),
        |p: &Ports| begin_owned(p.clone()),
        |p: &Ports| stopped_owned(p.clone()),
        |ports: Ports, what: String| async move {
            let (state, _) = assert_one_truth(&ports, &what).await;
            if state.ended_tokens.contains(&token("run-1")) {
                assert!(
                    state.lock.is_none(),
                    "{what}: a stopped execution holds the lock"
                );
            }
            after(ports, what).await;
        }
    );
}

/// Review findings 6 and 9: of two resumes one acts, and the end of the other changes nothing of it.
#[tokio::test]
async fn of_two_resumes_one_acts_and_the_end_of_the_other_does_not_stamp_it() {
    async fn stopped_once() -> Ports {
        let ports = before_the_commit().await;
        stopped(&ports, "run-1").await.unwrap();
        ports
    }
    at_every_request!(
        stopped_once(),
        |p: &Ports| resume_owned(p.clone(), "second"),
        |p: &Ports| resume_owned(p.clone(), "third"),
        |ports: Ports, what: String| async move {
            let (state, run) = assert_one_truth(&ports, &what).await;
            let (lock, run) = (state.lock.unwrap(), run.unwrap());
            assert_eq!(lock.token, run.token, "{what}: lock and run agree");
            let (winner, loser) = if lock.token == token("second") {
                ("second", "third")
            } else {
                ("third", "second")
            };
            lost(&ports, loser).await.unwrap();
            stopped(&ports, loser).await.unwrap();
            stopped(&ports, "run-1").await.unwrap();
            let (state, run) = assert_one_truth(&ports, &what).await;
            assert_eq!(run.unwrap().outcome, None, "{what}: it runs");
            assert!(
                state.require_lock(&run_id(), &token(winner)).is_ok(),
                "{what}"
            );
            ready_to_commit(&ports, winner).await;
            commit(&ports, winner).await.unwrap();
        }
    );
}

/// Review finding 9: the event of the stop is worked off while, or after, the run is resumed.
#[tokio::test]
async fn a_late_close_of_an_older_attempt_says_nothing_of_a_newer_one() {
    async fn after(ports: Ports, what: String) {
        stopped(&ports, "run-1").await.unwrap();
        if ports.state().await.unwrap().lock.is_none() {
            // The stop was closed first and the resume was refused: it may be tried again.
            resume(&ports, "again").await.unwrap();
        }
        let (state, run) = assert_one_truth(&ports, &what).await;
        let (lock, run) = (state.lock.unwrap(), run.unwrap());
        assert_eq!((lock.token, None), (run.token, run.outcome), "{what}");
    }
    at_every_request!(
        before_the_commit(),
        |p: &Ports| resume_owned(p.clone(), "second"),
        |p: &Ports| stopped_owned(p.clone()),
        after
    );
    at_every_request!(
        before_the_commit(),
        |p: &Ports| stopped_owned(p.clone()),
        |p: &Ports| resume_owned(p.clone(), "second"),
        after
    );
}
