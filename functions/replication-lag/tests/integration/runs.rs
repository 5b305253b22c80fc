//! In a run: what is frozen before anybody is asked.

use std::time::Duration;

use recovery::failure::FailureName;
use recovery::replication::{Basis, MeasureAnswer, predicted_losses};
use recovery::run::{Mode, RunDocument, Stage};
use recovery::site::{RunId, RunToken, SiteLabel};
use replication_lag::Event;
use serde_json::{Value, json};

use crate::setting::{Setting, ago, begun, delta};

/// A run that has begun now: failing for a minute.
async fn begin(at: &Setting) -> Event {
    let now = at.ports.now();
    let (run, token) = (RunId::new("run-1"), RunToken::new("arn:run-1"));
    let document = begun(at, Mode::Failover, SiteLabel::Primary, 0);
    at.ports
        .change_state(|state| state.take_lock(&run, &token, Mode::Failover, now))
        .await
        .unwrap();
    at.ports
        .create("runs/run-1/run.json", &document)
        .await
        .unwrap();
    Event::Run { run, token }
}

#[tokio::test]
async fn a_run_proves_every_table_at_the_standby_and_freezes_the_loss_and_the_repair() {
    let sets = json!([delta("lake", "Tables", "sales")]);
    let mut at = Setting::new(sets, json!([]), json!({})).await;
    at.lake.replicated("sales/orders", ago(900)).await;
    at.lake.replicated("sales/lines", ago(900)).await;
    at.measure().await;
    // The region dies with a commit whose file has not arrived, one that has not arrived at all, and one after that.
    let [log, _file] = at.lake.commit("sales/orders", ago(30)).await;
    at.lake.arrive(&[log]).await;
    at.lake.commit("sales/lines", ago(20)).await;
    at.lake.replicated("sales/lines", ago(10)).await;
    at.lake.darken();
    let event = begin(&at).await;
    let answer = at.call(event.clone()).await.unwrap();
    assert_eq!(answer.answer, MeasureAnswer::Measured, "{}", answer.reason);

    let run: RunDocument = at.read("runs/run-1/run.json");
    assert!(run.is_finished(Stage::RecoveryPoints));
    let status = run.evidence.replication.clone().unwrap();
    assert_eq!(status.data_sets[0].basis, Some(Basis::Proof));
    assert!(status.data_sets[0].last_known.unwrap().read_at.is_some());
    let plan = at.ports.plan().await.unwrap();
    let losses = predicted_losses(&plan, Some(&status), run.loss_moment());
    assert_eq!(losses.len(), 1);
    assert!(losses[0].loss_seconds.is_some(), "{losses:?}");

    let all: Value = at.read("runs/run-1/recovery-points.json");
    let found = &all["data_sets"]["lake"];
    assert_eq!(found["orders"]["found"]["recovery_version"], 0);
    assert_eq!(found["orders"]["found"]["readable_now"], true);
    assert_eq!(found["lines"]["found"]["recovery_version"], 0);
    assert_eq!(found["lines"]["found"]["readable_now"], false);
    let repair = run.evidence.repair.unwrap();
    let sql = at.text(&repair.sql);
    assert!(
        sql.contains("RESTORE TABLE delta.`s3://lake-two/sales/orders` TO VERSION AS OF 0;"),
        "{sql}"
    );
    let shell = at.text(&repair.shell);
    assert!(
        shell.contains("sales/lines/_delta_log/00000000000000000002.json"),
        "{shell}"
    );
    assert_eq!(repair.restored, 1);

    // The state machine repeats the call when its answer was lost: what was frozen stays.
    at.lake.arrive(&at_once("sales/orders")).await;
    at.call(event).await.unwrap();
    let again: RunDocument = at.read("runs/run-1/run.json");
    assert_eq!(again.evidence.replication, run.evidence.replication);
}

fn at_once(table: &str) -> Vec<String> {
    vec![format!("{table}/part-00001.parquet")]
}

#[tokio::test]
async fn a_run_that_can_wait_does_not_wait_longer_for_proofs_than_its_plan_allows() {
    let (mut at, run, token) = begin_unproven(Mode::Switchover).await;
    at.lake.replicated("sales/orders", ago(900)).await;
    at.find_only().await;
    at.ports
        .enter(&run, &token, Stage::RecoveryPoints)
        .await
        .unwrap();
    let limit = at.ports.plan().await.unwrap().replication.run_limit_seconds;
    at.later(i64::from(limit.0));
    let answer = at.call(Event::Run { run, token }).await.unwrap();
    assert_eq!(answer.answer, MeasureAnswer::Measured);
    let run: RunDocument = at.read("runs/run-1/run.json");
    let status = run.evidence.replication.unwrap();
    assert_eq!(
        status.data_sets[0].recovery_point, None,
        "what was not proven is unknown"
    );
}

/// A run of this mode at a lake whose table was never proven.
async fn begin_unproven(mode: Mode) -> (Setting, RunId, RunToken) {
    let at = Setting::new(
        json!([delta("lake", "Tables", "sales")]),
        json!([]),
        json!({}),
    )
    .await;
    let (run, token) = (RunId::new("run-1"), RunToken::new("arn:run-1"));
    at.ports
        .change_state(|state| state.take_lock(&run, &token, mode, at.ports.now()))
        .await
        .unwrap();
    let document = begun(&at, mode, SiteLabel::Primary, 0);
    at.ports
        .create("runs/run-1/run.json", &document)
        .await
        .unwrap();
    (at, run, token)
}

/// Review finding 16: the whole proof, minutes on a large lake, came before anybody was asked.
#[tokio::test]
async fn people_are_asked_about_a_failover_after_a_first_look_and_the_proof_goes_on_meanwhile() {
    let (mut at, run, token) = begin_unproven(Mode::Failover).await;
    for table in ["sales/orders", "sales/lines"] {
        at.lake.replicated(table, ago(900)).await;
    }
    // The listing of the lake is known; no table is proven.
    at.find_only().await;
    let look = Event::Run {
        run: run.clone(),
        token: token.clone(),
    };
    let first = at.call_for(look, Duration::ZERO).await.unwrap();
    assert_eq!(first.answer, MeasureAnswer::Measured, "{}", first.reason);
    assert!(first.reason.contains("0 of 2 tables"), "{}", first.reason);
    let frozen = |at: &Setting| at.read::<RunDocument>("runs/run-1/run.json");
    assert!(frozen(&at).is_done(Stage::RecoveryPoints));
    let point = |run: &RunDocument| {
        let status = run.evidence.replication.as_ref().unwrap();
        status.data_sets[0].recovery_point
    };
    assert_eq!(point(&frozen(&at)), None, "nobody knows yet");

    let prove = Event::Prove {
        run: run.clone(),
        token: token.clone(),
    };
    let none = at.call_for(prove.clone(), Duration::ZERO).await.unwrap();
    assert_eq!(none.answer, MeasureAnswer::Continue, "{}", none.reason);
    let all = at.call(prove.clone()).await.unwrap();
    assert_eq!(all.answer, MeasureAnswer::Measured, "{}", all.reason);
    let known = frozen(&at);
    assert!(point(&known).is_some());
    assert!(!known.evidence.proof.unwrap().is_open());

    // Whatever is repeated, what was frozen stays.
    for event in [prove, Event::Finish { run, token }] {
        let again = at.call(event).await.unwrap();
        assert_eq!(again.answer, MeasureAnswer::Measured);
        assert_eq!(frozen(&at), known);
    }
}

#[tokio::test]
async fn only_the_time_that_goes_into_the_proof_counts_and_when_it_is_over_what_is_unknown_stays_so()
 {
    let (mut at, run, token) = begin_unproven(Mode::Failover).await;
    at.lake.replicated("sales/orders", ago(900)).await;
    at.find_only().await;
    let look = Event::Run {
        run: run.clone(),
        token: token.clone(),
    };
    at.call_for(look, Duration::ZERO).await.unwrap();
    // The target is read, people think, the fence takes its time: nobody proves meanwhile.
    let limit = at.ports.plan().await.unwrap().replication.run_limit_seconds;
    at.later(i64::from(limit.0));
    let finish = Event::Finish { run, token };
    let cut = at.call_for(finish.clone(), Duration::ZERO).await.unwrap();
    assert_eq!(cut.answer, MeasureAnswer::Continue, "{}", cut.reason);
    let mut document: Value = at.read("runs/run-1/run.json");
    document["evidence"]["proof"]["spent_ms"] = json!(i64::from(limit.0) * 1000);
    at.ports
        .put("runs/run-1/run.json", &document)
        .await
        .unwrap();
    at.lake.stall(true);
    let late = at.call(finish).await.unwrap();
    assert_eq!(late.answer, MeasureAnswer::Measured, "{}", late.reason);
    assert!(
        late.reason.contains("only 0 of 1 tables"),
        "{}",
        late.reason
    );
    let run: RunDocument = at.read("runs/run-1/run.json");
    let status = run.evidence.replication.unwrap();
    assert_eq!(
        status.data_sets[0].recovery_point, None,
        "unknown stays unknown"
    );
}

/// A standby whose bucket hangs keeps nobody from being asked, and nobody's decision from being looked at.
#[tokio::test]
async fn neither_the_request_nor_the_decision_waits_for_a_proof_that_hangs() {
    let (mut at, run, token) = begin_unproven(Mode::Failover).await;
    at.ports.time_scale = 20.0;
    at.lake.replicated("sales/orders", ago(900)).await;
    at.find_only().await;
    at.lake.stall(true);
    let call = async |event: Event| {
        let call = at.call_for(event, Duration::from_secs(600));
        let deadline = Duration::from_secs(60);
        tokio::time::timeout(deadline, call).await.unwrap().unwrap()
    };
    let look = call(Event::Run {
        run: run.clone(),
        token: token.clone(),
    });
    assert_eq!(look.await.answer, MeasureAnswer::Measured);
    let prove = Event::Prove { run, token };
    assert_eq!(call(prove.clone()).await.answer, MeasureAnswer::Continue);
    at.lake.stall(false);
    assert_eq!(call(prove).await.answer, MeasureAnswer::Measured);
}

/// The definition of an execution is that with which it began, also when functions are deployed meanwhile.
#[tokio::test]
async fn a_state_machine_that_does_not_go_on_with_the_proof_gets_all_of_it_at_once() {
    let (mut at, run, token) = begin_unproven(Mode::Failover).await;
    at.lake.replicated("sales/orders", ago(900)).await;
    at.find_only().await;
    let mut document: Value = at.read("runs/run-1/run.json");
    document.as_object_mut().unwrap().remove("machine");
    at.ports
        .put("runs/run-1/run.json", &document)
        .await
        .unwrap();
    let look = Event::Run { run, token };
    let first = at.call_for(look.clone(), Duration::ZERO).await.unwrap();
    assert_eq!(first.answer, MeasureAnswer::Continue, "{}", first.reason);
    let second = at.call(look).await.unwrap();
    assert_eq!(second.answer, MeasureAnswer::Measured);
    let run: RunDocument = at.read("runs/run-1/run.json");
    assert!(!run.evidence.proof.unwrap().is_open());
}

#[tokio::test]
async fn whoever_can_wait_is_asked_when_all_is_proven() {
    let (mut at, run, token) = begin_unproven(Mode::Switchover).await;
    at.lake.replicated("sales/orders", ago(900)).await;
    at.find_only().await;
    let event = Event::Run { run, token };
    let first = at.call_for(event.clone(), Duration::ZERO).await.unwrap();
    assert_eq!(first.answer, MeasureAnswer::Continue, "{}", first.reason);
    let second = at.call(event).await.unwrap();
    assert_eq!(second.answer, MeasureAnswer::Measured);
}

#[tokio::test]
async fn an_execution_that_lost_the_lock_freezes_nothing() {
    let at = Setting::new(
        json!([delta("lake", "Table", "orders")]),
        json!([]),
        json!({}),
    )
    .await;
    let Event::Run { run, .. } = begin(&at).await else {
        unreachable!()
    };
    let token = RunToken::new("arn:another");
    for event in [
        Event::Run {
            run: run.clone(),
            token: token.clone(),
        },
        Event::Prove {
            run: run.clone(),
            token: token.clone(),
        },
        Event::Finish { run, token },
    ] {
        let failure = at.call(event).await.unwrap_err();
        assert_eq!(failure.name, FailureName::LockLost);
    }
    let run: RunDocument = at.read("runs/run-1/run.json");
    assert_eq!(run.evidence.replication, None);
}
