//! Roles may do what their function does, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documents::{attribute, items, text};
use crate::{Documents, Violation, violation};

/// Actions for which AWS knows no resource, or which Lambda checks for all of them when a function is put into a subnet.
const WITHOUT_RESOURCE: [&str; 22] = [
    "lambda:GetAccountSettings",
    "sts:GetWebIdentityToken",
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
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

/// Owner, and each of its policy documents: those of roles, and those that are attached to some.
fn policies(documents: &Documents) -> impl Iterator<Item = (&str, &Value)> {
    let inline = documents
        .of_type("AWS::IAM::Role")
        .flat_map(|(id, role)| items(&role["Policies"]).iter().map(move |p| (id, p)));
    // The hard fence denies, and is for roles that are not of this stack.
    let attached = documents
        .of_type("AWS::IAM::ManagedPolicy")
        .filter(|(id, _)| *id != "HardFencePolicy");
    inline
        .chain(attached)
        .chain(documents.of_type("AWS::IAM::Policy"))
        .map(|(id, policy)| (id, &policy["PolicyDocument"]))
}

fn statements(documents: &Documents) -> impl Iterator<Item = (&str, &Value)> {
    policies(documents)
        .flat_map(|(id, policy)| items(&policy["Statement"]).iter().map(move |s| (id, s)))
}

/// The statements of the template by role and `Sid`, with their actions; a statement of an attached policy belongs to the policy.
#[must_use]
pub fn named_statements(documents: &Documents) -> Vec<(String, String, Vec<String>)> {
    statements(documents)
        .map(|(id, statement)| {
            let actions = items(&statement["Action"])
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            (id.to_owned(), text(statement, "Sid").to_owned(), actions)
        })
        .collect()
}

/// Every statement has a name that tells what it is for, and no two of a role have the same.
#[must_use]
pub fn every_statement_is_named(documents: &Documents) -> Vec<Violation> {
    let mut seen = BTreeSet::new();
    named_statements(documents)
        .into_iter()
        .filter(|(role, sid, _)| sid.is_empty() || !seen.insert((role.clone(), sid.clone())))
        .map(|(role, sid, _)| violation(role, format!("{sid:?} is no name of its own")))
        .collect()
}

/// Who only reads a workspace cannot read the credential that changes it.
#[must_use]
pub fn only_those_who_change_a_site_read_operator_credentials(
    documents: &Documents,
) -> Vec<Violation> {
    const OPERATORS: [&str; 3] = [
        "ShutdownSiteFunctionRole",
        "ActivateSiteFunctionRole",
        "ValidateSiteFunctionRole",
    ];
    statements(documents)
        .filter(|(role, _)| !OPERATORS.contains(role))
        .filter(|(_, s)| items(&s["Action"]).iter().any(|a| a == "ssm:GetParameter"))
        .flat_map(|(role, s)| items(&s["Resource"]).iter().map(move |r| (role, r)))
        .filter_map(|(role, resource)| {
            let name = text(resource, "Fn::Sub").split("${PlanName}/").nth(1)?;
            let reaches = |pattern: &str| match pattern.split_once('*') {
                None => pattern == "sites/*/credentials/operator",
                Some(("", _)) => true,
                Some((begin, rest)) => {
                    "sites/primary/credentials/operator".starts_with(begin)
                        && (rest.is_empty() || rest.ends_with("operator") || rest.ends_with('*'))
                }
            };
            reaches(name).then(|| violation(role, format!("may read {name}")))
        })
        .collect()
}

/// What happened cannot be deleted, by whomever.
#[must_use]
pub fn what_happened_is_not_deleted(documents: &Documents) -> Vec<Violation> {
    const KEPT: [&str; 8] = [
        "runs/*",
        "reports/*",
        "acts/*",
        "approvals/*",
        "baselines/*",
        "incidents/*",
        "state.json",
        "plan.json",
    ];
    documents
        .of_type("AWS::S3::Bucket")
        .flat_map(|(bucket, _)| KEPT.iter().map(move |kept| (bucket, *kept)))
        .filter(|(bucket, kept)| {
            let wanted = serde_json::json!({"Fn::Sub": format!("${{{bucket}.Arn}}/{kept}")});
            !documents
                .of_type("AWS::S3::BucketPolicy")
                .filter(|(_, policy)| policy["Bucket"]["Ref"] == *bucket)
                .flat_map(|(_, policy)| items(&policy["PolicyDocument"]["Statement"]))
                .any(|s| {
                    let actions = items(&s["Action"]);
                    s["Effect"] == "Deny"
                        && s["Principal"] == "*"
                        && s.get("Condition").is_none()
                        && ["s3:DeleteObject", "s3:DeleteObjectVersion"]
                            .iter()
                            .all(|wanted| actions.iter().any(|a| a == wanted))
                        && items(&s["Resource"]).contains(&wanted)
                })
        })
        .map(|(bucket, kept)| violation(bucket, format!("lets {kept} be deleted")))
        .collect()
}

/// Roles can be limited from outside, those of schedules too.
#[must_use]
pub fn every_role_takes_the_boundary(documents: &Documents) -> Vec<Violation> {
    let boundary = serde_json::json!({"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]});
    let roles = documents
        .of_type("AWS::IAM::Role")
        .map(|(id, role)| (id.to_owned(), role.clone()));
    let functions = documents.functions();
    let schedules = functions
        .iter()
        .flat_map(|f| crate::documents::entries(&f.properties["Events"]).map(move |(_, e)| (f, e)))
        .map(|(f, event)| (f.id.clone(), event["Properties"].clone()));
    roles
        .chain(schedules)
        .filter(|(_, properties)| properties["PermissionsBoundary"] != boundary)
        .map(|(id, _)| violation(id, "does not take the permissions boundary"))
        .collect()
}

/// Topics are encrypted with a key that alarms may use: with the key of the account they would be lost.
#[must_use]
pub fn every_topic_is_encrypted(documents: &Documents) -> Vec<Violation> {
    documents
        .of_type("AWS::SNS::Topic")
        .filter(|(_, topic)| {
            let key = attribute(&topic["KmsMasterKeyId"]).map(|(key, _)| key);
            !documents.of_type("AWS::KMS::Key").any(|(id, properties)| {
                Some(id) == key
                    && properties["EnableKeyRotation"] == true
                    && items(&properties["KeyPolicy"]["Statement"])
                        .iter()
                        .any(|s| s["Principal"]["Service"] == "cloudwatch.amazonaws.com")
            })
        })
        .map(|(id, _)| violation(id, "is not encrypted with a key that alarms may use"))
        .collect()
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
        .of_type("AWS::IAM::Role")
        .filter(|(id, _)| *id == "FailoverMachineRole")
        .flat_map(|(_, role)| items(&role["Policies"]))
        .flat_map(|policy| items(&policy["PolicyDocument"]["Statement"]))
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
