//! What every function of the template must have.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::documents::{attribute, entries, items, reference, text};
use crate::{Documents, Function, Violation, violation};

/// Functions whose schedule comes again within a minute: an event that waited is worth nothing, and two at once harm.
const EVERY_MINUTE: [&str; 2] = ["health-probe", "shutdown-site"];

fn each(documents: &Documents, problem: &str, holds: impl Fn(&Function) -> bool) -> Vec<Violation> {
    documents
        .functions()
        .iter()
        .filter(|function| !holds(function))
        .map(|function| violation(&function.id, problem))
        .collect()
}

/// The crates under `functions/` and the functions of the template are the same, and each runs its own binary.
#[must_use]
pub fn every_function_has_its_crate(
    documents: &Documents,
    crates: &BTreeSet<String>,
) -> Vec<Violation> {
    let mut found = each(
        documents,
        "must run target/lambda/<crate>/ by its bootstrap",
        |f| {
            text(&f.properties, "CodeUri").starts_with("../target/lambda/")
                && f.properties["Handler"] == "bootstrap"
                && f.properties["Runtime"] == "provided.al2023"
        },
    );
    let deployed: Vec<String> = documents
        .functions()
        .into_iter()
        .map(|f| f.package)
        .collect();
    let unique: BTreeSet<String> = deployed.iter().cloned().collect();
    if unique.len() != deployed.len() {
        found.push(violation("the template", "deploys a crate twice"));
    }
    let differ = unique.symmetric_difference(crates);
    found.extend(differ.map(|name| violation(name, "is not both a crate and a function")));
    found
}

/// No two functions share a role.
#[must_use]
pub fn every_function_has_its_own_role(documents: &Documents) -> Vec<Violation> {
    each(
        documents,
        "needs a role of its own, named after it, with policies",
        |f| {
            let wanted = format!("{}Role", f.id);
            attribute(&f.properties["Role"]) == Some((&wanted, "Arn"))
                && f.properties.get("Policies").is_none()
                && documents.of_type("AWS::IAM::Role").any(|(id, role)| {
                    id == wanted
                        && !items(&role["Policies"]).is_empty()
                        && role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
                            == json!({"Service": "lambda.amazonaws.com"})
                })
        },
    )
}

/// Logs end some day, and never fail to begin because nobody made the group.
#[must_use]
pub fn every_function_has_a_log_group_with_retention(documents: &Documents) -> Vec<Violation> {
    each(documents, "has no log group with RetentionInDays", |f| {
        let name = text(&f.properties["FunctionName"], "Fn::Sub");
        let wanted = json!({"Fn::Sub": format!("/aws/lambda/{name}")});
        !name.is_empty()
            && documents.of_type("AWS::Logs::LogGroup").any(|(_, group)| {
                group["LogGroupName"] == wanted && !group["RetentionInDays"].is_null()
            })
    })
}

/// X-Ray sees every function.
#[must_use]
pub fn every_function_is_traced(documents: &Documents) -> Vec<Violation> {
    each(documents, "must have Tracing: Active", |f| {
        f.properties["Tracing"] == "Active"
    })
}

/// JSON logs at the level of the parameter; no variable that Lambda keeps for itself.
#[must_use]
pub fn every_function_logs_as_the_parameter_says(documents: &Documents) -> Vec<Violation> {
    let mut found = each(
        documents,
        "must log as JSON at the level of LogLevel",
        |f| {
            let logging = &f.properties["LoggingConfig"];
            logging["LogFormat"] == "JSON"
                && reference(&logging["ApplicationLogLevel"]) == Some("LogLevel")
        },
    );
    found.extend(each(
        documents,
        "sets a variable that Lambda reserves",
        |f| {
            !entries(&f.properties["Environment"]["Variables"])
                .any(|(name, _)| name.starts_with("AWS_") || name.starts_with("LAMBDA_"))
        },
    ));
    found
}

/// An event that a schedule or a rule sends and nobody can handle is kept.
#[must_use]
pub fn every_started_function_has_a_dead_letter_queue(documents: &Documents) -> Vec<Violation> {
    let targets: Vec<&str> = documents
        .of_type("AWS::Events::Rule")
        .flat_map(|(_, rule)| items(&rule["Targets"]))
        .filter_map(|target| attribute(&target["Arn"]).map(|(id, _)| id))
        .collect();
    each(
        documents,
        "is started by an event and has no dead-letter queue",
        |f| {
            let started = entries(&f.properties["Events"]).next().is_some()
                || targets.contains(&f.id.as_str());
            let queue = &f.properties["DeadLetterQueue"];
            let exists = attribute(&queue["TargetArn"]).is_some_and(|(id, _)| {
                documents
                    .of_type("AWS::SQS::Queue")
                    .any(|(queue, _)| queue == id)
            });
            !started || (queue["Type"] == "SQS" && exists)
        },
    )
}

/// A schedule names how long its event may wait. What comes every minute is never repeated.
#[must_use]
pub fn every_schedule_says_how_old_its_event_may_be(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    for function in documents.functions() {
        let schedules = entries(&function.properties["Events"]);
        let each_minute = EVERY_MINUTE.contains(&function.package.as_str());
        let mut count = 0;
        for (_, event) in schedules {
            count += 1;
            let policy = &event["Properties"]["RetryPolicy"];
            let age = policy["MaximumEventAgeInSeconds"].as_u64();
            let retries = policy["MaximumRetryAttempts"].as_u64();
            if event["Type"] != "ScheduleV2" {
                found.push(violation(&function.id, "must be started by a ScheduleV2"));
            }
            if each_minute && (age, retries) != (Some(60), Some(0)) {
                found.push(violation(
                    &function.id,
                    "must have an age of 60 s and no retry",
                ));
            } else if age.is_none() || retries.is_none() {
                found.push(violation(&function.id, "has no RetryPolicy"));
            }
        }
        if each_minute && count != 1 {
            found.push(violation(&function.id, "must have one schedule"));
        }
    }
    found
}

/// A function that both a run and a schedule start must have room for both: Lambda refuses the second one, and the run fails.
#[must_use]
pub fn no_run_waits_for_a_reserved_concurrency(documents: &Documents) -> Vec<Violation> {
    let invoked: Vec<String> = documents
        .tasks()
        .into_iter()
        .filter_map(|task| task.function.map(|function| function.id))
        .collect();
    each(
        documents,
        "is invoked by the state machine, so it must reserve no concurrency",
        |f| !invoked.contains(&f.id) || f.properties.get("ReservedConcurrentExecutions").is_none(),
    )
}

/// Lambda's own limit, and time to answer before it.
#[must_use]
pub fn every_function_has_a_timeout(documents: &Documents) -> Vec<Violation> {
    each(documents, "must have a Timeout of 1 to 900 s", |f| {
        f.properties
            .get("Timeout")
            .and_then(Value::as_u64)
            .is_some_and(|s| (1..=900).contains(&s))
    })
}
