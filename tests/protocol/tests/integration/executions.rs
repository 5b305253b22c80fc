//! What becomes of a run whose execution is over: Step Functions says so, whatever our own documents say.

use aws::Ports;
use aws::executions::{ExecutionStatus, MemoryExecutions};
use recovery::failure::FailureName;
use recovery::run::Outcome;
use recovery::site::RunId;

use crate::world::{
    assert_one_truth, before_the_commit, begin, begin_as, commit, run_id, sweep, token, world,
};

fn ended(status: ExecutionStatus) -> MemoryExecutions {
    let executions = MemoryExecutions::default();
    executions.end(&RunId::new("run-1"), status);
    executions
}

/// Review finding 6: start, see the typo, press Stop; the function goes on and takes the lock, which nobody frees.
#[tokio::test]
async fn an_execution_that_is_over_takes_no_lock() {
    for status in [ExecutionStatus::Stopped, ExecutionStatus::Failed] {
        let ports = world().await;
        let refused = begin_as(&ports, &ended(status)).await.unwrap_err();
        assert_eq!(refused.name, FailureName::LockLost, "{refused}");
        let (state, run) = assert_one_truth(&ports, "refused").await;
        assert!(state.lock.is_none() && run.is_none());
    }
}

/// The event that would have closed it is lost.
#[tokio::test]
async fn a_lock_whose_execution_is_over_is_freed_by_the_schedule_and_told() {
    for (status, outcome) in [
        (ExecutionStatus::Stopped, Outcome::Stopped),
        (ExecutionStatus::Failed, Outcome::Failed),
    ] {
        let ports = world().await;
        begin(&ports).await.unwrap();
        let executions = MemoryExecutions::default();
        sweep(&ports, &executions).await.unwrap();
        assert!(ports.state().await.unwrap().lock.is_some(), "it goes on");
        sweep(&ports, &ended(status)).await.unwrap();
        let (state, run) = assert_one_truth(&ports, "swept").await;
        assert!(state.lock.is_none());
        let run = run.unwrap();
        assert_eq!(run.outcome, Some(outcome));
        assert!(run.told_at.is_some(), "people were notified");
    }
}

#[tokio::test]
async fn a_lock_without_a_run_is_freed_by_the_schedule() {
    let ports = world().await;
    take_lock(&ports).await;
    sweep(&ports, &ended(ExecutionStatus::Stopped))
        .await
        .unwrap();
    let (state, run) = assert_one_truth(&ports, "swept").await;
    assert!(state.lock.is_none() && run.is_none());
    assert!(state.ended_tokens.contains(&token("run-1")));
}

async fn take_lock(ports: &Ports) {
    let (run, token) = (run_id(), token("run-1"));
    let mode = recovery::run::Mode::Failover;
    ports
        .change_state(|state| state.take_lock(&run, &token, mode, crate::world::now()))
        .await
        .unwrap();
}

/// What has committed stays so, and can be resumed.
#[tokio::test]
async fn a_committed_run_that_is_swept_keeps_its_commit() {
    let ports = before_the_commit().await;
    commit(&ports, "run-1").await.unwrap();
    sweep(&ports, &ended(ExecutionStatus::Failed))
        .await
        .unwrap();
    let (state, run) = assert_one_truth(&ports, "swept").await;
    assert!(state.lock.is_none());
    assert!(run.unwrap().committed_at.is_some());
    crate::world::resume(&ports, "again").await.unwrap();
}
