//! The rest of the stack: the deployed machine, the bucket, the rule, and what the template must not know.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::documents::{attribute, entries, items, reference, text, texts};
use crate::{Documents, Violation, violation};

/// A standard workflow that logs everything but data, and is traced.
#[must_use]
pub fn the_machine_is_logged_and_traced(documents: &Documents) -> Vec<Violation> {
    let machines: Vec<(&str, &Value)> =
        documents.of_type("AWS::Serverless::StateMachine").collect();
    let [(id, machine)] = machines.as_slice() else {
        return vec![violation("the template", "must have one state machine")];
    };
    let logging = &machine["Logging"];
    let group = attribute(
        &items(&logging["Destinations"])
            .first()
            .unwrap_or(&Value::Null)["CloudWatchLogsLogGroup"]["LogGroupArn"],
    )
    .map(|(group, _)| group);
    let kept = documents
        .of_type("AWS::Logs::LogGroup")
        .any(|(name, log)| Some(name) == group && !log["RetentionInDays"].is_null());
    let checks = [
        (
            machine["Type"] == "STANDARD",
            "must be of the type STANDARD",
        ),
        (
            machine["DefinitionUri"] == "failover.asl.json",
            "must run failover.asl.json",
        ),
        (logging["Level"] == "ALL", "must log ALL"),
        (
            logging["IncludeExecutionData"] == false,
            "must not log data",
        ),
        (kept, "must log to a group with RetentionInDays"),
        (machine["Tracing"]["Enabled"] == true, "must be traced"),
    ];
    let broken = checks.into_iter().filter(|(holds, _)| !holds);
    broken.map(|(_, problem)| violation(*id, problem)).collect()
}

/// Every name in the machine is filled in, and nothing is filled in that it does not use.
#[must_use]
pub fn every_substitution_is_used(documents: &Documents) -> Vec<Violation> {
    let mut all = Vec::new();
    texts(&documents.machine, "", &mut all);
    let used: BTreeSet<String> = all
        .iter()
        .flat_map(|(_, text)| text.split("${").skip(1))
        .filter_map(|piece| piece.split_once('}').map(|(name, _)| name.to_owned()))
        .collect();
    let given: BTreeSet<String> = documents
        .of_type("AWS::Serverless::StateMachine")
        .flat_map(|(_, machine)| entries(&machine["DefinitionSubstitutions"]))
        .map(|(name, _)| name.to_owned())
        .collect();
    let differ = used.symmetric_difference(&given);
    differ
        .map(|name| violation(name, "is not both used and filled in"))
        .collect()
}

/// An execution of the machine that fails, times out or is aborted wakes somebody. Step Functions counts each under a metric of its own.
#[must_use]
pub fn every_bad_end_raises_an_alarm(documents: &Documents) -> Vec<Violation> {
    [
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
    ]
    .into_iter()
    .filter(|metric| {
        !documents
            .of_type("AWS::CloudWatch::Alarm")
            .any(|(_, alarm)| wakes_somebody_by(documents, alarm, metric))
    })
    .map(|metric| violation(metric, "of the state machine raises no alarm"))
    .collect()
}

fn wakes_somebody_by(documents: &Documents, alarm: &Value, metric: &str) -> bool {
    let of_machine = items(&alarm["Dimensions"]).iter().any(|d| {
        d["Name"] == "StateMachineArn"
            && documents
                .of_type("AWS::Serverless::StateMachine")
                .any(|(id, _)| reference(&d["Value"]) == Some(id))
    });
    let actions = items(&alarm["AlarmActions"]);
    of_machine
        && alarm["Namespace"] == "AWS/States"
        && alarm["MetricName"] == metric
        && alarm["Statistic"] == "Sum"
        && alarm["Threshold"] == 1
        && alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        && actions
            .iter()
            .any(|a| reference(a) == Some("EscalationTopic"))
}

/// A run whose execution was stopped, timed out or broke is closed too.
#[must_use]
pub fn every_ended_execution_is_closed(documents: &Documents) -> Vec<Violation> {
    let close = documents
        .functions()
        .into_iter()
        .find(|f| f.package == "close-run")
        .map(|f| f.id)
        .unwrap_or_default();
    let machine = documents
        .of_type("AWS::Serverless::StateMachine")
        .next()
        .map(|(id, _)| id);
    let closes = documents.of_type("AWS::Events::Rule").any(|(id, rule)| {
        let pattern = &rule["EventPattern"];
        let statuses: BTreeSet<&str> = items(&pattern["detail"]["status"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let target = items(&rule["Targets"]).iter().any(|target| {
            let queue = attribute(&target["DeadLetterConfig"]["Arn"]).map(|(queue, _)| queue);
            attribute(&target["Arn"]) == Some((&close, "Arn"))
                && target["RetryPolicy"]["MaximumRetryAttempts"]
                    .as_u64()
                    .is_some_and(|n| n > 0)
                && documents
                    .of_type("AWS::SQS::Queue")
                    .any(|(name, _)| Some(name) == queue)
        });
        let permitted = documents
            .of_type("AWS::Lambda::Permission")
            .any(|(_, permission)| {
                reference(&permission["FunctionName"]) == Some(&close)
                    && permission["Principal"] == "events.amazonaws.com"
                    && attribute(&permission["SourceArn"]) == Some((id, "Arn"))
            });
        let heard = documents
            .of_type("AWS::SQS::QueuePolicy")
            .any(|(_, policy)| {
                policy
                    .to_string()
                    .contains(&json!({"Fn::GetAtt": [id, "Arn"]}).to_string())
            });
        pattern["source"] == json!(["aws.states"])
            && pattern["detail-type"] == json!(["Step Functions Execution Status Change"])
            && ["ABORTED", "TIMED_OUT", "FAILED"]
                .iter()
                .all(|s| statuses.contains(s))
            && items(&pattern["detail"]["stateMachineArn"])
                .iter()
                .map(reference)
                .collect::<Vec<_>>()
                == [machine]
            && rule["State"] != "DISABLED"
            && target
            && permitted
            && heard
    });
    if closes && machine.is_some() {
        return Vec::new();
    }
    let problem = "no rule calls close-run, with a dead-letter queue, when an execution was ABORTED, TIMED_OUT or FAILED";
    vec![violation("the template", problem)]
}

/// The state survives a mistake: versioned, encrypted, never public, kept when the stack is deleted.
#[must_use]
pub fn the_bucket_is_safe(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut count = 0;
    for (id, resource) in documents
        .resources()
        .filter(|(_, r)| r["Type"] == "AWS::S3::Bucket")
    {
        count += 1;
        let bucket = &resource["Properties"];
        let rules = items(&bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]);
        let public = &bucket["PublicAccessBlockConfiguration"];
        let blocks = [
            "BlockPublicAcls",
            "BlockPublicPolicy",
            "IgnorePublicAcls",
            "RestrictPublicBuckets",
        ];
        let checks = [
            (
                bucket["VersioningConfiguration"]["Status"] == "Enabled",
                "is not versioned",
            ),
            (
                rules
                    .iter()
                    .any(|r| !text(&r["ServerSideEncryptionByDefault"], "SSEAlgorithm").is_empty()),
                "is not encrypted",
            ),
            (
                blocks.iter().all(|b| public[*b] == true),
                "can be made public",
            ),
            (
                resource["DeletionPolicy"] == "Retain"
                    && resource["UpdateReplacePolicy"] == "Retain",
                "goes with the stack",
            ),
        ];
        let broken = checks.into_iter().filter(|(holds, _)| !holds);
        found.extend(broken.map(|(_, problem)| violation(id, problem)));
    }
    if count == 0 {
        found.push(violation("the template", "has no bucket"));
    }
    found
}

fn is_region(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let [area, .., number] = parts.as_slice() else {
        return false;
    };
    parts.len() >= 3
        && ["af", "ap", "ca", "cn", "eu", "il", "me", "mx", "sa", "us"].contains(area)
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
}

fn knows(text: &str, values: &BTreeSet<String>) -> Option<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    for word in words {
        if is_region(word) {
            return Some(format!("the region {word}"));
        }
        if word.len() >= 12 && word.chars().all(|c| c.is_ascii_digit()) {
            return Some(format!("the number {word}"));
        }
        if values.contains(word) {
            return Some(format!("{word:?} of the example plan"));
        }
    }
    let lower = text.to_lowercase();
    let address = [
        "://",
        "databricks.com",
        "arn:aws:s3",
        "arn:aws:iam",
        "arn:aws:lambda",
    ];
    let found = address.iter().find(|a| lower.contains(**a));
    found.map(|a| format!("an address: {a}"))
}

/// One template serves every plan: it names no region, account, workspace, bucket or URL.
#[must_use]
pub fn nothing_is_specific_to_a_plan(
    documents: &Documents,
    example_plan: &Value,
) -> Vec<Violation> {
    let mut values = Vec::new();
    texts(example_plan, "", &mut values);
    // A value is no key, and specific: at least a name with a dash, a digit or the plan's own.
    let values: BTreeSet<String> = values
        .into_iter()
        .filter(|(path, text)| !path.ends_with(&format!("/{text}")))
        .filter(|(path, text)| path == "/name" || text.contains('-') || text.len() >= 12)
        .map(|(_, text)| text)
        .collect();
    let mut all = Vec::new();
    texts(&documents.template, "template", &mut all);
    texts(&documents.machine, "machine", &mut all);
    all.into_iter()
        .filter_map(|(path, text)| {
            knows(&text, &values).map(|what| violation(path, format!("names {what}")))
        })
        .collect()
}
