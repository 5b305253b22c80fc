//! The report: gathered from the run's own documents. What cannot be read is left out; it must not keep a run from being closed.

use aws::documents::Change;
use aws::{Failure, Ports, keys};
use jiff::Timestamp;
use recovery::plan::Plan;
use recovery::readiness::Readiness;
use recovery::report::{self, Drift, Facts, History, HumanAct, Lessons, People, Report};
use recovery::run::{Outcome, RunDocument};
use recovery::state::State;
use recovery::validation::{Check, ValidationDocument};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The most acts that are told.
const MOST_ACTS: usize = 100;

/// Makes the report of a run that is closed.
pub(crate) async fn gather(
    ports: &Ports,
    plan: Option<&Plan>,
    run: &RunDocument,
    state: &State,
    outcome: Outcome,
    reason: String,
) -> Result<Report, Failure> {
    let pages = ports.ledger(&run.run).await?;
    let now = run.closed_at.unwrap_or_else(|| ports.now());
    let people = People {
        decisions: ports.decisions(&run.run).await?,
        views: ports.views(&run.run).await?,
        acts: acts(ports, run.begun_at, now).await?,
    };
    let history: History = readable(ports, keys::HISTORY).await.unwrap_or_default();
    let lessons: Lessons = readable(ports, keys::LESSONS).await.unwrap_or_default();
    let (readiness, drift) = readiness(ports, run).await;
    let mut report = report::make(Facts {
        run,
        pages: &pages,
        people,
        checks: checks(ports, run).await,
        readiness,
        drift,
        history: &history,
        lessons: &lessons,
        plan,
        fence: state.fences.get(&run.from),
        debts: state.debts.clone(),
        outcome,
        reason,
        now,
    });
    if outcome == Outcome::Completed && !report.unverified.is_empty() {
        report.reason = format!(
            "{}; BUT {} objects were acted upon and not read back as wanted, the report names them",
            report.reason,
            report.unverified.len()
        );
    }
    Ok(report)
}

/// Adds the run to those that later ones are compared with.
pub(crate) async fn remember(ports: &Ports, report: &Report) -> Result<(), Failure> {
    ports
        .change(keys::HISTORY, |stored: &mut Option<History>| {
            stored.get_or_insert_default().add(report);
            Ok(Change::Write(()))
        })
        .await
}

async fn readable<T: DeserializeOwned>(ports: &Ports, key: &str) -> Option<T> {
    match ports.read(key).await {
        Ok(found) => found,
        Err(failure) => {
            tracing::warn!(%failure, key, "left out of the report");
            None
        }
    }
}

async fn checks(ports: &Ports, run: &RunDocument) -> Vec<Check> {
    let key = keys::of_run(&run.run, "validation.json");
    let document: Option<ValidationDocument> = readable(ports, &key).await;
    document.map(|d| d.checks).unwrap_or_default()
}

/// What readiness said, in one sentence for each look, and object by object.
async fn readiness(ports: &Ports, run: &RunDocument) -> (Vec<String>, Vec<Drift>) {
    let (mut said, mut drift) = (Vec::new(), Vec::new());
    for (when, name) in [
        ("before the approval", "readiness.json"),
        ("after the fence", "readiness-recheck.json"),
    ] {
        let document: Option<Value> = readable(ports, &keys::of_run(&run.run, name)).await;
        let Some(stored) = document.as_ref().and_then(|d| d.get("readiness")) else {
            continue;
        };
        drift.extend(Drift::of(when, stored));
        match serde_json::from_value::<Readiness>(stored.clone()) {
            Ok(readiness) => said.push(format!("{when}: {}", readiness.summary())),
            Err(error) => tracing::warn!(%error, name, "left out of the report"),
        }
    }
    (said, drift)
}

/// What people did by command line while the run was under way. The keys begin with the time in milliseconds.
async fn acts(ports: &Ports, from: Timestamp, to: Timestamp) -> Result<Vec<HumanAct>, Failure> {
    let during = |key: &String| {
        let name = key.strip_prefix(keys::ACTS)?;
        let ms: i64 = name.split('-').next()?.parse().ok()?;
        (from.as_millisecond()..=to.as_millisecond())
            .contains(&ms)
            .then_some(())
    };
    let mut found = Vec::new();
    for key in ports.store.list(keys::ACTS).await? {
        if during(&key).is_none() || found.len() >= MOST_ACTS {
            continue;
        }
        let record: Option<Value> = readable(ports, &key).await;
        found.extend(record.as_ref().and_then(human_act));
    }
    found.sort_by_key(|act: &HumanAct| act.at);
    Ok(found)
}

fn human_act(record: &Value) -> Option<HumanAct> {
    let event = record.get("event")?;
    let text = |field: &str| event.get(field)?.as_str().map(str::to_owned);
    Some(HumanAct {
        at: record.get("at")?.as_str()?.parse().ok()?,
        act: text("act")?,
        who: text("who").unwrap_or_default(),
        why: text("why").unwrap_or_default(),
    })
}
