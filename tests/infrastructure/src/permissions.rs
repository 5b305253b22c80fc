//! Roles may do what their function does, and nothing else.

use serde_json::Value;

use crate::documents::{attribute, items, text};
use crate::{Documents, Violation, violation};

/// Actions for which AWS knows no resource.
const WITHOUT_RESOURCE: [&str; 14] = [
    "cloudwatch:GetMetricData",
    "cloudwatch:PutMetricData",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
];

/// Owner, and each of its policies.
fn policies(documents: &Documents) -> impl Iterator<Item = (&str, &Value)> {
    documents
        .of_type("AWS::Serverless::Function")
        .chain(documents.of_type("AWS::Serverless::StateMachine"))
        .flat_map(|(id, properties)| items(&properties["Policies"]).iter().map(move |p| (id, p)))
}

fn statements(documents: &Documents) -> impl Iterator<Item = (&str, &Value)> {
    policies(documents)
        .flat_map(|(id, policy)| items(&policy["Statement"]).iter().map(move |s| (id, s)))
}

/// Policies are written out: no managed policy, nothing by exclusion.
#[must_use]
pub fn every_policy_is_written_out(documents: &Documents) -> Vec<Violation> {
    let mut found: Vec<Violation> = policies(documents)
        .filter(|(_, policy)| items(&policy["Statement"]).is_empty())
        .map(|(id, policy)| violation(id, format!("{policy} is no statement")))
        .collect();
    for (id, statement) in statements(documents) {
        let complete = statement["Effect"] == "Allow"
            && !items(&statement["Action"]).is_empty()
            && !items(&statement["Resource"]).is_empty();
        if !complete {
            found.push(violation(
                id,
                format!("{statement} must allow actions on resources"),
            ));
        }
    }
    found
}

/// No action is a pattern.
#[must_use]
pub fn no_action_is_a_wildcard(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, statement) in statements(documents) {
        for action in items(&statement["Action"]) {
            if !action
                .as_str()
                .is_some_and(|a| a.contains(':') && !a.contains('*'))
            {
                found.push(violation(id, format!("{action} is no single action")));
            }
        }
    }
    found
}

/// Whether a resource stands for everything of its service.
fn is_everything(resource: &Value) -> bool {
    let Some(text) = resource.as_str().or_else(|| resource["Fn::Sub"].as_str()) else {
        return false;
    };
    // The colons of a pseudo parameter are none of the ARN's.
    let arn = text.replace("${AWS::", "${");
    let last = arn.splitn(6, ':').last().unwrap_or_default();
    last.is_empty() || last.chars().all(|c| matches!(c, '*' | '/' | ':')) || last == "parameter/*"
}

/// A resource is named, unless AWS knows none for the action.
#[must_use]
pub fn every_resource_is_named(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, statement) in statements(documents) {
        if !items(&statement["Resource"]).iter().any(is_everything) {
            continue;
        }
        let named = items(&statement["Action"]).iter().filter_map(Value::as_str);
        for action in named.filter(|action| !WITHOUT_RESOURCE.contains(action)) {
            found.push(violation(id, format!("{action} is allowed on everything")));
        }
    }
    found
}

/// The state machine may invoke its functions and no others.
#[must_use]
pub fn the_machine_invokes_only_its_functions(documents: &Documents) -> Vec<Violation> {
    let mut wanted: Vec<String> = documents
        .tasks()
        .into_iter()
        .filter_map(|task| task.function.map(|f| f.id))
        .collect();
    wanted.sort();
    wanted.dedup();
    let mut allowed: Vec<String> = documents
        .of_type("AWS::Serverless::StateMachine")
        .flat_map(|(_, machine)| items(&machine["Policies"]))
        .flat_map(|policy| items(&policy["Statement"]))
        .filter(|s| {
            items(&s["Action"])
                .iter()
                .any(|a| a == "lambda:InvokeFunction")
        })
        .flat_map(|s| items(&s["Resource"]))
        .map(|r| attribute(r).map_or_else(|| r.to_string(), |(id, _)| id.to_owned()))
        .collect();
    allowed.sort();
    if wanted == allowed {
        return Vec::new();
    }
    vec![violation(
        "the machine",
        format!("invokes {wanted:?}, may invoke {allowed:?}"),
    )]
}

/// The bucket answers only over TLS.
#[must_use]
pub fn the_bucket_answers_only_over_tls(documents: &Documents) -> Vec<Violation> {
    documents
        .of_type("AWS::S3::Bucket")
        .filter(|(bucket, _)| {
            !documents
                .of_type("AWS::S3::BucketPolicy")
                .any(|(_, policy)| {
                    let wanted = [
                        serde_json::json!({"Fn::GetAtt": [bucket, "Arn"]}),
                        serde_json::json!({"Fn::Sub": format!("${{{bucket}.Arn}}/*")}),
                    ];
                    policy["Bucket"]["Ref"] == *bucket
                        && items(&policy["PolicyDocument"]["Statement"])
                            .iter()
                            .any(|s| {
                                s["Effect"] == "Deny"
                                    && s["Principal"] == "*"
                                    && items(&s["Action"]).iter().any(|a| a == "s3:*")
                                    && wanted.iter().all(|w| items(&s["Resource"]).contains(w))
                                    && text(&s["Condition"]["Bool"], "aws:SecureTransport")
                                        == "false"
                            })
                })
        })
        .map(|(bucket, _)| violation(bucket, "does not refuse what comes without TLS"))
        .collect()
}
