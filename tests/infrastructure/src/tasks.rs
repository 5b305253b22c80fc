//! What every task must have: a timeout, retries by name, a way out, and a small payload.

use recovery::failure::FailureName;
use serde_json::Value;

use crate::choices::CLOSE;
use crate::documents::{entries, items, text};
use crate::{Documents, Task, Violation, violation};

/// Where the machine keeps what became of the site that is left as a standby.
const STANDBY: &str = "$.standby";

/// What Lambda itself answers: its own faults, and a function that was killed or died. Every function is idempotent.
const OF_LAMBDA: [&str; 6] = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Sandbox.Timedout",
    "Runtime.ExitError",
];

/// Whether a name is one that Lambda gives, not a function of ours.
pub(crate) fn is_of_lambda(name: &str) -> bool {
    name.starts_with("Lambda.") || OF_LAMBDA.contains(&name)
}

/// What our functions answer when another try may succeed.
const OURS: [FailureName; 3] = [
    FailureName::Transient,
    FailureName::Throttled,
    FailureName::Conflict,
];

fn all_tasks(documents: &Documents) -> impl Iterator<Item = (&str, &Value)> {
    documents
        .states()
        .filter(|(_, state)| state["Type"] == "Task")
}

fn errors(rule: &Value) -> Vec<&str> {
    items(&rule["ErrorEquals"])
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// Every task waits longer than its function may take: the function's own answer arrives.
#[must_use]
pub fn every_task_outwaits_its_function(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, state) in all_tasks(documents) {
        if state["TimeoutSeconds"].as_u64().unwrap_or_default() == 0 {
            found.push(violation(name, "has no TimeoutSeconds"));
        }
    }
    for task in documents.tasks() {
        let limit = task
            .function
            .as_ref()
            .and_then(|f| f.properties["Timeout"].as_u64());
        let waits = task.body["TimeoutSeconds"].as_u64().unwrap_or_default();
        match limit {
            None => found.push(violation(
                &task.state,
                "invokes a function whose Timeout the template does not say",
            )),
            Some(limit) if waits <= limit => found.push(violation(
                &task.state,
                format!("waits {waits} s, its function may take {limit} s"),
            )),
            Some(_) => {}
        }
    }
    found
}

/// Tasks invoke functions or publish notices, without a callback token.
#[must_use]
pub fn no_task_waits_for_a_token(documents: &Documents) -> Vec<Violation> {
    const KNOWN: [&str; 2] = [
        "arn:aws:states:::lambda:invoke",
        "arn:aws:states:::sns:publish",
    ];
    let mut found: Vec<Violation> = all_tasks(documents)
        .filter(|(_, state)| !KNOWN.contains(&text(state, "Resource")))
        .map(|(name, state)| violation(name, format!("{} is not allowed", state["Resource"])))
        .collect();
    let whole = documents.machine.to_string();
    if whole.contains("waitForTaskToken") || whole.contains("$$.Task") {
        found.push(violation("the machine", "hands out a task token"));
    }
    found
}

/// Errors that pass are retried by name, with an end and with jitter.
#[must_use]
pub fn transient_errors_are_retried_by_name(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, state) in all_tasks(documents) {
        let mut names = Vec::new();
        for rule in items(&state["Retry"]) {
            names.extend(errors(rule));
            let positive = |field: &str| rule[field].as_f64().is_some_and(|n| n >= 1.0);
            let bounded = positive("MaxAttempts")
                && positive("IntervalSeconds")
                && positive("BackoffRate")
                && positive("MaxDelaySeconds")
                && rule["JitterStrategy"] == "FULL";
            if !bounded {
                let problem = "needs IntervalSeconds, BackoffRate, MaxAttempts, MaxDelaySeconds and FULL jitter to retry";
                found.push(violation(name, problem));
            }
        }
        if names.is_empty() {
            found.push(violation(name, "retries nothing"));
        }
        if names.contains(&"States.ALL") {
            found.push(violation(name, "retries States.ALL"));
        }
    }
    for task in documents.tasks() {
        let names: Vec<&str> = items(&task.body["Retry"]).iter().flat_map(errors).collect();
        let wanted = OF_LAMBDA
            .into_iter()
            .chain(OURS.map(FailureName::as_str))
            .filter(|wanted| !names.contains(wanted));
        found.extend(wanted.map(|w| violation(&task.state, format!("does not retry {w}"))));
        for name in names {
            let known = is_of_lambda(name) || OURS.iter().any(|o| o.as_str() == name);
            if !known {
                found.push(violation(&task.state, format!("retries {name}")));
            }
        }
    }
    found
}

/// Functions that only gather evidence: when they fail the run goes on without, and people are told what is missing.
const EVIDENCE: [&str; 1] = ["replication-lag"];

/// Whatever else goes wrong is caught: the run is closed with the error, and a run that cannot be closed fails. Evidence that
/// cannot be had stops no run, but a lost lock always does.
#[must_use]
pub fn every_failure_is_caught(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, state) in all_tasks(documents) {
        let catches = items(&state["Catch"]);
        let last = catches.last().map(errors).unwrap_or_default();
        if last != ["States.ALL"] {
            found.push(violation(name, "must catch States.ALL at last"));
        }
        for catch in catches {
            if !text(catch, "ResultPath").starts_with("$.") {
                found.push(violation(name, "throws the state away when it catches"));
            }
        }
    }
    for task in documents.tasks() {
        for catch in items(&task.body["Catch"]) {
            let next = text(catch, "Next");
            let fails = documents.machine["States"][next]["Type"] == "Fail";
            let closes = next == CLOSE && task.state != CLOSE;
            let lost = errors(catch).contains(&FailureName::LockLost.as_str());
            let goes_on = EVIDENCE.contains(&task.package())
                && !lost
                && catch["ResultPath"] == "$.last"
                && next == choice_after(documents, &task);
            if goes_on {
                continue;
            }
            // A site that could not be brought into its posture takes nothing back of what the run has done.
            let beside = task.phase() == Some("standby") && !lost && closes;
            if beside && catch["ResultPath"] == STANDBY {
                continue;
            }
            if catch["ResultPath"] != "$.error" || !(fails || closes) {
                let problem =
                    format!("a failure leads to {next}; it must close the run with $.error");
                found.push(violation(&task.state, problem));
            }
        }
    }
    found
}

/// Where a task leads when its function answers that it is done: the first answer of the choice after it.
fn choice_after<'a>(documents: &'a Documents, task: &Task) -> &'a str {
    let choices = &documents.machine["States"][task.next()]["Choices"];
    items(choices)
        .first()
        .map_or("", |first| text(first, "Next"))
}

/// The state carries keys and counts: a task sends what begin-run answered, the execution's own id, and constants.
/// Only begin-run sees the input, and only close-run sees everything. Users are told what the last answer words for them, which
/// is short.
#[must_use]
pub fn payloads_carry_keys_and_counts(documents: &Documents) -> Vec<Violation> {
    const RESULTS: [&str; 4] = ["$.begin", "$.last", STANDBY, "$.closed"];
    let mut found = Vec::new();
    let begin = text(&documents.machine, "StartAt");
    let answered = &documents.machine["States"][begin]["ResultSelector"];
    for (name, state) in all_tasks(documents) {
        let result = &state["ResultPath"];
        let kept = result.as_str().is_some_and(|path| RESULTS.contains(&path));
        let dropped = state.get("ResultPath") == Some(&Value::Null);
        if !(kept || dropped) {
            found.push(violation(
                name,
                "must keep its answer in $.begin, $.last, $.standby or $.closed, or nowhere",
            ));
        }
        if state.get("InputPath").is_some() || state.get("OutputPath").is_some() {
            found.push(violation(name, "must not cut the state"));
        }
        let parameters = entries(&state["Parameters"]).filter(|(key, _)| *key != "Payload");
        for (key, value) in parameters.chain(entries(&state["Parameters"]["Payload"])) {
            let Some(text) = value.as_str() else {
                found.push(violation(
                    name,
                    format!("{key} is neither a path nor a plain text"),
                ));
                continue;
            };
            let whole_state = text == "$" && (name == begin || name == CLOSE);
            let from_begin = text.strip_prefix("$.begin.").is_some_and(|path| {
                let field = path.split('.').next().unwrap_or_default();
                answered.get(format!("{field}.$")).is_some()
            });
            let notice = text.starts_with("$.last.Payload.notice.")
                && entries(&state["Parameters"]).any(|(key, _)| key == "TopicArn");
            if key.ends_with(".$")
                && !(whole_state || from_begin || notice || text.starts_with("$$.Execution."))
            {
                found.push(violation(name, format!("{key} sends {text}")));
            }
        }
    }
    found
}
