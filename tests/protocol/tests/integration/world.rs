//! One plan with a run on its way, and everybody who may act on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws::access_points::MemoryAccessPoints;
use aws::executions::MemoryExecutions;
use aws::fence_watch::{FenceWatch, MemoryFenceWatch};
use aws::store::Store;
use aws::{Failure, Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::baseline::{BASELINE_FORMAT, Baseline, BaselinePointer};
use recovery::inventory::Inventory;
use recovery::plan::Plan;
use recovery::run::{Outcome, RunDocument, Stage};
use recovery::site::{Epoch, Region, RunId, RunToken, SiteLabel};
use recovery::state::State;
use serde_json::{Value, json};

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_795_000_000).unwrap()
}

/// A plan, workspace URLs and a baseline of the primary.
pub(crate) async fn world() -> Ports {
    let example = include_str!("../../../../infra/plan.example.json");
    let mut plan: Value = serde_json::from_str(example).unwrap();
    let fields = plan.as_object_mut().unwrap();
    for list in ["groups", "data_sets", "access_points"] {
        fields.insert(list.to_owned(), json!([]));
    }
    fields.remove("replication_fence");
    fields.remove("hard_fence");
    let plan = Plan::parse(plan.to_string().as_bytes()).unwrap();
    let control = Region::new("us-west-2");
    let (ports, _, parameters, _) =
        Ports::in_memory(plan.name.clone(), control.clone(), Arc::new(now));
    ports.put(keys::PLAN, &plan).await.unwrap();
    for site in SiteLabel::ALL {
        let name = keys::workspace_url(&plan.name, site);
        let url = format!("https://{site}.cloud.databricks.com");
        aws::parameters::Parameters::put(&parameters, &control, &name, &url)
            .await
            .unwrap();
    }
    let baseline = Baseline {
        format_version: BASELINE_FORMAT,
        epoch: Epoch::first(),
        inventory: Inventory {
            site: SiteLabel::Primary,
            read_at: now(),
            resources: vec![],
            runs: vec![],
        },
        permissions: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    let pointer = BaselinePointer {
        format_version: BASELINE_FORMAT,
        digest: ports.store_baseline(&baseline).await.unwrap(),
        site: SiteLabel::Primary,
        captured_at: now(),
        live: BTreeMap::new(),
        objects: 0,
    };
    ports.put(keys::BASELINE, &pointer).await.unwrap();
    ports
}

pub(crate) fn run_id() -> RunId {
    RunId::new("run-1")
}

pub(crate) fn token(execution: &str) -> RunToken {
    RunToken::new(format!("arn:{execution}"))
}

fn invocation() -> Invocation {
    Invocation::lasting(Duration::from_secs(30))
}

pub(crate) async fn begin(ports: &Ports) -> Result<(), Failure> {
    execute(ports, "run-1", json!({"mode": "failover"})).await
}

pub(crate) async fn resume(ports: &Ports, execution: &str) -> Result<(), Failure> {
    execute(ports, execution, json!({"mode": "resume", "run": "run-1"})).await
}

pub(crate) async fn execute(ports: &Ports, name: &str, input: Value) -> Result<(), Failure> {
    let event = begin_run::Event {
        input,
        name: name.to_owned(),
        execution: token(name),
        machine: recovery::run::MACHINE.to_string(),
    };
    begin_run::handle(event, ports, &MemoryExecutions::default(), &invocation())
        .await
        .map(|_| ())
}

/// A run that has begun, fenced the primary and passed its validation.
pub(crate) async fn before_the_commit() -> Ports {
    let ports = world().await;
    begin(&ports).await.unwrap();
    ready_to_commit(&ports, "run-1").await;
    ports
}

pub(crate) async fn ready_to_commit(ports: &Ports, execution: &str) {
    let (run, token) = (run_id(), token(execution));
    ports
        .change_state(|state| state.raise_fence(SiteLabel::Primary, &run, &token, now()))
        .await
        .unwrap();
    ports
        .change_own_run(&run, &token, |d| d.finish(Stage::Validation, now()))
        .await
        .unwrap();
}

pub(crate) async fn commit(ports: &Ports, execution: &str) -> Result<(), Failure> {
    let event = json!({"run": "run-1", "token": token(execution), "phase": "Commit"});
    let event = serde_json::from_value(event).unwrap();
    let points = MemoryAccessPoints::new(vec![], vec![], 0);
    switch_endpoints::handle(event, ports, &points, &invocation())
        .await
        .map(|_| ())
}

pub(crate) async fn act(ports: &Ports, act: Value) -> Result<(), Failure> {
    act_watched(ports, &MemoryFenceWatch::default(), act).await
}

/// The same, with the watch that an act may start.
pub(crate) async fn act_watched(
    ports: &Ports,
    watch: &dyn FenceWatch,
    act: Value,
) -> Result<(), Failure> {
    let event = serde_json::from_value(act).unwrap();
    operate::handle(event, ports, watch, &invocation())
        .await
        .map(|_| ())
}

pub(crate) async fn abandon(ports: &Ports) -> Result<(), Failure> {
    act(
        ports,
        json!({"act": "abandon", "run": "run-1", "who": "Ada", "why": "typo"}),
    )
    .await
}

/// EventBridge says that an execution was stopped.
pub(crate) async fn stopped(ports: &Ports, execution: &str) -> Result<(), Failure> {
    let event = json!({"detail-type": "Step Functions Execution Status Change", "detail":
        {"executionArn": token(execution), "name": execution, "status": "ABORTED"}});
    close(ports, event).await
}

/// The state machine, at the end of a run that lost its lock.
pub(crate) async fn lost(ports: &Ports, execution: &str) -> Result<(), Failure> {
    let state = json!({"begin": {"run": "run-1"}, "error": {"Error": "LockLost", "Cause": "gone"}});
    close(
        ports,
        json!({"state": state, "name": execution, "execution": token(execution)}),
    )
    .await
}

/// The state machine, at the end of a run that went to its end.
pub(crate) async fn completed(ports: &Ports, execution: &str) -> Result<(), Failure> {
    let state = json!({"begin": {"run": "run-1"}, "last": {"Payload": {"answer": "Switched"}}});
    close(
        ports,
        json!({"state": state, "name": execution, "execution": token(execution)}),
    )
    .await
}

/// The schedule of activate-site comes round.
pub(crate) async fn work_off(ports: &Ports) -> Result<(), Failure> {
    let event = serde_json::from_value(json!({"by": "schedule"})).unwrap();
    activate_site::handle(event, ports, &invocation())
        .await
        .map(|_| ())
}

async fn close(ports: &Ports, event: Value) -> Result<(), Failure> {
    let event = serde_json::from_value(event).unwrap();
    close_run::handle(event, ports, &MemoryExecutions::default(), &invocation())
        .await
        .map(|_| ())
}

/// The schedule of close-run comes round.
pub(crate) async fn sweep(ports: &Ports, executions: &MemoryExecutions) -> Result<(), Failure> {
    let event = serde_json::from_value(json!({"by": "schedule"})).unwrap();
    close_run::handle(event, ports, executions, &invocation())
        .await
        .map(|_| ())
}

/// A start whose execution has this status by now.
pub(crate) async fn begin_as(ports: &Ports, executions: &MemoryExecutions) -> Result<(), Failure> {
    let event = begin_run::Event {
        input: json!({"mode": "failover"}),
        name: "run-1".to_owned(),
        execution: token("run-1"),
        machine: recovery::run::MACHINE.to_string(),
    };
    begin_run::handle(event, ports, executions, &invocation())
        .await
        .map(|_| ())
}

/// The same ports over another store.
pub(crate) fn over(ports: &Ports, store: Arc<dyn Store>) -> Ports {
    Ports {
        store,
        ..ports.clone()
    }
}

/// What must hold whatever was tried: read from the documents themselves.
pub(crate) async fn assert_one_truth(ports: &Ports, what: &str) -> (State, Option<RunDocument>) {
    let state = ports.state().await.unwrap();
    let run: Option<RunDocument> = ports
        .read(&keys::of_run(&run_id(), "run.json"))
        .await
        .unwrap();
    let committed = state.last_commit.is_some();
    assert_eq!(
        committed,
        state.active_site == SiteLabel::Secondary,
        "{what}"
    );
    assert_eq!(state.epoch, Epoch::first().next_if(committed), "{what}");
    if let Some(lock) = &state.lock {
        assert!(
            !state.ended_tokens.contains(&lock.token),
            "{what}: an ended execution holds the lock"
        );
    }
    if let Some(run) = &run {
        let abandoned = run.outcome == Some(Outcome::Abandoned);
        assert!(
            !(abandoned && committed),
            "{what}: abandoned, and the active site has moved"
        );
        let holds = state
            .lock
            .as_ref()
            .is_some_and(|lock| lock.token == run.token);
        assert!(
            !(holds && run.outcome.is_some()),
            "{what}: {:?}, and it holds the lock",
            run.outcome
        );
    }
    (state, run)
}

trait NextIf {
    fn next_if(self, grows: bool) -> Self;
}

impl NextIf for Epoch {
    fn next_if(self, grows: bool) -> Self {
        if grows { self.next() } else { self }
    }
}
