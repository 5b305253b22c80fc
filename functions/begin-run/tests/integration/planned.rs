//! A planned run begins only if all is well, and says every reason why not at once; a failover is not kept waiting by any of them.

use std::sync::Arc;
use std::time::Duration;

use aws::executions::MemoryExecutions;
use aws::parameters::Parameters;
use aws::{Failure, Invocation, Ports, keys};
use begin_run::{Answer, Event, handle};
use jiff::Timestamp;
use recovery::baseline::{BASELINE_FORMAT, Baseline, BaselinePointer};
use recovery::failure::FailureName;
use recovery::inventory::Inventory;
use recovery::plan::Plan;
use recovery::run::Mode;
use recovery::signals::Signals;
use recovery::site::{Epoch, Region, RunId, RunToken, SiteLabel};
use recovery::state::{Fence, QuietReading};
use recovery::verdict::{DownCause, Observation, Outcome, Probe, Signal, Vantage};
use serde_json::{Value, json};

const NOW: i64 = 1_795_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(NOW + second).unwrap()
}

/// Both sites healthy for 20 minutes, a baseline, a posture, and data that is a minute behind.
async fn world() -> Ports {
    let example = include_str!("../../../../infra/plan.example.json");
    let mut plan: Value = serde_json::from_str(example).unwrap();
    let fields = plan.as_object_mut().unwrap();
    fields.insert("groups".to_owned(), json!([]));
    fields.insert(
        "data_sets".to_owned(),
        json!([{"type": "marker", "name": "lake", "rpo_seconds": 900,
        "buckets": {"primary": "lake-one", "secondary": "lake-two"}}]),
    );
    let plan = Plan::parse(plan.to_string().as_bytes()).unwrap();
    let control = Region::new("us-west-2");
    let (ports, _, parameters, _) =
        Ports::in_memory(plan.name.clone(), control.clone(), Arc::new(|| at(0)));
    ports.put(keys::PLAN, &plan).await.unwrap();
    for site in SiteLabel::ALL {
        let name = keys::workspace_url(&plan.name, site);
        let url = format!("https://{site}.cloud.databricks.com");
        parameters.put(&control, &name, &url).await.unwrap();
        record(&ports, site).await;
    }
    for vantage in &plan.detection.vantages {
        probed(&ports, vantage.as_str(), Outcome::Healthy).await;
    }
    lag(&ports, -60).await;
    ports
}

async fn record(ports: &Ports, site: SiteLabel) {
    let baseline = Baseline {
        format_version: BASELINE_FORMAT,
        epoch: Epoch::first(),
        inventory: Inventory {
            site,
            read_at: at(-300),
            resources: vec![],
            runs: vec![],
        },
        permissions: std::collections::BTreeMap::new(),
        names: Default::default(),
    };
    let digest = ports.store_baseline(&baseline).await.unwrap();
    let pointer = BaselinePointer {
        format_version: BASELINE_FORMAT,
        digest,
        site,
        captured_at: at(-300),
        live: std::collections::BTreeMap::new(),
        objects: 0,
    };
    let key = match site {
        SiteLabel::Primary => keys::BASELINE.to_owned(),
        SiteLabel::Secondary => keys::posture(site),
    };
    ports.put(&key, &pointer).await.unwrap();
}

/// Twenty minutes of probes; the one of three minutes ago saw this of the secondary.
async fn probed(ports: &Ports, vantage: &str, then: Outcome) {
    let mut signals = Signals::default();
    for minute in -20..=0 {
        for site in SiteLabel::ALL {
            let odd = minute == -3 && site == SiteLabel::Secondary;
            let outcome = if odd { then.clone() } else { Outcome::Healthy };
            let seen = [Probe::SignIn, Probe::ControlPlaneApi];
            signals.add(Observation {
                at: at(minute * 60),
                vantage: Vantage::new(vantage),
                site,
                signals: seen.map(|p| Signal::new(p, outcome.clone())).to_vec(),
            });
        }
    }
    ports.put(&keys::signals(vantage), &signals).await.unwrap();
}

async fn lag(ports: &Ports, point: i64) {
    let status = json!({"format_version": 2, "measured_at": at(-30), "from": "primary", "groups": [], "data_sets": [
        {"name": "lake", "recovery_point": at(point), "basis": "Marker", "objective_seconds": 900, "problems": []}]});
    ports.put(keys::REPLICATION, &status).await.unwrap();
}

async fn begin(ports: &Ports, input: Value) -> Result<Answer, Failure> {
    let event = Event {
        input,
        name: "run-1".to_owned(),
        execution: RunToken::new("arn:run-1"),
        machine: recovery::run::MACHINE.to_string(),
    };
    handle(
        event,
        ports,
        &MemoryExecutions::default(),
        &Invocation::lasting(Duration::from_secs(30)),
    )
    .await
}

fn switchover() -> Value {
    json!({"mode": "switchover"})
}

#[tokio::test]
async fn a_planned_run_begins_when_both_sites_are_well() {
    for (mode, expected) in [("switchover", Mode::Switchover), ("drill", Mode::Drill)] {
        let answer = begin(&world().await, json!({"mode": mode})).await.unwrap();
        assert_eq!(answer.mode, expected);
    }
}

#[tokio::test]
async fn a_site_that_failed_minutes_ago_and_data_that_lags_are_both_named() {
    let ports = world().await;
    let plan = ports.plan().await.unwrap();
    for vantage in &plan.detection.vantages {
        probed(&ports, vantage.as_str(), DownCause::Http5xx.into()).await;
    }
    lag(&ports, -1000).await;
    for mode in ["switchover", "drill"] {
        let refused = begin(&ports, json!({"mode": mode})).await.unwrap_err();
        assert_eq!(refused.name, FailureName::Blocked);
        for reason in ["the secondary site is healthy since", "lake: 1000 s behind"] {
            assert!(refused.message.contains(reason), "{refused}");
        }
    }
    let state = ports.state().await.unwrap();
    assert!(state.lock.is_none(), "a refused start takes no lock");
    let answer = begin(&ports, json!({"mode": "failover"})).await.unwrap();
    assert_eq!(answer.mode, Mode::Failover);
}

#[tokio::test]
async fn a_live_rehearsal_needs_the_plans_consent() {
    let ports = world().await;
    let input = json!({"mode": "switchover", "rehearsal": true});
    let refused = begin(&ports, input.clone()).await.unwrap_err();
    assert!(
        refused.message.contains("planned.live_rehearsal"),
        "{refused}"
    );
    let mut plan = ports.plan().await.unwrap();
    plan.planned.live_rehearsal = true;
    ports.put(keys::PLAN, &plan).await.unwrap();
    assert!(begin(&ports, input).await.is_ok());
}

#[tokio::test]
async fn what_an_earlier_run_left_keeps_a_planned_one_from_beginning() {
    let ports = world().await;
    ports
        .change_state(|state| {
            state.unsettled = Some(RunId::new("earlier"));
            let fence = Fence::raised(RunId::new("earlier"), at(-900));
            state.fences.insert(SiteLabel::Secondary, fence);
            Ok(())
        })
        .await
        .unwrap();
    for (mode, reason) in [
        ("switchover", "no fresh reading shows"),
        ("drill", "a drill starts what a fence stops"),
    ] {
        let refused = begin(&ports, json!({"mode": mode})).await.unwrap_err();
        assert!(refused.message.contains("run earlier"), "{refused}");
        assert!(refused.message.contains(reason), "{refused}");
    }
    // Seen quiet and settled, the fence is what the switchover lifts.
    ports
        .change_state(|state| {
            state.unsettled = None;
            for fence in state.fences.values_mut() {
                fence.note_quiet(QuietReading {
                    began_at: at(-100),
                    ended_at: at(-90),
                });
            }
            Ok(())
        })
        .await
        .unwrap();
    assert!(begin(&ports, switchover()).await.is_ok());
}

#[tokio::test]
async fn a_failover_takes_the_lock_from_a_drill_and_nobody_takes_it_from_a_failover() {
    let ports = world().await;
    let drill = |name: &str, mode: &str| Event {
        input: json!({"mode": mode}),
        name: name.to_owned(),
        execution: RunToken::new(format!("arn:{name}")),
        machine: recovery::run::MACHINE.to_string(),
    };
    let run = |event| {
        let ports = ports.clone();
        async move {
            let (executions, invocation) = (
                MemoryExecutions::default(),
                Invocation::lasting(Duration::from_secs(30)),
            );
            handle(event, &ports, &executions, &invocation).await
        }
    };
    run(drill("a", "drill")).await.unwrap();
    assert!(run(drill("b", "switchover")).await.is_err());
    run(drill("c", "failover")).await.unwrap();
    let token = RunToken::new("arn:a");
    let zombie = ports.require_lock(&RunId::new("a"), &token).await;
    assert_eq!(zombie.unwrap_err().name, FailureName::LockLost);
    assert!(run(drill("d", "failover")).await.is_err());
}
