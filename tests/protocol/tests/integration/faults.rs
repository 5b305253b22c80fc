//! Each handler survives a failure before and after each of its requests to the store, and succeeds when it is repeated.

use std::sync::Arc;

use aws::{Failure, Ports};
use protocol::faulty::{Fault, Faulty};
use recovery::failure::FailureName;
use recovery::run::{Outcome, Stage};
use recovery::site::SiteLabel;

use crate::world::{
    abandon, assert_one_truth, before_the_commit, begin, commit, now, over, resume, run_id,
    stopped, token, world,
};

const FAULTS: [Fault; 5] = [
    Fault::DiesBefore,
    Fault::DiesAfter,
    Fault::LostRequest,
    Fault::LostAnswer,
    Fault::ConflictAfter,
];

/// Runs the handler with the fault at each of its requests, then again without: it must succeed, and `check` must hold.
pub(crate) async fn survive<W, H, C>(setting: impl Fn() -> W, handler: H, check: C)
where
    W: Future<Output = Ports>,
    H: AsyncFn(&Ports) -> Result<(), Failure>,
    C: AsyncFn(&Ports, &str),
{
    for fault in FAULTS {
        for at in 0..200 {
            let ports = setting().await;
            let faulty = Faulty::new(Arc::clone(&ports.store), fault, at);
            let broken = over(&ports, Arc::<Faulty>::clone(&faulty));
            let what = format!("{fault:?} at request {at}");
            tokio::select! {
                result = handler(&broken) => drop(result),
                () = faulty.dies.notified() => {}
            }
            assert_one_truth(&ports, &what).await;
            handler(&ports)
                .await
                .unwrap_or_else(|failure| panic!("{what}: repeated: {failure}"));
            assert_one_truth(&ports, &what).await;
            check(&ports, &what).await;
            if !faulty.happened() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn begin_run() {
    survive(world, begin, async |ports: &Ports, what: &str| {
        let (state, run) = assert_one_truth(ports, what).await;
        assert_eq!(state.lock.unwrap().token, token("run-1"), "{what}");
        assert_eq!(run.unwrap().outcome, None, "{what}");
    })
    .await;
}

#[tokio::test]
async fn resume_of_a_stopped_run() {
    let stopped_once = || async {
        let ports = before_the_commit().await;
        stopped(&ports, "run-1").await.unwrap();
        ports
    };
    let again = async |ports: &Ports| resume(ports, "again").await;
    survive(stopped_once, again, async |ports: &Ports, what: &str| {
        let (state, run) = assert_one_truth(ports, what).await;
        let run = run.unwrap();
        assert_eq!(
            (state.lock.unwrap().token, run.attempt),
            (run.token, 2),
            "{what}"
        );
    })
    .await;
}

#[tokio::test]
async fn the_commit() {
    let first = async |ports: &Ports| commit(ports, "run-1").await;
    survive(
        before_the_commit,
        first,
        async |ports: &Ports, what: &str| {
            let (state, run) = assert_one_truth(ports, what).await;
            assert_eq!(state.active_site, SiteLabel::Secondary, "{what}");
            assert_eq!(
                run.unwrap().committed_at,
                state.last_commit.map(|c| c.at),
                "{what}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn an_abandon() {
    survive(
        before_the_commit,
        abandon,
        async |ports: &Ports, what: &str| {
            let (state, run) = assert_one_truth(ports, what).await;
            assert!(state.lock.is_none(), "{what}");
            assert_eq!(run.unwrap().outcome, Some(Outcome::Abandoned), "{what}");
            assert!(commit(ports, "run-1").await.is_err(), "{what}: a zombie");
        },
    )
    .await;
}

/// A run that took the lock and died before it wrote its document can be ended by people.
#[tokio::test]
async fn a_run_without_a_document_is_abandoned() {
    for at in 0..200 {
        let ports = world().await;
        let faulty = Faulty::new(Arc::clone(&ports.store), Fault::DiesBefore, at);
        let broken = over(&ports, Arc::<Faulty>::clone(&faulty));
        let result = tokio::select! {
            result = begin(&broken) => Some(result),
            () = faulty.dies.notified() => None,
        };
        if ports.state().await.unwrap().lock.is_some() {
            abandon(&ports).await.unwrap();
            assert!(ports.state().await.unwrap().lock.is_none(), "request {at}");
        }
        if result.is_some() {
            return;
        }
    }
    panic!("it never ends");
}

#[tokio::test]
async fn the_close_of_a_stopped_execution() {
    let close = async |ports: &Ports| stopped(ports, "run-1").await;
    survive(
        before_the_commit,
        close,
        async |ports: &Ports, what: &str| {
            let (state, run) = assert_one_truth(ports, what).await;
            assert!(state.lock.is_none(), "{what}");
            assert_eq!(run.unwrap().outcome, Some(Outcome::Stopped), "{what}");
            let report = ports.store.get("runs/run-1/report.json").await.unwrap();
            assert!(report.is_some(), "{what}");
        },
    )
    .await;
}

/// S3 answers 412 to its own repeated request: the change is there, and must not be done twice.
#[tokio::test]
async fn a_change_that_was_done_before_its_412_is_not_done_again() {
    for at in 0..8 {
        let ports = before_the_commit().await;
        let before = ports.state().await.unwrap().epoch;
        let faulty = Faulty::new(Arc::clone(&ports.store), Fault::ConflictAfter, at);
        let broken = over(&ports, Arc::<Faulty>::clone(&faulty));
        broken
            .change_state(|state| {
                state.epoch = state.epoch.next();
                Ok(())
            })
            .await
            .unwrap();
        let after = ports.state().await.unwrap().epoch;
        assert_eq!(after, before.next(), "412 after request {at}");
        if !faulty.happened() {
            assert!(at > 1, "a change reads and writes");
            return;
        }
    }
    panic!("it never ends");
}

/// The state is the truth: an execution whose attempt has ended writes nothing, although `run.json` still names its token.
#[tokio::test]
async fn run_json_is_written_only_under_the_lock() {
    let ports = before_the_commit().await;
    let (run, token) = (run_id(), token("run-1"));
    ports
        .change_state(|state| {
            state.end_attempt(&run, &token, Outcome::Stopped, "stopped", now());
            Ok(())
        })
        .await
        .unwrap();
    let before = ports.run(&run).await.unwrap();
    assert_eq!(
        (before.token.clone(), before.outcome),
        (token.clone(), None)
    );
    let zombie = ports.finish(&run, &token, Stage::Pools).await.unwrap_err();
    assert_eq!(zombie.name, FailureName::LockLost);
    assert_eq!(ports.run(&run).await.unwrap(), before);
}
