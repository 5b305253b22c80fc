//! What the state machine sends and expects, against the types of the functions.

use std::collections::BTreeSet;

use activate_site::Progress;
use recovery::activation::Phase as Activation;
use recovery::approval::ApprovalAnswer;
use recovery::failure::FailureName;
use recovery::fence::FenceAnswer;
use recovery::readiness::ReadinessAnswer;
use recovery::replication::MeasureAnswer;
use recovery::reset::StandbyAnswer;
use recovery::run::{
    CaptureAnswer, Outcome, RehearsalAnswer, ResumeAt, ValidationAnswer, outcome_of,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use switch_endpoints::{Phase as Switch, Switched};

use crate::choices::CLOSE;
use crate::documents::{entries, items, text};
use crate::{Documents, Task, Violation, violation};

/// Where the machine keeps what became of the site that is left as a standby; the last answer of the run stays beside it.
const STANDBY: &str = "$.standby.Payload.answer";

/// The values of an enum. A new value does not compile until it is named here.
macro_rules! values {
    ($type:ident: $($value:ident),+) => {{
        const fn _all_named(value: $type) {
            match value { $($type::$value => ()),+ }
        }
        [$($type::$value),+]
    }};
}

fn name<T: Serialize>(value: T) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn names<T: Serialize, const N: usize>(values: [T; N]) -> BTreeSet<String> {
    values.into_iter().map(name).collect()
}

/// Every answer that a function gives in a phase; none if nobody looks at its answers here.
fn answers(package: &str, phase: Option<&str>) -> Option<BTreeSet<String>> {
    Some(match (package, phase) {
        ("begin-run", None) => names(values!(ResumeAt: Readiness, Fence, Committed)),
        ("capture-baseline", None) => names(values!(CaptureAnswer: Captured, Refused)),
        ("replication-lag", Some(phase)) => {
            let [measured, wait, drained, not_drained] =
                values!(MeasureAnswer: Measured, Continue, Drained, NotDrained);
            match phase {
                "run" | "prove" | "finish" => names([measured, wait]),
                "drain" => names([drained, wait, not_drained]),
                _ => return None,
            }
        }
        ("check-readiness", Some(phase)) => {
            let [ready, not_ready, unaccepted, pending] =
                values!(ReadinessAnswer: Ready, NotReady, Unaccepted, Pending);
            match phase {
                "target" | "sources" => names([ready, not_ready, pending]),
                "recheck" => names([ready, not_ready, unaccepted, pending]),
                _ => return None,
            }
        }
        ("request-approval", None) => {
            names(values!(ApprovalAnswer: Pending, Proving, Approved, Declined, Expired, Void))
        }
        ("shutdown-site", None) => {
            names(values!(FenceAnswer: Continue, Drain, Proceed, FenceUnverified))
        }
        ("shutdown-site", Some("rehearsal")) => {
            names(values!(RehearsalAnswer: Rehearsed, Continue, Refused))
        }
        ("activate-site", Some("standby")) => {
            names(values!(StandbyAnswer: AsRecorded, Continue, Left))
        }
        ("activate-site", Some(_)) => names(values!(Progress: Done, Continue)),
        ("validate-site", None) => names(values!(ValidationAnswer: Passed, Continue, Failed)),
        ("switch-endpoints", Some(phase)) => {
            let [committed, switched] = values!(Switched: Committed, Switched);
            match phase {
                "Commit" => names([committed]),
                "Endpoints" => names([switched]),
                _ => return None,
            }
        }
        ("close-run", None) => names(
            values!(Outcome: Completed, Declined, ApprovalExpired, Preempted, NotReady,
            FenceUnverified, ValidationFailed, Abandoned, Stopped, Failed),
        ),
        _ => return None,
    })
}

/// Every phase that a run goes through, by function.
fn phases() -> Vec<(&'static str, String)> {
    let of_activation =
        values!(Activation: Pools, Compute, JobConcurrency, OneTimeRuns, Schedules).map(name);
    let of_switch = values!(Switch: Commit, Endpoints).map(|phase| format!("{phase:?}"));
    let of_readiness = ["target", "recheck", "sources"].map(str::to_owned);
    let pairs = |package, phases: Vec<String>| phases.into_iter().map(move |p| (package, p));
    pairs("activate-site", of_activation.to_vec())
        .chain(pairs("switch-endpoints", of_switch.to_vec()))
        .chain(pairs("check-readiness", of_readiness.to_vec()))
        .chain(pairs(
            "replication-lag",
            ["run", "prove", "finish", "drain"]
                .map(str::to_owned)
                .to_vec(),
        ))
        .chain(pairs("shutdown-site", vec!["rehearsal".to_owned()]))
        .chain(pairs("activate-site", vec!["standby".to_owned()]))
        .collect()
}

/// Whether a function understands an event.
fn understands(package: &str, event: Value) -> Result<(), String> {
    fn reads<E: DeserializeOwned>(event: Value) -> Result<(), String> {
        let read: Result<E, _> = serde_json::from_value(event);
        read.map(|_| ()).map_err(|error| error.to_string())
    }
    match package {
        "activate-site" => reads::<activate_site::Event>(event),
        "begin-run" => reads::<begin_run::Event>(event),
        "capture-baseline" => reads::<capture_baseline::Event>(event),
        "check-readiness" => reads::<check_readiness::Event>(event),
        "close-run" => {
            let event: close_run::Event =
                serde_json::from_value(event).map_err(|error| error.to_string())?;
            event
                .classify()
                .map(|_| ())
                .map_err(|failure| failure.message)
        }
        "health-probe" => reads::<health_probe::Event>(event),
        "replication-lag" => reads::<replication_lag::Event>(event),
        "request-approval" => reads::<request_approval::Event>(event),
        "shutdown-site" => reads::<shutdown_site::Event>(event),
        "switch-endpoints" => reads::<switch_endpoints::Event>(event),
        "validate-site" => reads::<validate_site::Event>(event),
        _ => Err("the rules do not know this function; teach them first".to_owned()),
    }
}

/// A payload as it arrives: paths are filled in.
fn arriving(payload: &Value) -> Value {
    let filled = entries(payload).map(|(key, value)| match key.strip_suffix(".$") {
        None => (key.to_owned(), value.clone()),
        Some(key @ ("input" | "state")) => (key.to_owned(), json!({"mode": "failover"})),
        Some(key) => (key.to_owned(), json!("example")),
    });
    Value::Object(filled.collect())
}

/// Every error name in the machine exists in Rust, and the other way round.
#[must_use]
pub fn error_names_are_those_of_the_functions(documents: &Documents) -> Vec<Violation> {
    let known: BTreeSet<&str> = FailureName::ALL.map(FailureName::as_str).into();
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for (state, body) in documents.states() {
        let rules = items(&body["Retry"]).iter().chain(items(&body["Catch"]));
        let errors = rules.flat_map(|rule| items(&rule["ErrorEquals"]));
        for error in errors.filter_map(Value::as_str) {
            let foreign = error.starts_with("States.") || crate::tasks::is_of_lambda(error);
            if !foreign && !known.contains(error) {
                found.push(violation(state, format!("{error} is no name of a failure")));
            }
            used.insert(error);
        }
    }
    let missing = known.difference(&used);
    found.extend(missing.map(|name| violation(*name, "stands nowhere in the machine")));
    found
}

/// The choice after a task handles exactly the answers that its function can give.
#[must_use]
pub fn every_answer_is_handled(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    for task in documents.tasks() {
        let Some(given) = answers(task.package(), task.phase()) else {
            found.push(violation(
                &task.state,
                "the answers of its function are not known here",
            ));
            continue;
        };
        let next = &documents.machine["States"][task.next()];
        if next["Type"] != "Choice" {
            if given.len() != 1 {
                let problem = format!("nobody looks at its answer, which is one of {given:?}");
                found.push(violation(&task.state, problem));
            }
            continue;
        }
        let variable = match task.package() {
            "begin-run" => "$.begin.resume_at",
            "close-run" => "$.closed.outcome",
            _ if task.phase() == Some("standby") => STANDBY,
            _ => "$.last.Payload.answer",
        };
        let mut handled = BTreeSet::new();
        for choice in items(&next["Choices"]) {
            if choice["Variable"] != variable {
                let problem = format!("looks at {}, not at {variable}", choice["Variable"]);
                found.push(violation(task.next(), problem));
            }
            if !handled.insert(text(choice, "StringEquals").to_owned()) {
                found.push(violation(
                    task.next(),
                    format!("{} stands twice", choice["StringEquals"]),
                ));
            }
        }
        // Every outcome but Completed is the same to the machine: the execution fails with its name.
        let wanted = match task.package() {
            "close-run" => names([Outcome::Completed]),
            _ => given,
        };
        let differ = wanted.symmetric_difference(&handled);
        found.extend(differ.map(|answer| {
            let problem = if handled.contains(answer) {
                "is handled, but its function never gives it"
            } else {
                "is not handled"
            };
            violation(task.next(), format!("{answer} {problem}"))
        }));
    }
    found
}

/// An answer that ends a run has a named outcome, and only the last stage's means success.
#[must_use]
pub fn every_ending_answer_has_an_outcome(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    for (state, body) in documents.states() {
        for choice in items(&body["Choices"]) {
            let answer = text(choice, "StringEquals");
            // A mode ends nothing, nor does the standby: the answer before them does.
            if ["$.begin.mode", STANDBY].contains(&text(choice, "Variable")) {
                continue;
            }
            let outcome = outcome_of(&json!({"last": {"Payload": {"answer": answer}}})).0;
            let named = !matches!(outcome, Outcome::Failed | Outcome::Completed);
            if choice["Next"] == CLOSE && !named {
                let problem = format!("{answer} ends the run in {}", outcome.as_str());
                found.push(violation(state, problem));
            }
        }
    }
    let last = answers("switch-endpoints", Some("Endpoints")).unwrap_or_default();
    for answer in last {
        if outcome_of(&json!({"last": {"Payload": {"answer": answer}}})).0 != Outcome::Completed {
            found.push(violation(
                answer,
                "is the last answer of a run, but not its success",
            ));
        }
    }
    found
}

/// Every payload and every schedule's input is an event that its function understands.
#[must_use]
pub fn every_event_is_understood(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    for task in documents.tasks() {
        if let Err(problem) = understands(task.package(), arriving(&task.payload)) {
            found.push(violation(&task.state, problem));
        }
    }
    for (id, resource) in entries(&documents.template["Resources"]) {
        if resource["Type"] != "AWS::Serverless::StateMachine" {
            continue;
        }
        for (_, event) in entries(&resource["Properties"]["Events"]) {
            let input = text(&event["Properties"], "Input");
            let result = serde_json::from_str(input)
                .map_err(|error| format!("its schedule sends no JSON: {error}"))
                .and_then(|input| begin_run::check_input(input).map_err(|f| f.to_string()));
            if let Err(problem) = result {
                found.push(violation(id, problem));
            }
        }
    }
    for function in documents.functions() {
        for (_, event) in entries(&function.properties["Events"]) {
            let input = text(&event["Properties"], "Input");
            let result = serde_json::from_str(input)
                .map_err(|error| format!("its schedule sends no JSON: {error}"))
                .and_then(|event| understands(&function.package, event));
            if let Err(problem) = result {
                found.push(violation(&function.id, problem));
            }
        }
    }
    found
}

/// Every phase that a function knows is asked for exactly once.
#[must_use]
pub fn every_phase_is_used_once(documents: &Documents) -> Vec<Violation> {
    let tasks = documents.tasks();
    let asks = |package: &str, phase: &str, task: &&Task| {
        task.package() == package && task.phase() == Some(phase)
    };
    phases()
        .into_iter()
        .map(|(package, phase)| {
            let count = tasks.iter().filter(|t| asks(package, &phase, t)).count();
            (package, phase, count)
        })
        .filter(|(_, _, count)| *count != 1)
        .map(|(package, phase, count)| {
            violation(package, format!("phase {phase} is asked for {count} times"))
        })
        .collect()
}
